-- Sessions of a web application. UNLOGGED: they are written at every request and need not survive a crash. After
-- a crash the table is empty, and users log in again.

CREATE UNLOGGED TABLE sessions (
  session_hash bytea NOT NULL,
  user_id      varchar(26) COLLATE "C",
  data         jsonb NOT NULL DEFAULT '{}',
  expires_at   timestamptz NOT NULL,
  created_at   timestamptz NOT NULL DEFAULT now(),
  updated_at   timestamptz NOT NULL DEFAULT now(),

  CONSTRAINT sessions_pkey PRIMARY KEY (session_hash),
  CONSTRAINT sessions_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
  -- rejects plain-text session ids: see refresh_tokens
  CONSTRAINT sessions_session_hash_digest CHECK (
    octet_length(session_hash) = 32 AND encode(session_hash, 'escape') !~ '^([\x20-\x5B\x5D-\x7E]|\\\\)*$'),
  CONSTRAINT sessions_data_object CHECK (jsonb_typeof(data) = 'object')
);

CREATE INDEX sessions_user_id_idx ON sessions (user_id) WHERE user_id IS NOT NULL;
CREATE INDEX sessions_expires_at_idx ON sessions (expires_at);

CREATE TRIGGER sessions_set_updated_at
  BEFORE UPDATE ON sessions
  FOR EACH ROW WHEN (OLD.* *<> NEW.*)
  EXECUTE FUNCTION set_updated_at();

COMMENT ON TABLE sessions IS 'Sessions of a web application. UNLOGGED: empty after a crash.';
COMMENT ON COLUMN sessions.session_hash IS 'SHA-256 digest of the session id, 32 bytes; the id itself is rejected.';
COMMENT ON COLUMN sessions.user_id IS 'NULL before the login.';
COMMENT ON COLUMN sessions.data IS 'Data of the application, by key. Must not contain secrets.';
