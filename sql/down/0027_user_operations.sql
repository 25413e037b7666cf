-- Drops the operations on users.

DROP FUNCTION erase_user(text);
DROP FUNCTION delete_user(text);
DROP FUNCTION get_profile(text);
DROP FUNCTION put_profile(text, text);
DROP FUNCTION list_presence(text, interval);
DROP FUNCTION list_presence(text[], interval);
DROP FUNCTION find_presence(text, interval);
DROP FUNCTION set_presence(text, text, text);
DROP FUNCTION touch_last_seen(text);
DROP FUNCTION update_user(text, jsonb);
DROP FUNCTION find_user_by_username(text);
DROP FUNCTION find_user_by_email(text);
DROP FUNCTION find_user(text);
DROP FUNCTION create_user(text, text, text, text, text, text, text);
DROP VIEW public_users;
