-- Operations on channels and their members. Row-level security decides who may do what: a channel that the caller
-- cannot see or change raises P0002, like one that does not exist.

CREATE FUNCTION create_channel(
  created_by text, type text, name text, members text[] DEFAULT '{}', admins text[] DEFAULT '{}',
  description text DEFAULT NULL, avatar_url text DEFAULT NULL, metadata jsonb DEFAULT '{}', alone boolean DEFAULT false
) RETURNS channels
LANGUAGE plpgsql
AS $$
#variable_conflict use_column
DECLARE
  made channels;
BEGIN
  IF create_channel.type = 'direct' THEN
    RAISE EXCEPTION 'a direct channel must be opened, not created'
      USING ERRCODE = 'invalid_parameter_value', HINT = 'Call open_direct_channel(user_id, other_user_id).';
  ELSIF create_channel.type = 'group' AND NOT coalesce(create_channel.alone, false)
    AND NOT EXISTS (SELECT FROM users
                     WHERE id = ANY (create_channel.members || create_channel.admins) AND id <> create_channel.created_by
                       AND deleted_at IS NULL) THEN
    RAISE EXCEPTION 'a group needs at least one other member'
      USING ERRCODE = 'check_violation', CONSTRAINT = 'channels_group_not_alone', TABLE = 'channels',
            HINT = 'Pass alone => true for a group that others join later.';
  END IF;

  INSERT INTO channels (created_by, type, name, description, avatar_url, metadata)
  VALUES (create_channel.created_by, create_channel.type, create_channel.name, create_channel.description,
          create_channel.avatar_url, create_channel.metadata)
  RETURNING * INTO made;

  -- the creator in a separate statement: as an owner, they may then add the others
  INSERT INTO channel_members (channel_id, user_id, role) VALUES (made.id, create_channel.created_by, 'owner');
  INSERT INTO channel_members (channel_id, user_id, role)
  SELECT made.id, one, CASE WHEN bool_or(admin) THEN 'admin' ELSE 'member' END
    FROM (SELECT unnest(create_channel.members) AS one, false AS admin
          UNION ALL
          SELECT unnest(create_channel.admins), true) others
   WHERE one <> create_channel.created_by
   GROUP BY one
   ORDER BY one;
  RETURN made;
END
$$;

CREATE FUNCTION find_channel(channel_id text) RETURNS SETOF channels
LANGUAGE sql STABLE ROWS 1
BEGIN ATOMIC
  SELECT c.* FROM channels c WHERE c.id = find_channel.channel_id AND c.deleted_at IS NULL;
END;

CREATE FUNCTION update_channel(channel_id text, changes jsonb) RETURNS channels
LANGUAGE plpgsql
AS $$
#variable_conflict use_column
DECLARE
  allowed constant text[] := ARRAY['type', 'name', 'description', 'avatar_url', 'metadata'];
  wrong   constant text := (SELECT min(k) FROM jsonb_object_keys(update_channel.changes) k WHERE k <> ALL (allowed));
  changed channels;
BEGIN
  IF wrong IS NOT NULL THEN
    RAISE EXCEPTION 'column "%" of a channel cannot be changed', wrong
      USING ERRCODE = 'invalid_parameter_value', HINT = 'These can be changed: ' || array_to_string(allowed, ', ') || '.';
  END IF;

  SELECT * INTO changed FROM channels WHERE id = update_channel.channel_id AND deleted_at IS NULL FOR NO KEY UPDATE;
  IF FOUND THEN
    IF update_channel.changes ->> 'type' <> changed.type AND row_security_active('channels'::regclass) THEN
      RAISE EXCEPTION 'the type of a channel cannot be changed' USING ERRCODE = 'insufficient_privilege',
        HINT = 'Create another channel. Only the owner of the schema may change the type.';
    END IF;
    changed := jsonb_populate_record(changed, update_channel.changes);
    UPDATE channels
       SET (type, name, description, avatar_url, metadata)
         = (changed.type, changed.name, changed.description, changed.avatar_url, changed.metadata)
     WHERE id = update_channel.channel_id
    RETURNING * INTO changed;
  END IF;
  IF NOT FOUND THEN
    PERFORM must_have_user();
    RAISE EXCEPTION 'there is no channel "%" that you may change', left(update_channel.channel_id, 40)
      USING ERRCODE = 'no_data_found';
  END IF;
  RETURN changed;
END
$$;

CREATE FUNCTION archive_channel(channel_id text, archived boolean DEFAULT true) RETURNS channels
LANGUAGE plpgsql
AS $$
#variable_conflict use_column
DECLARE
  changed channels;
