-- Drops the operations on channels.

DROP FUNCTION is_member(text, text);
DROP FUNCTION list_members(text, integer, text);
DROP FUNCTION set_role(text, text, text);
DROP FUNCTION remove_member(text, text);
DROP FUNCTION add_member(text, text, text);
DROP FUNCTION open_direct_channel(text, text);
DROP FUNCTION delete_channel(text);
DROP FUNCTION archive_channel(text, boolean);
DROP FUNCTION update_channel(text, jsonb);
DROP FUNCTION find_channel(text);
DROP FUNCTION create_channel(text, text, text, text[], text[], text, text, jsonb, boolean);
