-- Drops the operations on ephemeral data.

DROP FUNCTION purge_expired();
DROP FUNCTION hit_rate_limit(text, integer, interval);
DROP TRIGGER sessions_refuse_delete ON sessions;
DROP FUNCTION refuse_session_delete();
DROP FUNCTION end_sessions(text);
DROP FUNCTION end_session(bytea);
DROP FUNCTION get_session(bytea);
DROP FUNCTION put_session(bytea, jsonb, timestamptz, text);
DROP FUNCTION list_typing(text);
DROP FUNCTION start_typing(text, text, interval);
