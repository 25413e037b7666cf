-- Messages. Clients read them a page at a time, newest first, by channel and id (never OFFSET).

CREATE TABLE messages (
  id                varchar(26) COLLATE "C" NOT NULL DEFAULT generate_ulid(),
  channel_id        varchar(26) COLLATE "C" NOT NULL,
  user_id           varchar(26) COLLATE "C" NOT NULL,
  content           text NOT NULL DEFAULT '',
  content_type      text NOT NULL DEFAULT 'text',
  status            text NOT NULL DEFAULT 'sending',
  client_message_id text,
  reply_to_id       varchar(26) COLLATE "C",
  metadata          jsonb NOT NULL DEFAULT '{}',
  edited_at         timestamptz,
  created_at        timestamptz NOT NULL DEFAULT now(),
  updated_at        timestamptz NOT NULL DEFAULT now(),
  deleted_at        timestamptz,

  CONSTRAINT messages_pkey PRIMARY KEY (id),
  CONSTRAINT messages_id_format CHECK (length(id) = 26 AND id ~ '^[0-7][0-9A-HJKMNP-TV-Z]*$'),
  CONSTRAINT messages_channel_id_fkey FOREIGN KEY (channel_id) REFERENCES channels (id) ON DELETE CASCADE,
  CONSTRAINT messages_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE RESTRICT,
  CONSTRAINT messages_reply_to_id_fkey FOREIGN KEY (reply_to_id) REFERENCES messages (id) ON DELETE SET NULL,
  CONSTRAINT messages_content_type_valid CHECK (content_type IN ('text', 'image', 'file', 'system')),
  CONSTRAINT messages_content_length CHECK (content_type <> 'text' OR length(content) BETWEEN 1 AND 4000),
  CONSTRAINT messages_status_valid CHECK (status IN ('sending', 'delivered', 'read', 'error')),
  CONSTRAINT messages_client_message_id_not_empty CHECK (client_message_id <> ''),
  CONSTRAINT messages_client_message_id_length CHECK (length(client_message_id) <= 255),
  CONSTRAINT messages_metadata_object CHECK (jsonb_typeof(metadata) = 'object'),
  -- makes resending harmless; its index also serves the foreign key of user_id
  CONSTRAINT messages_client_message_id_key UNIQUE (user_id, client_message_id)
) WITH (fillfactor = 90);  -- status changes twice soon after the INSERT and is in no index: room for HOT updates

-- Including user_id and deleted_at lets unread messages be counted by an index-only scan.
CREATE INDEX messages_channel_newest_idx ON messages (channel_id, id DESC) INCLUDE (user_id, deleted_at);
CREATE INDEX messages_reply_to_id_idx ON messages (reply_to_id, id DESC) WHERE reply_to_id IS NOT NULL;

CREATE TRIGGER messages_set_updated_at
  BEFORE UPDATE ON messages
  FOR EACH ROW WHEN (OLD.* *<> NEW.*)
  EXECUTE FUNCTION set_updated_at();

COMMENT ON TABLE messages IS 'Messages of all channels.';
COMMENT ON COLUMN messages.id IS 'ULID; the order of the messages of a channel is the order of their ids.';
COMMENT ON COLUMN messages.user_id IS 'The author.';
COMMENT ON COLUMN messages.content IS '1 to 4000 characters for type text; the caption, or an empty text, for other types.';
COMMENT ON COLUMN messages.status IS 'What the sender''s client shows: sending (stored, and not yet received by another member), delivered, read, or error. The first receipt of another member moves it forward; error is set by set_message_status(), of a message that was not received. A receipt says nothing about older messages: the read marker covers those.';
COMMENT ON COLUMN messages.client_message_id IS 'Id assigned by the sender''s client; a second message of the same user with the same id is rejected.';
COMMENT ON COLUMN messages.reply_to_id IS 'The message that it replies to; NULL if there is none or it was removed.';
COMMENT ON COLUMN messages.metadata IS 'Data of the application, by key.';
COMMENT ON COLUMN messages.edited_at IS 'When the content was last changed; NULL if never.';
COMMENT ON COLUMN messages.deleted_at IS 'When it was deleted; NULL for a live message.';
