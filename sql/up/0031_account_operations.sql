-- Operations on the data of an account: tokens, friends, notifications, settings. Expiry is compared with the time of
-- the statement, because now() does not change during a transaction.

CREATE FUNCTION issue_token(user_id text, token_hash bytea, expires_at timestamptz) RETURNS refresh_tokens
LANGUAGE sql VOLATILE
BEGIN ATOMIC
  INSERT INTO refresh_tokens (user_id, token_hash, expires_at)
  VALUES (issue_token.user_id, issue_token.token_hash, issue_token.expires_at)
  RETURNING *;
END;

-- A token can be used once; its user then gets a new one. Of two concurrent uses of a token, one succeeds.
-- SECURITY DEFINER: the caller of use_token is not yet identified; the token is the proof.
CREATE FUNCTION use_token(token_hash bytea) RETURNS text
LANGUAGE sql VOLATILE SECURITY DEFINER
BEGIN ATOMIC
  UPDATE refresh_tokens t SET revoked_at = now()
    FROM users u
   WHERE t.token_hash = use_token.token_hash AND t.revoked_at IS NULL AND t.expires_at > statement_timestamp()
     AND u.id = t.user_id AND u.deleted_at IS NULL AND u.is_active
  RETURNING t.user_id;
END;

CREATE FUNCTION revoke_tokens(user_id text) RETURNS bigint
LANGUAGE sql VOLATILE
BEGIN ATOMIC
  SELECT must_have_user();
  WITH revoked AS (
    UPDATE refresh_tokens SET revoked_at = now()
     WHERE user_id = revoke_tokens.user_id AND revoked_at IS NULL AND expires_at > statement_timestamp()
    RETURNING 1)
  SELECT count(*) FROM revoked;
END;

-- Operations between two users run one after the other: each of these functions first locks both users' rows, in a
-- fixed order. So if two users ask each other at the same time, the second call finds the request of the first
-- and accepts it. The update changes nothing, but under REPEATABLE READ, where the second call cannot see that
-- request, it raises a serialization failure (40001); after a lock alone it would create a second request.
CREATE FUNCTION lock_pair(user_id text, related_user_id text) RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
  there integer;
BEGIN
  PERFORM FROM users u
    WHERE u.id IN (lock_pair.user_id, lock_pair.related_user_id) AND u.deleted_at IS NULL
    ORDER BY u.id
      FOR NO KEY UPDATE;
  GET DIAGNOSTICS there = ROW_COUNT;
  IF lock_pair.user_id = lock_pair.related_user_id THEN
    RETURN;  -- the constraint raises the better error
  ELSIF there < 2 THEN
    RAISE EXCEPTION 'there is no such user' USING ERRCODE = 'no_data_found',
      DETAIL = format('The users are %s and %s.', left(lock_pair.user_id, 40), left(lock_pair.related_user_id, 40));
  END IF;
  UPDATE users u SET is_active = u.is_active WHERE u.id IN (lock_pair.user_id, lock_pair.related_user_id);
END
$$;

CREATE FUNCTION request_friend(user_id text, related_user_id text) RETURNS relationships
LANGUAGE plpgsql
AS $$
#variable_conflict use_column
DECLARE
  theirs relationships;
  mine   relationships;
BEGIN
  PERFORM lock_pair(request_friend.user_id, request_friend.related_user_id);
  SELECT * INTO theirs FROM relationships
   WHERE user_id = request_friend.related_user_id AND related_user_id = request_friend.user_id;
  SELECT * INTO mine FROM relationships
   WHERE user_id = request_friend.user_id AND related_user_id = request_friend.related_user_id;

  IF theirs.type = 'blocked' OR mine.type = 'blocked' THEN
    RAISE EXCEPTION 'one of the two users has blocked the other' USING ERRCODE = 'insufficient_privilege';
  ELSIF theirs.type = 'friend' THEN  -- they asked before: this is the answer
    UPDATE relationships SET status = 'accepted' WHERE id = theirs.id RETURNING * INTO theirs;
    RETURN theirs;
  ELSIF mine.type = 'friend' THEN  -- asked already; a rejection remains
    RETURN mine;
  END IF;
  INSERT INTO relationships (user_id, related_user_id, type)
  VALUES (request_friend.user_id, request_friend.related_user_id, 'friend')
  RETURNING * INTO mine;
  RETURN mine;
