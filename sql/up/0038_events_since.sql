-- Reading the change log. A cursor is opaque text: <epoch>|<snapshot> means that everything visible in that snapshot
-- has been read; while a batch is read in pages it is <epoch>|<from>|<to>|<seq>.<xid>|<first>-<last>. A batch holds the
-- events that are visible in the newer snapshot and were not in the older one: so an event is read once, whenever
-- its transaction began and however long it took.
--
-- PostgreSQL writes a snapshot as xmin:xmax:running. Not yet visible were the transactions that were running then, a
-- few xids, and those that began later: from xmax on. Both are looked up by index, so that a transaction which has
-- been open for hours, and holds back xmin over millions of events that were read long ago, costs nothing.
--
-- Errors: CD001 the cursor is no longer valid: read again what you show, and continue from an empty cursor. CD002 this is
-- a standby, whose snapshots do not list the transactions that run on the primary.

-- The first three xids of each four billion are never assigned, and no snapshot contains them.
CREATE FUNCTION xid_after(xid xid8) RETURNS xid8
LANGUAGE sql IMMUTABLE
RETURN (xid::text::bigint + CASE WHEN xid::text::bigint & 4294967295 = 4294967295 THEN 4 ELSE 1 END)::text::xid8;

-- What is visible now; from xmax "since" on, only up to the newest event: after a crash, the xids of transactions that
-- were rolled back just before it are assigned again, and a cursor that took them as read would miss the events of
-- the new ones. The xid of an event is safe: its commit has reached the disk.
--
-- A transaction is not in its own snapshot; its own events are read later.
CREATE FUNCTION events_snapshot(since xid8) RETURNS pg_snapshot
LANGUAGE sql STABLE
RETURN (
  WITH now_ AS MATERIALIZED (
    SELECT pg_current_snapshot() AS here
  ), seen AS MATERIALIZED (
    SELECT here, greatest(since, (SELECT xid_after(e.xid) FROM events e
                                   WHERE e.xid >= since AND e.xid < pg_snapshot_xmax(here)
                                     AND pg_visible_in_snapshot(e.xid, here)
                                   ORDER BY e.xid DESC
                                   LIMIT 1)) AS until
      FROM now_
  ), going_on AS MATERIALIZED (
    SELECT until, ARRAY(SELECT x
                          FROM (SELECT pg_snapshot_xip(here) UNION SELECT pg_current_xact_id_if_assigned()) u (x)
                         WHERE x < until
                         ORDER BY x) AS running
      FROM seen
  )
  SELECT (coalesce(running[1], until) || ':' || until || ':' || array_to_string(running, ','))::pg_snapshot
    FROM going_on);

CREATE FUNCTION events_epoch(state events_state) RETURNS text
LANGUAGE sql IMMUTABLE
RETURN left(md5(state.origin || state.nonce), 12);

-- A new epoch: all older cursors must resynchronize. An event that is visible although its transaction has not ended
-- comes from another database, where xids were higher: it would eventually be read as a new one.
CREATE FUNCTION events_reset(copied_only boolean DEFAULT false) RETURNS text
LANGUAGE plpgsql
AS $$
BEGIN
  INSERT INTO events_state AS s (origin) VALUES (events_origin())
  ON CONFLICT (one) DO UPDATE SET origin = EXCLUDED.origin, nonce = EXCLUDED.nonce, floor = EXCLUDED.floor
   WHERE NOT copied_only OR s.origin <> EXCLUDED.origin;
  IF FOUND THEN
    DELETE FROM events e
     WHERE e.xid >= pg_snapshot_xmin(pg_current_snapshot())
       AND CASE WHEN e.xid = pg_current_xact_id()  -- this transaction's own events are not older than it
                THEN age(e.xmin) > age(pg_current_xact_id()::xid)
                ELSE NOT pg_visible_in_snapshot(e.xid, pg_current_snapshot())
           END;
    PERFORM setval(numbers, newest)  -- the sequence may not have been copied
       FROM (SELECT pg_get_serial_sequence('events', 'seq')::regclass AS numbers, max(e.seq) AS newest FROM events e) e
      WHERE newest > coalesce(pg_sequence_last_value(numbers), 0);
  END IF;
  RETURN (SELECT events_epoch(s) || '|' || events_snapshot(s.floor) FROM events_state s);
END
$$;

