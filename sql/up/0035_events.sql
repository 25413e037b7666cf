-- The change log: what has happened to which row, and never what is in it. It is written in the transaction that
-- changes the row, so an event exists if and only if the change does, and it is read with events_since().
--
-- The reader can't go by seq or by time: of two writers, the one with the smaller number may commit later, and a
-- reader that has passed it would never see it. It goes by xid, see events_since().

CREATE TABLE events (
  seq        bigint GENERATED ALWAYS AS IDENTITY,
  xid        xid8 NOT NULL DEFAULT pg_current_xact_id(),
  table_name text NOT NULL,
  op         text NOT NULL,
  row_id     text NOT NULL,
  channel_id text,
  user_id    text,
  at         timestamptz NOT NULL DEFAULT clock_timestamp(),

  -- Not of seq alone: a sequence falls back where a database is copied and crashes soon after, or on a replica that
  -- takes over, and no write may fail for that. Within one transaction it never does.
  CONSTRAINT events_pkey PRIMARY KEY (seq, xid)
);

-- With seq, so that a transaction of a million events is read in pages.
CREATE INDEX events_xid_idx ON events (xid, seq);

-- No constraint but NOT NULL, no foreign key: whatever is written here must never be the reason for which a write
-- of the application fails.

CREATE TABLE events_state (
  one     boolean NOT NULL DEFAULT true,
  origin  text NOT NULL,
  nonce   text NOT NULL DEFAULT gen_random_uuid()::text,
  floor   xid8 NOT NULL DEFAULT '3',
  notify  text NOT NULL DEFAULT 'doorbell',

  CONSTRAINT events_state_pkey PRIMARY KEY (one),
  CONSTRAINT events_state_one_row CHECK (one),
  CONSTRAINT events_state_notify_valid CHECK (notify IN ('doorbell', 'every', 'off'))
);

-- Which log this is: a copied database has another oid, a restored cluster another system identifier, and a dump
-- that is restored into the same database makes another table.
CREATE FUNCTION events_origin() RETURNS text
LANGUAGE sql STABLE
RETURN (SELECT concat_ws('.', s.system_identifier, d.oid, 'events'::regclass::oid)
          FROM pg_control_system() s, pg_database d WHERE d.datname = current_database());

COMMENT ON TABLE events IS 'Change log: one row for each row changed, in the transaction that changed it. Written by triggers, read with events_since().';
COMMENT ON COLUMN events.seq IS 'Order within one reading; no position to go on from.';
COMMENT ON COLUMN events.xid IS 'The transaction that has changed the row.';
COMMENT ON COLUMN events.op IS 'insert, update or delete; a soft delete is a delete.';
COMMENT ON COLUMN events.row_id IS 'Id of the row; both columns of a key of two, joined by a colon.';
COMMENT ON COLUMN events.channel_id IS 'The channel that it is about, if there is one.';
COMMENT ON COLUMN events.user_id IS 'The user whose row it is.';
COMMENT ON TABLE events_state IS 'What makes cursors of the change log valid, and how its doorbell rings: one row, from the first reader on.';
COMMENT ON COLUMN events_state.origin IS 'The log and database that the xids belong to, see events_origin().';
COMMENT ON COLUMN events_state.nonce IS 'Changes with events_reset(); together with origin the epoch of each cursor.';
COMMENT ON COLUMN events_state.floor IS 'Events of older transactions may have been purged: a cursor from before is told to resynchronise.';
COMMENT ON COLUMN events_state.notify IS 'When the doorbell rings, see set_notify_mode().';
COMMENT ON FUNCTION events_origin() IS 'Which log and database this is; a copied or restored one is another.';
