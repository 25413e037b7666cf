-- Drops the table with its trigger.

DROP TABLE profiles;
