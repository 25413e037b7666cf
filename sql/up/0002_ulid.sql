-- Ids are ULIDs: 26 characters of Crockford's base 32 (0-9, A-Z without I, L, O, U). Their text order in the
-- collation "C" is the order of their creation times, so new rows go to the right edge of every index, and a
-- page of messages is a range of ids. The generator uses core functions only and needs no extension.
--
--   01M7XXYZHZ H8 AF2BRD97RMHKAP
--   |          |  |
--   |          |  14 characters: 70 random bits
--   |          2 characters: the fraction of the millisecond, in 1/1024 (finer than a microsecond)
--   10 characters: 48 bits of milliseconds since 1970

-- A loop over 26 characters costs more than the rest of an INSERT. This function computes eight characters at
-- a time, one in each byte of a bigint. A byte v of 0 to 31 becomes a character in two steps:
--   v + k carries into bit 5 (0x20) exactly when v >= 32 - k, and K - v when v <= K - 32;
--   '0' is 0x30; from 10 on, 7 is added to reach 'A'; from 18, 20, 22 and 27 on, 1 more to skip I, L, O and U.
-- No byte overflows into the next one, nor the highest byte into the sign.
CREATE FUNCTION ulid_encode(tick bigint, entropy uuid) RETURNS text
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
AS $$
DECLARE
  -- characters 3 to 10: eight times five bits of the tick, each in its own byte
  a constant bigint := (tick << 11 & x'1F00000000000000'::bigint)
                     | (tick <<  8 & x'001F000000000000'::bigint)
                     | (tick <<  5 & x'00001F0000000000'::bigint)
                     | (tick <<  2 & x'0000001F00000000'::bigint)
                     | (tick >>  1 & x'000000001F000000'::bigint)
                     | (tick >>  4 & x'00000000001F0000'::bigint)
                     | (tick >>  7 & x'0000000000001F00'::bigint)
                     | (tick >> 10 & x'000000000000001F'::bigint);
  -- characters 11 and 12: the last ten bits of the tick; 13 to 26: a hash, because six bits of a UUID are fixed
  b constant bigint := (tick << 51 & x'1F00000000000000'::bigint)
                     | (tick << 48 & x'001F000000000000'::bigint)
                     | (uuid_hash_extended(entropy, 0) & x'00001F1F1F1F1F1F'::bigint);
  c constant bigint := uuid_hash_extended(entropy, 1) & x'1F1F1F1F1F1F1F1F'::bigint;
BEGIN
  RETURN encode(
    -- characters 1 and 2: digits until the year 2318; later ones are rejected by the CHECK of every id column
    int2send(((tick >> 50) + x'3030'::int)::smallint)
    || int8send(a + x'3131313131313131'::bigint
                  + (a + x'1616161616161616'::bigint >> 5 & x'0101010101010101'::bigint) * 7
                  + ((a + x'0C0C0C0C0C0C0C0C'::bigint & x'2020202020202020'::bigint)
                   + (a + x'0A0A0A0A0A0A0A0A'::bigint & x'2020202020202020'::bigint)
                   + (a + x'0505050505050505'::bigint & x'2020202020202020'::bigint)
                   - (x'3131313131313131'::bigint - a & x'2020202020202020'::bigint) >> 5))
    || int8send(b + x'3131313131313131'::bigint
                  + (b + x'1616161616161616'::bigint >> 5 & x'0101010101010101'::bigint) * 7
                  + ((b + x'0C0C0C0C0C0C0C0C'::bigint & x'2020202020202020'::bigint)
                   + (b + x'0A0A0A0A0A0A0A0A'::bigint & x'2020202020202020'::bigint)
                   + (b + x'0505050505050505'::bigint & x'2020202020202020'::bigint)
                   - (x'3131313131313131'::bigint - b & x'2020202020202020'::bigint) >> 5))
    || int8send(c + x'3131313131313131'::bigint
                  + (c + x'1616161616161616'::bigint >> 5 & x'0101010101010101'::bigint) * 7
                  + ((c + x'0C0C0C0C0C0C0C0C'::bigint & x'2020202020202020'::bigint)
                   + (c + x'0A0A0A0A0A0A0A0A'::bigint & x'2020202020202020'::bigint)
                   + (c + x'0505050505050505'::bigint & x'2020202020202020'::bigint)
                   - (x'3131313131313131'::bigint - c & x'2020202020202020'::bigint) >> 5)),
    'escape');
END
$$;

-- A single expression, which the planner inlines into the column default: the INSERT itself reads the clock and
-- the random value, and the only further cost is one PL/pgSQL call. tstzrange_subdiff() is PostgreSQL's cheapest
-- way to convert a timestamp to seconds.
CREATE FUNCTION generate_ulid() RETURNS text
LANGUAGE sql VOLATILE PARALLEL SAFE
RETURN ulid_encode((tstzrange_subdiff(clock_timestamp(), to_timestamp(0)) * 1024000)::bigint, gen_random_uuid());

CREATE FUNCTION ulid_timestamp(ulid text) RETURNS timestamptz
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
AS $$
DECLARE
  ms bigint := 0;
BEGIN
  IF ulid !~ '^[0-7][0-9A-HJKMNP-TV-Z]{25}$' THEN
    RAISE EXCEPTION 'malformed ULID: "%"', left(ulid, 40)
      USING ERRCODE = 'invalid_text_representation',
            HINT = 'A ULID has 26 characters: digits and capital letters without I, L, O and U, the first at most 7.';
  END IF;
  FOR i IN 1..10 LOOP
    ms := ms * 32 + strpos('0123456789ABCDEFGHJKMNPQRSTVWXYZ', substr(ulid, i, 1)) - 1;
  END LOOP;
  RETURN to_timestamp(ms / 1000) + ms % 1000 * interval '1 millisecond';
END
$$;

COMMENT ON FUNCTION ulid_encode(bigint, uuid) IS
  'The ULID for a point in time, in 1/1024 milliseconds since 1970, and a random UUID.';
COMMENT ON FUNCTION generate_ulid() IS
  'A new ULID: 48 bits of milliseconds, 10 bits of the fraction of the millisecond, 70 random bits. Sorts by time.';
COMMENT ON FUNCTION ulid_timestamp(text) IS
  'When a ULID was created, to the millisecond. A malformed ULID raises 22P02.';
