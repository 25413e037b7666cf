-- Drops the table with its indexes and its trigger.

DROP TABLE notifications;
