-- How often something was done within a window of time. UNLOGGED: after a crash every count starts again.

CREATE UNLOGGED TABLE rate_limits (
  key          text NOT NULL,
  window_start timestamptz NOT NULL DEFAULT now(),
  window_end   timestamptz NOT NULL,
  hits         integer NOT NULL DEFAULT 1,

  CONSTRAINT rate_limits_pkey PRIMARY KEY (key),
  CONSTRAINT rate_limits_key_length CHECK (length(key) BETWEEN 1 AND 500),
  CONSTRAINT rate_limits_window_not_empty CHECK (window_end > window_start),
  CONSTRAINT rate_limits_hits_not_negative CHECK (hits >= 0)
) WITH (fillfactor = 80);

CREATE INDEX rate_limits_window_end_idx ON rate_limits (window_end);

COMMENT ON TABLE rate_limits IS 'How often something was done within a window of time. UNLOGGED: empty after a crash.';
COMMENT ON COLUMN rate_limits.key IS 'Chosen by the application, such as login:198.51.100.7.';
COMMENT ON COLUMN rate_limits.window_end IS 'The row has no effect from this time on.';
COMMENT ON COLUMN rate_limits.hits IS 'Number of calls within the window, without the refused ones.';
