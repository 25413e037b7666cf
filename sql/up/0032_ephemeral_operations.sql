-- Operations on data that lasts seconds or hours. A read never returns an expired row, whether it was purged or not.

CREATE FUNCTION start_typing(channel_id text, user_id text, lasts interval DEFAULT '5 seconds') RETURNS timestamptz
LANGUAGE plpgsql
AS $$
#variable_conflict use_column
DECLARE
  until timestamptz;
BEGIN
  INSERT INTO typing_indicators (channel_id, user_id, expires_at)
  SELECT m.channel_id, m.user_id, clock_timestamp() + start_typing.lasts
    FROM channel_members m
    JOIN users u ON u.id = m.user_id AND u.deleted_at IS NULL
   WHERE m.channel_id = start_typing.channel_id AND m.user_id = start_typing.user_id
     FOR KEY SHARE OF u
  ON CONFLICT (channel_id, user_id) DO UPDATE SET expires_at = EXCLUDED.expires_at
  RETURNING expires_at INTO until;
  IF NOT FOUND THEN
    PERFORM must_have_user(start_typing.user_id);
    RAISE EXCEPTION 'only a member may write to a channel' USING ERRCODE = 'insufficient_privilege',
      DETAIL = format('The channel is %s, the user %s.', left(start_typing.channel_id, 40), left(start_typing.user_id, 40));
  END IF;
  RETURN until;
END
$$;

CREATE FUNCTION list_typing(channel_id text) RETURNS SETOF typing_indicators
LANGUAGE sql STABLE ROWS 3
BEGIN ATOMIC
  SELECT t.* FROM typing_indicators t
   WHERE t.channel_id = list_typing.channel_id AND t.expires_at > clock_timestamp();
END;

-- These are SECURITY DEFINER: the user of a session is not known before it is read; its id is the proof.
CREATE FUNCTION put_session(session_hash bytea, data jsonb, expires_at timestamptz, user_id text DEFAULT NULL) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER
BEGIN ATOMIC
  SELECT must_be_live(put_session.user_id, 'sessions');
  INSERT INTO sessions (session_hash, user_id, data, expires_at)
  VALUES (put_session.session_hash, put_session.user_id, put_session.data, put_session.expires_at)
  ON CONFLICT (session_hash) DO UPDATE
     SET user_id = EXCLUDED.user_id, data = EXCLUDED.data, expires_at = EXCLUDED.expires_at;
END;

CREATE FUNCTION get_session(session_hash bytea) RETURNS SETOF sessions
LANGUAGE sql STABLE SECURITY DEFINER ROWS 1
BEGIN ATOMIC
  SELECT s.* FROM sessions s
   WHERE s.session_hash = get_session.session_hash AND s.expires_at > clock_timestamp()
     AND NOT EXISTS (SELECT FROM users u WHERE u.id = s.user_id AND (u.deleted_at IS NOT NULL OR NOT u.is_active));
END;

CREATE FUNCTION end_session(session_hash bytea) RETURNS boolean
LANGUAGE sql VOLATILE SECURITY DEFINER
BEGIN ATOMIC
  WITH ended AS (
    DELETE FROM sessions WHERE session_hash = end_session.session_hash
    RETURNING 1)
  SELECT EXISTS (SELECT FROM ended);
END;

-- Of all sessions of a user only that user may dispose, so the caller must act as them.
CREATE FUNCTION end_sessions(user_id text) RETURNS bigint
LANGUAGE sql VOLATILE SECURITY DEFINER
BEGIN ATOMIC
  SELECT must_act_as(end_sessions.user_id);
  WITH ended AS (
    DELETE FROM sessions WHERE user_id = end_sessions.user_id
    RETURNING 1)
  SELECT count(*) FROM ended;
END;

-- A DELETE by the application would remove only sessions of the acting user, and say nothing of the others.
CREATE FUNCTION refuse_session_delete() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
  IF row_security_active(TG_RELID) THEN
    RAISE EXCEPTION 'a session is not ended by DELETE' USING ERRCODE = 'insufficient_privilege',
      HINT = 'Call end_session(session_hash), or end_sessions(user_id) for all sessions of a user.';
  END IF;
  RETURN NULL;
END
$$;

CREATE TRIGGER sessions_refuse_delete
  BEFORE DELETE ON sessions
  FOR EACH STATEMENT
  EXECUTE FUNCTION refuse_session_delete();

