-- chatdb: statement-timeout: 50ms
SELECT pg_sleep(10);
