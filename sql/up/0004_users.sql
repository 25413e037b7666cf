-- People. A user who has written something is never deleted, but marked (deleted_at) or made anonymous. The
-- e-mail address, user name and auth0_id can then be used again: they are unique among live rows only.

CREATE TABLE users (
  id            varchar(26) COLLATE "C" NOT NULL DEFAULT generate_ulid(),
  auth0_id      text,
  password_hash text,
  email         citext NOT NULL,
  username      citext NOT NULL,
  full_name     text,
  display_name  text,
  avatar_url    text,
  is_active     boolean NOT NULL DEFAULT true,
  is_verified   boolean NOT NULL DEFAULT false,
  last_seen_at  timestamptz,
  last_login_at timestamptz,
  created_at    timestamptz NOT NULL DEFAULT now(),
  updated_at    timestamptz NOT NULL DEFAULT now(),
  deleted_at    timestamptz,

  CONSTRAINT users_pkey PRIMARY KEY (id),
  -- not {25}: counting in the expression costs five times as much at each INSERT
  CONSTRAINT users_id_format CHECK (length(id) = 26 AND id ~ '^[0-7][0-9A-HJKMNP-TV-Z]*$'),
  CONSTRAINT users_credentials_present CHECK (auth0_id IS NOT NULL OR password_hash IS NOT NULL),
  CONSTRAINT users_auth0_id_not_empty CHECK (auth0_id <> ''),
  -- a limit as a CHECK has a name, which a client can translate; varchar(128) would raise 22001 without one
  CONSTRAINT users_auth0_id_length CHECK (length(auth0_id) <= 128),
  -- bcrypt with a cost of 10 to 31, or argon2id: any other text may be a plain-text password
  CONSTRAINT users_password_hash_format CHECK (
    password_hash ~ '^\$2[aby]\$(1[0-9]|2[0-9]|3[01])\$[./A-Za-z0-9]{53}$'
    OR password_hash ~ '^\$argon2id\$v=[0-9]+\$m=[0-9]+,t=[0-9]+,p=[0-9]+\$[A-Za-z0-9+/]+\$[A-Za-z0-9+/]+$'),
  -- citext is cast to text, so that the operators of pg_catalog are used, whatever the search_path
  CONSTRAINT users_email_length CHECK (length(email::text) <= 255),
  -- one @ with something on both sides; no blank, control or invisible character, in any script
  CONSTRAINT users_email_format CHECK (
    email::text COLLATE "C" ~ '^[^@\x01-\x20\x7F-\xA0\u1680\u2000-\u200F\u2028-\u202F\u205F-\u206F\u3000\uFEFF]+@[^@\x01-\x20\x7F-\xA0\u1680\u2000-\u200F\u2028-\u202F\u205F-\u206F\u3000\uFEFF]+$'),
  CONSTRAINT users_username_length CHECK (length(username::text) BETWEEN 3 AND 50),
  CONSTRAINT users_username_format CHECK (username::text ~ '^[A-Za-z0-9_]*$'),
  CONSTRAINT users_full_name_length CHECK (length(full_name) <= 255),
  CONSTRAINT users_display_name_not_empty CHECK (btrim(display_name) <> ''),
  CONSTRAINT users_display_name_length CHECK (length(display_name) <= 100)
) WITH (fillfactor = 90);  -- last_seen_at changes often and is in no index: room for HOT updates

CREATE UNIQUE INDEX users_email_live_key ON users (email) WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX users_username_live_key ON users (username) WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX users_auth0_id_live_key ON users (auth0_id) WHERE deleted_at IS NULL;

CREATE TRIGGER users_set_updated_at
  BEFORE UPDATE ON users
  FOR EACH ROW WHEN (OLD.* *<> NEW.*)
  EXECUTE FUNCTION set_updated_at();

COMMENT ON TABLE users IS 'People and their credentials.';
COMMENT ON COLUMN users.id IS 'ULID; sorts by the time of creation.';
COMMENT ON COLUMN users.auth0_id IS 'Subject of the external identity provider; NULL when the user logs in with a password.';
COMMENT ON COLUMN users.password_hash IS 'bcrypt with cost 10 or more, or argon2id; NULL when the user logs in through an identity provider. The application must check the rules for the password itself.';
COMMENT ON COLUMN users.email IS 'One @ with something on both sides, no blanks; compared without regard to case; unique among live users.';
COMMENT ON COLUMN users.username IS '3 to 50 letters, digits and underscores; compared without regard to case; unique among live users.';
COMMENT ON COLUMN users.full_name IS 'Real name.';
COMMENT ON COLUMN users.display_name IS 'The name that others see, up to 100 characters; if NULL, the username.';
COMMENT ON COLUMN users.last_seen_at IS 'Last heartbeat, as user_status.last_seen: set_presence() and touch_last_seen() set both.';
COMMENT ON COLUMN users.is_active IS 'Whether the user may log in.';
COMMENT ON COLUMN users.is_verified IS 'Whether the user has confirmed the e-mail address.';
COMMENT ON COLUMN users.deleted_at IS 'When the user was deleted; NULL for a live user.';
