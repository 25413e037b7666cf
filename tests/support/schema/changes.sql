-- Every kind of change to world.sql: what it is, the object that it must be reported of, and (if not every
-- version has it) since which version; then the change, and what undoes it.

--- a new table | table public.fresh
CREATE TABLE fresh (id int);
--- undo
DROP TABLE fresh;
--- a table is dropped | table public.scratchpad
DROP TABLE scratchpad;
--- undo
CREATE UNLOGGED TABLE scratchpad (note text); CREATE RULE quiet AS ON DELETE TO scratchpad DO INSTEAD NOTHING;
--- a table is renamed | table public.typed
ALTER TABLE typed RENAME TO hyped;
--- undo
ALTER TABLE hyped RENAME TO typed;
--- a table moves to another schema | table public.typed
ALTER TABLE typed SET SCHEMA "Other one";
--- undo
ALTER TABLE "Other one".typed SET SCHEMA public;
--- the persistence of a table | table public.scratchpad
ALTER TABLE scratchpad SET LOGGED;
--- undo
ALTER TABLE scratchpad SET UNLOGGED;
--- a storage parameter | table public.users
ALTER TABLE users SET (fillfactor = 80);
--- undo
ALTER TABLE users SET (fillfactor = 90);
--- a storage parameter of the TOAST table | table public.users
ALTER TABLE users SET (toast.autovacuum_enabled = false);
--- undo
ALTER TABLE users RESET (toast.autovacuum_enabled);
--- the access method of a table | table public.child | 15
ALTER TABLE child SET ACCESS METHOD pile;
--- undo
ALTER TABLE child SET ACCESS METHOD heap;
--- the access method of a new table | table public.heaped
CREATE TABLE heaped (a int) USING pile;
--- undo
DROP TABLE heaped;
--- row-level security is disabled | table public.users
ALTER TABLE users DISABLE ROW LEVEL SECURITY;
--- undo
ALTER TABLE users ENABLE ROW LEVEL SECURITY;
--- row-level security is forced | table public.users
ALTER TABLE users FORCE ROW LEVEL SECURITY;
--- undo
ALTER TABLE users NO FORCE ROW LEVEL SECURITY;
--- the replica identity | table public.orders
ALTER TABLE orders REPLICA IDENTITY FULL;
--- undo
ALTER TABLE orders REPLICA IDENTITY DEFAULT;
--- an index as the replica identity | table public.users
ALTER TABLE users REPLICA IDENTITY USING INDEX users_replica;
--- undo
ALTER TABLE users REPLICA IDENTITY DEFAULT;
--- a partition is detached | table public.events_2024
ALTER TABLE events DETACH PARTITION events_2024;
--- undo
ALTER TABLE events ATTACH PARTITION events_2024 FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
--- the bound of a partition | table public.events_2024
ALTER TABLE events DETACH PARTITION events_2024; ALTER TABLE events ATTACH PARTITION events_2024 FOR VALUES FROM ('2024-01-01') TO ('2024-07-01');
--- undo
ALTER TABLE events DETACH PARTITION events_2024; ALTER TABLE events ATTACH PARTITION events_2024 FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
--- a new partition | table public.events_2023
CREATE TABLE events_2023 PARTITION OF events FOR VALUES FROM ('2023-01-01') TO ('2024-01-01');
--- undo
DROP TABLE events_2023;
--- the partition key | partitioned table public.split
DROP TABLE split; CREATE TABLE split (a int, b int) PARTITION BY HASH (b);
--- undo
DROP TABLE split; CREATE TABLE split (a int, b int) PARTITION BY HASH (a);
--- inheritance is removed | table public.child
ALTER TABLE child NO INHERIT parent;
--- undo
ALTER TABLE child INHERIT parent; UPDATE pg_attribute SET attislocal = false WHERE attrelid = 'child'::regclass AND attname IN ('a', 'b');
--- a table has no type any more | table public.typed
ALTER TABLE typed NOT OF;
--- undo
ALTER TABLE typed OF address;
--- the owner of a table | table public.orders
ALTER TABLE orders OWNER TO fuzz_owner;
--- undo
ALTER TABLE orders OWNER TO CURRENT_USER;
--- a comment on a table | table public.users
COMMENT ON TABLE users IS 'Others';
--- undo
COMMENT ON TABLE users IS 'People: all of them';
--- a security label | table public.users
INSERT INTO pg_seclabel VALUES ('users'::regclass, 'pg_class'::regclass, 0, 'dummy', 'secret');
--- undo
DELETE FROM pg_seclabel;
--- a security label of a column | column public.users.bio
INSERT INTO pg_seclabel VALUES ('users'::regclass, 'pg_class'::regclass, 8, 'dummy', 'secret');
--- undo
DELETE FROM pg_seclabel;
--- a grant on a table | table public.users
GRANT DELETE ON users TO "fuzz writer";
--- undo
REVOKE DELETE ON users FROM "fuzz writer";
--- a grant is revoked | table public.users
REVOKE INSERT ON users FROM fuzz_reader;
--- undo
GRANT INSERT ON users TO fuzz_reader;
--- a grant option | table public.users
GRANT SELECT ON users TO fuzz_reader WITH GRANT OPTION;
--- undo
REVOKE GRANT OPTION FOR SELECT ON users FROM fuzz_reader;
--- the owner's own privileges are revoked | table public.orders
REVOKE ALL ON orders FROM CURRENT_USER;
--- undo
GRANT ALL ON orders TO CURRENT_USER;
--- a column is added | column public.users.extra
ALTER TABLE users ADD extra int;
--- undo
ALTER TABLE users DROP extra;
--- a column is added to a parent | column public.child.extra
ALTER TABLE parent ADD extra int;
--- undo
ALTER TABLE parent DROP extra;
--- a column is dropped | column public.scratchpad.note
ALTER TABLE scratchpad DROP note;
--- undo
ALTER TABLE scratchpad ADD note text;
--- a column is renamed | column public.orders.total
ALTER TABLE orders RENAME total TO sum;
--- undo
ALTER TABLE orders RENAME sum TO total;
--- a type | column public.parent.a
ALTER TABLE parent ALTER a TYPE numeric(12, 2);
--- undo
ALTER TABLE parent ALTER a TYPE int;
--- the length of a type | column public.parent.b
ALTER TABLE parent ALTER b TYPE varchar(5);
--- undo
ALTER TABLE parent ALTER b TYPE text;
--- the precision of a type | column public.users.created_at
ALTER TABLE users ALTER created_at TYPE timestamptz(2);
--- undo
ALTER TABLE users ALTER created_at TYPE timestamptz(3);
--- a collation | column public.orders.state
ALTER TABLE orders ALTER state TYPE text COLLATE plain;
--- undo
ALTER TABLE orders ALTER state TYPE text;
--- a collation of the same name in another schema | column public.orders.state
ALTER TABLE orders ALTER state TYPE text COLLATE "Other one".plain;
--- undo
ALTER TABLE orders ALTER state TYPE text COLLATE "default";
--- a default | column public.orders.total
ALTER TABLE orders ALTER total SET DEFAULT 1;
--- undo
ALTER TABLE orders ALTER total SET DEFAULT 0;
--- a default is dropped | column public.users.mood
ALTER TABLE users ALTER mood DROP DEFAULT;
--- undo
ALTER TABLE users ALTER mood SET DEFAULT 'good';
--- a column may be null | column public.orders.total
ALTER TABLE orders ALTER total DROP NOT NULL;
--- undo
ALTER TABLE orders ALTER total SET NOT NULL;
--- a column may not be null | column public.users.bio
ALTER TABLE users ALTER bio SET NOT NULL;
--- undo
ALTER TABLE users ALTER bio DROP NOT NULL;
--- a NOT NULL that is not valid | column public.users.bio | 18
ALTER TABLE users ADD CONSTRAINT nn NOT NULL bio NOT VALID;
--- undo
ALTER TABLE users DROP CONSTRAINT nn;
--- a NOT NULL that is not inherited | column public.orders.state | 18
ALTER TABLE orders ADD CONSTRAINT nn NOT NULL state NO INHERIT;
--- undo
ALTER TABLE orders DROP CONSTRAINT nn;
--- the kind of an identity | column public.users.id
ALTER TABLE users ALTER id SET GENERATED BY DEFAULT;
--- undo
ALTER TABLE users ALTER id SET GENERATED ALWAYS;
--- the sequence of an identity | sequence public.users_id_seq
ALTER TABLE users ALTER id SET INCREMENT 2;
--- undo
ALTER TABLE users ALTER id SET INCREMENT 1;
--- a column is generated no more | column public.users.initial
ALTER TABLE users ALTER initial DROP EXPRESSION;
--- undo
ALTER TABLE users DROP initial; ALTER TABLE users ADD initial text GENERATED ALWAYS AS (lower(bio)) STORED;
--- the expression of a generated column | column public.users.initial
ALTER TABLE users DROP initial; ALTER TABLE users ADD initial text GENERATED ALWAYS AS (upper(bio)) STORED;
--- undo
ALTER TABLE users DROP initial; ALTER TABLE users ADD initial text GENERATED ALWAYS AS (lower(bio)) STORED;
--- a virtual column | column public.orders.twice | 18
ALTER TABLE orders ADD twice numeric GENERATED ALWAYS AS (total * 2) VIRTUAL;
--- undo
ALTER TABLE orders DROP twice;
--- the compression of a column | column public.users.bio
ALTER TABLE users ALTER bio SET COMPRESSION pglz;
--- undo
ALTER TABLE users ALTER bio SET COMPRESSION default;
--- the storage of a column | column public.users.bio
ALTER TABLE users ALTER bio SET STORAGE EXTERNAL;
--- undo
ALTER TABLE users ALTER bio SET STORAGE EXTENDED;
--- the statistics target of a column | column public.users.bio
ALTER TABLE users ALTER bio SET STATISTICS 500;
--- undo
ALTER TABLE users ALTER bio SET STATISTICS -1;
--- a parameter of a column | column public.users.bio
ALTER TABLE users ALTER bio SET (n_distinct = 5);
--- undo
ALTER TABLE users ALTER bio RESET (n_distinct);
--- a comment on a column | column public.users.email
COMMENT ON COLUMN users.email IS E'Two\n lines';
--- undo
COMMENT ON COLUMN users.email IS E'Two\nlines';
--- a grant on a column | column public.users.bio
GRANT SELECT (bio) ON users TO "fuzz writer";
--- undo
REVOKE SELECT (bio) ON users FROM "fuzz writer";
--- a check | constraint users_score_check on public.users
ALTER TABLE users DROP CONSTRAINT users_score_check; ALTER TABLE users ADD CONSTRAINT users_score_check CHECK (score > 0);
--- undo
ALTER TABLE users DROP CONSTRAINT users_score_check; ALTER TABLE users ADD CONSTRAINT users_score_check CHECK (score >= 0);
--- a new constraint | constraint wide on public.orders
ALTER TABLE orders ADD CONSTRAINT wide CHECK (length(state) < 9);
--- undo
ALTER TABLE orders DROP CONSTRAINT wide;
--- a constraint is validated | constraint orders_state_check on public.orders
ALTER TABLE orders VALIDATE CONSTRAINT orders_state_check;
--- undo
ALTER TABLE orders DROP CONSTRAINT orders_state_check; ALTER TABLE orders ADD CONSTRAINT orders_state_check CHECK (state <> '') NOT VALID;
--- a constraint is renamed | constraint orders_user_fkey on public.orders
ALTER TABLE orders RENAME CONSTRAINT orders_user_fkey TO orders_person_fkey;
--- undo
ALTER TABLE orders RENAME CONSTRAINT orders_person_fkey TO orders_user_fkey;
--- a constraint is inherited | constraint orders_total_check on public.orders
ALTER TABLE orders DROP CONSTRAINT orders_total_check; ALTER TABLE orders ADD CONSTRAINT orders_total_check CHECK (total >= 0);
--- undo
ALTER TABLE orders DROP CONSTRAINT orders_total_check; ALTER TABLE orders ADD CONSTRAINT orders_total_check CHECK (total >= 0) NO INHERIT;
--- a constraint is not enforced | constraint orders_user_fkey on public.orders | 18
ALTER TABLE orders ALTER CONSTRAINT orders_user_fkey NOT ENFORCED;
--- undo
ALTER TABLE orders ALTER CONSTRAINT orders_user_fkey ENFORCED;
--- a foreign key is deferrable | constraint orders_user_fkey on public.orders
ALTER TABLE orders ALTER CONSTRAINT orders_user_fkey DEFERRABLE INITIALLY DEFERRED;
--- undo
ALTER TABLE orders ALTER CONSTRAINT orders_user_fkey NOT DEFERRABLE;
--- the action of a foreign key | constraint orders_user_fkey on public.orders
ALTER TABLE orders DROP CONSTRAINT orders_user_fkey; ALTER TABLE orders ADD CONSTRAINT orders_user_fkey FOREIGN KEY (user_id) REFERENCES users ON DELETE SET NULL;
--- undo
ALTER TABLE orders DROP CONSTRAINT orders_user_fkey; ALTER TABLE orders ADD CONSTRAINT orders_user_fkey FOREIGN KEY (user_id) REFERENCES users ON DELETE CASCADE;
--- the triggers of a foreign key are disabled | constraint orders_user_fkey on public.orders
ALTER TABLE orders DISABLE TRIGGER ALL;
--- undo
ALTER TABLE orders ENABLE TRIGGER ALL;
--- a primary key | constraint "Odd" on public.child
ALTER TABLE child ADD CONSTRAINT "Odd" PRIMARY KEY (c);
--- undo
ALTER TABLE child DROP CONSTRAINT "Odd"; ALTER TABLE child ALTER c DROP NOT NULL;
--- a storage parameter of a key | constraint users_pkey on public.users
ALTER INDEX users_pkey SET (fillfactor = 50);
--- undo
ALTER INDEX users_pkey RESET (fillfactor);
--- an exclusion | constraint users_area_excl on public.users
ALTER TABLE users DROP CONSTRAINT users_area_excl;
--- undo
ALTER TABLE users ADD CONSTRAINT users_area_excl EXCLUDE USING gist (area WITH &&);
--- a comment on a constraint | constraint users_pkey on public.users
COMMENT ON CONSTRAINT users_pkey ON users IS 'the key';
--- undo
COMMENT ON CONSTRAINT users_pkey ON users IS NULL;
--- a comment on the index of a constraint | constraint users_pkey on public.users
COMMENT ON INDEX users_pkey IS 'the key';
--- undo
COMMENT ON INDEX users_pkey IS NULL;
--- a new index | index fresh on public.orders
CREATE INDEX fresh ON orders (state);
--- undo
DROP INDEX fresh;
--- an index on a materialized view | index totals_user on public.totals
DROP INDEX totals_user;
--- undo
CREATE INDEX totals_user ON totals (user_id);
--- the predicate of an index | index users_lower on public.users
DROP INDEX users_lower; CREATE UNIQUE INDEX users_lower ON users (lower(bio)) INCLUDE (name) WHERE bio <> '';
--- undo
DROP INDEX users_lower; CREATE UNIQUE INDEX users_lower ON users (lower(bio)) INCLUDE (name) WHERE bio IS NOT NULL;
--- an operator class of an index | index users_name on public.users
DROP INDEX users_name; CREATE INDEX users_name ON users (name varchar_pattern_ops);
--- undo
DROP INDEX users_name; CREATE INDEX users_name ON users (name);
--- NULLs are not distinct in an index | index users_lower on public.users | 15
DROP INDEX users_lower; CREATE UNIQUE INDEX users_lower ON users (lower(bio)) INCLUDE (name) NULLS NOT DISTINCT WHERE bio IS NOT NULL;
--- undo
DROP INDEX users_lower; CREATE UNIQUE INDEX users_lower ON users (lower(bio)) INCLUDE (name) WHERE bio IS NOT NULL;
--- an index is invalid | index users_name on public.users
UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'users_name'::regclass;
--- undo
UPDATE pg_index SET indisvalid = true WHERE indexrelid = 'users_name'::regclass;
--- an index is that of CLUSTER | index users_name on public.users
ALTER TABLE users CLUSTER ON users_name;
--- undo
ALTER TABLE users SET WITHOUT CLUSTER;
--- a key is that of CLUSTER | constraint users_pkey on public.users
ALTER TABLE users CLUSTER ON users_pkey;
--- undo
ALTER TABLE users SET WITHOUT CLUSTER;
--- the statistics target of an index | index orders_expression on public.orders
ALTER INDEX orders_expression ALTER COLUMN 1 SET STATISTICS 300;
--- undo
ALTER INDEX orders_expression ALTER COLUMN 1 SET STATISTICS -1;
--- an index has no partition | index events_body on public.events
CREATE INDEX lonely ON ONLY events (body); DROP INDEX events_body;
--- undo
DROP INDEX lonely; CREATE INDEX events_body ON events (body);
--- a comment on an index | index users_name on public.users
COMMENT ON INDEX users_name IS 'names';
--- undo
COMMENT ON INDEX users_name IS NULL;
--- an index depends on an extension | index users_name on public.users
ALTER INDEX users_name DEPENDS ON EXTENSION dict_int;
--- undo
ALTER INDEX users_name NO DEPENDS ON EXTENSION dict_int;
--- the increment of a sequence | sequence public.tickets
ALTER SEQUENCE tickets INCREMENT 7;
--- undo
ALTER SEQUENCE tickets INCREMENT 5;
--- the type of a sequence | sequence public.tickets
ALTER SEQUENCE tickets AS int;
--- undo
ALTER SEQUENCE tickets AS bigint;
--- a sequence does not cycle | sequence public.tickets
ALTER SEQUENCE tickets NO CYCLE;
--- undo
ALTER SEQUENCE tickets CYCLE;
--- the column that owns a sequence | sequence public.tickets
ALTER SEQUENCE tickets OWNED BY orders.id;
--- undo
ALTER SEQUENCE tickets OWNED BY NONE;
--- a grant on a sequence | sequence public.tickets
GRANT UPDATE ON SEQUENCE tickets TO fuzz_reader;
--- undo
REVOKE UPDATE ON SEQUENCE tickets FROM fuzz_reader;
--- the definition of a view | view public.active
CREATE OR REPLACE VIEW active AS SELECT id, name FROM users WHERE score > 1 ORDER BY name;
--- undo
CREATE OR REPLACE VIEW active AS SELECT id, name FROM users WHERE score > 0 ORDER BY name;
--- an option of a view | view public.guarded
ALTER VIEW guarded SET (security_barrier = false);
--- undo
ALTER VIEW guarded SET (security_barrier = true);
--- the default of a view's column | column public.active.name
ALTER VIEW active ALTER name SET DEFAULT 'x';
--- undo
ALTER VIEW active ALTER name DROP DEFAULT;
--- a view is dropped | view public.active
DROP VIEW active;
--- undo
CREATE VIEW active AS SELECT id, name FROM users WHERE score > 0 ORDER BY name;
--- the definition of a materialized view | materialized view public.totals
DROP MATERIALIZED VIEW totals; CREATE MATERIALIZED VIEW totals AS SELECT user_id, max(total) AS total FROM orders GROUP BY user_id; CREATE INDEX totals_user ON totals (user_id);
--- undo
DROP MATERIALIZED VIEW totals; CREATE MATERIALIZED VIEW totals AS SELECT user_id, sum(total) AS total FROM orders GROUP BY user_id; CREATE INDEX totals_user ON totals (user_id);
--- a view and a materialized view | view public.guarded
DROP VIEW guarded; CREATE MATERIALIZED VIEW guarded AS SELECT id FROM orders;
--- undo
DROP MATERIALIZED VIEW guarded; CREATE VIEW guarded WITH (security_barrier = true) AS SELECT id FROM orders;
--- the body of a function | function public.add(integer,integer)
CREATE OR REPLACE FUNCTION add(a int, b int DEFAULT 2) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT b + a';
--- undo
CREATE OR REPLACE FUNCTION add(a int, b int DEFAULT 2) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT a + b';
--- the default of an argument | function public.add(integer,integer)
CREATE OR REPLACE FUNCTION add(a int, b int DEFAULT 3) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT a + b';
--- undo
CREATE OR REPLACE FUNCTION add(a int, b int DEFAULT 2) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT a + b';
--- the volatility of a function | function public.same(integer,integer)
ALTER FUNCTION same(int, int) STABLE;
--- undo
ALTER FUNCTION same(int, int) IMMUTABLE;
--- a function is a security definer | function public.touch()
ALTER FUNCTION touch() SECURITY DEFINER SET search_path = public;
--- undo
ALTER FUNCTION touch() SECURITY INVOKER RESET ALL;
--- the cost of a function | function public.touch()
ALTER FUNCTION touch() COST 7 PARALLEL SAFE;
--- undo
ALTER FUNCTION touch() COST 100 PARALLEL UNSAFE;
--- a function with a parsed body | function public.atomic(bigint)
CREATE OR REPLACE FUNCTION atomic(n bigint) RETURNS bigint LANGUAGE sql STABLE BEGIN ATOMIC SELECT count(*) FROM orders WHERE user_id >= n; END;
--- undo
CREATE OR REPLACE FUNCTION atomic(n bigint) RETURNS bigint LANGUAGE sql STABLE BEGIN ATOMIC SELECT count(*) FROM orders WHERE user_id = n; END;
--- a new overload of a function | function public.add(text,text)
CREATE FUNCTION add(text, text) RETURNS text LANGUAGE sql AS 'SELECT $1 || $2';
--- undo
DROP FUNCTION add(text, text);
--- a grant on a function | function public.add(integer,integer)
GRANT EXECUTE ON FUNCTION add(int, int) TO fuzz_reader;
--- undo
REVOKE EXECUTE ON FUNCTION add(int, int) FROM fuzz_reader;
--- the owner of a function | function public.touch()
ALTER FUNCTION touch() OWNER TO fuzz_owner;
--- undo
ALTER FUNCTION touch() OWNER TO CURRENT_USER;
--- a procedure | procedure public.tidy(integer)
CREATE OR REPLACE PROCEDURE tidy(INOUT n int) LANGUAGE plpgsql AS $$ BEGIN n := n + 2; END $$;
--- undo
CREATE OR REPLACE PROCEDURE tidy(INOUT n int) LANGUAGE plpgsql AS $$ BEGIN n := n + 1; END $$;
--- a window function | window function public.place()
ALTER FUNCTION place() COST 3;
--- undo
ALTER FUNCTION place() COST 1;
--- an aggregate | aggregate public.total(integer)
CREATE OR REPLACE AGGREGATE total(int) (SFUNC = add, STYPE = int, INITCOND = '1');
--- undo
CREATE OR REPLACE AGGREGATE total(int) (SFUNC = add, STYPE = int, INITCOND = '0');
--- an aggregate without an initial state | aggregate public.total(integer)
CREATE OR REPLACE AGGREGATE total(int) (SFUNC = add, STYPE = int);
--- undo
CREATE OR REPLACE AGGREGATE total(int) (SFUNC = add, STYPE = int, INITCOND = '0');
--- a trigger is disabled | trigger touch on public.users
ALTER TABLE users DISABLE TRIGGER touch;
--- undo
ALTER TABLE users ENABLE TRIGGER touch;
--- a trigger is always enabled | trigger touch on public.users
ALTER TABLE users ENABLE ALWAYS TRIGGER touch;
--- undo
ALTER TABLE users ENABLE TRIGGER touch;
--- the trigger of a partition is disabled | trigger touch on public.events_2024
ALTER TABLE events_2024 DISABLE TRIGGER touch;
--- undo
ALTER TABLE events_2024 ENABLE TRIGGER touch;
--- the condition of a trigger | trigger touch on public.users
DROP TRIGGER touch ON users; CREATE TRIGGER touch BEFORE INSERT OR UPDATE OF name ON users FOR EACH ROW EXECUTE FUNCTION touch();
--- undo
DROP TRIGGER touch ON users; CREATE TRIGGER touch BEFORE INSERT OR UPDATE OF name ON users FOR EACH ROW WHEN (NEW.name IS NOT NULL) EXECUTE FUNCTION touch();
--- a constraint trigger | trigger checked on public.orders
CREATE CONSTRAINT TRIGGER checked AFTER INSERT ON orders DEFERRABLE FOR EACH ROW EXECUTE FUNCTION touch();
--- undo
DROP TRIGGER checked ON orders;
--- a comment on a trigger | trigger touch on public.users
COMMENT ON TRIGGER touch ON users IS 'keeps created_at';
--- undo
COMMENT ON TRIGGER touch ON users IS NULL;
--- a rule | rule quiet on public.scratchpad
CREATE OR REPLACE RULE quiet AS ON DELETE TO scratchpad DO ALSO NOTHING;
--- undo
CREATE OR REPLACE RULE quiet AS ON DELETE TO scratchpad DO INSTEAD NOTHING;
--- a rule is disabled | rule quiet on public.scratchpad
ALTER TABLE scratchpad DISABLE RULE quiet;
--- undo
ALTER TABLE scratchpad ENABLE RULE quiet;
--- the condition of a policy | policy own on public.users
ALTER POLICY own ON users USING (id > 1);
--- undo
ALTER POLICY own ON users USING (id > 0);
--- the roles of a policy | policy own on public.users
ALTER POLICY own ON users TO fuzz_reader;
--- undo
ALTER POLICY own ON users TO fuzz_reader, "fuzz writer";
--- what a policy lets write | policy never on public.users
ALTER POLICY never ON users WITH CHECK (score > 2);
--- undo
ALTER POLICY never ON users WITH CHECK (score > 1);
--- a policy is permissive | policy never on public.users
DROP POLICY never ON users; CREATE POLICY never ON users USING (true) WITH CHECK (score > 1);
--- undo
DROP POLICY never ON users; CREATE POLICY never ON users AS RESTRICTIVE USING (true) WITH CHECK (score > 1);
--- a new label of an enum | enum public.spare
ALTER TYPE spare ADD VALUE 'd' BEFORE 'b';
--- undo
DROP TYPE spare; CREATE TYPE spare AS ENUM ('a', 'b', 'c');
--- the order of an enum | enum public.spare
DROP TYPE spare; CREATE TYPE spare AS ENUM ('b', 'a', 'c');
--- undo
DROP TYPE spare; CREATE TYPE spare AS ENUM ('a', 'b', 'c');
--- a label of an enum is renamed | enum public.mood
ALTER TYPE mood RENAME VALUE 'good' TO 'fine';
--- undo
ALTER TYPE mood RENAME VALUE 'fine' TO 'good';
--- a grant on a type | enum public.spare
REVOKE USAGE ON TYPE spare FROM PUBLIC;
--- undo
GRANT USAGE ON TYPE spare TO PUBLIC;
--- a comment on a type | enum public.spare
COMMENT ON TYPE spare IS 'spare';
--- undo
COMMENT ON TYPE spare IS NULL;
--- a column of a composite type | column public.address.country
DROP TABLE typed; ALTER TYPE address ADD ATTRIBUTE country text;
--- undo
ALTER TYPE address DROP ATTRIBUTE country; CREATE TABLE typed OF address;
--- the order of a composite type | composite type public.pair
DROP TYPE pair; CREATE TYPE pair AS (y int, x int);
--- undo
DROP TYPE pair; CREATE TYPE pair AS (x int, y int);
--- the default of a domain | domain public.email
ALTER DOMAIN email SET DEFAULT 'nobody';
--- undo
ALTER DOMAIN email SET DEFAULT 'none';
--- a domain may be null | domain public.percent
ALTER DOMAIN percent DROP NOT NULL;
--- undo
ALTER DOMAIN percent SET NOT NULL;
--- a constraint of a domain | constraint looks_right on public.email
ALTER DOMAIN email DROP CONSTRAINT looks_right; ALTER DOMAIN email ADD CONSTRAINT looks_right CHECK (VALUE LIKE '%@%.%');
--- undo
ALTER DOMAIN email DROP CONSTRAINT looks_right; ALTER DOMAIN email ADD CONSTRAINT looks_right CHECK (VALUE LIKE '%@%');
--- a new constraint of a domain | constraint small on public.percent
ALTER DOMAIN percent ADD CONSTRAINT small CHECK (VALUE <= 100) NOT VALID;
--- undo
ALTER DOMAIN percent DROP CONSTRAINT small;
--- a range type | range type public.float_range
DROP TYPE float_range; CREATE TYPE float_range AS RANGE (subtype = float8);
--- undo
DROP TYPE float_range; CREATE TYPE float_range AS RANGE (subtype = float8, subtype_diff = float_gap);
--- a base type | base type public.label
ALTER TYPE label SET (STORAGE = external);
--- undo
ALTER TYPE label SET (STORAGE = extended);
--- a shell type | base type public.ghost
DROP TYPE ghost;
--- undo
CREATE TYPE ghost;
--- the negator of an operator | operator public.===(integer,integer)
CREATE FUNCTION other(int, int) RETURNS boolean LANGUAGE sql AS 'SELECT $1 <> $2'; CREATE OPERATOR !== (LEFTARG = int, RIGHTARG = int, FUNCTION = other, NEGATOR = ===);
--- undo
DROP OPERATOR !== (int, int); DROP FUNCTION other(int, int);
--- the selectivity of an operator | operator public.===(integer,integer)
ALTER OPERATOR === (int, int) SET (RESTRICT = neqsel);
--- undo
ALTER OPERATOR === (int, int) SET (RESTRICT = eqsel);
--- a member of an operator family | operator family public.ints USING btree
ALTER OPERATOR FAMILY ints USING btree ADD OPERATOR 3 = (int4, int8);
--- undo
ALTER OPERATOR FAMILY ints USING btree DROP OPERATOR 3 (int4, int8);
--- an operator class | operator class public.ints USING btree
DROP OPERATOR CLASS ints USING btree;
--- undo
CREATE OPERATOR CLASS ints FOR TYPE int4 USING btree FAMILY ints AS OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 btint4cmp(int4, int4);
--- a cast | cast (public.address AS text)
DROP CAST (address AS text); CREATE CAST (address AS text) WITH INOUT AS IMPLICIT;
--- undo
DROP CAST (address AS text); CREATE CAST (address AS text) WITH INOUT AS ASSIGNMENT;
--- a transform | transform for public.address language sql
DROP TRANSFORM FOR address LANGUAGE sql;
--- undo
CREATE TRANSFORM FOR address LANGUAGE sql (FROM SQL WITH FUNCTION prsd_lextype(internal));
--- a language | language talk
CREATE OR REPLACE LANGUAGE talk HANDLER talk_call INLINE plpgsql_inline_handler;
--- undo
CREATE OR REPLACE LANGUAGE talk HANDLER talk_call;
--- a grant on a built-in language | language sql
REVOKE USAGE ON LANGUAGE sql FROM PUBLIC;
--- undo
UPDATE pg_language SET lanacl = NULL WHERE lanname = 'sql';
--- an access method | access method pile
CREATE ACCESS METHOD heapy TYPE TABLE HANDLER heap_tableam_handler; DROP ACCESS METHOD pile;
--- undo
DROP ACCESS METHOD heapy; CREATE ACCESS METHOD pile TYPE TABLE HANDLER heap_tableam_handler;
--- a collation is defined otherwise | collation public.plain
DROP COLLATION plain; CREATE COLLATION plain (provider = libc, locale = 'POSIX');
--- undo
DROP COLLATION plain; CREATE COLLATION plain (provider = libc, locale = 'C');
--- a conversion | conversion public.latin
CREATE DEFAULT CONVERSION latin2 FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8; DROP CONVERSION latin;
--- undo
DROP CONVERSION latin2; CREATE CONVERSION latin FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8;
--- a parser | text search parser public.words
DROP TEXT SEARCH PARSER words; CREATE TEXT SEARCH PARSER words (START = prsd_start, GETTOKEN = prsd_nexttoken, END = prsd_end, LEXTYPES = prsd_lextype);
--- undo
DROP TEXT SEARCH PARSER words; CREATE TEXT SEARCH PARSER words (START = prsd_start, GETTOKEN = prsd_nexttoken, END = prsd_end, LEXTYPES = prsd_lextype, HEADLINE = prsd_headline);
--- a template | text search template public.plainly
DROP TEXT SEARCH TEMPLATE plainly; CREATE TEXT SEARCH TEMPLATE plainly (LEXIZE = dsimple_lexize);
--- undo
DROP TEXT SEARCH TEMPLATE plainly; CREATE TEXT SEARCH TEMPLATE plainly (INIT = dsimple_init, LEXIZE = dsimple_lexize);
--- an option of a dictionary | text search dictionary public.numbers
ALTER TEXT SEARCH DICTIONARY numbers (maxlen = 9);
--- undo
ALTER TEXT SEARCH DICTIONARY numbers (maxlen = 8);
--- a mapping of a configuration | text search configuration public.prose
ALTER TEXT SEARCH CONFIGURATION prose ALTER MAPPING FOR int WITH numbers, simple;
--- undo
ALTER TEXT SEARCH CONFIGURATION prose ALTER MAPPING FOR int WITH simple;
--- a mapping is dropped | text search configuration public.prose
ALTER TEXT SEARCH CONFIGURATION prose DROP MAPPING FOR email;
--- undo
ALTER TEXT SEARCH CONFIGURATION prose ADD MAPPING FOR email WITH simple;
--- extended statistics | statistics object public.users_stats
DROP STATISTICS users_stats; CREATE STATISTICS users_stats (mcv) ON name, mood FROM users;
--- undo
DROP STATISTICS users_stats; CREATE STATISTICS users_stats (ndistinct, dependencies) ON name, mood FROM users;
--- the target of extended statistics | statistics object public.users_stats
ALTER STATISTICS users_stats SET STATISTICS 50;
--- undo
ALTER STATISTICS users_stats SET STATISTICS -1;
--- an option of a foreign-data wrapper | foreign-data wrapper far
ALTER FOREIGN DATA WRAPPER far OPTIONS (SET debug 'false');
--- undo
ALTER FOREIGN DATA WRAPPER far OPTIONS (SET debug 'true');
--- an option of a server | server faraway
ALTER SERVER faraway OPTIONS (SET host 'near.example');
--- undo
ALTER SERVER faraway OPTIONS (SET host 'far.example');
--- the version of a server | server faraway
ALTER SERVER faraway VERSION '2';
--- undo
ALTER SERVER faraway VERSION '1';
--- a grant on a server | server faraway
GRANT USAGE ON FOREIGN SERVER faraway TO fuzz_reader;
--- undo
REVOKE USAGE ON FOREIGN SERVER faraway FROM fuzz_reader;
--- the user of a user mapping | user mapping fuzz_reader on server faraway
ALTER USER MAPPING FOR fuzz_reader SERVER faraway OPTIONS (SET "user" 'eve');
--- undo
ALTER USER MAPPING FOR fuzz_reader SERVER faraway OPTIONS (SET "user" 'bob');
--- a new user mapping | user mapping "fuzz writer" on server faraway
CREATE USER MAPPING FOR "fuzz writer" SERVER faraway;
--- undo
DROP USER MAPPING FOR "fuzz writer" SERVER faraway;
--- an option of a foreign table | foreign table public.distant
ALTER FOREIGN TABLE distant OPTIONS (SET table_name 'far');
--- undo
ALTER FOREIGN TABLE distant OPTIONS (SET table_name 'near');
--- an option of a foreign table's column | column public.distant.id
ALTER FOREIGN TABLE distant ALTER id OPTIONS (SET column_name 'no');
--- undo
ALTER FOREIGN TABLE distant ALTER id OPTIONS (SET column_name 'nr');
--- what a publication publishes | publication everything
ALTER PUBLICATION everything SET (publish = 'insert');
--- undo
ALTER PUBLICATION everything SET (publish = 'insert, update');
--- a table of a publication | publication few
ALTER PUBLICATION few DROP TABLE orders;
--- undo
ALTER PUBLICATION few ADD TABLE orders;
--- a row filter of a publication | publication few | 15
ALTER PUBLICATION few SET TABLE orders WHERE (id > 5), "Other one"."Odd ""names""";
--- undo
ALTER PUBLICATION few SET TABLE orders, "Other one"."Odd ""names""";
--- a column list of a publication | publication few | 15
ALTER PUBLICATION few SET TABLE orders (id, total), "Other one"."Odd ""names""";
--- undo
ALTER PUBLICATION few SET TABLE orders, "Other one"."Odd ""names""";
--- a schema of a publication | publication few | 15
ALTER PUBLICATION few ADD TABLES IN SCHEMA "Other one";
--- undo
ALTER PUBLICATION few DROP TABLES IN SCHEMA "Other one";
--- a publication publishes via the root | publication few
ALTER PUBLICATION few SET (publish_via_partition_root);
--- undo
ALTER PUBLICATION few SET (publish_via_partition_root = false);
--- a publication publishes generated columns | publication few | 18
ALTER PUBLICATION few SET (publish_generated_columns = stored);
--- undo
ALTER PUBLICATION few SET (publish_generated_columns = none);
--- an event trigger is disabled | event trigger noticing
ALTER EVENT TRIGGER noticing DISABLE;
--- undo
ALTER EVENT TRIGGER noticing ENABLE;
--- an event trigger | event trigger noticing
DROP EVENT TRIGGER noticing; CREATE EVENT TRIGGER noticing ON sql_drop EXECUTE FUNCTION noticed();
--- undo
DROP EVENT TRIGGER noticing; CREATE EVENT TRIGGER noticing ON sql_drop WHEN TAG IN ('DROP SERVER') EXECUTE FUNCTION noticed();
--- an extension | extension citext
CREATE EXTENSION citext SCHEMA "Other one";
--- undo
DROP EXTENSION citext;
--- the schema of an extension | extension dict_int
ALTER EXTENSION dict_int SET SCHEMA "Other one";
--- undo
ALTER EXTENSION dict_int SET SCHEMA public;
--- the version of an extension | extension dict_int
UPDATE pg_extension SET extversion = '0.9' WHERE extname = 'dict_int';
--- undo
UPDATE pg_extension SET extversion = '1.0' WHERE extname = 'dict_int';
--- a grant on a schema | schema "Other one"
GRANT CREATE ON SCHEMA "Other one" TO fuzz_reader;
--- undo
REVOKE CREATE ON SCHEMA "Other one" FROM fuzz_reader;
--- the owner of a schema | schema "Other one"
ALTER SCHEMA "Other one" OWNER TO fuzz_owner;
--- undo
ALTER SCHEMA "Other one" OWNER TO CURRENT_USER;
--- a comment on a schema | schema public
COMMENT ON SCHEMA public IS 'ours';
--- undo
COMMENT ON SCHEMA public IS 'standard public schema';
--- default privileges in a schema | default privileges for role fuzz_owner in schema public on tables
ALTER DEFAULT PRIVILEGES FOR ROLE fuzz_owner IN SCHEMA public GRANT INSERT ON TABLES TO fuzz_reader;
--- undo
ALTER DEFAULT PRIVILEGES FOR ROLE fuzz_owner IN SCHEMA public REVOKE INSERT ON TABLES FROM fuzz_reader;
--- default privileges in the database | default privileges for role fuzz_owner on functions
ALTER DEFAULT PRIVILEGES FOR ROLE fuzz_owner GRANT EXECUTE ON FUNCTIONS TO PUBLIC;
--- undo
ALTER DEFAULT PRIVILEGES FOR ROLE fuzz_owner REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
--- new default privileges | default privileges for role fuzz_reader on types
ALTER DEFAULT PRIVILEGES FOR ROLE fuzz_reader REVOKE USAGE ON TYPES FROM PUBLIC;
--- undo
ALTER DEFAULT PRIVILEGES FOR ROLE fuzz_reader GRANT USAGE ON TYPES TO PUBLIC;
