-- The members of each channel, and how far they have read.
--
-- last_read_message_id is deliberately not a foreign key. The index that a foreign key needs would prevent HOT
-- updates of a column that changes with every message read, and ON DELETE SET NULL would make all messages of the
-- channel unread. As a ULID it marks a point in time even after its message was removed.

CREATE TABLE channel_members (
  channel_id           varchar(26) COLLATE "C" NOT NULL,
  user_id              varchar(26) COLLATE "C" NOT NULL,
  role                 text NOT NULL DEFAULT 'member',
  joined_at            timestamptz NOT NULL DEFAULT now(),
  last_read_message_id varchar(26) COLLATE "C",
  muted_until          timestamptz,
  created_at           timestamptz NOT NULL DEFAULT now(),
  updated_at           timestamptz NOT NULL DEFAULT now(),

  CONSTRAINT channel_members_pkey PRIMARY KEY (channel_id, user_id),
  CONSTRAINT channel_members_channel_id_fkey FOREIGN KEY (channel_id) REFERENCES channels (id) ON DELETE CASCADE,
  CONSTRAINT channel_members_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
  CONSTRAINT channel_members_role_valid CHECK (role IN ('owner', 'admin', 'member'))
) WITH (fillfactor = 80);

CREATE INDEX channel_members_user_idx ON channel_members (user_id, channel_id);

CREATE TRIGGER channel_members_set_updated_at
  BEFORE UPDATE ON channel_members
  FOR EACH ROW WHEN (OLD.* *<> NEW.*)
  EXECUTE FUNCTION set_updated_at();

-- A group or direct channel has at most 100 members. Two concurrent transactions must not both take the last
-- place, so a transaction that adds a member first updates the channel's row without changing it: the second
-- one waits for the first and counts after it. A row lock alone would be enough under READ COMMITTED, but under
-- REPEATABLE READ the second one would count in its old snapshot; after an update it gets a serialization failure
-- (40001) instead.
-- Deleted users do not count; whether any of them is deleted is looked up only where there are more than 100 rows.
-- SECURITY DEFINER: the limit counts all members, not only those that row-level security shows to the caller. A
-- SECURITY DEFINER trigger function refuses to run on any table but its own: on a table of somebody else, it would
-- act on rows that they name, here lock a channel.
CREATE FUNCTION check_channel_members_limit() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
AS $$
DECLARE
  ids    text[];
  target text;
BEGIN
  IF TG_RELID <> 'channel_members'::regclass THEN
    RAISE EXCEPTION 'check_channel_members_limit() is a trigger of the table "channel_members" alone' USING ERRCODE = 'trigger_protocol_violated';
  END IF;
  IF TG_LEVEL = 'STATEMENT' THEN
    ids := ARRAY(SELECT DISTINCT channel_id FROM added ORDER BY channel_id);  -- one order: no deadlocks
  ELSE
    ids := ARRAY[NEW.channel_id];
  END IF;

  FOREACH target IN ARRAY ids LOOP
    UPDATE channels SET name = name WHERE id = target AND type IN ('group', 'direct');
    CONTINUE WHEN NOT FOUND;
    IF (SELECT count(*) FROM (SELECT FROM channel_members WHERE channel_id = target LIMIT 101) m) > 100
       AND (SELECT count(*) FROM (SELECT FROM channel_members m
                                    JOIN users u ON u.id = m.user_id AND u.deleted_at IS NULL
                                   WHERE m.channel_id = target LIMIT 101) m) > 100 THEN
      RAISE EXCEPTION 'a group or direct channel has at most 100 members'
        USING ERRCODE = 'check_violation',
              DETAIL = format('The channel is %s.', target),
              SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME, CONSTRAINT = 'channel_members_limit';
    END IF;
  END LOOP;
  RETURN NULL;
END
$$;

-- The opposite case: a public or private channel with more than 100 members becomes a group. FOR UPDATE waits
-- for users who are joining (their foreign key holds FOR KEY SHARE) and makes later ones wait.
CREATE FUNCTION check_channel_type_limit() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
AS $$
BEGIN
  IF TG_RELID <> 'channels'::regclass THEN
    RAISE EXCEPTION 'check_channel_type_limit() is a trigger of the table "channels" alone' USING ERRCODE = 'trigger_protocol_violated';
  END IF;
  PERFORM FROM channels WHERE id = OLD.id FOR UPDATE;
  IF (SELECT count(*) FROM (SELECT FROM channel_members m
                              JOIN users u ON u.id = m.user_id AND u.deleted_at IS NULL
                             WHERE m.channel_id = OLD.id LIMIT 101) m) > 100 THEN
    RAISE EXCEPTION 'a group or direct channel has at most 100 members'
      USING ERRCODE = 'check_violation',
            DETAIL = format('The channel is %s.', OLD.id),
            SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME, CONSTRAINT = 'channel_members_limit';
  END IF;
  RETURN NEW;
END
$$;

-- Both functions name tables: their search_path is this schema, then the schemas of the extensions. It is written
-- out, because SET search_path FROM CURRENT would store the search_path of the migrating session.
DO $$
DECLARE
  path text := (
    SELECT concat_ws(', ', quote_ident(current_schema()),
                     string_agg(DISTINCT quote_ident(n.nspname), ', ')
                       FILTER (WHERE n.nspname NOT IN (current_schema(), 'pg_catalog')),
                     'pg_temp')
      FROM pg_extension e
      JOIN pg_namespace n ON n.oid = e.extnamespace
     WHERE e.extname IN ('citext', 'pg_trgm'));
BEGIN
  EXECUTE 'ALTER FUNCTION check_channel_members_limit() SET search_path = ' || path;
  EXECUTE 'ALTER FUNCTION check_channel_type_limit() SET search_path = ' || path;
END
$$;

-- Otherwise any role could use them in a trigger of its own.
REVOKE EXECUTE ON FUNCTION check_channel_members_limit() FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION check_channel_type_limit() FROM PUBLIC;

CREATE TRIGGER channel_members_limit_added
  AFTER INSERT ON channel_members
  REFERENCING NEW TABLE AS added
  FOR EACH STATEMENT
  EXECUTE FUNCTION check_channel_members_limit();

-- Per row, because a trigger with a transition table would run for every change of the read marker.
CREATE TRIGGER channel_members_limit_moved
  AFTER UPDATE OF channel_id ON channel_members
  FOR EACH ROW WHEN (OLD.channel_id <> NEW.channel_id)
  EXECUTE FUNCTION check_channel_members_limit();

CREATE TRIGGER channels_limit_type_changed
  BEFORE UPDATE OF type ON channels
  FOR EACH ROW WHEN (OLD.type NOT IN ('group', 'direct') AND NEW.type IN ('group', 'direct'))
  EXECUTE FUNCTION check_channel_type_limit();

COMMENT ON TABLE channel_members IS 'The members of each channel, with their role and how far they have read.';
COMMENT ON COLUMN channel_members.joined_at IS 'When the user joined (most recently).';
COMMENT ON COLUMN channel_members.last_read_message_id IS 'Read marker: all messages of the channel up to this id are read. No foreign key: the message may have been removed.';
COMMENT ON COLUMN channel_members.muted_until IS 'No notifications until this time; infinity means always, NULL not muted.';
COMMENT ON FUNCTION check_channel_members_limit() IS
  'Trigger: rejects the 101st live member of a group or direct channel (23514, constraint channel_members_limit).';
COMMENT ON FUNCTION check_channel_type_limit() IS
  'Trigger: rejects turning a channel with more than 100 live members into a group or direct channel (23514, constraint channel_members_limit).';
