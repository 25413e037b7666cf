-- Extensions. citext is required: e-mail addresses and user names are compared without regard to case. pg_trgm
-- makes the search in messages fast; without it the search is correct but slow. pgcrypto and uuid-ossp are
-- installed for applications that want them; this schema does not need them.
--
-- A missing extension is created in "public"; an existing one is used where it is, so that a role which may not
-- create extensions can still migrate after an administrator has created them. An extension belongs to the whole
-- database, and several copies of this schema may share it: an extension created here is marked in its comment,
-- and the down file drops only marked ones.

DO $$
DECLARE
  wanted text;
BEGIN
  FOREACH wanted IN ARRAY ARRAY['citext', 'pg_trgm', 'pgcrypto', 'uuid-ossp'] LOOP
    CONTINUE WHEN EXISTS (SELECT FROM pg_extension WHERE extname = wanted);

    IF NOT EXISTS (SELECT FROM pg_available_extensions WHERE name = wanted) THEN
      IF wanted = 'citext' THEN
        RAISE EXCEPTION 'the extension "citext" is required, but is not available on this server'
          USING ERRCODE = 'feature_not_supported',
                HINT = 'Install PostgreSQL''s contrib modules on the server (Debian and Ubuntu ship them in '
                       '"postgresql", Red Hat and Alpine in "postgresql-contrib").';
      END IF;
      IF wanted = 'pg_trgm' THEN
        RAISE NOTICE 'the extension "%" is not available on this server: search will be slower', wanted;
      END IF;
      CONTINUE;
    END IF;

    BEGIN
      EXECUTE format('CREATE EXTENSION %I WITH SCHEMA public', wanted);
      BEGIN
        EXECUTE format('COMMENT ON EXTENSION %I IS %L', wanted, (
          SELECT concat_ws(' ', obj_description(oid, 'pg_extension'), '(made by the chat schema)')
            FROM pg_extension WHERE extname = wanted));
      EXCEPTION WHEN insufficient_privilege THEN
        -- Some hosting providers own all extensions. Without the mark, the down file leaves it in place.
        RAISE NOTICE 'the extension "%" belongs to another role: the down file will not drop it', wanted;
      END;
    EXCEPTION
      WHEN unique_violation OR duplicate_object THEN
        NULL;  -- another session created it at the same moment; IF NOT EXISTS would fail in the same way
      WHEN insufficient_privilege THEN
        IF wanted = 'citext' THEN
          RAISE EXCEPTION 'the extension "citext" is required, and "%" may not create it', current_user
            USING ERRCODE = 'insufficient_privilege',
                  HINT = format('Grant CREATE on the database %I, or let an administrator run: '
                                'CREATE EXTENSION citext WITH SCHEMA public;', current_database());
        END IF;
        RAISE NOTICE 'the extension "%" is missing, and "%" may not create it: continuing without it',
          wanted, current_user;
    END;
  END LOOP;
END
$$;
