-- Drops the trigger function; its triggers were dropped with their tables.

DROP FUNCTION set_updated_at();
