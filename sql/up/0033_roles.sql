-- Group roles without the right to log in: a login role becomes a member of one.
--
--   chat_owner     may create objects: logins that migrate get it by ALTER ROLE ... SET role = chat_owner
--   chat_app       reads and writes rows, limited by row-level security, and calls the operations
--   chat_readonly  reads all rows except credentials, for reports
--   chat_listener  reads the change log, and nothing else
--
-- Roles belong to the whole cluster, and other databases may use them: they are created if missing, and no down file
-- drops them. The advisory lock covers one database only: a run in another one may create the role at the same
-- moment, which is just as good. If roles cannot be created, the schema is complete without them, and only its
-- owner has rights.

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
        RAISE NOTICE 'the role "%" is missing, and "%" may not create it: continuing without it', wanted, current_user
          USING HINT = 'Let an administrator create it, then run the GRANTs of this file.';
    END;
  END LOOP;
END
$$;

-- SECURITY DEFINER functions may be called by the intended roles only.
REVOKE EXECUTE ON FUNCTION delete_user(text) FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION erase_user(text) FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION open_direct_channel(text, text) FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION search_messages(text, text, integer, text, text) FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION use_token(bytea) FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION notify_user(text, text, jsonb, text, text, timestamptz) FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION put_session(bytea, jsonb, timestamptz, text) FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION get_session(bytea) FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION end_session(bytea) FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION end_sessions(text) FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION settle_message_status(text) FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION set_message_status(text, text, text) FROM PUBLIC;
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
      -- the two users cannot be changed: a policy would not see the old ones
      ('chat_app', 'SELECT, INSERT, UPDATE (type, status), DELETE ON relationships'),
      ('chat_app', 'SELECT ON message_edits, public_users'),  -- only the trigger writes edits
      ('chat_app', 'EXECUTE ON FUNCTION
           open_direct_channel(text, text), search_messages(text, text, integer, text, text), use_token(bytea), erase_user(text),
           notify_user(text, text, jsonb, text, text, timestamptz),
           put_session(bytea, jsonb, timestamptz, text), get_session(bytea), end_session(bytea), end_sessions(text),
           settle_message_status(text), set_message_status(text, text, text), delete_user(text), purge_expired()'),
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

-- Others may use the schema, so that right is not revoked; but a SECURITY DEFINER function then searches a schema in
-- which every role may create functions.
DO $$
BEGIN
  IF EXISTS (SELECT FROM pg_namespace n, aclexplode(n.nspacl) a
              WHERE n.nspname = current_schema() AND a.grantee = 0 AND a.privilege_type = 'CREATE') THEN
    RAISE NOTICE 'every role may create objects in schema "%"', current_schema()
      USING HINT = format('Run REVOKE CREATE ON SCHEMA %I FROM PUBLIC; new databases of PostgreSQL 15 and later start without it.',
                          current_schema());
  END IF;
END
$$;
