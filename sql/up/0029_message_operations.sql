-- Operations on messages. Pages are read by key (id < before), never by OFFSET, which reads all the rows that it skips.

-- Resending is harmless: a second message of a user with the same client_message_id returns the first one. The
-- INSERT itself checks all conditions, in one pass over the tables; only if no row was inserted, the reason is
-- looked up. The lock of the author is that of the foreign key, only earlier: a message that waits for erase_user() or
-- delete_user() is refused afterwards. So it is in other operations.
CREATE FUNCTION send_message(
  channel_id text, user_id text, content text, client_message_id text DEFAULT NULL, reply_to_id text DEFAULT NULL,
  content_type text DEFAULT 'text', metadata jsonb DEFAULT '{}'
) RETURNS messages
LANGUAGE plpgsql
AS $$
#variable_conflict use_column
DECLARE
  sent messages;
BEGIN
  INSERT INTO messages (channel_id, user_id, content, client_message_id, reply_to_id, content_type, metadata)
  SELECT c.id, m.user_id, send_message.content, send_message.client_message_id, send_message.reply_to_id,
         send_message.content_type, send_message.metadata
    FROM channels c
    JOIN channel_members m ON m.channel_id = c.id AND m.user_id = send_message.user_id
    JOIN users u ON u.id = m.user_id AND u.deleted_at IS NULL
   WHERE c.id = send_message.channel_id AND c.deleted_at IS NULL AND c.archived_at IS NULL
     AND (send_message.reply_to_id IS NULL
          OR EXISTS (SELECT FROM messages r WHERE r.id = send_message.reply_to_id AND r.channel_id = c.id))
     FOR KEY SHARE OF u
  ON CONFLICT ON CONSTRAINT messages_client_message_id_key DO NOTHING
  RETURNING * INTO sent;
  IF FOUND THEN
    RETURN sent;
  END IF;

  SELECT * INTO sent FROM messages
   WHERE user_id = send_message.user_id AND client_message_id = send_message.client_message_id;
  IF FOUND AND sent.channel_id = send_message.channel_id THEN
    RETURN sent;
  ELSIF FOUND THEN
    RAISE EXCEPTION 'this client_message_id belongs to a message in another channel'
      USING ERRCODE = 'unique_violation', CONSTRAINT = 'messages_client_message_id_key',
            DETAIL = format('The message is %s.', sent.id);
  END IF;
  PERFORM must_have_user(send_message.user_id);
  IF NOT is_member(send_message.channel_id, send_message.user_id) THEN
    RAISE EXCEPTION 'only a member may write to a channel' USING ERRCODE = 'insufficient_privilege',
      DETAIL = format('The channel is %s, the user %s.', left(send_message.channel_id, 40), left(send_message.user_id, 40));
  ELSIF EXISTS (SELECT FROM channels WHERE id = send_message.channel_id AND deleted_at IS NULL AND archived_at IS NULL) THEN
    RAISE EXCEPTION 'the message that it replies to is not in this channel' USING ERRCODE = 'foreign_key_violation',
      CONSTRAINT = 'messages_reply_to_id_fkey', DETAIL = format('The message is %s.', left(send_message.reply_to_id, 40));
  ELSE
    RAISE EXCEPTION 'the channel is archived or deleted' USING ERRCODE = 'object_not_in_prerequisite_state',
      DETAIL = format('The channel is %s.', send_message.channel_id);
  END IF;
END
$$;

-- Of a concurrent edit and delete, the first to lock the row wins, and the other one sees its result: an UPDATE that
-- waited checks the row again.
CREATE FUNCTION edit_message(message_id text, user_id text, content text) RETURNS messages
LANGUAGE plpgsql
AS $$
#variable_conflict use_column
DECLARE
  edited messages;
