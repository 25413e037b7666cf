-- Tokens that keep users logged in. Only the SHA-256 digest of a token is stored: reading this table does not
-- help to log in.

CREATE TABLE refresh_tokens (
  id         varchar(26) COLLATE "C" NOT NULL DEFAULT generate_ulid(),
  user_id    varchar(26) COLLATE "C" NOT NULL,
  token_hash bytea NOT NULL,
  expires_at timestamptz NOT NULL,
  revoked_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),

  CONSTRAINT refresh_tokens_pkey PRIMARY KEY (id),
  CONSTRAINT refresh_tokens_id_format CHECK (length(id) = 26 AND id ~ '^[0-7][0-9A-HJKMNP-TV-Z]*$'),
  CONSTRAINT refresh_tokens_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
  -- A plain-text token may have 32 characters, too. But it is printable, and only one digest in 7e13 is.
  CONSTRAINT refresh_tokens_token_hash_digest CHECK (
    octet_length(token_hash) = 32 AND encode(token_hash, 'escape') !~ '^([\x20-\x5B\x5D-\x7E]|\\\\)*$'),
  CONSTRAINT refresh_tokens_token_hash_key UNIQUE (token_hash)
);

CREATE INDEX refresh_tokens_user_id_idx ON refresh_tokens (user_id);
CREATE INDEX refresh_tokens_user_live_idx ON refresh_tokens (user_id, expires_at) WHERE revoked_at IS NULL;
CREATE INDEX refresh_tokens_expires_at_idx ON refresh_tokens (expires_at);

CREATE TRIGGER refresh_tokens_set_updated_at
  BEFORE UPDATE ON refresh_tokens
  FOR EACH ROW WHEN (OLD.* *<> NEW.*)
  EXECUTE FUNCTION set_updated_at();

COMMENT ON TABLE refresh_tokens IS 'Tokens that keep users logged in, as digests.';
COMMENT ON COLUMN refresh_tokens.id IS 'ULID; sorts by the time of creation.';
COMMENT ON COLUMN refresh_tokens.token_hash IS 'SHA-256 digest of the token, 32 bytes; the token itself is rejected.';
COMMENT ON COLUMN refresh_tokens.revoked_at IS 'When the token was used or revoked; NULL while it can be used.';
