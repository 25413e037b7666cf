-- Drops the id generator; no table uses it any more.

DROP FUNCTION ulid_timestamp(text);
DROP FUNCTION generate_ulid();
DROP FUNCTION ulid_encode(bigint, uuid);