END
$$;

CREATE FUNCTION answer_friend(user_id text, requested_by text, accept boolean) RETURNS relationships
LANGUAGE plpgsql
AS $$
#variable_conflict use_column
DECLARE
  answered relationships;
BEGIN
  PERFORM lock_pair(answer_friend.user_id, answer_friend.requested_by);
  UPDATE relationships SET status = CASE WHEN answer_friend.accept THEN 'accepted' ELSE 'rejected' END
   WHERE user_id = answer_friend.requested_by AND related_user_id = answer_friend.user_id
     AND type = 'friend' AND status = 'pending'
  RETURNING * INTO answered;
  IF NOT FOUND THEN
    PERFORM must_have_user();
    RAISE EXCEPTION 'there is no request to answer' USING ERRCODE = 'no_data_found',
      DETAIL = format('It would be from %s to %s.', left(answer_friend.requested_by, 40), left(answer_friend.user_id, 40));
  END IF;
  RETURN answered;
END
$$;

-- A block ends a friendship and any request, and does not change the other user's block.
CREATE FUNCTION block_user(user_id text, related_user_id text) RETURNS relationships
LANGUAGE plpgsql
AS $$
#variable_conflict use_column
DECLARE
  blocked relationships;
BEGIN
  PERFORM lock_pair(block_user.user_id, block_user.related_user_id);
  DELETE FROM relationships
   WHERE user_id = block_user.related_user_id AND related_user_id = block_user.user_id AND type = 'friend';
  INSERT INTO relationships (user_id, related_user_id, type, status)
  VALUES (block_user.user_id, block_user.related_user_id, 'blocked', 'accepted')
  ON CONFLICT ON CONSTRAINT relationships_pair_key DO UPDATE SET type = 'blocked', status = 'accepted'
  RETURNING * INTO blocked;
  RETURN blocked;
END
$$;

CREATE FUNCTION unblock_user(user_id text, related_user_id text) RETURNS boolean
LANGUAGE sql VOLATILE
BEGIN ATOMIC
  SELECT must_have_user();
  WITH gone AS (
    DELETE FROM relationships
     WHERE user_id = unblock_user.user_id AND related_user_id = unblock_user.related_user_id AND type = 'blocked'
    RETURNING 1)
  SELECT EXISTS (SELECT FROM gone);
END;

-- A friendship or a request ends whichever side ends it; of blocks, only the user's own.
CREATE FUNCTION remove_relationship(user_id text, related_user_id text) RETURNS boolean
LANGUAGE sql VOLATILE
BEGIN ATOMIC
  SELECT must_have_user();
  WITH gone AS (
    DELETE FROM relationships
     WHERE user_id = remove_relationship.user_id AND related_user_id = remove_relationship.related_user_id
        OR user_id = remove_relationship.related_user_id AND related_user_id = remove_relationship.user_id AND type = 'friend'
    RETURNING 1)
  SELECT EXISTS (SELECT FROM gone);
END;

-- Both directions of a friendship, and the blocks by the user: whom others have blocked is not theirs to know.
CREATE FUNCTION list_relationships(user_id text, type text DEFAULT NULL, status text DEFAULT NULL) RETURNS SETOF relationships
LANGUAGE sql STABLE ROWS 20
BEGIN ATOMIC
  SELECT r.* FROM relationships r
   WHERE (r.user_id = list_relationships.user_id OR r.related_user_id = list_relationships.user_id AND r.type = 'friend')
     AND (list_relationships.type IS NULL OR r.type = list_relationships.type)
     AND (list_relationships.status IS NULL OR r.status = list_relationships.status)
   ORDER BY r.id DESC;
END;

