-- An object of every kind; needs a superuser.

CREATE SCHEMA "Other one";
CREATE EXTENSION dict_int SCHEMA public;
CREATE TYPE mood AS ENUM ('so, so', 'good', 'it''s fine');
CREATE TYPE spare AS ENUM ('a', 'b', 'c');
CREATE DOMAIN email AS text COLLATE "C" DEFAULT 'none' CONSTRAINT looks_right CHECK (VALUE LIKE '%@%');
CREATE DOMAIN percent AS int NOT NULL;
CREATE TYPE address AS (street text, city text COLLATE "C", zip varchar(10));
CREATE FUNCTION float_gap(float8, float8) RETURNS float8 LANGUAGE sql IMMUTABLE AS 'SELECT $2 - $1';
CREATE TYPE pair AS (x int, y int);
CREATE TYPE float_range AS RANGE (subtype = float8, subtype_diff = float_gap);
CREATE TYPE ghost;
CREATE TYPE label;
CREATE FUNCTION label_in(cstring) RETURNS label LANGUAGE internal IMMUTABLE STRICT AS 'textin';
CREATE FUNCTION label_out(label) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'textout';
CREATE TYPE label (INPUT = label_in, OUTPUT = label_out, LIKE = text);
CREATE COLLATION plain (provider = libc, locale = 'C');
CREATE COLLATION "Other one".plain (provider = libc, locale = 'C');
CREATE CONVERSION latin FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8;
CREATE TEXT SEARCH PARSER words (START = prsd_start, GETTOKEN = prsd_nexttoken, END = prsd_end,
                                 LEXTYPES = prsd_lextype, HEADLINE = prsd_headline);
CREATE TEXT SEARCH TEMPLATE plainly (INIT = dsimple_init, LEXIZE = dsimple_lexize);
CREATE TEXT SEARCH DICTIONARY numbers (TEMPLATE = intdict_template, maxlen = 8);
CREATE TEXT SEARCH CONFIGURATION prose (COPY = english);
CREATE SEQUENCE tickets START 10 INCREMENT 5 MAXVALUE 1000000 CYCLE CACHE 3;

