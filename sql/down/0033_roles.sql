-- Revokes the rights on this schema; the roles stay, because they belong to the whole cluster.

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
           users, profiles, user_settings, user_status, relationships, refresh_tokens, sessions, rate_limits,
           channels, channel_members, messages, message_deliveries, message_reads, reactions, files, typing_indicators,
           notifications, notification_preferences, sync_state'),
      ('chat_app', 'SELECT ON message_edits, public_users'),
      ('chat_app', 'EXECUTE ON FUNCTION
           open_direct_channel(text, text), search_messages(text, text, integer, text, text), use_token(bytea), erase_user(text),
           notify_user(text, text, jsonb, text, text, timestamptz),
           put_session(bytea, jsonb, timestamptz, text), get_session(bytea), end_session(bytea), end_sessions(text),
           settle_message_status(text), set_message_status(text, text, text), delete_user(text), purge_expired()'),
      ('chat_readonly', 'SELECT ON public_users,
           profiles, user_settings, user_status, relationships, channels, channel_members, messages, message_edits,
           message_deliveries, message_reads, reactions, files, typing_indicators, notifications, notification_preferences, sync_state'),
      ('chat_readonly', 'SELECT (id, email, username, full_name, display_name, avatar_url, is_active, is_verified,
                   last_seen_at, last_login_at, created_at, updated_at, deleted_at) ON users')
    ) g (role, what)
  LOOP
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = given.role) THEN
      EXECUTE format('REVOKE %s FROM %I', given.what, given.role);
    END IF;
  END LOOP;
END
$$;

GRANT EXECUTE ON FUNCTION delete_user(text) TO PUBLIC;
GRANT EXECUTE ON FUNCTION erase_user(text) TO PUBLIC;
GRANT EXECUTE ON FUNCTION open_direct_channel(text, text) TO PUBLIC;
GRANT EXECUTE ON FUNCTION search_messages(text, text, integer, text, text) TO PUBLIC;
GRANT EXECUTE ON FUNCTION use_token(bytea) TO PUBLIC;
GRANT EXECUTE ON FUNCTION notify_user(text, text, jsonb, text, text, timestamptz) TO PUBLIC;
GRANT EXECUTE ON FUNCTION put_session(bytea, jsonb, timestamptz, text) TO PUBLIC;
GRANT EXECUTE ON FUNCTION get_session(bytea) TO PUBLIC;
GRANT EXECUTE ON FUNCTION end_session(bytea) TO PUBLIC;
GRANT EXECUTE ON FUNCTION end_sessions(text) TO PUBLIC;
GRANT EXECUTE ON FUNCTION settle_message_status(text) TO PUBLIC;
GRANT EXECUTE ON FUNCTION set_message_status(text, text, text) TO PUBLIC;
GRANT EXECUTE ON FUNCTION purge_expired() TO PUBLIC;
