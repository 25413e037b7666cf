-- Delivery receipts: to whom a message was delivered, and when. One row for each message and recipient: an
-- application that does not show them need not write them.

CREATE TABLE message_deliveries (
  message_id   varchar(26) COLLATE "C" NOT NULL,
  user_id      varchar(26) COLLATE "C" NOT NULL,
  delivered_at timestamptz NOT NULL DEFAULT now(),

  CONSTRAINT message_deliveries_pkey PRIMARY KEY (message_id, user_id),
  CONSTRAINT message_deliveries_message_id_fkey FOREIGN KEY (message_id) REFERENCES messages (id) ON DELETE CASCADE,
  CONSTRAINT message_deliveries_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
);

CREATE INDEX message_deliveries_user_idx ON message_deliveries (user_id);

COMMENT ON TABLE message_deliveries IS 'Delivery receipts: one row for each message and recipient who has received it.';