CREATE FUNCTION events_since(after text DEFAULT NULL, "limit" integer DEFAULT 500)
RETURNS TABLE (seq bigint, table_name text, op text, row_id text, channel_id text, user_id text, at timestamptz, cursor text)
LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 500
AS $$
#variable_conflict use_column
DECLARE
  most   constant bigint := coalesce(events_since.limit, 500);
  here   constant pg_snapshot := pg_current_snapshot();
  origin constant text := events_origin();
  state  events_state;
  epoch  text;
  parts  text[];
  older  pg_snapshot;
  newer  pg_snapshot;
  passed bigint;  -- the batch has been read up to this event; NULL before its first page
  passed_xid xid8;
  first_ bigint;  -- the range of seq in the batch, without the transactions that were running
  last_  bigint;
  one    record;
  given  integer := 0;
BEGIN
  IF pg_is_in_recovery() THEN
    RAISE EXCEPTION 'the change log must be read on the primary, and this server is a standby' USING ERRCODE = 'CD002',
      HINT = 'Connect to the primary, for example with target_session_attrs=primary.';
  ELSIF most < 1 THEN
    RAISE EXCEPTION 'the limit must be at least 1' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  BEGIN
    IF after !~ '^([0-9a-f]{12}\|\d+:\d+:[\d,]*(\|\d+:\d+:[\d,]*\|\d+\.\d+\|\d*-\d*)?)?$' THEN
      RAISE invalid_text_representation;
    END IF;
    parts  := string_to_array(after, '|');
    older  := parts[2];
    newer  := parts[3];
    passed := split_part(parts[4], '.', 1);
    passed_xid := split_part(parts[4], '.', 2);
    first_ := nullif(split_part(parts[5], '-', 1), '');
    last_  := nullif(split_part(parts[5], '-', 2), '');
  EXCEPTION WHEN invalid_text_representation OR numeric_value_out_of_range THEN
    RAISE EXCEPTION 'this is not a cursor of the change log: "%"', left(after, 40) USING ERRCODE = 'invalid_parameter_value',
      HINT = 'Pass a cursor that events_since() returned; an empty text starts from now.';
  END;

  SELECT * INTO state FROM events_state;
  IF state.origin IS DISTINCT FROM origin AND coalesce(after, '') = '' THEN
    -- The first reader, or a copied or restored database, and a reader that starts from now: the log gets a new epoch.
    cursor := events_reset(copied_only => true);
    RETURN NEXT;
    RETURN;
  END IF;
  epoch := events_epoch(state);
  IF coalesce(after, '') = '' THEN
    cursor := epoch || '|' || events_snapshot(state.floor);
    RETURN NEXT;
    RETURN;
  END IF;

  IF parts[1] IS DISTINCT FROM epoch OR state.origin <> origin THEN
    RAISE EXCEPTION 'the database was restored, copied or reset after this cursor: resynchronize' USING ERRCODE = 'CD001',
      HINT = 'Read again what you show, then continue from an empty cursor.';
  ELSIF pg_snapshot_xmin(older) < state.floor THEN
    RAISE EXCEPTION 'events after this cursor have been purged: resynchronize' USING ERRCODE = 'CD001',
      HINT = 'Read again what you show, then continue from an empty cursor.';
  ELSIF pg_snapshot_xmax(coalesce(newer, older)) > pg_snapshot_xmax(here)
     OR EXISTS (SELECT FROM pg_snapshot_xip(here) x WHERE pg_visible_in_snapshot(x, coalesce(newer, older))) THEN
    RAISE EXCEPTION 'the cursor is ahead of this transaction''s snapshot: resynchronize' USING ERRCODE = 'CD001',
      HINT = 'If this transaction is older than the cursor, start a new one. If the database was restored, '
             'the owner of the schema must call events_reset(); then read again what you show, '
             'and continue from an empty cursor.';
  END IF;
  newer := coalesce(newer, events_snapshot(pg_snapshot_xmax(older)));

  FOR one IN
    SELECT page.* FROM (
      -- transactions that were running then, and have ended
      SELECT e.* FROM pg_snapshot_xip(older) x CROSS JOIN LATERAL (
        SELECT e.* FROM events e
         WHERE e.xid = x AND e.seq >= coalesce(passed, 0) AND ((e.seq, e.xid) > (passed, passed_xid)) IS NOT FALSE
         ORDER BY e.seq
         LIMIT most + 1) e
       WHERE pg_visible_in_snapshot(x, newer)
      UNION ALL
      -- transactions that began later, on the first page: by xid (seq + 0 keeps the planner from reading the whole log by seq)
      (SELECT e.* FROM events e
        WHERE passed IS NULL AND e.xid >= pg_snapshot_xmax(older) AND e.xid < pg_snapshot_xmax(newer)
          AND pg_visible_in_snapshot(e.xid, newer)
        ORDER BY e.seq + 0, e.xid
        LIMIT most + 1)
      UNION ALL
      -- and on the next pages: by seq, otherwise each would sort the whole batch (the casts prevent use of the other index)
      (SELECT e.* FROM events e
        WHERE (e.seq, e.xid) > (passed, passed_xid) AND e.seq BETWEEN first_ AND last_
          AND e.xid::text::bigint >= pg_snapshot_xmax(older)::text::bigint AND pg_visible_in_snapshot(e.xid, newer)
        ORDER BY e.seq, e.xid
        LIMIT most + 1)) page
     ORDER BY page.seq, page.xid
     LIMIT most + 1
  LOOP
    given := given + 1;
    IF given > 1 THEN
      IF given = 2 AND passed IS NULL THEN  -- there may be a next page: what range of seq does the batch have?
        SELECT min(e.seq + 0), max(e.seq + 0) INTO first_, last_ FROM events e
         WHERE e.xid >= pg_snapshot_xmax(older) AND e.xid < pg_snapshot_xmax(newer)
           AND pg_visible_in_snapshot(e.xid, newer);
      END IF;
      cursor := concat(epoch, '|', older, '|', newer, '|', seq, '.', passed_xid, '|', first_, '-', last_);
      RETURN NEXT;
      IF given > most THEN
        RETURN;
      END IF;
    END IF;
    seq := one.seq; table_name := one.table_name; op := one.op; row_id := one.row_id;
    channel_id := one.channel_id; user_id := one.user_id; at := one.at;
    passed_xid := one.xid;
  END LOOP;
  -- The batch has been read, and the next one starts where it ends: with its last event, or one row without an event.
  cursor := epoch || '|' || newer;
  RETURN NEXT;
