-- Keeps updated_at. Each table has its own trigger, all alike:
--   BEFORE UPDATE ... FOR EACH ROW WHEN (OLD.* *<> NEW.*) EXECUTE FUNCTION set_updated_at()
-- so that an UPDATE which changes nothing leaves updated_at alone and does not even call the function.
-- *<> compares the stored bytes. IS DISTINCT FROM would use the equality of each type, and to citext "Ada"
-- and "ada" are equal: that change would go unseen.

-- It names no table and calls nothing but now(): no search_path has to be set, which would cost at each call.
CREATE FUNCTION set_updated_at() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
  NEW.updated_at := now();
  RETURN NEW;
END
$$;

COMMENT ON FUNCTION set_updated_at() IS
  'Trigger: sets updated_at to the time of the transaction.';
