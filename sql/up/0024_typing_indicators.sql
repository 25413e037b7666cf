-- Which users are typing in which channels, for a few seconds. UNLOGGED: it changes with every keystroke.

CREATE UNLOGGED TABLE typing_indicators (
  channel_id varchar(26) COLLATE "C" NOT NULL,
  user_id    varchar(26) COLLATE "C" NOT NULL,
  expires_at timestamptz NOT NULL,

  CONSTRAINT typing_indicators_pkey PRIMARY KEY (channel_id, user_id),
  CONSTRAINT typing_indicators_channel_id_fkey FOREIGN KEY (channel_id) REFERENCES channels (id) ON DELETE CASCADE,
  CONSTRAINT typing_indicators_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
) WITH (fillfactor = 50);

CREATE INDEX typing_indicators_user_idx ON typing_indicators (user_id);

COMMENT ON TABLE typing_indicators IS 'Which users are typing in which channels. UNLOGGED: empty after a crash.';
COMMENT ON COLUMN typing_indicators.expires_at IS 'The user counts as no longer typing from this time on.';
