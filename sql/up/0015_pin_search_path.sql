-- Functions in PL/pgSQL look up names when they run, and SECURITY DEFINER functions run with the rights of the
-- owner: both need their own search_path, or the caller decides which table a name refers to.
--
-- It is this schema, then the schemas of the extensions (without the schema of citext, citext silently compares
-- with regard to case), then pg_temp. It is written out, because SET search_path FROM CURRENT would store the
-- search_path of the migrating session.

CREATE FUNCTION pin_search_path(VARIADIC functions regproc[]) RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
  one  regproc;
  path text := (
    SELECT concat_ws(', ', quote_ident(current_schema()),
                     string_agg(DISTINCT quote_ident(n.nspname), ', ')
                       FILTER (WHERE n.nspname NOT IN (current_schema(), 'pg_catalog')),
                     'pg_temp')
      FROM pg_extension e
      JOIN pg_namespace n ON n.oid = e.extnamespace
     WHERE e.extname IN ('citext', 'pg_trgm'));
BEGIN
  FOREACH one IN ARRAY functions LOOP
    EXECUTE format('ALTER FUNCTION %s SET search_path = %s', one::oid::regprocedure, path);
  END LOOP;
END
$$;

COMMENT ON FUNCTION pin_search_path(regproc[]) IS
  'For migrations: sets the search_path of functions to this schema, the schemas of the extensions, and pg_temp, in this order.';
