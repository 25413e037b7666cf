-- Reactions: a user adds each emoji to a message at most once.

CREATE TABLE reactions (
  id         varchar(26) COLLATE "C" NOT NULL DEFAULT generate_ulid(),
  message_id varchar(26) COLLATE "C" NOT NULL,
  user_id    varchar(26) COLLATE "C" NOT NULL,
  emoji      text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),

  CONSTRAINT reactions_pkey PRIMARY KEY (id),
  CONSTRAINT reactions_id_format CHECK (length(id) = 26 AND id ~ '^[0-7][0-9A-HJKMNP-TV-Z]*$'),
  CONSTRAINT reactions_message_id_fkey FOREIGN KEY (message_id) REFERENCES messages (id) ON DELETE CASCADE,
  CONSTRAINT reactions_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE RESTRICT,
  CONSTRAINT reactions_emoji_not_empty CHECK (emoji <> ''),
  CONSTRAINT reactions_emoji_length CHECK (length(emoji) <= 50),
  CONSTRAINT reactions_message_user_emoji_key UNIQUE (message_id, user_id, emoji)
);

CREATE INDEX reactions_user_idx ON reactions (user_id);

COMMENT ON TABLE reactions IS 'Emoji that users have added to messages. Rows are inserted and deleted, never updated.';
COMMENT ON COLUMN reactions.id IS 'ULID; sorts by the time of creation.';
COMMENT ON COLUMN reactions.emoji IS 'The emoji itself, or the name of a custom one, up to 50 characters.';
