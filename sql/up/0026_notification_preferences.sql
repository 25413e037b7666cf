-- Which notifications a user wants, and how they are delivered.

CREATE TABLE notification_preferences (
  user_id           varchar(26) COLLATE "C" NOT NULL,
  in_app            boolean NOT NULL DEFAULT true,
  email             boolean NOT NULL DEFAULT true,
  push              boolean NOT NULL DEFAULT true,
  on_message        boolean NOT NULL DEFAULT true,
  on_friend_request boolean NOT NULL DEFAULT true,
  on_system         boolean NOT NULL DEFAULT true,
  other             jsonb NOT NULL DEFAULT '{}',
  created_at        timestamptz NOT NULL DEFAULT now(),
  updated_at        timestamptz NOT NULL DEFAULT now(),

  CONSTRAINT notification_preferences_pkey PRIMARY KEY (user_id),
  CONSTRAINT notification_preferences_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
  CONSTRAINT notification_preferences_other_object CHECK (jsonb_typeof(other) = 'object')
);

CREATE TRIGGER notification_preferences_set_updated_at
  BEFORE UPDATE ON notification_preferences
  FOR EACH ROW WHEN (OLD.* *<> NEW.*)
  EXECUTE FUNCTION set_updated_at();

COMMENT ON TABLE notification_preferences IS 'Which notifications users want, and how they are delivered; no row means all of them.';
COMMENT ON COLUMN notification_preferences.in_app IS 'Whether the application shows notifications.';
COMMENT ON COLUMN notification_preferences.email IS 'Whether notifications are sent by e-mail.';
COMMENT ON COLUMN notification_preferences.push IS 'Whether notifications are sent by push.';
COMMENT ON COLUMN notification_preferences.on_message IS 'Whether the user wants notifications about messages: types "message" and "message..*".';
COMMENT ON COLUMN notification_preferences.on_friend_request IS 'Whether the user wants notifications about friend requests: types "friend_request" and "friend_request..*".';
COMMENT ON COLUMN notification_preferences.on_system IS 'Whether the user wants notifications from the system: types "system" and "system..*".';
COMMENT ON COLUMN notification_preferences.other IS 'true or false for further kinds, by the first part of the type.';
