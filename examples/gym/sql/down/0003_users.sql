ALTER TABLE gyms DROP CONSTRAINT gyms_manager_id_fkey;
COMMENT ON COLUMN gyms.manager_id IS NULL;
DROP TABLE users;