-- A user who wants the kind of notification gets it by each channel that they have not turned off. The row is kept if any
-- channel is wanted: the application sends the e-mail or the push that the answer asks for.
-- SECURITY DEFINER: the caller may see neither the recipient's settings nor their notifications.
CREATE FUNCTION notify_user(
  user_id text, type text, content jsonb DEFAULT '{}', related_type text DEFAULT NULL, related_id text DEFAULT NULL,
  expires_at timestamptz DEFAULT NULL
) RETURNS TABLE (id text, in_app boolean, email boolean, push boolean)
LANGUAGE plpgsql SECURITY DEFINER ROWS 1
AS $$
#variable_conflict use_column
DECLARE
  kind   constant text := split_part(notify_user.type, '.', 1);
  wanted record;
BEGIN
  SELECT w.it AND w.in_app AS in_app, w.it AND w.email AS email, w.it AND w.push AS push INTO wanted
    FROM (SELECT coalesce(s.notifications_enabled, true)
                 AND coalesce(CASE kind WHEN 'message' THEN p.on_message
                                        WHEN 'friend_request' THEN p.on_friend_request
                                        WHEN 'system' THEN p.on_system
                                        ELSE p.other -> kind IS DISTINCT FROM 'false'
                              END, true) AS it,
                 coalesce(p.in_app, true) AS in_app, coalesce(p.email, true) AS email, coalesce(p.push, true) AS push
            FROM users u
            LEFT JOIN user_settings s ON s.user_id = u.id
            LEFT JOIN notification_preferences p ON p.user_id = u.id
           WHERE u.id = notify_user.user_id AND u.deleted_at IS NULL) w;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'there is no user "%"', left(notify_user.user_id, 40) USING ERRCODE = 'no_data_found';
  END IF;
  in_app := wanted.in_app;
  email  := wanted.email;
  push   := wanted.push;
  IF in_app OR email OR push THEN
    INSERT INTO notifications AS n (user_id, type, content, related_type, related_id, in_app, expires_at)
    VALUES (notify_user.user_id, notify_user.type, notify_user.content, notify_user.related_type, notify_user.related_id,
            wanted.in_app, notify_user.expires_at)
    RETURNING n.id INTO id;
  END IF;
  RETURN NEXT;
END
$$;

-- No row means all of them: what the defaults of the table say.
CREATE FUNCTION get_notification_preferences(user_id text)
RETURNS TABLE (
  user_id text, in_app boolean, email boolean, push boolean,
  on_message boolean, on_friend_request boolean, on_system boolean, other jsonb
)
LANGUAGE sql STABLE ROWS 1
BEGIN ATOMIC
  SELECT u.id, coalesce(p.in_app, true), coalesce(p.email, true), coalesce(p.push, true),
         coalesce(p.on_message, true), coalesce(p.on_friend_request, true), coalesce(p.on_system, true),
         coalesce(p.other, '{}')
    FROM users u
    LEFT JOIN notification_preferences p ON p.user_id = u.id
   WHERE u.id = get_notification_preferences.user_id AND u.deleted_at IS NULL
     -- of another user the policy hides the row, which must not look like the defaults
     AND (u.id = acting_user() OR NOT row_security_active('notification_preferences'::regclass));
END;

-- What is NULL stays; a key of "other" that is null is removed.
CREATE FUNCTION set_notification_preferences(
  user_id text, in_app boolean DEFAULT NULL, email boolean DEFAULT NULL, push boolean DEFAULT NULL,
  on_message boolean DEFAULT NULL, on_friend_request boolean DEFAULT NULL, on_system boolean DEFAULT NULL,
  other jsonb DEFAULT NULL
) RETURNS notification_preferences
LANGUAGE sql VOLATILE
BEGIN ATOMIC
  SELECT must_be_live(set_notification_preferences.user_id, 'notification_preferences');
  INSERT INTO notification_preferences AS p (user_id, in_app, email, push, on_message, on_friend_request, on_system, other)
  VALUES (set_notification_preferences.user_id,
          coalesce(set_notification_preferences.in_app, true), coalesce(set_notification_preferences.email, true),
          coalesce(set_notification_preferences.push, true), coalesce(set_notification_preferences.on_message, true),
          coalesce(set_notification_preferences.on_friend_request, true),
          coalesce(set_notification_preferences.on_system, true),
          coalesce(jsonb_strip_nulls(set_notification_preferences.other), '{}'))
  ON CONFLICT (user_id) DO UPDATE
     SET in_app            = coalesce(set_notification_preferences.in_app, p.in_app),
         email             = coalesce(set_notification_preferences.email, p.email),
         push              = coalesce(set_notification_preferences.push, p.push),
         on_message        = coalesce(set_notification_preferences.on_message, p.on_message),
         on_friend_request = coalesce(set_notification_preferences.on_friend_request, p.on_friend_request),
         on_system         = coalesce(set_notification_preferences.on_system, p.on_system),
         other             = jsonb_strip_nulls(p.other || coalesce(set_notification_preferences.other, '{}'))
  RETURNING *;
