-- Drops the table with its index.

DROP TABLE typing_indicators;
