-- Files attached to messages. Their contents are stored elsewhere, under url. A client may upload a file before it sends
-- the message: the file has no message until attach_files(), and is purged if it has none after a day.

CREATE TABLE files (
  id         varchar(26) COLLATE "C" NOT NULL DEFAULT generate_ulid(),
  user_id    varchar(26) COLLATE "C" NOT NULL,
  message_id varchar(26) COLLATE "C",
  name       text NOT NULL,
  type       text NOT NULL,
  size       bigint NOT NULL,
  url        text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),

  CONSTRAINT files_pkey PRIMARY KEY (id),
  CONSTRAINT files_id_format CHECK (length(id) = 26 AND id ~ '^[0-7][0-9A-HJKMNP-TV-Z]*$'),
  CONSTRAINT files_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE RESTRICT,
  CONSTRAINT files_message_id_fkey FOREIGN KEY (message_id) REFERENCES messages (id) ON DELETE CASCADE,
  CONSTRAINT files_name_length CHECK (length(name) <= 255),
  CONSTRAINT files_type_length CHECK (length(type) <= 100),
  CONSTRAINT files_size_not_negative CHECK (size >= 0)
);

CREATE INDEX files_user_idx ON files (user_id);
CREATE INDEX files_message_idx ON files (message_id);
CREATE INDEX files_without_message_idx ON files (created_at) WHERE message_id IS NULL;

CREATE TRIGGER files_set_updated_at
  BEFORE UPDATE ON files
  FOR EACH ROW WHEN (OLD.* *<> NEW.*)
  EXECUTE FUNCTION set_updated_at();

COMMENT ON TABLE files IS 'Files attached to messages; their contents are stored elsewhere.';
COMMENT ON COLUMN files.id IS 'ULID; sorts by the time of creation.';
COMMENT ON COLUMN files.user_id IS 'The user who uploaded it.';
COMMENT ON COLUMN files.message_id IS 'NULL until it is attached to a message; a file that has none after a day is purged.';
COMMENT ON COLUMN files.name IS 'File name on the sender''s side.';
COMMENT ON COLUMN files.type IS 'Media type, such as image/png.';
COMMENT ON COLUMN files.size IS 'Size in bytes.';
COMMENT ON COLUMN files.url IS 'Where the contents are stored.';
