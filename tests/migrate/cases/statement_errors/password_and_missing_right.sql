DO $$ BEGIN
  RAISE 'must be owner of PASSWORD ''hunter2-secret''' USING ERRCODE = '42501';
END $$;