END;

CREATE FUNCTION list_notifications(user_id text, "limit" integer DEFAULT 50, before text DEFAULT NULL, unread_only boolean DEFAULT false)
RETURNS SETOF notifications
LANGUAGE sql STABLE ROWS 50
BEGIN ATOMIC
  SELECT n.* FROM notifications n
   WHERE n.user_id = list_notifications.user_id
     AND n.id < CASE WHEN list_notifications.before IS NULL THEN 'Z' ELSE list_notifications.before END
     AND n.in_app
     AND (n.read_at IS NULL OR NOT coalesce(list_notifications.unread_only, false))
     AND (n.expires_at IS NULL OR n.expires_at > statement_timestamp())
   ORDER BY n.id DESC
   LIMIT coalesce(list_notifications.limit, 50);
END;

CREATE FUNCTION mark_notification_read(notification_id text, user_id text) RETURNS boolean
LANGUAGE sql VOLATILE
BEGIN ATOMIC
  SELECT must_have_user();
  WITH marked AS (
    UPDATE notifications SET read_at = now()
     WHERE id = mark_notification_read.notification_id AND user_id = mark_notification_read.user_id
       AND read_at IS NULL AND (expires_at IS NULL OR expires_at > statement_timestamp())
    RETURNING 1)
  SELECT EXISTS (SELECT FROM marked);
END;

