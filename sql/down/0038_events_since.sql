-- Drops the functions that read and purge the log; the log stays unchanged.

DO $$
BEGIN
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'chat_listener') THEN
    REVOKE EXECUTE ON FUNCTION events_since(text, integer) FROM chat_listener;
  END IF;
END
$$;

DROP FUNCTION purge_events(interval, integer);
DROP FUNCTION events_since(text, integer);
DROP FUNCTION events_reset(boolean);
DROP FUNCTION events_epoch(events_state);
DROP FUNCTION events_snapshot(xid8);
DROP FUNCTION xid_after(xid8);
