-- How far a user's data has been synchronized, one row for each kind of synchronization.

CREATE TABLE sync_state (
  id         varchar(26) COLLATE "C" NOT NULL DEFAULT generate_ulid(),
  user_id    varchar(26) COLLATE "C" NOT NULL,
  sync_type  text NOT NULL,
  last_sync  timestamptz NOT NULL DEFAULT now(),
  metadata   jsonb NOT NULL DEFAULT '{}',
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),

  CONSTRAINT sync_state_pkey PRIMARY KEY (id),
  CONSTRAINT sync_state_id_format CHECK (length(id) = 26 AND id ~ '^[0-7][0-9A-HJKMNP-TV-Z]*$'),
  CONSTRAINT sync_state_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
  CONSTRAINT sync_state_sync_type_not_empty CHECK (sync_type <> ''),
  CONSTRAINT sync_state_sync_type_length CHECK (length(sync_type) <= 50),
  CONSTRAINT sync_state_metadata_object CHECK (jsonb_typeof(metadata) = 'object'),
  CONSTRAINT sync_state_user_type_key UNIQUE (user_id, sync_type)
);

CREATE TRIGGER sync_state_set_updated_at
  BEFORE UPDATE ON sync_state
  FOR EACH ROW WHEN (OLD.* *<> NEW.*)
  EXECUTE FUNCTION set_updated_at();

COMMENT ON TABLE sync_state IS 'How far a user''s data has been synchronized, by kind of synchronization.';
COMMENT ON COLUMN sync_state.id IS 'ULID; sorts by the time of creation.';
COMMENT ON COLUMN sync_state.sync_type IS 'What is synchronized, such as messages or contacts.';
COMMENT ON COLUMN sync_state.last_sync IS 'When it was last synchronized.';
COMMENT ON COLUMN sync_state.metadata IS 'What the client needs to continue, such as a cursor.';
