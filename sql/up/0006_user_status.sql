-- Presence. Each heartbeat updates one row, hundreds of times a day: last_seen is in no index, and pages keep free
-- space, so that updates stay HOT and the table stays small. A user whose client has fallen silent counts as offline
-- when read (find_presence, list_presence); purge_expired() makes the rows say so.

CREATE TABLE user_status (
  user_id       varchar(26) COLLATE "C" NOT NULL,
  status        text NOT NULL DEFAULT 'offline',
  last_seen     timestamptz,
  custom_status text,
  created_at    timestamptz NOT NULL DEFAULT now(),
  updated_at    timestamptz NOT NULL DEFAULT now(),

  CONSTRAINT user_status_pkey PRIMARY KEY (user_id),
  CONSTRAINT user_status_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
  CONSTRAINT user_status_status_valid CHECK (status IN ('online', 'away', 'busy', 'offline'))
) WITH (fillfactor = 50);

-- the users who are present, for purge_expired()
CREATE INDEX user_status_present_idx ON user_status (user_id) WHERE status <> 'offline';

CREATE TRIGGER user_status_set_updated_at
  BEFORE UPDATE ON user_status
  FOR EACH ROW WHEN (OLD.* *<> NEW.*)
  EXECUTE FUNCTION set_updated_at();

COMMENT ON TABLE user_status IS 'Presence of a user; no row means offline and never seen.';
COMMENT ON COLUMN user_status.last_seen IS 'Last heartbeat of any of the user''s clients; NULL before the first.';
COMMENT ON COLUMN user_status.custom_status IS 'A text that the user wrote, such as "on holiday".';
