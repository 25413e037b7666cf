-- Drops the table with its index.

DROP TABLE reactions;
