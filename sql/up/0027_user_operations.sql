-- Operations on users. How all operations of this schema are made:
--
--   * Parameters are named like the columns, so that they can be given by name; inside, they are qualified
--     with the name of the function. What is refused has an SQLSTATE: P0002 there is no such thing (or it is
--     not the caller's to see), 42501 not allowed, 55000 not now, 22023 wrong argument, else the constraint's.
--   * They run with the rights of the caller, so that row-level security holds inside them. The few that have
--     to see more are SECURITY DEFINER, say so, and check by themselves.
--   * Reads are one SELECT in a BEGIN ATOMIC body without SET: the planner inlines it into the query that
--     calls it, and its names are bound when it is made.

CREATE VIEW public_users AS
SELECT id, username, display_name, avatar_url, created_at
  FROM users
 WHERE deleted_at IS NULL;

CREATE FUNCTION create_user(
  email text, username text, auth0_id text DEFAULT NULL, password_hash text DEFAULT NULL,
  full_name text DEFAULT NULL, display_name text DEFAULT NULL, avatar_url text DEFAULT NULL
) RETURNS users
LANGUAGE sql VOLATILE
BEGIN ATOMIC
  INSERT INTO users (email, username, auth0_id, password_hash, full_name, display_name, avatar_url)
  VALUES (create_user.email, create_user.username, create_user.auth0_id, create_user.password_hash,
          create_user.full_name, create_user.display_name, create_user.avatar_url)
  RETURNING *;
END;

CREATE FUNCTION find_user(user_id text) RETURNS SETOF users
LANGUAGE sql STABLE ROWS 1
BEGIN ATOMIC
  SELECT u.* FROM users u WHERE u.id = find_user.user_id AND u.deleted_at IS NULL;
END;

CREATE FUNCTION find_user_by_email(email text) RETURNS SETOF users
LANGUAGE sql STABLE ROWS 1
BEGIN ATOMIC
  SELECT u.* FROM users u WHERE u.email = find_user_by_email.email::citext AND u.deleted_at IS NULL;
END;

CREATE FUNCTION find_user_by_username(username text) RETURNS SETOF users
LANGUAGE sql STABLE ROWS 1
BEGIN ATOMIC
  SELECT u.* FROM users u WHERE u.username = find_user_by_username.username::citext AND u.deleted_at IS NULL;
END;

-- The changes are the columns and their new values: a key that is missing leaves the column alone, null
-- empties it. With a parameter for each column, one could not tell "no change" from "empty".
CREATE FUNCTION update_user(user_id text, changes jsonb) RETURNS users
LANGUAGE plpgsql
AS $$
#variable_conflict use_column
DECLARE
  allowed constant text[] := ARRAY['auth0_id', 'password_hash', 'email', 'username', 'full_name', 'display_name',
                                   'avatar_url', 'is_active', 'is_verified', 'last_login_at'];
  wrong   constant text := (SELECT min(k) FROM jsonb_object_keys(update_user.changes) k WHERE k <> ALL (allowed));
  changed users;
BEGIN
  IF wrong IS NOT NULL THEN
    RAISE EXCEPTION 'a user''s "%" can''t be changed like that', wrong
      USING ERRCODE = 'invalid_parameter_value', HINT = 'Possible are ' || array_to_string(allowed, ', ') || '.';
  END IF;

  -- locked first: of two who change different columns at once, neither takes back what the other did
  SELECT * INTO changed FROM users WHERE id = update_user.user_id AND deleted_at IS NULL FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'there is no user "%"', left(update_user.user_id, 40) USING ERRCODE = 'no_data_found';
  END IF;
  changed := jsonb_populate_record(changed, update_user.changes);

  UPDATE users
     SET (auth0_id, password_hash, email, username, full_name, display_name,
          avatar_url, is_active, is_verified, last_login_at)
       = (changed.auth0_id, changed.password_hash, changed.email, changed.username, changed.full_name, changed.display_name,
          changed.avatar_url, changed.is_active, changed.is_verified, changed.last_login_at)
   WHERE id = update_user.user_id
  RETURNING * INTO changed;
  RETURN changed;
END
$$;

CREATE FUNCTION touch_last_seen(user_id text) RETURNS timestamptz
LANGUAGE sql VOLATILE
BEGIN ATOMIC
  UPDATE users SET last_seen_at = now()
   WHERE id = touch_last_seen.user_id AND deleted_at IS NULL
  RETURNING last_seen_at;
END;

CREATE FUNCTION set_presence(user_id text, status text, custom_status text DEFAULT NULL) RETURNS user_status
LANGUAGE sql VOLATILE
BEGIN ATOMIC
  INSERT INTO user_status (user_id, status, custom_status, last_seen)
  VALUES (set_presence.user_id, set_presence.status, set_presence.custom_status, now())
  ON CONFLICT (user_id) DO UPDATE
     SET status = EXCLUDED.status, custom_status = EXCLUDED.custom_status, last_seen = EXCLUDED.last_seen
  RETURNING *;
END;

-- To erase a person is to make them anonymous: what they wrote stays, and others still find its place. What only
-- they had goes; a rate limit's key is the application's, who knows it.
-- SECURITY DEFINER: what others say of them goes too, and no half of a person may stay behind.
CREATE FUNCTION erase_user(user_id text) RETURNS boolean
LANGUAGE sql VOLATILE SECURITY DEFINER
BEGIN ATOMIC
  SELECT must_act_as(erase_user.user_id);
  DELETE FROM profiles                 WHERE user_id = erase_user.user_id;
  DELETE FROM user_settings            WHERE user_id = erase_user.user_id;
  DELETE FROM user_status              WHERE user_id = erase_user.user_id;
  DELETE FROM notification_preferences WHERE user_id = erase_user.user_id;
  DELETE FROM notifications            WHERE user_id = erase_user.user_id;
  DELETE FROM relationships            WHERE user_id = erase_user.user_id;
  DELETE FROM relationships            WHERE related_user_id = erase_user.user_id;
  DELETE FROM refresh_tokens           WHERE user_id = erase_user.user_id;
  DELETE FROM sessions                 WHERE user_id = erase_user.user_id;
  DELETE FROM sync_state               WHERE user_id = erase_user.user_id;
  DELETE FROM typing_indicators        WHERE user_id = erase_user.user_id;
  DELETE FROM message_deliveries       WHERE user_id = erase_user.user_id;
  DELETE FROM message_reads            WHERE user_id = erase_user.user_id;
  DELETE FROM channel_members          WHERE user_id = erase_user.user_id;
  WITH erased AS (
    UPDATE users
       SET email = 'erased-' || id || '@erased.invalid', username = 'erased_' || id, auth0_id = 'erased|' || id,
           password_hash = NULL, full_name = NULL, display_name = NULL, avatar_url = NULL,
           is_active = false, is_verified = false, last_seen_at = NULL, last_login_at = NULL,
           deleted_at = coalesce(deleted_at, now())
     WHERE id = erase_user.user_id
    RETURNING id)
  SELECT EXISTS (SELECT FROM erased);
END;

SELECT pin_search_path('update_user', 'erase_user');

COMMENT ON VIEW public_users IS 'Live users as anybody may see them: no e-mail address, no hash, no flag.';
COMMENT ON FUNCTION create_user(text, text, text, text, text, text, text) IS
  'Makes a user; needs an auth0_id or a password_hash. An e-mail address, user name or auth0_id that a live user has is 23505.';
COMMENT ON FUNCTION find_user(text) IS 'The live user of this id, or no row.';
COMMENT ON FUNCTION find_user_by_email(text) IS 'The live user of this e-mail address, compared without case, or no row.';
COMMENT ON FUNCTION find_user_by_username(text) IS 'The live user of this user name, compared without case, or no row.';
COMMENT ON FUNCTION update_user(text, jsonb) IS
  'Changes the columns that are keys of changes; null empties one. No such live user is P0002, another key 22023.';
COMMENT ON FUNCTION touch_last_seen(text) IS 'Sets users.last_seen_at to now and returns it; NULL when there is no such live user.';
COMMENT ON FUNCTION set_presence(text, text, text) IS
  'Sets status (online, away, busy, offline), custom_status and last_seen of a user.';
COMMENT ON FUNCTION erase_user(text) IS
  'Makes a user anonymous and deletes what only they had; messages and reactions stay. False when there is no such user. SECURITY DEFINER: for the owner of the schema, or the user (else 42501).';
