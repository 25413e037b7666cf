-- The doorbell: NOTIFY chat_events says that there is something to read. It is a hint; the log is authoritative.
--
-- A transaction that has notified acquires a cluster-wide lock for its commit: if every transaction did, commits could
-- not be grouped, and four fifths of the throughput would be lost. So only the first transaction within 20 ms
-- notifies, and a reader that was notified keeps reading for a while. Two things ensure this: the sequence holds
-- the last 20 ms interval with a notification (all sessions see a sequence's value at once, committed or not), and
-- the advisory lock decides between two transactions that check at the same moment. It has 64 keys, and a transaction
-- notifies once: a transaction that has notified and stays open for an hour blocks one of 64 keys, not all.

CREATE SEQUENCE events_bell MINVALUE -9223372036854775807 START 0;

CREATE FUNCTION set_notify_mode(mode text) RETURNS void
LANGUAGE sql VOLATILE
BEGIN ATOMIC
  INSERT INTO events_state (origin, notify) VALUES (events_origin(), set_notify_mode.mode)
  ON CONFLICT (one) DO UPDATE SET notify = EXCLUDED.notify;
END;

-- Whether a notification may be due: the only cost for most transactions, inlined into the triggers. The sequence holds
-- n if the interval n had a notification, and -n if the mode was "off" in it and no setting overrides the mode.
CREATE FUNCTION bell_is_due() RETURNS boolean
LANGUAGE sql VOLATILE
RETURN CASE coalesce(current_setting('chat.notify', true), '')
         WHEN 'every' THEN true
         WHEN 'off' THEN false
         WHEN '' THEN abs(pg_sequence_last_value('events_bell'))
                      IS DISTINCT FROM (date_part('epoch', clock_timestamp()) * 50)::bigint
         ELSE pg_sequence_last_value('events_bell')
              IS DISTINCT FROM (date_part('epoch', clock_timestamp()) * 50)::bigint
       END;

CREATE FUNCTION ring_doorbell(about text, op text, ids text[], channels text[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
AS $$
DECLARE
  most constant integer := 20;  -- ids of at most 53 characters: far below 2,000 bytes
  now20 constant bigint := date_part('epoch', clock_timestamp()) * 50;
  mine  constant text := nullif(current_setting('chat.notify', true), '');
  usual constant text := (SELECT s.notify FROM events_state s);
  mode  constant text := coalesce(mine, usual);
  -- <xid>:<times>; anything else, which only a session itself can have set, counts as not yet
  times constant integer := 1 + coalesce(substring(current_setting('chat.rung', true)
                                           FROM '^' || pg_current_xact_id() || ':([0-9]{1,4})$')::integer, 0);
BEGIN
  IF mode = 'off' THEN
    IF mine IS NULL THEN
      PERFORM setval('events_bell', -now20);  -- no other transaction needs to check in these 20 ms
    END IF;
    RETURN;
  ELSIF mode = 'every' THEN
    IF times > 10 THEN  -- pending notifications must not fill the queue at COMMIT
      RETURN;
    END IF;
  ELSE
    IF times > 1
       OR NOT pg_try_advisory_xact_lock('events'::regclass::oid::integer, (now20 & 63)::integer) THEN
      RETURN;
    END IF;
    -- another transaction may have notified and committed since the trigger checked
    IF pg_sequence_last_value('events_bell') BETWEEN now20 AND now20 + 50 THEN
      RETURN;
    END IF;
    IF usual IS DISTINCT FROM 'every' THEN
      PERFORM setval('events_bell', now20);
    END IF;
  END IF;

  -- A full queue would make the COMMIT fail, where the error cannot be caught. A listener that hangs, or stays in
  -- an open transaction, fills it.
  IF pg_notification_queue_usage() < 0.5 THEN
    PERFORM pg_notify('chat_events', json_build_object(
      'v', 1, 'schema', current_schema(), 'table', about, 'op', op,
      'channel_id', CASE WHEN cardinality(channels) = 1 AND cardinality(ids) <= most THEN channels[1] END,
      'ids', ids[1:most], 'more', cardinality(ids) > most OR times = 10)::text);
    PERFORM set_config('chat.rung', pg_current_xact_id() || ':' || times, true);
  END IF;
END
$$;

SELECT pin_search_path('ring_doorbell');

REVOKE EXECUTE ON FUNCTION ring_doorbell(text, text, text[], text[]) FROM PUBLIC;

COMMENT ON SEQUENCE events_bell IS 'The last 20 ms interval, counted since 1970, with a notification; negative if the mode was off.';
COMMENT ON FUNCTION set_notify_mode(text) IS
  'Sets when to notify: "doorbell" at most 50 times a second, "every" for each statement with an event (up to 10 in a transaction), "off" never (required for two-phase commit). The setting chat.notify overrides it in a session.';
COMMENT ON FUNCTION bell_is_due() IS 'For the triggers: whether ring_doorbell() has to be called.';
COMMENT ON FUNCTION ring_doorbell(text, text, text[], text[]) IS
  'For the triggers: sends NOTIFY chat_events with a hint of what has changed, unless these 20 ms already had a notification, or the queue is half full.';
