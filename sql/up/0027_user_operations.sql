-- Operations on users. Rules for all operations of this schema:
--
--   * Parameters are named like the columns, so that they can be passed by name; inside, they are qualified
--     with the name of the function. Errors have an SQLSTATE: P0002 no such object (or the caller may not see
--     it), 42501 not allowed, 55000 not in this state, 22023 wrong argument, or that of a constraint.
--   * They run with the rights of the caller, so that row-level security applies inside them. The few that must
--     see more are SECURITY DEFINER, say so, and check the caller's rights themselves.
--   * A read is one SELECT in a BEGIN ATOMIC body without SET: the planner inlines it into the calling query,
--     and its names are resolved when the function is created.

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

-- "changes" maps columns to their new values: a missing key leaves the column unchanged, null sets it to NULL.
-- With one parameter per column, "no change" could not be told from NULL.
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
    RAISE EXCEPTION 'column "%" of a user cannot be changed', wrong
      USING ERRCODE = 'invalid_parameter_value', HINT = 'These can be changed: ' || array_to_string(allowed, ', ') || '.';
  END IF;

  -- locked first, so that concurrent changes of different columns do not overwrite each other
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

-- Erasing a user makes them anonymous: their messages stay, so that conversations remain readable. Data that belongs
-- to them alone is deleted; a rate limit's key is known only to the application.
-- SECURITY DEFINER: rows of other users about them are deleted as well, so that nothing remains.
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

COMMENT ON VIEW public_users IS 'Live users with the columns that everyone may see: no e-mail address, no hash, no flag.';
COMMENT ON FUNCTION create_user(text, text, text, text, text, text, text) IS
  'Creates a user; needs an auth0_id or a password_hash. An e-mail address, user name or auth0_id of another live user raises 23505.';
COMMENT ON FUNCTION find_user(text) IS 'The live user with this id, or no row.';
COMMENT ON FUNCTION find_user_by_email(text) IS 'The live user with this e-mail address, compared without regard to case, or no row.';
COMMENT ON FUNCTION find_user_by_username(text) IS 'The live user with this user name, compared without regard to case, or no row.';
COMMENT ON FUNCTION update_user(text, jsonb) IS
  'Changes the columns that are keys of changes; null sets a column to NULL. Raises P0002 if there is no such live user, 22023 for any other key.';
COMMENT ON FUNCTION touch_last_seen(text) IS 'Sets users.last_seen_at to now and returns it; NULL if there is no such live user.';
COMMENT ON FUNCTION set_presence(text, text, text) IS
  'Sets status (online, away, busy, offline), custom_status and last_seen of a user.';
COMMENT ON FUNCTION erase_user(text) IS
  'Makes a user anonymous and deletes data that belongs to them alone; messages and reactions stay. False if there is no such user. SECURITY DEFINER: only for the owner of the schema or the user (otherwise 42501).';
