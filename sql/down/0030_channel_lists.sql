-- Drops the functions.

DROP FUNCTION list_channels(text, integer, text);
DROP FUNCTION count_unread(text);
DROP FUNCTION unread_counts(text);
