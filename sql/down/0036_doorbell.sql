-- Drops the doorbell.

DROP FUNCTION ring_doorbell(text, text, text[], text[]);
DROP FUNCTION bell_is_due();
DROP FUNCTION set_notify_mode(text);
DROP SEQUENCE events_bell;
