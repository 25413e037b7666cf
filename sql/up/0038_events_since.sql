-- Reading the change log. A cursor is opaque text: <epoch>|<snapshot>, all that was visible then has been read; and
-- while a batch is read in pages, <epoch>|<from>|<to>|<seq>|<first>-<last>. A batch is what is visible in the newer snapshot and was
-- not in the older: so an event is read once, whenever its transaction began and however long it took.
--
-- PostgreSQL writes a snapshot as xmin:xmax:running. What it did not see yet is what was running then, a few xids,
-- and what has begun since: from xmax on. Both are looked up by index, so that a transaction which has been open for
-- hours, and holds xmin back over millions of events that were read long ago, costs nothing.

--
-- Errors: CD001 the cursor says nothing any more: read what you show anew, and go on from an empty cursor. CD002 not on
-- a standby, whose snapshots don't list what is running on the primary.

-- What is visible now. A transaction does not stand in its own snapshot; what it has written itself is for later.
CREATE FUNCTION events_snapshot() RETURNS pg_snapshot
LANGUAGE sql STABLE
RETURN (
  SELECT CASE WHEN own < pg_snapshot_xmax(here)
              THEN (SELECT pg_snapshot_xmin(here) || ':' || pg_snapshot_xmax(here) || ':' || string_agg(x::text, ',' ORDER BY x)
                      FROM (SELECT pg_snapshot_xip(here) UNION SELECT own) running (x))::pg_snapshot
              ELSE here
         END
    FROM (SELECT pg_current_snapshot() AS here, pg_current_xact_id_if_assigned() AS own) now_);

CREATE FUNCTION events_epoch(state events_state) RETURNS text
LANGUAGE sql IMMUTABLE
RETURN left(md5(state.origin || state.nonce), 12);

-- A new epoch: all cursors from before are told to resynchronise. Events up to base whose xid comes from another
-- database, where xids were higher, must never be taken for new ones: those that belong here began before horizon.
CREATE FUNCTION events_reset(copied_only boolean DEFAULT false) RETURNS text
LANGUAGE plpgsql
AS $$
DECLARE
  last_seq constant bigint := coalesce(pg_sequence_last_value(pg_get_serial_sequence('events', 'seq')), 0);
BEGIN
  IF current_setting('transaction_isolation') <> 'read committed' THEN
    RAISE EXCEPTION 'the change log is reset under READ COMMITTED only' USING ERRCODE = 'active_sql_transaction';
  END IF;
  UPDATE events_state
     SET origin = events_origin(), nonce = gen_random_uuid()::text, floor = '0',
         base = last_seq, horizon = pg_snapshot_xmax(pg_current_snapshot())
   WHERE NOT copied_only OR origin <> events_origin();
  RETURN (SELECT events_epoch(s) || '|' || events_snapshot() FROM events_state s);
END
$$;

CREATE FUNCTION events_since(after text DEFAULT NULL, "limit" integer DEFAULT 500)
RETURNS TABLE (seq bigint, table_name text, op text, row_id text, channel_id text, user_id text, at timestamptz, cursor text)
LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 500
AS $$
#variable_conflict use_column
DECLARE
  most   constant integer := coalesce(events_since.limit, 500);
  here   constant pg_snapshot := events_snapshot();
  state  events_state;
  epoch  text;
  parts  text[];
  older  pg_snapshot;
  newer  pg_snapshot;
  passed bigint;  -- up to this seq the batch has been read; NULL before its first page
  first_ bigint;  -- the seqs between which the batch lies, but for what was running
  last_  bigint;
  one    record;
  given  integer := 0;
