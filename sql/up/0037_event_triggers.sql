-- The writers of the change log: for each table a function, log_<table>(), and three statement-level triggers that call
-- it. They differ in names only, so they are generated from one template and a list of tables.
--
-- An update is an event if a relevant column changed: not updated_at, not a heartbeat, not the read marker or the status
-- of a message (the receipt reports those). This is computed as new rows EXCEPT old rows, without a join, over the listed columns, so a
-- statement that touches no row, or changes none, writes nothing.
--
-- A trigger or a function that runs within a statement may change a row that the statement has just written: its event
-- is written first. So an event that is no longer true when its turn comes is left out: a message that was inserted
-- and, by such a trigger, deleted has one event, the delete. An update that such a trigger made of a row just inserted
-- is part of the insert: its event is removed. Which statement is the outer one can't be told here (a function may hold
-- any), so every update of the row in the transaction is removed, and looked up by the row (events_updates_idx). The
-- last event of a row in a transaction always tells whether the row is there, and none comes before its insert. Only
-- rows of a transaction with an update or a delete of events are looked up again: the setting chat.changed says so,
-- because most transactions only insert.
--
-- SECURITY DEFINER: no role may write events directly. Nor may a role call these functions from its own trigger.

DO $outer$
DECLARE
  one     record;
  row_id  text;
  channel text;
  soft    boolean;
  there   text;
  changed text;
