DROP TABLE chatdb_migration CASCADE;
