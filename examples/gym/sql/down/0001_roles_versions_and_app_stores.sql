DROP TABLE app_stores;
DROP TABLE versions;
DROP TABLE roles;
