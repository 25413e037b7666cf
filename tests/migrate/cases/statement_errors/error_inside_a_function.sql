CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM nope FROM pg_class;
END $$;
SELECT 1, f();