BEGIN
  UPDATE messages SET content = edit_message.content
   WHERE id = edit_message.message_id AND user_id = edit_message.user_id AND deleted_at IS NULL
     AND EXISTS (SELECT FROM users u WHERE u.id = edit_message.user_id AND u.deleted_at IS NULL)
     AND EXISTS (SELECT FROM channels c WHERE c.id = messages.channel_id AND c.deleted_at IS NULL AND c.archived_at IS NULL)
  RETURNING * INTO edited;
  IF FOUND THEN
    RETURN edited;
  END IF;

  PERFORM must_have_user();
  SELECT * INTO edited FROM messages WHERE id = edit_message.message_id AND deleted_at IS NULL;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'there is no message "%"', left(edit_message.message_id, 40) USING ERRCODE = 'no_data_found';
  ELSIF edited.user_id = edit_message.user_id
    AND EXISTS (SELECT FROM channels WHERE id = edited.channel_id AND (deleted_at IS NOT NULL OR archived_at IS NOT NULL)) THEN
    RAISE EXCEPTION 'the channel is archived or deleted' USING ERRCODE = 'object_not_in_prerequisite_state',
      DETAIL = format('The channel is %s.', edited.channel_id);
  ELSE
    RAISE EXCEPTION 'only the author may edit a message' USING ERRCODE = 'insufficient_privilege',
      DETAIL = format('The message is %s.', edit_message.message_id);
  END IF;
END
$$;

CREATE FUNCTION delete_message(message_id text, user_id text) RETURNS boolean
LANGUAGE plpgsql
AS $$
#variable_conflict use_column
DECLARE
  soft constant boolean := coalesce(nullif(current_setting('chat.soft_delete', true), ''), 'on')::boolean;
  target messages;
BEGIN
  -- The row is locked before it is checked, so that the checked row is the deleted one. Under row-level security,
  -- only a user who may change the row can lock it; for others it is visible, but not found here.
  SELECT * INTO target FROM messages
   WHERE id = delete_message.message_id AND (deleted_at IS NULL OR NOT soft)
     FOR UPDATE;
  IF NOT FOUND
     AND NOT EXISTS (SELECT FROM messages WHERE id = delete_message.message_id AND (deleted_at IS NULL OR NOT soft)) THEN
    PERFORM must_have_user();
    RETURN false;
  ELSIF NOT EXISTS (SELECT FROM users WHERE id = delete_message.user_id AND users.deleted_at IS NULL)
    OR target.user_id IS DISTINCT FROM delete_message.user_id
    AND NOT EXISTS (SELECT FROM channel_members
                     WHERE channel_id = target.channel_id AND user_id = delete_message.user_id
                       AND role IN ('owner', 'admin')) THEN
    RAISE EXCEPTION 'only the author and the channel''s admins may delete a message' USING ERRCODE = 'insufficient_privilege',
      DETAIL = format('The message is %s.', delete_message.message_id);
  END IF;

  IF soft THEN
    UPDATE messages SET deleted_at = now() WHERE id = delete_message.message_id;
  ELSE
    DELETE FROM messages WHERE id = delete_message.message_id;
  END IF;
  RETURN FOUND;
END
$$;

CREATE FUNCTION find_message(message_id text) RETURNS SETOF messages
LANGUAGE sql STABLE ROWS 1
BEGIN ATOMIC
  SELECT m.* FROM messages m WHERE m.id = find_message.message_id AND m.deleted_at IS NULL;
END;

CREATE FUNCTION find_message_by_client_id(user_id text, client_message_id text) RETURNS SETOF messages
LANGUAGE sql STABLE ROWS 1
BEGIN ATOMIC
  SELECT m.* FROM messages m
   WHERE m.user_id = find_message_by_client_id.user_id
     AND m.client_message_id = find_message_by_client_id.client_message_id
     AND m.deleted_at IS NULL;
END;

-- 'Z' sorts after every ULID. "before IS NULL OR id < before" would read the whole channel. So would coalesce() under
-- row-level security: PostgreSQL does not treat it as leakproof, and evaluates it after the policy.
CREATE FUNCTION list_messages(channel_id text, "limit" integer DEFAULT 50, before text DEFAULT NULL) RETURNS SETOF messages
LANGUAGE sql STABLE ROWS 50
BEGIN ATOMIC
  SELECT m.* FROM messages m
   WHERE m.channel_id = list_messages.channel_id
     AND m.id < CASE WHEN list_messages.before IS NULL THEN 'Z' ELSE list_messages.before END
     AND m.deleted_at IS NULL
   ORDER BY m.id DESC
   LIMIT coalesce(list_messages.limit, 50);
END;

