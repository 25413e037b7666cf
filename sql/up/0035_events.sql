-- The change log: what happened to which row, and never the values of the row. It is written in the transaction that
-- changes the row, so an event exists if and only if the change is committed, and it is read with events_since().
--
-- The reader cannot use seq or the time as its position: of two writers, the one with the smaller number may commit
-- later, and a reader that has passed it would never see it. The position is made of xids, see events_since().

CREATE TABLE events (
  seq        bigint GENERATED ALWAYS AS IDENTITY,
  xid        xid8 NOT NULL DEFAULT pg_current_xact_id(),
  table_name text NOT NULL,
  op         text NOT NULL,
  row_id     text NOT NULL,
  channel_id text,
  user_id    text,
  at         timestamptz NOT NULL DEFAULT clock_timestamp(),

  -- Not seq alone: a sequence may repeat values if a database is copied and crashes soon after, or on a promoted
  -- replica, and no write may fail because of that. Within one transaction, it never repeats one.
  CONSTRAINT events_pkey PRIMARY KEY (seq, xid)
);

-- With seq, so that a transaction with a million events can be read in pages.
CREATE INDEX events_xid_idx ON events (xid, seq);
-- An insert looks for the updates of its row in the same transaction (0037).
CREATE INDEX events_updates_idx ON events (row_id COLLATE "C") WHERE op = 'update';

-- No constraint except NOT NULL, and no foreign key: this table must never make a write of the application fail.

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

-- The identity of this log: a copied database has another oid, a restored cluster another system identifier, and a
-- dump that is restored into the same database creates another table.
CREATE FUNCTION events_origin() RETURNS text
LANGUAGE sql STABLE
RETURN (SELECT concat_ws('.', s.system_identifier, d.oid, 'events'::regclass::oid)
          FROM pg_control_system() s, pg_database d WHERE d.datname = current_database());

COMMENT ON TABLE events IS 'Change log: one row for each row changed, in the transaction that changed it. Written by triggers, read with events_since().';
COMMENT ON COLUMN events.seq IS 'Order within one call of events_since(); not a position to continue from.';
COMMENT ON COLUMN events.xid IS 'The transaction that changed the row.';
COMMENT ON COLUMN events.op IS 'insert, update or delete; a soft delete is a delete.';
COMMENT ON COLUMN events.row_id IS 'Id of the row; for a key of two columns, both joined by a colon.';
COMMENT ON COLUMN events.channel_id IS 'The channel that the row belongs to, or NULL.';
COMMENT ON COLUMN events.user_id IS 'The user that the row belongs to, or NULL.';
COMMENT ON TABLE events_state IS 'What makes cursors of the change log valid, and when it notifies: one row, written by the first reader.';
COMMENT ON COLUMN events_state.origin IS 'The log and database that the xids belong to, see events_origin().';
COMMENT ON COLUMN events_state.nonce IS 'Changed by events_reset(); together with origin, the epoch of each cursor.';
COMMENT ON COLUMN events_state.floor IS 'Events of older transactions may have been purged: an older cursor must resynchronize.';
COMMENT ON COLUMN events_state.notify IS 'When to notify, see set_notify_mode().';
COMMENT ON FUNCTION events_origin() IS 'The identity of this log and database; a copied or restored one has another.';
