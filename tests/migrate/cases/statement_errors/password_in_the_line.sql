CREATE ROLE t_nobody PASSWORD 'hunter2-secret' NOPE;