END
$$;

-- Deletes one batch of settled events, oldest first. A cursor older than the newest of their transactions gets CD001.
CREATE FUNCTION purge_events(keep interval, batch integer DEFAULT 10000) RETURNS bigint
LANGUAGE plpgsql
AS $$
DECLARE
  settled constant xid8 := pg_snapshot_xmin(pg_current_snapshot());
  gone    bigint;
  newest  xid8;
BEGIN
  -- two concurrent calls could raise the floor in any order; the second one has nothing to do anyway
  IF NOT pg_try_advisory_xact_lock('events_state'::regclass::oid::integer, 0) THEN
    RETURN 0;
  END IF;
  PERFORM events_reset(copied_only => true);  -- xids of another database never settle
  WITH oldest AS (SELECT e.* FROM events e ORDER BY e.seq LIMIT purge_events.batch),
       purged AS (DELETE FROM events e USING oldest o
                   WHERE e.seq = o.seq AND e.xid = o.xid AND o.at < clock_timestamp() - purge_events.keep AND o.xid < settled
                  RETURNING e.xid)
  SELECT count(*), xid_after(max(xid::text::bigint)::text::xid8) INTO gone, newest FROM purged;
  UPDATE events_state s SET floor = newest WHERE newest > s.floor;
  RETURN gone;
END
$$;

SELECT pin_search_path('events_reset', 'events_since', 'purge_events');

REVOKE EXECUTE ON FUNCTION events_since(text, integer) FROM PUBLIC;

DO $$
BEGIN
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'chat_listener') THEN
    GRANT EXECUTE ON FUNCTION events_since(text, integer) TO chat_listener;
  END IF;
END
$$;

COMMENT ON FUNCTION xid_after(xid8) IS 'For the change log: the next xid.';
COMMENT ON FUNCTION events_snapshot(xid8) IS 'For the change log: what is visible now, up to the newest event, without the transaction''s own events.';
COMMENT ON FUNCTION events_epoch(events_state) IS 'For the change log: what each cursor begins with; another database has another one, and events_reset() changes it.';
COMMENT ON FUNCTION events_reset(boolean) IS
  'Starts a new epoch of the change log, after a point-in-time recovery or a failover that lost commits; returns a cursor that starts from now. Readers with older cursors must resynchronize (CD001).';
COMMENT ON FUNCTION events_since(text, integer) IS
  'The events after a cursor, each with the cursor to continue from; one row without seq if there is no new event. An empty cursor starts from now. Raises CD001 if the reader must resynchronize, CD002 on a standby. SECURITY DEFINER: readers need no right on the log itself.';
COMMENT ON FUNCTION purge_events(interval, integer) IS
  'Deletes a batch of settled events older than the given age, and returns their number: call it until it returns 0. Readers that have not read them must resynchronize (CD001).';
