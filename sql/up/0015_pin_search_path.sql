-- Functions in PL/pgSQL look names up when they run, and those with SECURITY DEFINER run with the rights of
-- the owner: both need a search_path of their own, or whoever calls them decides which table is meant.
--
-- It is this schema, then where the extensions are (without the schema of citext, citext compares with case,
-- and says nothing), then pg_temp. It is written out: SET search_path FROM CURRENT would store whatever the
-- migrating session happened to have.

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
  'For migrations: gives functions the search_path of this schema, of the extensions and of pg_temp, in this order.';
