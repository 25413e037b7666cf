-- Drops the change log with all events in it.

DROP FUNCTION events_origin();
DROP TABLE events_state;
DROP TABLE events;
