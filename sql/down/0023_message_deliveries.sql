-- Drops the table with its index.

DROP TABLE message_deliveries;
