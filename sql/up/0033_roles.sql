-- Group roles, which no one logs in as: a login is made a member of one.
--
--   chat_owner     may build: logins that migrate get it by ALTER ROLE ... SET role = chat_owner
--   chat_app       reads and writes rows, held back by row-level security, and calls the operations
--   chat_readonly  reads all rows but credentials, for reports
--   chat_listener  reads the change log, and nothing else
--
-- Roles belong to the whole cluster, and other databases may use them: they are made where missing, and no down
-- drops them. The advisory lock is one database's only: another one may make the role at the same moment, which
-- is just as good. Where roles can't be made, the schema is complete without: only its owner has rights then.

DO $$
DECLARE
  wanted text;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('chat roles', 0));
  FOREACH wanted IN ARRAY ARRAY['chat_owner', 'chat_app', 'chat_readonly', 'chat_listener'] LOOP
    BEGIN
      IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) THEN
        EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
      END IF;
    EXCEPTION
      WHEN duplicate_object OR unique_violation THEN
        NULL;
      WHEN insufficient_privilege THEN
        RAISE NOTICE 'the role "%" is missing, and "%" may not create it: going on without it', wanted, current_user
          USING HINT = 'Let an administrator create it, then run the GRANTs of this file.';
    END;
  END LOOP;
END
$$;

-- What is SECURITY DEFINER is for those who are meant, not for all.
REVOKE EXECUTE ON FUNCTION erase_user(text) FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION open_direct_channel(text, text) FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION search_messages(text, text, integer, text, text) FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION use_token(bytea) FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION notify_user(text, text, jsonb, text, text, timestamptz) FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION put_session(bytea, jsonb, timestamptz, text) FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION get_session(bytea) FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION purge_expired() FROM PUBLIC;

DO $$
DECLARE
  given record;
BEGIN
  FOR given IN
    SELECT * FROM (VALUES
      ('chat_owner', format('CREATE, USAGE ON SCHEMA %I', current_schema())),
      ('chat_app', format('USAGE ON SCHEMA %I', current_schema())),
      ('chat_readonly', format('USAGE ON SCHEMA %I', current_schema())),
      ('chat_listener', format('USAGE ON SCHEMA %I', current_schema())),
      ('chat_app', 'SELECT, INSERT, UPDATE, DELETE ON
           users, profiles, user_settings, user_status, refresh_tokens, sessions, rate_limits,
           channels, channel_members, messages, message_deliveries, message_reads, reactions, files, typing_indicators,
           notifications, notification_preferences, sync_state'),
      -- whose request it is can't be changed: a policy would not see whose it was
      ('chat_app', 'SELECT, INSERT, UPDATE (type, status), DELETE ON relationships'),
      ('chat_app', 'SELECT ON message_edits, public_users'),  -- edits are the trigger''s to write
      ('chat_app', 'EXECUTE ON FUNCTION
           open_direct_channel(text, text), search_messages(text, text, integer, text, text), use_token(bytea), erase_user(text),
           notify_user(text, text, jsonb, text, text, timestamptz),
           put_session(bytea, jsonb, timestamptz, text), get_session(bytea), purge_expired()'),
      ('chat_readonly', 'SELECT ON public_users,
           profiles, user_settings, user_status, relationships, channels, channel_members, messages, message_edits,
           message_deliveries, message_reads, reactions, files, typing_indicators, notifications, notification_preferences, sync_state'),
      ('chat_readonly', 'SELECT (id, email, username, full_name, display_name, avatar_url, is_active, is_verified,
                   last_seen_at, last_login_at, created_at, updated_at, deleted_at) ON users')  -- no password_hash, no auth0_id
    ) g (role, what)
  LOOP
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = given.role) THEN
      EXECUTE format('GRANT %s TO %I', given.what, given.role);
    END IF;
  END LOOP;
END
$$;

-- The schema is not ours alone, so that right stays; but a SECURITY DEFINER function looks into a schema where, then,
-- anybody may put a function of their own.
DO $$
BEGIN
  IF EXISTS (SELECT FROM pg_namespace n, aclexplode(n.nspacl) a
              WHERE n.nspname = current_schema() AND a.grantee = 0 AND a.privilege_type = 'CREATE') THEN
    RAISE NOTICE 'everybody may create objects in schema "%"', current_schema()
      USING HINT = format('Run REVOKE CREATE ON SCHEMA %I FROM PUBLIC; from PostgreSQL 15 on new databases begin so.',
                          current_schema());
  END IF;
END
$$;
