-- Notifications of users: in the application, by e-mail, by push. The application decides on the contents, and sends
-- those that notify_user() says are wanted by e-mail or push.

CREATE TABLE notifications (
  id           varchar(26) COLLATE "C" NOT NULL DEFAULT generate_ulid(),
  user_id      varchar(26) COLLATE "C" NOT NULL,
  type         text NOT NULL,
  content      jsonb NOT NULL DEFAULT '{}',
  related_type text,
  related_id   text COLLATE "C",
  in_app       boolean NOT NULL DEFAULT true,
  read_at      timestamptz,
  expires_at   timestamptz,
  created_at   timestamptz NOT NULL DEFAULT now(),
  updated_at   timestamptz NOT NULL DEFAULT now(),

  CONSTRAINT notifications_pkey PRIMARY KEY (id),
  CONSTRAINT notifications_id_format CHECK (length(id) = 26 AND id ~ '^[0-7][0-9A-HJKMNP-TV-Z]*$'),
  CONSTRAINT notifications_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
  CONSTRAINT notifications_type_format CHECK (type ~ '^[a-z][a-z0-9_.]{0,49}$'),
  CONSTRAINT notifications_related_type_length CHECK (length(related_type) <= 50),
  CONSTRAINT notifications_related_id_length CHECK (length(related_id) <= 255),
  CONSTRAINT notifications_content_object CHECK (jsonb_typeof(content) = 'object')
);

CREATE INDEX notifications_user_newest_idx ON notifications (user_id, id DESC);
CREATE INDEX notifications_unread_newest_idx ON notifications (user_id, id DESC) WHERE read_at IS NULL AND in_app;
CREATE INDEX notifications_expires_at_idx ON notifications (expires_at) WHERE expires_at IS NOT NULL;

CREATE TRIGGER notifications_set_updated_at
  BEFORE UPDATE ON notifications
  FOR EACH ROW WHEN (OLD.* *<> NEW.*)
  EXECUTE FUNCTION set_updated_at();

COMMENT ON TABLE notifications IS 'Notifications of users.';
COMMENT ON COLUMN notifications.id IS 'ULID; sorts by the time of creation.';
COMMENT ON COLUMN notifications.type IS 'Kind of notification, such as message.mention or friend_request: lower-case letters, digits, underscores and dots.';
COMMENT ON COLUMN notifications.content IS 'What the application needs to show it, by key.';
COMMENT ON COLUMN notifications.related_type IS 'Kind of object that related_id identifies, such as message or channel. No foreign key: the object may have been removed.';
COMMENT ON COLUMN notifications.related_id IS 'Id of that object, any text up to 255 characters.';
COMMENT ON COLUMN notifications.in_app IS 'Whether the application shows it; false for one that is only sent by e-mail or push.';
COMMENT ON COLUMN notifications.read_at IS 'When the user read it; NULL if unread.';
COMMENT ON COLUMN notifications.expires_at IS 'It is not shown from this time on, and will be purged; NULL for never.';