-- One statement, so that every concurrent call is counted. A call over the limit writes nothing: a flood of calls
-- costs only reads of one row.
CREATE FUNCTION hit_rate_limit(key text, max integer, "window" interval) RETURNS boolean
LANGUAGE sql VOLATILE
BEGIN ATOMIC
  WITH hit AS (
    INSERT INTO rate_limits AS r (key, window_start, window_end, hits)
    SELECT hit_rate_limit.key, t, t + hit_rate_limit.window, 1
      FROM (SELECT clock_timestamp() AS t) clock
     WHERE hit_rate_limit.max > 0
    ON CONFLICT (key) DO UPDATE
       SET window_start = CASE WHEN r.window_end <= EXCLUDED.window_start THEN EXCLUDED.window_start ELSE r.window_start END,
           window_end   = CASE WHEN r.window_end <= EXCLUDED.window_start THEN EXCLUDED.window_end ELSE r.window_end END,
           hits         = CASE WHEN r.window_end <= EXCLUDED.window_start THEN 1 ELSE r.hits + 1 END
     WHERE r.window_end <= EXCLUDED.window_start OR r.hits < hit_rate_limit.max
    RETURNING 1)
  SELECT EXISTS (SELECT FROM hit);
END;

-- Users who have been silent for 90 seconds are offline when read (find_presence); here their rows become so, too, and
-- clients learn of it by an event. Files that no message took within a day are deleted.
-- SECURITY DEFINER: it changes rows of all users. Rows that other sessions have locked are left for the next call.
CREATE FUNCTION purge_expired() RETURNS bigint
LANGUAGE sql VOLATILE SECURITY DEFINER
BEGIN ATOMIC
  WITH s AS (DELETE FROM sessions WHERE session_hash IN
              (SELECT session_hash FROM sessions WHERE expires_at <= now() FOR UPDATE SKIP LOCKED) RETURNING 1),
       r AS (DELETE FROM rate_limits WHERE key IN
              (SELECT key FROM rate_limits WHERE window_end <= now() FOR UPDATE SKIP LOCKED) RETURNING 1),
       t AS (DELETE FROM typing_indicators WHERE (channel_id, user_id) IN
              (SELECT channel_id, user_id FROM typing_indicators WHERE expires_at <= now() FOR UPDATE SKIP LOCKED) RETURNING 1),
       n AS (DELETE FROM notifications WHERE id IN
              (SELECT id FROM notifications WHERE expires_at <= now() FOR UPDATE SKIP LOCKED) RETURNING 1),
       k AS (DELETE FROM refresh_tokens WHERE id IN
              (SELECT id FROM refresh_tokens WHERE expires_at <= now() FOR UPDATE SKIP LOCKED) RETURNING 1),
       f AS (DELETE FROM files WHERE id IN
              (SELECT id FROM files WHERE message_id IS NULL AND created_at <= now() - interval '1 day'
                  FOR UPDATE SKIP LOCKED) RETURNING 1),
       p AS (UPDATE user_status SET status = 'offline' WHERE user_id IN
              (SELECT user_id FROM user_status
                WHERE status <> 'offline' AND (last_seen <= now() - interval '90 seconds') IS NOT FALSE
                  FOR UPDATE SKIP LOCKED) RETURNING 1)
  SELECT (SELECT count(*) FROM s) + (SELECT count(*) FROM r) + (SELECT count(*) FROM t)
       + (SELECT count(*) FROM n) + (SELECT count(*) FROM k) + (SELECT count(*) FROM f) + (SELECT count(*) FROM p);
END;

SELECT pin_search_path('start_typing', 'put_session', 'get_session', 'end_session', 'end_sessions', 'purge_expired');

COMMENT ON FUNCTION start_typing(text, text, interval) IS
  'Marks a member as typing for the given time; returns the end of that time. Raises 42501 if the user is not a member.';
COMMENT ON FUNCTION list_typing(text) IS 'The users who are typing in the channel now.';
COMMENT ON FUNCTION put_session(bytea, jsonb, timestamptz, text) IS
  'Writes a session under the SHA-256 digest of its id. SECURITY DEFINER: the id is the proof.';
COMMENT ON FUNCTION get_session(bytea) IS
  'The session with this digest, or no row if it has expired or does not exist, or its user may no longer log in. SECURITY DEFINER: the id is the proof.';
COMMENT ON FUNCTION end_session(bytea) IS
  'Deletes the session with this digest; false if there is none. SECURITY DEFINER: the id is the proof.';
COMMENT ON FUNCTION end_sessions(text) IS
  'Deletes all sessions of a user and returns their number. SECURITY DEFINER: only for the owner of the schema or the user (otherwise 42501).';
COMMENT ON FUNCTION refuse_session_delete() IS
  'Trigger: where row-level security applies, a DELETE of sessions is refused (42501) and names the functions that end them.';
COMMENT ON FUNCTION hit_rate_limit(text, integer, interval) IS
  'Counts a call, and returns whether it is within max calls per window of this length; the window begins with the first call.';
COMMENT ON FUNCTION purge_expired() IS
  'Deletes expired sessions, rate limits, typing indicators, notifications and tokens, and files that have had no message for a day, sets users who have been silent for 90 seconds to offline, and returns the number of rows. SECURITY DEFINER: changes rows of all users.';
