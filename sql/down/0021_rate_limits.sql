-- Drops the table with its index.

DROP TABLE rate_limits;
