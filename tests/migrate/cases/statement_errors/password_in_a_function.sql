DO $$ BEGIN EXECUTE $x$ALTER ROLE t_nobody PASSWORD 'hunter2-secret'$x$; END $$;
