-- Settings of a user: those that every client needs have columns, all others are keys of preferences.

CREATE TABLE user_settings (
  user_id               varchar(26) COLLATE "C" NOT NULL,
  theme                 text NOT NULL DEFAULT 'light',
  notifications_enabled boolean NOT NULL DEFAULT true,
  preferences           jsonb NOT NULL DEFAULT '{}',
  created_at            timestamptz NOT NULL DEFAULT now(),
  updated_at            timestamptz NOT NULL DEFAULT now(),

  CONSTRAINT user_settings_pkey PRIMARY KEY (user_id),
  CONSTRAINT user_settings_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
  CONSTRAINT user_settings_theme_valid CHECK (theme IN ('light', 'dark', 'system')),
  CONSTRAINT user_settings_preferences_object CHECK (jsonb_typeof(preferences) = 'object'),
  CONSTRAINT user_settings_key_length CHECK (
    NOT jsonb_path_exists(preferences, '$.keyvalue() ? (@.key == "" || @.key like_regex "^.{51}" flag "s")', '{}', true))
);

CREATE TRIGGER user_settings_set_updated_at
  BEFORE UPDATE ON user_settings
  FOR EACH ROW WHEN (OLD.* *<> NEW.*)
  EXECUTE FUNCTION set_updated_at();

COMMENT ON TABLE user_settings IS 'Settings of a user; no row means the defaults.';
COMMENT ON COLUMN user_settings.preferences IS 'Settings that only some clients know, by key of 1 to 50 characters.';