BEGIN
  UPDATE channels SET archived_at = CASE WHEN archive_channel.archived THEN coalesce(archived_at, now()) END
   WHERE id = archive_channel.channel_id AND deleted_at IS NULL
  RETURNING * INTO changed;
  IF NOT FOUND THEN
    PERFORM must_have_user();
    RAISE EXCEPTION 'there is no channel "%" that you may change', left(archive_channel.channel_id, 40)
      USING ERRCODE = 'no_data_found';
  END IF;
  RETURN changed;
END
$$;

CREATE FUNCTION delete_channel(channel_id text) RETURNS channels
LANGUAGE plpgsql
AS $$
#variable_conflict use_column
DECLARE
  gone channels;
BEGIN
  UPDATE channels SET deleted_at = now()
   WHERE id = delete_channel.channel_id AND deleted_at IS NULL
  RETURNING * INTO gone;
  IF NOT FOUND THEN
    PERFORM must_have_user();
    RAISE EXCEPTION 'there is no channel "%" that you may change', left(delete_channel.channel_id, 40)
      USING ERRCODE = 'no_data_found';
  END IF;
  RETURN gone;
END
$$;

-- Two users have one direct channel, no matter who opens it and how often: the pair is unique, and of two concurrent
-- calls the second waits for the first and returns its channel. A channel that was deleted, archived or left is
-- restored, with its messages.
-- SECURITY DEFINER: it adds the other user, and must see a channel that the caller has left.
CREATE FUNCTION open_direct_channel(user_id text, other_user_id text) RETURNS channels
LANGUAGE plpgsql SECURITY DEFINER
AS $$
#variable_conflict use_column
DECLARE
  low    constant text COLLATE "C" := least(open_direct_channel.user_id COLLATE "C", open_direct_channel.other_user_id);
  high   constant text COLLATE "C" := greatest(open_direct_channel.user_id COLLATE "C", open_direct_channel.other_user_id);
  opened channels;
BEGIN
  PERFORM must_act_as(open_direct_channel.user_id);

  IF num_nulls(open_direct_channel.user_id, open_direct_channel.other_user_id) > 0  -- least() ignores NULL
     OR (SELECT count(*) FROM users WHERE id IN (low, high) AND deleted_at IS NULL)
        < (CASE WHEN low = high THEN 1 ELSE 2 END) THEN
    RAISE EXCEPTION 'there is no such user' USING ERRCODE = 'no_data_found',
      DETAIL = format('The users are %s and %s.', left(low, 40), left(high, 40));
  END IF;
  IF EXISTS (SELECT FROM relationships
              WHERE type = 'blocked' AND (user_id, related_user_id) IN ((low, high), (high, low))) THEN
    RAISE EXCEPTION 'one of the two users has blocked the other' USING ERRCODE = 'insufficient_privilege';
  END IF;

  SELECT c.* INTO opened
    FROM channels c
   WHERE c.direct_low = low AND c.direct_high = high AND c.deleted_at IS NULL AND c.archived_at IS NULL
     AND EXISTS (SELECT FROM channel_members m WHERE m.channel_id = c.id AND m.user_id = low)
     AND EXISTS (SELECT FROM channel_members m WHERE m.channel_id = c.id AND m.user_id = high);
  IF FOUND THEN
    RETURN opened;
  END IF;

  INSERT INTO channels (type, created_by, direct_low, direct_high)
  VALUES ('direct', open_direct_channel.user_id, low, high)
  ON CONFLICT ON CONSTRAINT channels_direct_users_key DO UPDATE SET deleted_at = NULL, archived_at = NULL
  RETURNING * INTO opened;
  INSERT INTO channel_members (channel_id, user_id)
  SELECT DISTINCT opened.id, one FROM unnest(ARRAY[low, high]) one
  ON CONFLICT DO NOTHING;
  RETURN opened;
END
$$;

CREATE FUNCTION add_member(channel_id text, user_id text, role text DEFAULT 'member') RETURNS boolean
LANGUAGE plpgsql
AS $$
#variable_conflict use_column
BEGIN
  IF EXISTS (SELECT FROM channels WHERE id = add_member.channel_id AND type = 'direct') THEN
    RAISE EXCEPTION 'a direct channel has only the two users for which it was opened'
      USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Create a group for more people.';
  END IF;
  PERFORM must_be_live(add_member.user_id, 'channel_members');
  INSERT INTO channel_members (channel_id, user_id, role)
  VALUES (add_member.channel_id, add_member.user_id, add_member.role)
  ON CONFLICT DO NOTHING;
  RETURN FOUND;
END
$$;

