-- Drops the table with its index and its trigger.

DROP TABLE files;
