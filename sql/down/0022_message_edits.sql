-- Drops the triggers on messages first: they use the functions.

DROP TRIGGER messages_keep_edit ON messages;
DROP TRIGGER messages_set_edited_at ON messages;
DROP FUNCTION keep_message_edit();
DROP FUNCTION set_edited_at();
DROP TABLE message_edits;