CREATE FUNCTION remove_member(channel_id text, user_id text) RETURNS boolean
LANGUAGE sql VOLATILE
BEGIN ATOMIC
  SELECT must_have_user();
  WITH removed AS (
    DELETE FROM channel_members
     WHERE channel_id = remove_member.channel_id AND user_id = remove_member.user_id
    RETURNING 1)
  SELECT EXISTS (SELECT FROM removed);
END;

CREATE FUNCTION set_role(channel_id text, user_id text, role text) RETURNS channel_members
LANGUAGE plpgsql
AS $$
#variable_conflict use_column
DECLARE
  changed channel_members;
BEGIN
  UPDATE channel_members SET role = set_role.role
   WHERE channel_id = set_role.channel_id AND user_id = set_role.user_id
     AND EXISTS (SELECT FROM users u WHERE u.id = set_role.user_id AND u.deleted_at IS NULL)
  RETURNING * INTO changed;
  IF NOT FOUND THEN
    PERFORM must_have_user();
    RAISE EXCEPTION 'there is no member "%" whose role you may change', left(set_role.user_id, 40)
      USING ERRCODE = 'no_data_found';
  END IF;
  RETURN changed;
END
$$;

-- With what others may see of them. By user, so that a page is a range of the primary key.
CREATE FUNCTION list_members(channel_id text, "limit" integer DEFAULT 50, after text DEFAULT NULL)
RETURNS TABLE (
  user_id text, role text, joined_at timestamptz, last_read_message_id text,
  username text, full_name text, display_name text, avatar_url text, last_seen_at timestamptz
)
LANGUAGE sql STABLE ROWS 50
BEGIN ATOMIC
  SELECT m.user_id, m.role, m.joined_at, m.last_read_message_id,
         u.username, u.full_name, u.display_name, u.avatar_url, u.last_seen_at
    FROM channel_members m
    JOIN users u ON u.id = m.user_id AND u.deleted_at IS NULL
   WHERE m.channel_id = list_members.channel_id
     AND m.user_id > CASE WHEN list_members.after IS NULL THEN '' ELSE list_members.after END
   ORDER BY m.user_id
   LIMIT coalesce(list_members.limit, 50);
END;

CREATE FUNCTION is_member(channel_id text, user_id text) RETURNS boolean
LANGUAGE sql STABLE
RETURN EXISTS (SELECT FROM channel_members m
                 JOIN users u ON u.id = m.user_id AND u.deleted_at IS NULL
                WHERE m.channel_id = is_member.channel_id AND m.user_id = is_member.user_id);

SELECT pin_search_path('create_channel', 'update_channel', 'archive_channel', 'delete_channel', 'open_direct_channel',
                       'add_member', 'set_role');

COMMENT ON FUNCTION create_channel(text, text, text, text[], text[], text, text, jsonb, boolean) IS
  'Creates a public, private or group channel with its members and admins; the creator becomes its owner. A group without another live member raises 23514 (channels_group_not_alone), unless alone is true.';
COMMENT ON FUNCTION find_channel(text) IS 'The live channel with this id, or no row.';
COMMENT ON FUNCTION update_channel(text, jsonb) IS
  'Changes the columns that are keys of changes (type, name, description, avatar_url, metadata); null sets a column to NULL. Raises P0002 if there is no such channel, 22023 for any other key, 42501 for another type under row-level security.';
COMMENT ON FUNCTION archive_channel(text, boolean) IS
  'Makes a channel read-only; archived => false makes it writable again.';
COMMENT ON FUNCTION delete_channel(text) IS
  'Marks a channel as deleted; its messages stay. Raises P0002 if there is no such channel.';
COMMENT ON FUNCTION list_members(text, integer, text) IS
  'A page of the live members of a channel, with what everyone may see of them; "after" is the last user_id of the previous page.';
COMMENT ON FUNCTION open_direct_channel(text, text) IS
  'The direct channel of two users, created if there is none; one that was deleted, archived or left is restored. Raises 42501 if one user blocks the other.';
COMMENT ON FUNCTION add_member(text, text, text) IS
  'Adds a user to a channel; false if they are a member already. The 101st live member of a group raises 23514, an unknown or deleted user 23503.';
COMMENT ON FUNCTION remove_member(text, text) IS
  'Removes a user from a channel; false if they are not a member, or if the caller may not remove them.';
COMMENT ON FUNCTION set_role(text, text, text) IS 'Sets the role of a member to owner, admin or member. Raises P0002 if there is no such member.';
COMMENT ON FUNCTION is_member(text, text) IS 'Whether the live user is a member of the channel.';
