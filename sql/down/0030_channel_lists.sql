-- Takes the two functions away.

DROP FUNCTION list_channels(text, integer, text);
DROP FUNCTION unread_counts(text);
