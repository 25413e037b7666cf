-- Read receipts: who has read which message, and when. The number of unread messages comes from the marker in
-- channel_members, not from this table.

CREATE TABLE message_reads (
  message_id varchar(26) COLLATE "C" NOT NULL,
  user_id    varchar(26) COLLATE "C" NOT NULL,
  read_at    timestamptz NOT NULL DEFAULT now(),

  CONSTRAINT message_reads_pkey PRIMARY KEY (message_id, user_id),
  CONSTRAINT message_reads_message_id_fkey FOREIGN KEY (message_id) REFERENCES messages (id) ON DELETE CASCADE,
  CONSTRAINT message_reads_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
);

CREATE INDEX message_reads_user_idx ON message_reads (user_id);

COMMENT ON TABLE message_reads IS 'Read receipts: at most one row for each message and reader.';
