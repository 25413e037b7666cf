DROP TABLE attachments;
DROP TABLE assets;