CREATE FUNCTION list_replies(message_id text, "limit" integer DEFAULT 50, before text DEFAULT NULL) RETURNS SETOF messages
LANGUAGE sql STABLE ROWS 50
BEGIN ATOMIC
  SELECT m.* FROM messages m
   WHERE m.reply_to_id = list_replies.message_id
     AND m.id < CASE WHEN list_replies.before IS NULL THEN 'Z' ELSE list_replies.before END
     AND m.deleted_at IS NULL
   ORDER BY m.id DESC
   LIMIT coalesce(list_replies.limit, 50);
END;

-- SECURITY DEFINER: a policy would be evaluated for every message that contains the words. This function finds the
-- user's channels first. EXECUTE plans each call for its words and channels: their frequency decides between the
-- search index, the newest of all messages, and the messages of the channels. Planning for more than a hundred
-- channels one by one would take longer than the search. Of conditions that cost the same, the first is evaluated
-- first: with concat(), ILIKE costs as much as the search among the channels, and reads no text of other channels.
CREATE FUNCTION search_messages(
  user_id text, query text, "limit" integer DEFAULT 50, before text DEFAULT NULL, channel_id text DEFAULT NULL
) RETURNS SETOF messages
LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 50
AS $$
#variable_conflict use_column
DECLARE
  words constant text := regexp_replace(btrim(search_messages.query), '([\\%_])', '\\\1', 'g');
  mine  text[];
BEGIN
  PERFORM must_act_as(search_messages.user_id);
  IF coalesce(words, '') = '' THEN
    RAISE EXCEPTION 'there is nothing to search for' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  -- FILTER: with the same condition in WHERE, the planner would expect one channel, and plan the join for one.
  SELECT array_agg(m.channel_id) FILTER (WHERE search_messages.channel_id IS NULL OR m.channel_id = search_messages.channel_id)
    INTO mine
    FROM channel_members m
   WHERE m.user_id = search_messages.user_id
     AND NOT EXISTS (SELECT FROM channels gone WHERE gone.id = m.channel_id AND gone.deleted_at IS NOT NULL);
  RETURN QUERY EXECUTE
    'SELECT m.* FROM messages m
      WHERE m.deleted_at IS NULL AND m.id < $2 AND '
    || CASE WHEN cardinality(mine) <= 100 THEN 'm.channel_id = ANY ($3)'
            ELSE '(m.channel_id IN (SELECT unnest($3))) IS TRUE'  -- so that it is evaluated per row, not joined
       END
    || ' AND m.content ILIKE concat(''%'', $1, ''%'') ORDER BY m.id DESC LIMIT $4'
    USING words, coalesce(search_messages.before, 'Z'), mine, coalesce(search_messages.limit, 50);
END
$$;

