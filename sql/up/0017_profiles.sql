-- What users write about themselves.

CREATE TABLE profiles (
  user_id    varchar(26) COLLATE "C" NOT NULL,
  bio        text,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),

  CONSTRAINT profiles_pkey PRIMARY KEY (user_id),
  CONSTRAINT profiles_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
  CONSTRAINT profiles_bio_length CHECK (length(bio) <= 500)
);

CREATE TRIGGER profiles_set_updated_at
  BEFORE UPDATE ON profiles
  FOR EACH ROW WHEN (OLD.* *<> NEW.*)
  EXECUTE FUNCTION set_updated_at();

COMMENT ON TABLE profiles IS 'What users write about themselves; name and picture are in users.';
COMMENT ON COLUMN profiles.bio IS 'Up to 500 characters.';
