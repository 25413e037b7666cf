-- Drops both functions.

DROP FUNCTION list_channels(text, integer, text);
DROP FUNCTION unread_counts(text);
