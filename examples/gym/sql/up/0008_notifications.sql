CREATE TABLE notifications (
  id         serial CONSTRAINT notifications_pkey PRIMARY KEY,
  title      text NOT NULL,
  content    text NOT NULL,
  channel    text,
  status     text,
  sent_by    integer CONSTRAINT notifications_sent_by_fkey REFERENCES users (id),
  sent_at    timestamptz,
  recipients text[] NOT NULL DEFAULT '{}',
  viewed_by  text[] NOT NULL DEFAULT '{}',
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX notifications_sent_by_idx ON notifications (sent_by);
-- Serves `recipients @> ARRAY['user_2a']`: what was sent to a user.
CREATE INDEX notifications_recipients_idx ON notifications USING gin (recipients);
COMMENT ON TABLE notifications IS 'Messages to many users at once';
COMMENT ON COLUMN notifications.recipients IS 'The clerk_user_id of each; viewed_by are those who opened it';
COMMENT ON COLUMN notifications.sent_at IS 'NULL for a draft';