BEGIN
  FOR one IN
    SELECT * FROM (VALUES
      -- table, its key, channel (of_message: that of the message), user, and the columns that matter
      ('messages', 'id', 'r.channel_id', 'r.user_id',
       'id, channel_id, user_id, content, content_type, reply_to_id, metadata, deleted_at'),
      ('reactions', 'id', 'of_message', 'r.user_id', 'id, message_id, user_id, emoji'),
      ('channels', 'id', 'r.id', 'r.created_by',
       'id, type, name, description, avatar_url, created_by, metadata, archived_at, deleted_at'),
      ('channel_members', 'channel_id, user_id', 'r.channel_id', 'r.user_id', 'channel_id, user_id, role, muted_until'),
      ('message_reads', 'message_id, user_id', 'of_message', 'r.user_id', 'message_id, user_id, read_at'),
      ('message_deliveries', 'message_id, user_id', 'of_message', 'r.user_id', 'message_id, user_id, delivered_at'),
      ('user_status', 'user_id', 'NULL::text', 'r.user_id', 'user_id, status, custom_status'),
      ('files', 'id', 'of_message', 'r.user_id', 'id, user_id, message_id, name, type, size, url'),
      ('notifications', 'id', 'NULL::text', 'r.user_id',
       'id, user_id, type, content, related_type, related_id, in_app, read_at, expires_at'),
      ('relationships', 'id', 'NULL::text', 'r.user_id', 'id, user_id, related_user_id, type, status'),
      -- as text, because citext takes a change of case for none
      ('users', 'id', 'NULL::text', 'r.id',
       'id, email::text, username::text, full_name, display_name, avatar_url, is_active, is_verified, deleted_at'),
      ('profiles', 'user_id', 'NULL::text', 'r.user_id', 'user_id, bio')
    ) t (name, key, channel, person, columns)
  LOOP
    row_id  := 'r.' || replace(one.key, ', ', $$ || ':' || r.$$);
    channel := replace(one.channel, 'of_message', '(SELECT m.channel_id FROM messages m WHERE m.id = r.message_id)');
    soft    := one.columns LIKE '%deleted_at';
    -- whether the row is there now: a scalar subquery, which is looked up by the key whatever the planner expects
    there   := format('coalesce((SELECT %s FROM %I t WHERE (%s) = (%s)), false)',
                      CASE WHEN soft THEN 't.deleted_at IS NULL' ELSE 'true' END, one.name,
                      't.' || replace(one.key, ', ', ', t.'), 'r.' || replace(one.key, ', ', ', r.'));
    changed := format('(SELECT %1$s FROM added EXCEPT SELECT %1$s FROM removed)', one.columns);

    EXECUTE format($function$
CREATE FUNCTION %1$I() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
AS $$
DECLARE
  unsure       text := current_setting('chat.changed', true);
  inner_update tid;
BEGIN
  IF TG_RELID <> '%2$I'::regclass THEN
    RAISE EXCEPTION '%1$I() is a trigger of the table "%2$I" alone' USING ERRCODE = 'trigger_protocol_violated';
  END IF;
  IF TG_OP = 'INSERT' THEN
    IF unsure = pg_current_xact_id()::text THEN
      -- One by one, and with IS TRUE: found by the row and by its place, whatever the planner expects of a
      -- transaction.
      FOR inner_update IN
        SELECT own.ctid FROM added r CROSS JOIN LATERAL (
          SELECT e.ctid FROM events e
           WHERE e.op = 'update' AND e.row_id COLLATE "C" = %3$s AND e.table_name = %2$L
             AND (e.xid = pg_current_xact_id()) IS TRUE OFFSET 0) own
      LOOP
        DELETE FROM events WHERE ctid = inner_update;
      END LOOP;
    END IF;
    INSERT INTO events (table_name, op, row_id, channel_id, user_id)
    SELECT %2$L, 'insert', %3$s, %4$s, %5$s FROM added r
     WHERE unsure IS DISTINCT FROM pg_current_xact_id()::text OR %6$s;
    IF FOUND AND bell_is_due() THEN
      PERFORM ring_doorbell(%2$L, 'insert', array_agg(row_id), array_agg(DISTINCT channel_id))
         FROM (SELECT %3$s AS row_id, %4$s AS channel_id FROM added r LIMIT 21) few;
    END IF;
  ELSIF TG_OP = 'UPDATE' THEN
    INSERT INTO events (table_name, op, row_id, channel_id, user_id)
    SELECT %2$L, %7$s, %3$s, %4$s, %5$s FROM %8$s r
     WHERE unsure IS DISTINCT FROM pg_current_xact_id()::text OR %6$s = (%9$s);
    IF FOUND THEN
      unsure := set_config('chat.changed', pg_current_xact_id()::text, true);
      IF bell_is_due() THEN
        PERFORM ring_doorbell(%2$L, min(op), array_agg(row_id), array_agg(DISTINCT channel_id))
           FROM (SELECT %7$s AS op, %3$s AS row_id, %4$s AS channel_id FROM %8$s r LIMIT 21) few;
      END IF;
    END IF;
  ELSE
    INSERT INTO events (table_name, op, row_id, channel_id, user_id)
    SELECT %2$L, 'delete', %3$s, %4$s, %5$s FROM removed r WHERE NOT %6$s;
    IF FOUND THEN
      unsure := set_config('chat.changed', pg_current_xact_id()::text, true);
      IF bell_is_due() THEN
        PERFORM ring_doorbell(%2$L, 'delete', array_agg(row_id), array_agg(DISTINCT channel_id))
           FROM (SELECT %3$s AS row_id, %4$s AS channel_id FROM removed r LIMIT 21) few;
      END IF;
    END IF;
  END IF;
  RETURN NULL;
END
$$ $function$,
      'log_' || one.name, one.name, row_id, channel, one.person, there,
      CASE WHEN soft THEN $$CASE WHEN r.deleted_at IS NULL THEN 'update' ELSE 'delete' END$$ ELSE $$'update'$$ END,
      changed, CASE WHEN soft THEN 'r.deleted_at IS NULL' ELSE 'true' END);
    EXECUTE format('SELECT pin_search_path(%L)', 'log_' || one.name);
    EXECUTE format('REVOKE EXECUTE ON FUNCTION %I() FROM PUBLIC', 'log_' || one.name);
    EXECUTE format('COMMENT ON FUNCTION %I() IS %L', 'log_' || one.name,
                   format('Trigger: writes what happens to %s into the change log, and rings the doorbell.', one.name));

    EXECUTE format('CREATE TRIGGER %I AFTER INSERT ON %I REFERENCING NEW TABLE AS added
                    FOR EACH STATEMENT EXECUTE FUNCTION %I()', one.name || '_notify_insert', one.name, 'log_' || one.name);
    EXECUTE format('CREATE TRIGGER %I AFTER UPDATE ON %I REFERENCING OLD TABLE AS removed NEW TABLE AS added
                    FOR EACH STATEMENT EXECUTE FUNCTION %I()', one.name || '_notify_update', one.name, 'log_' || one.name);
    EXECUTE format('CREATE TRIGGER %I AFTER DELETE ON %I REFERENCING OLD TABLE AS removed
                    FOR EACH STATEMENT EXECUTE FUNCTION %I()', one.name || '_notify_delete', one.name, 'log_' || one.name);
  END LOOP;
END
$outer$;

-- Typing is not an event: in the log, each keystroke would wait for the disk. It only notifies.
CREATE FUNCTION ring_typing() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
AS $$
BEGIN
  IF TG_RELID <> 'typing_indicators'::regclass THEN
    RAISE EXCEPTION 'ring_typing() is a trigger of the table "typing_indicators" alone'
      USING ERRCODE = 'trigger_protocol_violated';
  END IF;
  IF bell_is_due() THEN
    PERFORM ring_doorbell('typing_indicators', lower(TG_OP), ARRAY[NEW.channel_id || ':' || NEW.user_id], ARRAY[NEW.channel_id]);
  END IF;
  RETURN NULL;
END
$$;

SELECT pin_search_path('ring_typing');
REVOKE EXECUTE ON FUNCTION ring_typing() FROM PUBLIC;

CREATE TRIGGER typing_indicators_notify
  AFTER INSERT OR UPDATE ON typing_indicators
  FOR EACH ROW
  EXECUTE FUNCTION ring_typing();

COMMENT ON FUNCTION ring_typing() IS 'Trigger: notifies when a user types; writes no event.';
