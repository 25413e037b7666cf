-- Drops the trigger on channels first: it uses a function that is dropped with the members.

DROP TRIGGER channels_limit_type_changed ON channels;
DROP TABLE channel_members;
DROP FUNCTION check_channel_type_limit();
DROP FUNCTION check_channel_members_limit();
