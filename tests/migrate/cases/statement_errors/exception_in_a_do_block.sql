DO $$
BEGIN
  RAISE EXCEPTION 'Grüße' USING DETAIL = 'a detail', HINT = 'a hint', ERRCODE = 'P0042';
END $$;
