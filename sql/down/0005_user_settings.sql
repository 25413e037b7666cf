-- Drops the table with its trigger.

DROP TABLE user_settings;
