-- Drops the change log with all its events.

DROP FUNCTION events_origin();
DROP TABLE events_state;
DROP TABLE events;
