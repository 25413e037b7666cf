-- Takes the trigger function away; its triggers went with their tables.

DROP FUNCTION set_updated_at();
