-- Drops the operations on accounts.

DROP FUNCTION put_setting(text, text, jsonb);
DROP FUNCTION mark_notification_read(text, text);
DROP FUNCTION list_notifications(text, integer, text, boolean);
DROP FUNCTION notify_user(text, text, jsonb, text, text, timestamptz);
DROP FUNCTION unblock_user(text, text);
DROP FUNCTION block_user(text, text);
DROP FUNCTION answer_friend(text, text, boolean);
DROP FUNCTION request_friend(text, text);
DROP FUNCTION lock_pair(text, text);
DROP FUNCTION revoke_tokens(text);
DROP FUNCTION use_token(bytea);
DROP FUNCTION issue_token(text, bytea, timestamptz);
