-- Drops the operations on accounts.

DROP FUNCTION get_sync_state(text, text);
DROP FUNCTION put_sync_state(text, text, timestamptz, jsonb);
DROP FUNCTION put_setting(text, text, jsonb);
DROP FUNCTION mark_notification_read(text, text);
DROP FUNCTION list_notifications(text, integer, text, boolean);
DROP FUNCTION set_notification_preferences(text, boolean, boolean, boolean, boolean, boolean, boolean, jsonb);
DROP FUNCTION get_notification_preferences(text);
DROP FUNCTION notify_user(text, text, jsonb, text, text, timestamptz);
DROP FUNCTION list_relationships(text, text, text);
DROP FUNCTION remove_relationship(text, text);
DROP FUNCTION unblock_user(text, text);
DROP FUNCTION block_user(text, text);
DROP FUNCTION answer_friend(text, text, boolean);
DROP FUNCTION request_friend(text, text);
DROP FUNCTION lock_pair(text, text);
DROP FUNCTION revoke_tokens(text);
DROP FUNCTION use_token(bytea);
DROP FUNCTION issue_token(text, bytea, timestamptz);
