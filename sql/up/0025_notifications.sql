-- What a user is to be told: in the application, by mail, by push. What to write there is the application's.

CREATE TABLE notifications (
  id           varchar(26) COLLATE "C" NOT NULL DEFAULT generate_ulid(),
  user_id      varchar(26) COLLATE "C" NOT NULL,
  type         text NOT NULL,
  content      jsonb NOT NULL DEFAULT '{}',
  related_type varchar(50),
  related_id   varchar(26) COLLATE "C",
  read_at      timestamptz,
  expires_at   timestamptz,
  created_at   timestamptz NOT NULL DEFAULT now(),
  updated_at   timestamptz NOT NULL DEFAULT now(),

  CONSTRAINT notifications_pkey PRIMARY KEY (id),
  CONSTRAINT notifications_id_format CHECK (length(id) = 26 AND id ~ '^[0-7][0-9A-HJKMNP-TV-Z]*$'),
  CONSTRAINT notifications_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
  CONSTRAINT notifications_type_format CHECK (type ~ '^[a-z][a-z0-9_.]{0,49}$'),
  CONSTRAINT notifications_content_object CHECK (jsonb_typeof(content) = 'object')
);

CREATE INDEX notifications_user_newest_idx ON notifications (user_id, id DESC);
CREATE INDEX notifications_unread_newest_idx ON notifications (user_id, id DESC) WHERE read_at IS NULL;
CREATE INDEX notifications_expires_at_idx ON notifications (expires_at) WHERE expires_at IS NOT NULL;

CREATE TRIGGER notifications_set_updated_at
  BEFORE UPDATE ON notifications
  FOR EACH ROW WHEN (OLD.* *<> NEW.*)
  EXECUTE FUNCTION set_updated_at();

COMMENT ON TABLE notifications IS 'What users are to be told.';
COMMENT ON COLUMN notifications.id IS 'ULID; sorts by the time of creation.';
COMMENT ON COLUMN notifications.type IS 'What kind of news, such as message.mention or friend_request: small letters, digits, underscores and dots.';
COMMENT ON COLUMN notifications.content IS 'What the application needs to show it, by key.';
COMMENT ON COLUMN notifications.related_type IS 'What related_id is the id of, such as message or channel. No foreign key: it may be gone.';
COMMENT ON COLUMN notifications.read_at IS 'When the user has read it; NULL for an unread one.';
COMMENT ON COLUMN notifications.expires_at IS 'From then on it is not shown, and will be purged; NULL for never.';