-- Brings the status of a message up to what its receipts say: forward, and never over an error. The caller is a
-- recipient, and the row belongs to the author, so it is SECURITY DEFINER; it can be called for any message, because it
-- only makes the status true.
--
-- A hundred clients receive a message at the same moment, and must not wait for each other: only the first moves it,
-- and the others leave it to that one. For "read", the advisory lock decides who is the first; that one may wait for a
-- change of the row that has just begun, because the status would remain behind otherwise. Nobody waits to move a
-- message to "delivered": a row that is locked is being moved already, or changed by its author; then the next
-- receipt moves it.
CREATE FUNCTION settle_message_status(message_id text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER
AS $$
#variable_conflict use_column
DECLARE
  author constant text := (SELECT user_id FROM messages WHERE id = settle_message_status.message_id);
BEGIN
  IF EXISTS (SELECT FROM message_reads
              WHERE message_id = settle_message_status.message_id AND user_id <> author) THEN
    IF NOT pg_try_advisory_xact_lock('message_reads'::regclass::oid::integer, hashtext(settle_message_status.message_id)) THEN
      RETURN false;
    END IF;
    UPDATE messages SET status = 'read'
     WHERE id = settle_message_status.message_id AND status IN ('sending', 'delivered');
  ELSIF EXISTS (SELECT FROM message_deliveries
                 WHERE message_id = settle_message_status.message_id AND user_id <> author) THEN
    UPDATE messages SET status = 'delivered'
     WHERE id IN (SELECT id FROM messages WHERE id = settle_message_status.message_id AND status = 'sending'
                     FOR NO KEY UPDATE SKIP LOCKED);
  ELSE
    RETURN false;
  END IF;
  RETURN FOUND;
END
$$;

-- Every new receipt, by whatever means it is written. Of a thousand receipts in one statement, each would keep an
-- advisory lock, and a load does not compete with clients: it waits for rows that are locked.
CREATE FUNCTION settle_statuses() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
AS $$
DECLARE
  one text;
BEGIN
  IF TG_RELID NOT IN ('message_reads'::regclass, 'message_deliveries'::regclass) THEN
    RAISE EXCEPTION 'settle_statuses() is a trigger of the tables of receipts alone' USING ERRCODE = 'trigger_protocol_violated';
  ELSIF EXISTS (SELECT FROM added OFFSET 1000) THEN
    UPDATE messages m SET status = CASE TG_RELID WHEN 'message_reads'::regclass THEN 'read' ELSE 'delivered' END
     WHERE (m.status = 'sending' OR m.status = 'delivered' AND TG_RELID = 'message_reads'::regclass)
       AND m.id IN (SELECT r.message_id FROM added r WHERE r.user_id <> m.user_id);
    RETURN NULL;
  END IF;
  FOR one IN
    SELECT DISTINCT m.id
      FROM added r
      JOIN messages m ON m.id = r.message_id AND m.user_id <> r.user_id
     WHERE m.status = 'sending' OR m.status = 'delivered' AND TG_RELID = 'message_reads'::regclass
     ORDER BY m.id
  LOOP
    PERFORM settle_message_status(one);
  END LOOP;
  RETURN NULL;
END
$$;

REVOKE EXECUTE ON FUNCTION settle_statuses() FROM PUBLIC;

CREATE TRIGGER message_reads_settle_status
  AFTER INSERT ON message_reads
  REFERENCING NEW TABLE AS added
  FOR EACH STATEMENT
  EXECUTE FUNCTION settle_statuses();

CREATE TRIGGER message_deliveries_settle_status
  AFTER INSERT ON message_deliveries
  REFERENCING NEW TABLE AS added
  FOR EACH STATEMENT
  EXECUTE FUNCTION settle_statuses();

-- The status moves forward, whoever changes it and however; an error is not one that has been received. Where row-level
-- security applies, nobody changes it directly: whether it is true can't be seen in the row.
CREATE FUNCTION check_message_status() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
  IF row_security_active(TG_RELID) THEN
    RAISE EXCEPTION 'the status of a message is not changed by UPDATE'
      USING ERRCODE = 'insufficient_privilege', DETAIL = format('The message is %s.', OLD.id),
            HINT = 'Receipts move it forward: mark_delivered(), mark_read(). Its author calls set_message_status(message_id, user_id, status).';
  ELSIF OLD.status = 'read' AND NEW.status IN ('sending', 'delivered', 'error')
     OR OLD.status = 'delivered' AND NEW.status IN ('sending', 'error') THEN
    RAISE EXCEPTION 'the status of a message does not go back from "%" to "%"', OLD.status, NEW.status
      USING ERRCODE = 'object_not_in_prerequisite_state', DETAIL = format('The message is %s.', OLD.id),
            HINT = 'It goes from sending to delivered to read; an error is of a message that was not received.';
  END IF;
  RETURN NEW;
END
$$;

CREATE TRIGGER messages_check_status
  BEFORE UPDATE OF status ON messages
  FOR EACH ROW WHEN (OLD.status <> NEW.status)
  EXECUTE FUNCTION check_message_status();

-- SECURITY DEFINER: a direct change of the status is refused.
CREATE FUNCTION set_message_status(message_id text, user_id text, status text) RETURNS messages
LANGUAGE plpgsql SECURITY DEFINER
AS $$
#variable_conflict use_column
DECLARE
  changed messages;
BEGIN
  PERFORM must_act_as(set_message_status.user_id);
  UPDATE messages SET status = set_message_status.status
   WHERE id = set_message_status.message_id AND user_id = set_message_status.user_id AND deleted_at IS NULL
     AND EXISTS (SELECT FROM users u WHERE u.id = set_message_status.user_id AND u.deleted_at IS NULL)
  RETURNING * INTO changed;
  IF FOUND THEN
    RETURN changed;
  ELSIF EXISTS (SELECT FROM messages WHERE id = set_message_status.message_id AND deleted_at IS NULL
                                       AND user_id <> set_message_status.user_id
                                       AND is_member(channel_id, set_message_status.user_id)) THEN
    RAISE EXCEPTION 'only the author may set the status of a message' USING ERRCODE = 'insufficient_privilege',
      DETAIL = format('The message is %s.', set_message_status.message_id);
  END IF;
  RAISE EXCEPTION 'there is no message "%"', left(set_message_status.message_id, 40) USING ERRCODE = 'no_data_found';
END
$$;

-- Moves the member's read marker forward to the message, never backward, and writes one receipt: for a hundred
-- messages read together, the last one is enough.
CREATE FUNCTION mark_read(message_id text, user_id text) RETURNS text
LANGUAGE plpgsql
AS $$
#variable_conflict use_column
DECLARE
  home   text;
  author text;
  state  text;
  marker text;
BEGIN
  SELECT channel_id, user_id, status INTO home, author, state FROM messages WHERE id = mark_read.message_id;
  UPDATE channel_members SET last_read_message_id = mark_read.message_id
   WHERE channel_id = home AND user_id = mark_read.user_id
     AND coalesce(last_read_message_id, '') < mark_read.message_id COLLATE "C"
     -- correlated, so that it is evaluated last: a call that moves no marker locks, and writes, nothing
     AND EXISTS (SELECT FROM users u WHERE u.id = channel_members.user_id AND u.deleted_at IS NULL FOR KEY SHARE)
  RETURNING last_read_message_id INTO marker;
  IF NOT FOUND THEN
    SELECT last_read_message_id INTO marker FROM channel_members
     WHERE channel_id = home AND user_id = mark_read.user_id
       AND EXISTS (SELECT FROM users u WHERE u.id = mark_read.user_id AND u.deleted_at IS NULL);
    IF NOT FOUND THEN
      PERFORM must_have_user();
      RAISE EXCEPTION 'there is no message "%" in a channel of this user', left(mark_read.message_id, 40)
        USING ERRCODE = 'no_data_found';
    END IF;
  END IF;
  INSERT INTO message_reads (message_id, user_id) VALUES (mark_read.message_id, mark_read.user_id)
  ON CONFLICT DO NOTHING;
  -- a trigger does this for a new receipt; a repeated call makes up for one that had to leave it to another session
  IF NOT FOUND AND author <> mark_read.user_id AND state IN ('sending', 'delivered') THEN
    PERFORM settle_message_status(mark_read.message_id);
  END IF;
  RETURN marker;
END
$$;

CREATE FUNCTION mark_delivered(message_id text, user_id text) RETURNS boolean
LANGUAGE plpgsql
AS $$
#variable_conflict use_column
DECLARE
  written boolean;
BEGIN
  INSERT INTO message_deliveries (message_id, user_id)
  SELECT m.id, c.user_id
    FROM messages m
    JOIN channel_members c ON c.channel_id = m.channel_id AND c.user_id = mark_delivered.user_id
    JOIN users u ON u.id = c.user_id AND u.deleted_at IS NULL
   WHERE m.id = mark_delivered.message_id
     AND NOT EXISTS (SELECT FROM message_deliveries d WHERE d.message_id = m.id AND d.user_id = c.user_id)  -- then no lock
     FOR KEY SHARE OF u
  ON CONFLICT DO NOTHING;
  written := FOUND;
  IF written OR EXISTS (SELECT FROM message_deliveries
                         WHERE message_id = mark_delivered.message_id AND user_id = mark_delivered.user_id
                           AND EXISTS (SELECT FROM users u WHERE u.id = user_id AND u.deleted_at IS NULL)) THEN
    IF NOT written
       AND EXISTS (SELECT FROM messages
                    WHERE id = mark_delivered.message_id AND status = 'sending' AND user_id <> mark_delivered.user_id) THEN
      PERFORM settle_message_status(mark_delivered.message_id);
    END IF;
    RETURN written;
  END IF;
  PERFORM must_have_user();
  RAISE EXCEPTION 'there is no message "%" in a channel of this user', left(mark_delivered.message_id, 40)
    USING ERRCODE = 'no_data_found';
END
$$;

CREATE FUNCTION add_reaction(message_id text, user_id text, emoji text) RETURNS reactions
LANGUAGE plpgsql
AS $$
#variable_conflict use_column
DECLARE
  added reactions;
BEGIN
  INSERT INTO reactions (message_id, user_id, emoji)
  SELECT m.id, c.user_id, add_reaction.emoji
    FROM messages m
    JOIN channel_members c ON c.channel_id = m.channel_id AND c.user_id = add_reaction.user_id
    JOIN users u ON u.id = c.user_id AND u.deleted_at IS NULL
    JOIN channels live ON live.id = m.channel_id AND live.deleted_at IS NULL AND live.archived_at IS NULL
   WHERE m.id = add_reaction.message_id AND m.deleted_at IS NULL
     AND NOT EXISTS (SELECT FROM reactions r  -- then no lock
                      WHERE r.message_id = m.id AND r.user_id = c.user_id AND r.emoji = add_reaction.emoji)
     FOR KEY SHARE OF u
  ON CONFLICT ON CONSTRAINT reactions_message_user_emoji_key DO NOTHING
  RETURNING * INTO added;
  IF NOT FOUND THEN
    SELECT * INTO added FROM reactions
     WHERE message_id = add_reaction.message_id AND user_id = add_reaction.user_id AND emoji = add_reaction.emoji
       AND EXISTS (SELECT FROM users u WHERE u.id = add_reaction.user_id AND u.deleted_at IS NULL);
  END IF;
  IF FOUND THEN
    RETURN added;
  END IF;
  PERFORM must_have_user();
  IF EXISTS (SELECT FROM messages m
                 WHERE m.id = add_reaction.message_id AND m.deleted_at IS NULL
                   AND is_member(m.channel_id, add_reaction.user_id)) THEN
    RAISE EXCEPTION 'the channel is archived or deleted' USING ERRCODE = 'object_not_in_prerequisite_state',
      DETAIL = format('The message is %s.', add_reaction.message_id);
  ELSE
    RAISE EXCEPTION 'there is no message "%" in a channel of this user', left(add_reaction.message_id, 40)
      USING ERRCODE = 'no_data_found';
  END IF;
END
$$;

CREATE FUNCTION remove_reaction(message_id text, user_id text, emoji text) RETURNS boolean
LANGUAGE sql VOLATILE
BEGIN ATOMIC
  SELECT must_have_user();
  WITH removed AS (
    DELETE FROM reactions
     WHERE message_id = remove_reaction.message_id AND user_id = remove_reaction.user_id
       AND emoji = remove_reaction.emoji
    RETURNING 1)
  SELECT EXISTS (SELECT FROM removed);
END;

-- Files that were uploaded before the message are attached to it by its author: all of them, or none.
CREATE FUNCTION attach_files(message_id text, files text[]) RETURNS SETOF files
LANGUAGE plpgsql ROWS 5
AS $$
#variable_conflict use_column
DECLARE
  author text;
  wrong  text;
BEGIN
  SELECT m.user_id INTO author FROM messages m WHERE m.id = attach_files.message_id AND m.deleted_at IS NULL;
  IF NOT FOUND THEN
    PERFORM must_have_user();
    RAISE EXCEPTION 'there is no message "%"', left(attach_files.message_id, 40) USING ERRCODE = 'no_data_found';
  END IF;
  -- locked first: of two messages that want the same file at the same moment, one gets it
  PERFORM FROM files f WHERE f.id = ANY (attach_files.files) AND f.user_id = author ORDER BY f.id FOR NO KEY UPDATE;
  SELECT min(one) INTO wrong
    FROM unnest(attach_files.files) one
   WHERE NOT EXISTS (SELECT FROM files f
                      WHERE f.id = one AND f.user_id = author
                        AND (f.message_id IS NULL OR f.message_id = attach_files.message_id));
  IF wrong IS NOT NULL THEN
    RAISE EXCEPTION 'there is no file "%" of the author without a message', left(wrong, 40) USING ERRCODE = 'no_data_found';
  END IF;
  UPDATE files SET message_id = attach_files.message_id
   WHERE id = ANY (attach_files.files) AND message_id IS NULL;
  RETURN QUERY SELECT f.* FROM files f WHERE f.id = ANY (attach_files.files) ORDER BY f.id;
END
$$;

CREATE FUNCTION list_files(message_id text) RETURNS SETOF files
LANGUAGE sql STABLE ROWS 5
BEGIN ATOMIC
  SELECT f.* FROM files f
    JOIN messages m ON m.id = f.message_id AND m.deleted_at IS NULL
   WHERE f.message_id = list_files.message_id
   ORDER BY f.id;
END;

SELECT pin_search_path('send_message', 'edit_message', 'delete_message', 'search_messages', 'settle_message_status',
                       'settle_statuses', 'set_message_status', 'mark_read', 'mark_delivered', 'add_reaction', 'attach_files');

COMMENT ON FUNCTION send_message(text, text, text, text, text, text, jsonb) IS
  'Writes a message, or returns the existing one if the user has sent this client_message_id before. Raises 42501 if the user is not a member, 55000 if the channel is archived or deleted, 23503 for a reply to a message of another channel.';
COMMENT ON FUNCTION edit_message(text, text, text) IS
  'Changes the content of a live message; message_edits keeps the previous content. Raises 42501 if the user is not the author, 55000 if the channel is archived or deleted, P0002 if there is no such message.';
COMMENT ON FUNCTION delete_message(text, text) IS
  'Marks a message as deleted, or deletes its row if chat.soft_delete is off; false if there is no such message. Raises 42501 if the user is neither the author nor an admin of the channel.';
COMMENT ON FUNCTION find_message(text) IS 'The live message with this id, or no row.';
COMMENT ON FUNCTION find_message_by_client_id(text, text) IS 'The live message to which the user''s client assigned this id, or no row.';
COMMENT ON FUNCTION list_messages(text, integer, text) IS
  'A page of a channel''s live messages, newest first. "before" is the last id of the previous page.';
COMMENT ON FUNCTION search_messages(text, text, integer, text, text) IS
  'Live messages that contain these words (any part of a text, regardless of case), newest first, in the live channels of the user. SECURITY DEFINER: searches the channels of which the user is a member.';
COMMENT ON FUNCTION list_replies(text, integer, text) IS
  'A page of the live replies to a message, newest first. "before" is the last id of the previous page.';
COMMENT ON FUNCTION settle_message_status(text) IS
  'Moves the status of a message forward to what the receipts of others say; triggers call it for each new receipt. SECURITY DEFINER: the row belongs to the author.';
COMMENT ON FUNCTION settle_statuses() IS
  'Trigger: moves the status of messages that have new receipts, see settle_message_status().';
COMMENT ON FUNCTION check_message_status() IS
  'Trigger: the status of a message moves only forward (55000), and where row-level security applies not by UPDATE (42501).';
COMMENT ON FUNCTION set_message_status(text, text, text) IS
  'Sets what the author''s client knows about a message: error if it failed, sending for another try, or forward. Raises 42501 if the user is not the author, 55000 if the status would go back, P0002 if there is no such message. SECURITY DEFINER: only for the owner of the schema or the user (otherwise 42501), since nobody else changes a status directly.';
COMMENT ON FUNCTION mark_read(text, text) IS
  'Moves the read marker of a member forward to the message, never backward, writes a receipt, moves the status of that message to read unless it is the member''s own, and returns the marker.';
COMMENT ON FUNCTION mark_delivered(text, text) IS
  'Writes a delivery receipt, and moves the status of the message to delivered unless it is the user''s own; false if there is a receipt already.';
COMMENT ON FUNCTION attach_files(text, text[]) IS
  'Attaches files that the author of a message has uploaded, and returns them. Raises P0002 if one does not exist, belongs to another user or message, or if there is no such message.';
COMMENT ON FUNCTION list_files(text) IS 'The files of a live message.';
COMMENT ON FUNCTION add_reaction(text, text, text) IS
  'Adds an emoji to a live message, once for each user and emoji. Raises 55000 if the channel is archived or deleted, P0002 if there is no such message.';
COMMENT ON FUNCTION remove_reaction(text, text, text) IS 'Removes an emoji from a message; false if it is not there.';