CREATE TABLE users (
    id bigint GENERATED ALWAYS AS IDENTITY (START 100),
    email email NOT NULL,
    name varchar(80) DEFAULT 'nobody' COLLATE "C",
    mood mood DEFAULT 'good',
    home address,
    score numeric(10, 2) CHECK (score >= 0),
    area int4range,
    bio text,
    created_at timestamptz(3) NOT NULL DEFAULT now(),
    initial text GENERATED ALWAYS AS (lower(bio)) STORED,
    CONSTRAINT users_pkey PRIMARY KEY (id),
    CONSTRAINT users_email_key UNIQUE (email) DEFERRABLE,
    CONSTRAINT users_area_excl EXCLUDE USING gist (area WITH &&)
) WITH (fillfactor = 90);
COMMENT ON TABLE users IS 'People: all of them';
COMMENT ON COLUMN users.email IS E'Two\nlines';
CREATE TABLE "Other one"."Odd ""names""" ("a: b" int PRIMARY KEY, "select" text DEFAULT $$it's$$);
CREATE TABLE orders (
    id serial PRIMARY KEY,
    user_id bigint NOT NULL,
    total numeric NOT NULL DEFAULT 0,
    state text,
    CONSTRAINT orders_user_fkey FOREIGN KEY (user_id) REFERENCES users ON DELETE CASCADE,
    CONSTRAINT orders_total_check CHECK (total >= 0) NO INHERIT
);
ALTER TABLE orders ADD CONSTRAINT orders_state_check CHECK (state <> '') NOT VALID;
CREATE TABLE events (id bigint, at timestamptz NOT NULL, body text, PRIMARY KEY (id, at))
    PARTITION BY RANGE (at);
CREATE TABLE events_2024 PARTITION OF events FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE events_rest PARTITION OF events DEFAULT;
CREATE INDEX events_body ON events (body);
CREATE TABLE split (a int, b int) PARTITION BY HASH (a);
CREATE TABLE parent (a int, b text);
CREATE TABLE child (c int) INHERITS (parent);
CREATE UNLOGGED TABLE scratchpad (note text);
CREATE TABLE typed OF address;
CREATE INDEX users_name ON users (name);
CREATE UNIQUE INDEX users_replica ON users (id);
CREATE UNIQUE INDEX users_lower ON users (lower(bio)) INCLUDE (name) WHERE bio IS NOT NULL;
CREATE INDEX orders_expression ON orders ((total * 2), state DESC NULLS LAST) WITH (fillfactor = 70);
ALTER TABLE users ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON users AS PERMISSIVE FOR SELECT TO fuzz_reader, "fuzz writer" USING (id > 0);
CREATE POLICY never ON users AS RESTRICTIVE FOR ALL TO PUBLIC USING (true) WITH CHECK (score > 1);

CREATE FUNCTION add(a int, b int DEFAULT 2) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT a + b';
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- a comment, and a blank line

    NEW.created_at := now();
    IF NEW.score IS NULL THEN
        NEW.score := 0;
    END IF;
    NEW.name := trim(NEW.name);
    RETURN NEW;
END $$;
CREATE FUNCTION atomic(n bigint) RETURNS bigint LANGUAGE sql STABLE
    BEGIN ATOMIC SELECT count(*) FROM public.orders WHERE user_id = n; END;
CREATE PROCEDURE tidy(INOUT n int) LANGUAGE plpgsql AS $$ BEGIN n := n + 1; END $$;
CREATE FUNCTION place() RETURNS bigint LANGUAGE internal WINDOW AS 'window_row_number';
CREATE AGGREGATE total(int) (SFUNC = add, STYPE = int, INITCOND = '0');
CREATE FUNCTION same(a int, b int) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT a = b';
CREATE OPERATOR === (LEFTARG = int, RIGHTARG = int, FUNCTION = same, COMMUTATOR = ===, RESTRICT = eqsel);
CREATE OPERATOR FAMILY ints USING btree;
ALTER OPERATOR FAMILY ints USING btree ADD OPERATOR 1 < (int4, int8), FUNCTION 1 btint48cmp(int4, int8);
CREATE OPERATOR CLASS ints FOR TYPE int4 USING btree FAMILY ints AS
    OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 btint4cmp(int4, int4);
CREATE CAST (address AS text) WITH INOUT AS ASSIGNMENT;
CREATE TRANSFORM FOR address LANGUAGE sql (FROM SQL WITH FUNCTION prsd_lextype(internal));
CREATE FUNCTION talk_call() RETURNS language_handler LANGUAGE c AS '$libdir/plpgsql', 'plpgsql_call_handler';
CREATE LANGUAGE talk HANDLER talk_call;
CREATE ACCESS METHOD pile TYPE TABLE HANDLER heap_tableam_handler;

CREATE TRIGGER touch BEFORE INSERT OR UPDATE OF name ON users FOR EACH ROW
    WHEN (NEW.name IS NOT NULL) EXECUTE FUNCTION touch();
CREATE TRIGGER touch BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION touch();
CREATE RULE quiet AS ON DELETE TO scratchpad DO INSTEAD NOTHING;
CREATE VIEW active AS SELECT id, name FROM users WHERE score > 0 ORDER BY name;
CREATE VIEW guarded WITH (security_barrier = true) AS SELECT id FROM orders;
CREATE MATERIALIZED VIEW totals AS SELECT user_id, sum(total) AS total FROM orders GROUP BY user_id;
CREATE INDEX totals_user ON totals (user_id);
CREATE STATISTICS users_stats (ndistinct, dependencies) ON name, mood FROM users;

CREATE FOREIGN DATA WRAPPER far OPTIONS (debug 'true');
CREATE SERVER faraway TYPE 'thing' VERSION '1' FOREIGN DATA WRAPPER far
    OPTIONS (host 'far.example', sslpassword 'open-sesame-1');
CREATE USER MAPPING FOR fuzz_reader SERVER faraway OPTIONS ("user" 'bob', password 'open-sesame-2');
CREATE USER MAPPING FOR PUBLIC SERVER faraway OPTIONS ("user" 'anyone', api_key 'open-sesame-3');
CREATE FOREIGN TABLE distant (id int OPTIONS (column_name 'nr'), body text) SERVER faraway
    OPTIONS (table_name 'near');
CREATE PUBLICATION everything FOR ALL TABLES WITH (publish = 'insert, update');
CREATE PUBLICATION few FOR TABLE orders, "Other one"."Odd ""names""";
CREATE FUNCTION noticed() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN END $$;
CREATE EVENT TRIGGER noticing ON sql_drop WHEN TAG IN ('DROP SERVER') EXECUTE FUNCTION noticed();

GRANT SELECT, INSERT ON users TO fuzz_reader;
GRANT SELECT (id, state), UPDATE (state) ON orders TO "fuzz writer" WITH GRANT OPTION;
GRANT USAGE ON SEQUENCE tickets TO fuzz_reader;
REVOKE EXECUTE ON FUNCTION add(int, int) FROM PUBLIC;
GRANT USAGE ON SCHEMA "Other one" TO fuzz_reader;
ALTER DEFAULT PRIVILEGES FOR ROLE fuzz_owner IN SCHEMA public GRANT SELECT ON TABLES TO fuzz_reader;
ALTER DEFAULT PRIVILEGES FOR ROLE fuzz_owner REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
ALTER TABLE parent OWNER TO fuzz_owner;
