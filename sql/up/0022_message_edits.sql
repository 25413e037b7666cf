-- Earlier contents of messages. A trigger writes them at every change of the content, by any role and any means.

CREATE TABLE message_edits (
  id               varchar(26) COLLATE "C" NOT NULL DEFAULT generate_ulid(),
  message_id       varchar(26) COLLATE "C" NOT NULL,
  previous_content text NOT NULL,
  edited_by        varchar(26) COLLATE "C",
  edited_at        timestamptz NOT NULL DEFAULT now(),

  CONSTRAINT message_edits_pkey PRIMARY KEY (id),
  CONSTRAINT message_edits_id_format CHECK (length(id) = 26 AND id ~ '^[0-7][0-9A-HJKMNP-TV-Z]*$'),
  CONSTRAINT message_edits_message_id_fkey FOREIGN KEY (message_id) REFERENCES messages (id) ON DELETE CASCADE,
  CONSTRAINT message_edits_edited_by_fkey FOREIGN KEY (edited_by) REFERENCES users (id) ON DELETE SET NULL
);

CREATE INDEX message_edits_message_idx ON message_edits (message_id, id);
CREATE INDEX message_edits_edited_by_idx ON message_edits (edited_by) WHERE edited_by IS NOT NULL;

CREATE FUNCTION set_edited_at() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
  NEW.edited_at := now();
  RETURN NEW;
END
$$;

-- SECURITY DEFINER: no other role needs the right to write this table.
CREATE FUNCTION keep_message_edit() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
AS $$
BEGIN
  IF TG_RELID <> 'messages'::regclass THEN
    RAISE EXCEPTION 'keep_message_edit() is a trigger of the table "messages" alone' USING ERRCODE = 'trigger_protocol_violated';
  END IF;
  INSERT INTO message_edits (message_id, previous_content, edited_by, edited_at)
  VALUES (NEW.id, OLD.content, coalesce(acting_user(), NEW.user_id), NEW.edited_at);
  RETURN NULL;
END
$$;

SELECT pin_search_path('keep_message_edit');
REVOKE EXECUTE ON FUNCTION keep_message_edit() FROM PUBLIC;  -- otherwise any role could use it in its own trigger

CREATE TRIGGER messages_set_edited_at
  BEFORE UPDATE OF content ON messages
  FOR EACH ROW WHEN (OLD.content IS DISTINCT FROM NEW.content)
  EXECUTE FUNCTION set_edited_at();

CREATE TRIGGER messages_keep_edit
  AFTER UPDATE OF content ON messages
  FOR EACH ROW WHEN (OLD.content IS DISTINCT FROM NEW.content)
  EXECUTE FUNCTION keep_message_edit();

COMMENT ON TABLE message_edits IS 'Earlier contents of messages.';
COMMENT ON COLUMN message_edits.id IS 'ULID; sorts by the time of creation.';
COMMENT ON COLUMN message_edits.previous_content IS 'The content until edited_at.';
COMMENT ON COLUMN message_edits.edited_by IS 'The user who made the change: chat.user_id, or else the author. NULL if that user was removed.';
COMMENT ON FUNCTION set_edited_at() IS 'Trigger: sets messages.edited_at to the time of the transaction.';
COMMENT ON FUNCTION keep_message_edit() IS 'Trigger: stores the previous content of a message in message_edits.';
