-- Drops the operations on messages.

DROP FUNCTION list_files(text);
DROP FUNCTION attach_files(text, text[]);
DROP FUNCTION remove_reaction(text, text, text);
DROP FUNCTION add_reaction(text, text, text);
DROP FUNCTION mark_delivered(text, text);
DROP FUNCTION mark_read(text, text);
DROP FUNCTION set_message_status(text, text, text);
DROP TRIGGER messages_check_status ON messages;
DROP FUNCTION check_message_status();
DROP TRIGGER message_deliveries_settle_status ON message_deliveries;
DROP TRIGGER message_reads_settle_status ON message_reads;
DROP FUNCTION settle_statuses();
DROP FUNCTION settle_message_status(text);
DROP FUNCTION search_messages(text, text, integer, text, text);
DROP FUNCTION list_replies(text, integer, text);
DROP FUNCTION list_messages(text, integer, text);
DROP FUNCTION find_message_by_client_id(text, text);
DROP FUNCTION find_message(text);
DROP FUNCTION delete_message(text, text);
DROP FUNCTION edit_message(text, text, text);
DROP FUNCTION send_message(text, text, text, text, text, text, jsonb);
