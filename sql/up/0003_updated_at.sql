-- Maintains updated_at. Each table has its own trigger of this form:
--   BEFORE UPDATE ... FOR EACH ROW WHEN (OLD.* *<> NEW.*) EXECUTE FUNCTION set_updated_at()
-- so that an UPDATE which changes nothing leaves updated_at unchanged and does not call the function.
-- *<> compares the stored bytes. IS DISTINCT FROM would use the equality of each type, and for citext
-- "Ada" and "ada" are equal: that change would be missed.

-- It names no table and calls only now(), so it needs no search_path, which would cost time at each call.
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
