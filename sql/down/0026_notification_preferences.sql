-- Drops the table with its trigger.

DROP TABLE notification_preferences;