BEGIN
  IF pg_is_in_recovery() THEN
    RAISE EXCEPTION 'the change log is read on the primary, and this is a standby' USING ERRCODE = 'CD002',
      HINT = 'Connect to the primary, such as with target_session_attrs=primary.';
  ELSIF most < 1 THEN
    RAISE EXCEPTION 'the limit has to be at least 1' USING ERRCODE = 'invalid_parameter_value';
  ELSIF after !~ '^([0-9a-f]{12}\|\d+:\d+:[\d,]*(\|\d+:\d+:[\d,]*\|\d+\|\d*-\d*)?)?$' THEN
    RAISE EXCEPTION 'this is no cursor of the change log: "%"', left(after, 40) USING ERRCODE = 'invalid_parameter_value',
      HINT = 'Give back what events_since() has given; an empty text begins from now.';
  END IF;

  SELECT * INTO STRICT state FROM events_state;
  IF state.origin <> events_origin() AND coalesce(after, '') = '' THEN
    -- A copied or restored database, and a reader that begins anew: so does the log.
    cursor := events_reset(copied_only => true);
    RETURN NEXT;
    RETURN;
  END IF;
  epoch := events_epoch(state);
  IF coalesce(after, '') = '' THEN
    cursor := epoch || '|' || here;
    RETURN NEXT;
    RETURN;
  END IF;

  parts  := string_to_array(after, '|');
  older  := parts[2];
  newer  := coalesce(parts[3]::pg_snapshot, here);
  passed := parts[4];
  IF parts[1] <> epoch OR state.origin <> events_origin() THEN
    RAISE EXCEPTION 'the database was restored, copied or reset since: resynchronise' USING ERRCODE = 'CD001',
      HINT = 'Read what you show anew, then go on from an empty cursor.';
  ELSIF pg_snapshot_xmin(older) < state.floor THEN
    RAISE EXCEPTION 'events after this cursor have been purged: resynchronise' USING ERRCODE = 'CD001',
      HINT = 'Read what you show anew, then go on from an empty cursor.';
  ELSIF greatest(pg_snapshot_xmax(older), pg_snapshot_xmax(newer)) > pg_snapshot_xmax(here) THEN
    RAISE EXCEPTION 'the cursor is ahead of this database, which was restored: resynchronise' USING ERRCODE = 'CD001',
      HINT = 'Let the owner of the schema call events_reset(), read what you show anew, then go on from an empty cursor.';
  END IF;
  IF passed IS NOT NULL THEN
    first_ := nullif(split_part(parts[5], '-', 1), '');
    last_  := nullif(split_part(parts[5], '-', 2), '');
  END IF;

  FOR one IN
    SELECT page.* FROM (
      -- what was running
      SELECT e.* FROM events e
       WHERE e.xid = ANY (ARRAY(SELECT pg_snapshot_xip(older))) AND pg_visible_in_snapshot(e.xid, newer)
         AND (passed IS NULL OR e.seq > passed) AND (e.seq > state.base OR e.xid < state.horizon)
      UNION ALL
      -- what has begun since, on the first page: by xid (seq + 0 keeps the planner from reading the whole log by seq)
      (SELECT e.* FROM events e
        WHERE passed IS NULL AND e.xid >= pg_snapshot_xmax(older) AND pg_visible_in_snapshot(e.xid, newer)
          AND e.seq > state.base
        ORDER BY e.seq + 0
        LIMIT most + 1)
      UNION ALL
      -- and on the next pages: by seq, for each would sort the whole batch else (the casts keep it off the other index)
      (SELECT e.* FROM events e
        WHERE e.seq > passed AND e.seq BETWEEN first_ AND last_
          AND e.xid::text::bigint >= pg_snapshot_xmax(older)::text::bigint AND pg_visible_in_snapshot(e.xid, newer)
        ORDER BY e.seq
        LIMIT most + 1)) page
     ORDER BY page.seq
     LIMIT most + 1
  LOOP
    given := given + 1;
    IF given > 1 THEN
      IF given > most AND passed IS NULL THEN  -- there will be a next page: where does the batch lie?
        SELECT min(e.seq), max(e.seq) INTO first_, last_ FROM events e
         WHERE e.xid >= pg_snapshot_xmax(older) AND pg_visible_in_snapshot(e.xid, newer) AND e.seq > state.base;
      END IF;
      cursor := concat(epoch, '|', older, '|', newer, '|', seq, '|', first_, '-', last_);
      RETURN NEXT;
      IF given > most THEN
        RETURN;
      END IF;
    END IF;
    seq := one.seq; table_name := one.table_name; op := one.op; row_id := one.row_id;
    channel_id := one.channel_id; user_id := one.user_id; at := one.at;
  END LOOP;
  -- The batch is read, and the next begins where it ends: with its last event, or one row without an event.
  cursor := epoch || '|' || newer;
  RETURN NEXT;
END
$$;

-- One batch of settled events, oldest first. A cursor from before the newest of their transactions is told so.
CREATE FUNCTION purge_events(keep interval, batch integer DEFAULT 10000) RETURNS bigint
LANGUAGE plpgsql
AS $$
DECLARE
  settled constant xid8 := pg_snapshot_xmin(pg_current_snapshot());
  gone    bigint;
  newest  xid8;
BEGIN
  -- two at once would raise the floor in any order; the second has nothing to do anyway
  IF NOT pg_try_advisory_xact_lock('events_state'::regclass::oid::integer, 0) THEN
    RETURN 0;
  END IF;
  WITH oldest AS (SELECT e.* FROM events e ORDER BY e.seq LIMIT purge_events.batch),
       purged AS (DELETE FROM events e USING oldest o, events_state s
                   WHERE e.seq = o.seq AND o.at < clock_timestamp() - purge_events.keep
                     AND (o.xid < settled OR o.seq <= s.base AND o.xid >= s.horizon)
                  RETURNING e.xid, o.xid < settled AS ours)
  SELECT count(*), (max(xid::text::bigint) FILTER (WHERE ours) + 1)::text::xid8 INTO gone, newest FROM purged;
  UPDATE events_state s SET floor = newest WHERE newest > s.floor;
  RETURN gone;
END
$$;

SELECT pin_search_path('events_reset', 'events_since', 'purge_events');

REVOKE EXECUTE ON FUNCTION events_since(text, integer) FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION ring_doorbell(text, text, text[], text[]) FROM PUBLIC;

DO $$
BEGIN
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'chat_listener') THEN
    GRANT EXECUTE ON FUNCTION events_since(text, integer) TO chat_listener;
  END IF;
END
$$;

COMMENT ON FUNCTION events_snapshot() IS 'For the change log: what is visible now, without what the transaction has written itself.';
COMMENT ON FUNCTION events_epoch(events_state) IS 'For the change log: what each cursor begins with; another database, or events_reset(), make another.';
COMMENT ON FUNCTION events_reset(boolean) IS
  'Begins a new epoch of the change log, after a point-in-time recovery or a failover that lost something; returns a cursor from now on. Readers with older cursors are told to resynchronise (CD001).';
COMMENT ON FUNCTION events_since(text, integer) IS
  'The events after a cursor, each with the cursor to go on from; one row without seq when there is nothing new. An empty cursor begins from now. CD001: resynchronise. CD002: not on a standby. SECURITY DEFINER: nobody reads the log itself.';
COMMENT ON FUNCTION purge_events(interval, integer) IS
  'Deletes a batch of settled events older than that, and returns how many: call it until it returns 0. Readers that have not come so far are told to resynchronise (CD001).';
