-- Drops the table with its trigger.

DROP TABLE sync_state;
