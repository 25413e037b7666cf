-- The writers of the change log: for each table a function, log_<table>(), and three statement-level triggers that call
-- it. They differ in names only, so they are generated from one template and a list of tables.
--
-- An update is an event if a relevant column changed: not updated_at, not a heartbeat, not the read marker (the
-- receipt reports that). This is computed as new rows EXCEPT old rows, without a join, over the listed columns, so a
-- statement that touches no row, or changes none, writes nothing.
--
-- SECURITY DEFINER: no role may write events directly. Nor may a role call these functions from its own trigger.

DO $outer$
DECLARE
  one     record;
  op      text;
  changed text;
  logging text[];
BEGIN
  FOR one IN
    SELECT * FROM (VALUES
      -- table, key of the row, channel, user, and the columns that matter
      ('messages', 'r.id', 'r.channel_id', 'r.user_id',
       'id, channel_id, user_id, content, content_type, status, reply_to_id, metadata, deleted_at'),
      ('reactions', 'r.id', '(SELECT m.channel_id FROM messages m WHERE m.id = r.message_id)', 'r.user_id',
       'id, message_id, user_id, emoji'),
      ('channels', 'r.id', 'r.id', 'r.created_by',
       'id, type, name, description, avatar_url, created_by, metadata, archived_at, deleted_at'),
      ('channel_members', $$r.channel_id || ':' || r.user_id$$, 'r.channel_id', 'r.user_id',
       'channel_id, user_id, role, muted_until'),
      ('message_reads', $$r.message_id || ':' || r.user_id$$,
       '(SELECT m.channel_id FROM messages m WHERE m.id = r.message_id)', 'r.user_id',
       'message_id, user_id, read_at'),
      ('message_deliveries', $$r.message_id || ':' || r.user_id$$,
       '(SELECT m.channel_id FROM messages m WHERE m.id = r.message_id)', 'r.user_id',
       'message_id, user_id, delivered_at'),
      ('user_status', 'r.user_id', 'NULL::text', 'r.user_id',
       'user_id, status, custom_status'),
      ('files', 'r.id', '(SELECT m.channel_id FROM messages m WHERE m.id = r.message_id)',
       '(SELECT m.user_id FROM messages m WHERE m.id = r.message_id)',
       'id, message_id, name, type, size, url'),
      ('notifications', 'r.id', 'NULL::text', 'r.user_id',
       'id, user_id, type, content, related_type, related_id, read_at, expires_at'),
      ('relationships', 'r.id', 'NULL::text', 'r.user_id',
       'id, user_id, related_user_id, type, status')
    ) t (name, key, channel, person, columns)
  LOOP
    logging := ARRAY[]::text[];
    FOR op, changed IN
      VALUES ($$'insert'$$, 'added'),
             (CASE WHEN 'deleted_at' = ANY (string_to_array(one.columns, ', '))
                   THEN $$CASE WHEN r.deleted_at IS NULL THEN 'update' ELSE 'delete' END$$ ELSE $$'update'$$ END,
              format('(SELECT %1$s FROM added EXCEPT SELECT %1$s FROM removed)', one.columns)),
             ($$'delete'$$, 'removed')
    LOOP
      logging := logging || format($statements$
    INSERT INTO events (table_name, op, row_id, channel_id, user_id)
    SELECT %1$L, %2$s, %3$s, %4$s, %5$s FROM %6$s r;
    IF FOUND AND bell_is_due() THEN
      PERFORM ring_doorbell(%1$L, min(op), array_agg(row_id), array_agg(DISTINCT channel_id))
         FROM (SELECT %2$s AS op, %3$s AS row_id, %4$s AS channel_id FROM %6$s r LIMIT 21) few;
    END IF;$statements$,
        one.name, op, one.key, one.channel, one.person, changed);
    END LOOP;

    EXECUTE format($function$
CREATE FUNCTION %I() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN%s
  ELSIF TG_OP = 'UPDATE' THEN%s
  ELSE%s
  END IF;
  RETURN NULL;
END
$$ $function$,
      'log_' || one.name, logging[1], logging[2], logging[3]);
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
