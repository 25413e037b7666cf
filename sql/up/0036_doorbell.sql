-- The doorbell: NOTIFY chat_events says that there is something to read. It is a hint; the log is the truth.
--
-- A transaction that has notified takes one lock of the whole cluster for its commit: if each did, commits could no
-- longer be grouped, and four fifths of the throughput would be gone. So the first transaction of each 20
-- milliseconds rings, and a consumer that was rung keeps reading for a while. Two things make sure of it: the
-- sequence holds the last 20 ms that were rung in (a sequence is seen by all at once, committed or not), and the
-- advisory lock decides between two who look at the same moment. It has 64 keys, so that a transaction which has
-- rung and then sits there for an hour takes one of 64 rings away, not all.

CREATE SEQUENCE events_bell MINVALUE 0;

CREATE FUNCTION set_notify_mode(mode text) RETURNS void
LANGUAGE sql VOLATILE
BEGIN ATOMIC
  UPDATE events_state SET notify = set_notify_mode.mode;
END;

-- Called when it may be time to ring: see the triggers, which look at the sequence themselves, for that is
-- all that the other thousands of transactions have to pay.
CREATE FUNCTION ring_doorbell(about text, op text, ids text[], channels text[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
AS $$
DECLARE
  most constant integer := 20;  -- ids of at most 53 characters: far below 2,000 bytes
  now20 constant bigint := date_part('epoch', clock_timestamp()) * 50;
  mode text := nullif(current_setting('chat.notify', true), '');
BEGIN
  IF mode IS NULL THEN
    SELECT s.notify INTO mode FROM events_state s;
    IF mode = 'off' THEN
      PERFORM setval('events_bell', now20);  -- nobody has to look again in these 20 ms
    END IF;
  END IF;
  IF mode = 'off' THEN
    RETURN;
  ELSIF mode IS DISTINCT FROM 'every' THEN
    IF NOT pg_try_advisory_xact_lock('events'::regclass::oid::integer, (now20 & 63)::integer) THEN
      RETURN;
    END IF;
    PERFORM setval('events_bell', now20);
  END IF;

  -- A full queue would make the COMMIT fail, where nothing can catch it. A listener that is dead, or sits in
  -- an open transaction, fills it.
  IF pg_notification_queue_usage() < 0.5 THEN
    PERFORM pg_notify('chat_events', json_build_object(
      'v', 1, 'schema', current_schema(), 'table', about, 'op', op,
      'channel_id', CASE WHEN cardinality(channels) = 1 THEN channels[1] END,
      'ids', ids[1:most], 'more', cardinality(ids) > most)::text);
  END IF;
END
$$;

SELECT pin_search_path('ring_doorbell');

COMMENT ON SEQUENCE events_bell IS 'The last 20 milliseconds, counted since 1970, in which the doorbell was rung.';
COMMENT ON FUNCTION set_notify_mode(text) IS
  'When the doorbell rings: "doorbell" at most 50 times a second, "every" in each transaction with an event, "off" never (two-phase commit needs that). The setting chat.notify has the last word in its session.';
COMMENT ON FUNCTION ring_doorbell(text, text, text[], text[]) IS
  'For the triggers: NOTIFY chat_events with a hint of what has changed, unless these 20 milliseconds have been rung, or the queue is half full.';
