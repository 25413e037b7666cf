-- Drops the extensions that 0001 marked, without CASCADE, when the last copy of this schema in the database is
-- rolled back. Extensions that existed before, belong to another role or are in use stay, and a notice says so.

DO $$
DECLARE
  made  text;
  note  text;
  -- A copy is recognized by its id generator, which is the first object that 0002 creates and the last that it drops.
  other text := (SELECT min(n.nspname)
                   FROM pg_proc p
                   JOIN pg_namespace n ON n.oid = p.pronamespace
                  WHERE p.proname = 'ulid_encode'
                    AND p.pronargs = 2
                    AND p.proargtypes[0] = 'bigint'::regtype
                    AND p.proargtypes[1] = 'uuid'::regtype
                    AND n.nspname <> current_schema());
BEGIN
  FOREACH made IN ARRAY ARRAY['uuid-ossp', 'pgcrypto', 'pg_trgm', 'citext'] LOOP
    SELECT coalesce(obj_description(oid, 'pg_extension'), '') INTO note FROM pg_extension WHERE extname = made;
    CONTINUE WHEN NOT FOUND;

    IF note NOT LIKE '%(made by the chat schema)' THEN
      RAISE NOTICE 'the extension "%" stays: it was not made by the chat schema', made;
    ELSIF other IS NOT NULL THEN
      RAISE NOTICE 'the extension "%" stays: the chat schema in "%" uses it', made, other;
    ELSE
      BEGIN
        EXECUTE format('DROP EXTENSION %I', made);
      EXCEPTION
        WHEN dependent_objects_still_exist THEN
          RAISE NOTICE 'the extension "%" stays: other objects need it', made;
        WHEN insufficient_privilege THEN
          RAISE NOTICE 'the extension "%" stays: it belongs to another role', made;
      END;
    END IF;
  END LOOP;
END
$$;