-- A setting that has a column goes there, all others into preferences; null removes a key, and resets a column to
-- its default. nullif, because a jsonb null can be cast to boolean only from PostgreSQL 18 on.
CREATE FUNCTION put_setting(user_id text, key text, value jsonb) RETURNS user_settings
LANGUAGE sql VOLATILE
BEGIN ATOMIC
  SELECT must_be_live(put_setting.user_id, 'user_settings');
  INSERT INTO user_settings AS s (user_id, theme, notifications_enabled, preferences)
  VALUES (
    put_setting.user_id,
    CASE put_setting.key WHEN 'theme' THEN coalesce(put_setting.value #>> '{}', 'light') ELSE 'light' END,
    CASE put_setting.key WHEN 'notifications_enabled' THEN coalesce(nullif(put_setting.value, 'null')::boolean, true)
                         ELSE true END,
    CASE WHEN put_setting.key IN ('theme', 'notifications_enabled') OR coalesce(put_setting.value, 'null') = 'null' THEN '{}'
         ELSE jsonb_build_object(put_setting.key, put_setting.value) END)
  ON CONFLICT (user_id) DO UPDATE
     SET theme = CASE put_setting.key WHEN 'theme' THEN EXCLUDED.theme ELSE s.theme END,
         notifications_enabled = CASE put_setting.key WHEN 'notifications_enabled' THEN EXCLUDED.notifications_enabled
                                                      ELSE s.notifications_enabled END,
         preferences = CASE WHEN coalesce(put_setting.value, 'null') = 'null' THEN s.preferences - put_setting.key
                            ELSE s.preferences || EXCLUDED.preferences END
  RETURNING *;
END;

-- How far one kind of data was synchronized; the state that is not given stays.
CREATE FUNCTION put_sync_state(
  user_id text, sync_type text, last_sync timestamptz DEFAULT now(), metadata jsonb DEFAULT NULL
) RETURNS sync_state
LANGUAGE sql VOLATILE
BEGIN ATOMIC
  SELECT must_be_live(put_sync_state.user_id, 'sync_state');
  INSERT INTO sync_state AS s (user_id, sync_type, last_sync, metadata)
  VALUES (put_sync_state.user_id, put_sync_state.sync_type, coalesce(put_sync_state.last_sync, now()),
          coalesce(put_sync_state.metadata, '{}'))
  ON CONFLICT ON CONSTRAINT sync_state_user_type_key DO UPDATE
     SET last_sync = EXCLUDED.last_sync, metadata = coalesce(put_sync_state.metadata, s.metadata)
  RETURNING *;
END;

CREATE FUNCTION get_sync_state(user_id text, sync_type text) RETURNS SETOF sync_state
LANGUAGE sql STABLE ROWS 1
BEGIN ATOMIC
  SELECT s.* FROM sync_state s
   WHERE s.user_id = get_sync_state.user_id AND s.sync_type = get_sync_state.sync_type;
END;

SELECT pin_search_path('use_token', 'lock_pair', 'request_friend', 'answer_friend', 'block_user', 'notify_user');

COMMENT ON FUNCTION issue_token(text, bytea, timestamptz) IS
  'Stores the SHA-256 digest of a new refresh token; a plain-text token is rejected (23514).';
COMMENT ON FUNCTION use_token(bytea) IS
  'Marks a live token as used and returns its user; NULL if it is unknown, expired, revoked or used. SECURITY DEFINER: the token is the proof.';
COMMENT ON FUNCTION revoke_tokens(text) IS 'Revokes all live tokens of a user and returns their number.';
COMMENT ON FUNCTION lock_pair(text, text) IS
  'For the operations on relationships: makes those of the same two users run one after the other. Raises P0002 if there is no such user.';
COMMENT ON FUNCTION request_friend(text, text) IS
  'Sends a friend request, or accepts one that the other user sent before. Raises 42501 if one user blocks the other.';
COMMENT ON FUNCTION answer_friend(text, text, boolean) IS 'Accepts or rejects a pending request. Raises P0002 if there is none.';
COMMENT ON FUNCTION block_user(text, text) IS 'Blocks a user, and ends a friendship or request between the two.';
COMMENT ON FUNCTION unblock_user(text, text) IS 'Removes a block; false if there was none.';
COMMENT ON FUNCTION notify_user(text, text, jsonb, text, text, timestamptz) IS
  'Creates a notification, and returns its id and by which channels the user wants it: in_app, email, push. No notification and a NULL id if by none. SECURITY DEFINER: reads the preferences of the recipient.';
COMMENT ON FUNCTION get_notification_preferences(text) IS
  'Which notifications a user wants, with the defaults where they have chosen nothing.';
COMMENT ON FUNCTION set_notification_preferences(text, boolean, boolean, boolean, boolean, boolean, boolean, jsonb) IS
  'Sets which notifications a user wants; what is NULL stays. "other" has true or false by further kinds; null removes a kind.';
COMMENT ON FUNCTION remove_relationship(text, text) IS
  'Ends a friendship or request of either side, or the user''s own block; false if there was none.';
COMMENT ON FUNCTION list_relationships(text, text, text) IS
  'The friendships and requests of a user in both directions, and their blocks, newest first; of one type or status if given.';
COMMENT ON FUNCTION put_sync_state(text, text, timestamptz, jsonb) IS
  'Writes how far one kind of data of a user was synchronized; metadata stays unless it is given.';
COMMENT ON FUNCTION get_sync_state(text, text) IS 'How far one kind of data of a user was synchronized, or no row.';
COMMENT ON FUNCTION list_notifications(text, integer, text, boolean) IS
  'A page of a user''s notifications to show in the application that have not expired, newest first; "before" is the last id of the previous page.';
COMMENT ON FUNCTION mark_notification_read(text, text) IS 'Marks a notification as read; false if there is no such unread one.';
COMMENT ON FUNCTION put_setting(text, text, jsonb) IS
  'Sets theme, notifications_enabled, or a key of preferences; null removes a key of preferences, and resets the others to their defaults. A key has 1 to 50 characters.';
