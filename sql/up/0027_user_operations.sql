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
SELECT id, username, full_name, display_name, avatar_url, last_seen_at
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

-- For operations that write a row that may be there already: a deleted user is refused as an unknown one is, with the
-- foreign key of the table, whose lock this is.
CREATE FUNCTION must_be_live(person text, "table" text, key text DEFAULT 'user_id') RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
  deleted timestamptz;
BEGIN
  SELECT deleted_at INTO deleted FROM users WHERE id = must_be_live.person FOR KEY SHARE;
  IF deleted IS NOT NULL THEN
    RAISE EXCEPTION 'insert or update on table "%" violates foreign key constraint "%"',
        must_be_live.table, must_be_live.table || '_' || must_be_live.key || '_fkey'
      USING ERRCODE = 'foreign_key_violation',
            DETAIL = format('Key (%s)=(%s) is that of a deleted user.', must_be_live.key, must_be_live.person),
            SCHEMA = current_schema(), TABLE = must_be_live.table,
            CONSTRAINT = must_be_live.table || '_' || must_be_live.key || '_fkey';
  END IF;
END
$$;

-- A heartbeat. Both times are the same; a user who never set a status gets no row for it.
CREATE FUNCTION touch_last_seen(user_id text) RETURNS timestamptz
LANGUAGE sql VOLATILE
BEGIN ATOMIC
  WITH seen AS (  -- first, as set_presence() and erase_user() do: one order, no deadlocks
         UPDATE users SET last_seen_at = now() WHERE id = touch_last_seen.user_id AND deleted_at IS NULL
         RETURNING id, last_seen_at),
       same AS (UPDATE user_status s SET last_seen = seen.last_seen_at FROM seen WHERE s.user_id = seen.id)
  SELECT last_seen_at FROM seen;
END;

CREATE FUNCTION set_presence(user_id text, status text, custom_status text DEFAULT NULL) RETURNS user_status
LANGUAGE sql VOLATILE
BEGIN ATOMIC
  SELECT must_be_live(set_presence.user_id, 'user_status');
  UPDATE users SET last_seen_at = now() WHERE id = set_presence.user_id AND deleted_at IS NULL;
  INSERT INTO user_status AS s (user_id, status, custom_status, last_seen)
  VALUES (set_presence.user_id, set_presence.status, nullif(set_presence.custom_status, ''), now())
  ON CONFLICT (user_id) DO UPDATE
     SET status = EXCLUDED.status, last_seen = EXCLUDED.last_seen,
         custom_status = CASE WHEN set_presence.custom_status IS NULL THEN s.custom_status ELSE EXCLUDED.custom_status END
  RETURNING *;
END;

-- What a client shows of a user who was silent for longer than this is "offline", whatever it last said.
CREATE FUNCTION find_presence(user_id text, silent_after interval DEFAULT '90 seconds')
RETURNS TABLE (user_id text, status text, last_seen timestamptz, custom_status text)
LANGUAGE sql STABLE ROWS 1
BEGIN ATOMIC
  SELECT u.id,
         CASE WHEN s.last_seen > statement_timestamp() - coalesce(find_presence.silent_after, '90 seconds') THEN s.status
              ELSE 'offline' END,
         coalesce(s.last_seen, u.last_seen_at), s.custom_status
    FROM users u
    LEFT JOIN user_status s ON s.user_id = u.id
   WHERE u.id = find_presence.user_id AND u.deleted_at IS NULL;
END;

CREATE FUNCTION list_presence(users text[], silent_after interval DEFAULT '90 seconds')
RETURNS TABLE (user_id text, status text, last_seen timestamptz, custom_status text)
LANGUAGE sql STABLE ROWS 20
BEGIN ATOMIC
  SELECT p.*
    FROM (SELECT DISTINCT unnest(list_presence.users) AS id) asked
   CROSS JOIN LATERAL find_presence(asked.id, list_presence.silent_after) p
   ORDER BY p.user_id;
END;

CREATE FUNCTION list_presence(channel_id text, silent_after interval DEFAULT '90 seconds')
RETURNS TABLE (user_id text, status text, last_seen timestamptz, custom_status text)
LANGUAGE sql STABLE ROWS 20
BEGIN ATOMIC
  SELECT p.*
    FROM channel_members m
   CROSS JOIN LATERAL find_presence(m.user_id, list_presence.silent_after) p
   WHERE m.channel_id = list_presence.channel_id
   ORDER BY p.user_id;
END;

-- A deleted user is there for the foreign keys, but for nobody else: a new row of theirs is refused as if there were no
-- such user. Messages, receipts, reactions and typing have no such trigger, since they are many: their operations look for
-- a live member.
--
-- Once for each statement, because a load of 100,000 rows would take twice as long with a call for each row. It runs after
-- the foreign keys are checked, and their check waits for delete_user() and erase_user(), which lock the user's row
-- first: so of a new row and a concurrent deletion, either the row comes first, or it is refused. The rows that a
-- statement updates, ON CONFLICT or not, are not looked at unless the user changes: operations that write a row that may be
-- there call must_be_live().
CREATE FUNCTION refuse_deleted_user() RETURNS trigger
LANGUAGE plpgsql
AS $$
DECLARE
  person text;
BEGIN
  IF TG_LEVEL = 'ROW' THEN
    CASE TG_ARGV[0]
      WHEN 'user_id' THEN person := NEW.user_id;
      WHEN 'related_user_id' THEN person := NEW.related_user_id;
      WHEN 'created_by' THEN person := NEW.created_by;
    END CASE;
    PERFORM must_be_live(person, TG_TABLE_NAME, TG_ARGV[0]);
    RETURN NULL;
  END IF;
  CASE TG_ARGV[0]
    WHEN 'user_id' THEN
      SELECT a.user_id INTO person FROM added a JOIN users u ON u.id = a.user_id AND u.deleted_at IS NOT NULL LIMIT 1;
    WHEN 'related_user_id' THEN
      SELECT a.related_user_id INTO person FROM added a JOIN users u ON u.id = a.related_user_id AND u.deleted_at IS NOT NULL LIMIT 1;
    WHEN 'created_by' THEN
      SELECT a.created_by INTO person FROM added a JOIN users u ON u.id = a.created_by AND u.deleted_at IS NOT NULL LIMIT 1;
  END CASE;
  IF FOUND THEN
    PERFORM must_be_live(person, TG_TABLE_NAME, TG_ARGV[0]);
  END IF;
  RETURN NULL;
END
$$;

DO $$
DECLARE
  one record;
BEGIN
  FOR one IN
    SELECT * FROM (VALUES
      ('profiles', 'user_id'), ('user_settings', 'user_id'), ('user_status', 'user_id'), ('sync_state', 'user_id'),
      ('refresh_tokens', 'user_id'), ('sessions', 'user_id'), ('notifications', 'user_id'),
      ('notification_preferences', 'user_id'), ('files', 'user_id'), ('channel_members', 'user_id'),
      ('channels', 'created_by'), ('relationships', 'user_id'), ('relationships', 'related_user_id')
    ) t (name, key)
  LOOP
    EXECUTE format('CREATE TRIGGER %1$I AFTER INSERT ON %3$I REFERENCING NEW TABLE AS added
                    FOR EACH STATEMENT EXECUTE FUNCTION refuse_deleted_user(%2$L)',
                   one.name || '_' || one.key || '_live', one.key, one.name);
    EXECUTE format('CREATE TRIGGER %1$I AFTER UPDATE OF %2$I ON %3$I
                    FOR EACH ROW WHEN (OLD.%2$I IS DISTINCT FROM NEW.%2$I)
                    EXECUTE FUNCTION refuse_deleted_user(%2$L)',
                   one.name || '_' || one.key || '_still_live', one.key, one.name);
  END LOOP;
END
$$;

CREATE FUNCTION put_profile(user_id text, bio text) RETURNS profiles
LANGUAGE sql VOLATILE
BEGIN ATOMIC
  SELECT must_be_live(put_profile.user_id, 'profiles');
  INSERT INTO profiles (user_id, bio) VALUES (put_profile.user_id, put_profile.bio)
  ON CONFLICT (user_id) DO UPDATE SET bio = EXCLUDED.bio
  RETURNING *;
END;

CREATE FUNCTION get_profile(user_id text) RETURNS SETOF profiles
LANGUAGE sql STABLE ROWS 1
BEGIN ATOMIC
  SELECT p.* FROM profiles p
    JOIN users u ON u.id = p.user_id AND u.deleted_at IS NULL
   WHERE p.user_id = get_profile.user_id;
END;

-- A deleted user keeps their data, but can no longer log in: their sessions and tokens end, so that they stay ended
-- if the user is restored.
-- The row of the user is locked first: a session or token that is being written is ended, too, and a later one refused.
-- SECURITY DEFINER: under the policies of another user, or of none, those rows would be skipped without a word.
CREATE FUNCTION delete_user(user_id text) RETURNS boolean
LANGUAGE sql VOLATILE SECURITY DEFINER
BEGIN ATOMIC
  SELECT must_act_as(delete_user.user_id);
  SELECT FROM users WHERE id = delete_user.user_id FOR UPDATE;
  DELETE FROM sessions WHERE user_id = delete_user.user_id;
  UPDATE refresh_tokens SET revoked_at = now() WHERE user_id = delete_user.user_id AND revoked_at IS NULL;
  UPDATE user_status SET status = 'offline' WHERE user_id = delete_user.user_id;
  WITH deleted AS (
    UPDATE users SET deleted_at = now() WHERE id = delete_user.user_id AND deleted_at IS NULL
    RETURNING id)
  SELECT EXISTS (SELECT FROM deleted);
END;

-- Whether a document contains one of these regular expressions: "marks" in its keys, numbers and texts, "words" in its texts
-- alone, because the keys of an application may be words such as "text". Each text is between line breaks.
CREATE FUNCTION mentions(document jsonb, marks text, words text) RETURNS boolean
LANGUAGE sql IMMUTABLE
RETURN
  coalesce((SELECT E'\n' || string_agg(t #>> '{}', E'\n') || E'\n'
              FROM jsonb_path_query(mentions.document, 'strict $.** ? (@.type() == "string")') t)
             ~* concat_ws('|', mentions.marks, mentions.words), false)
  OR coalesce((SELECT E'\n' || string_agg(k #>> '{}', E'\n') || E'\n'
                 FROM (SELECT jsonb_path_query(mentions.document, 'strict $.** ? (@.type() == "number")')
                       UNION ALL
                       SELECT jsonb_path_query(mentions.document, 'strict $.** ? (@.type() == "object").keyvalue().key')) o (k))
                ~* mentions.marks, false);

-- Erasing a user makes them anonymous. Their messages with the files in them stay, so that conversations remain readable,
-- and so does what other people have written. Data that belongs to them alone is deleted, and so are the notifications
-- of others that name them: one notification too few is a lesser harm than a name that is left. What names a person,
-- in any case:
--
--   * the id, e-mail address, auth0_id and picture, anywhere in a text; not a picture that other users have, too;
--   * the user name, full name and display name, as whole words in a text; as a key only those of several words, or
--     with a digit or an underscore.
--
-- A rate limit ends if its key contains one of the first, or has a name as a component other than the first, which is
-- the action: login:bob, and not bob:198.51.100.7.
-- SECURITY DEFINER: rows of other users about them are deleted as well, so that nothing remains.
CREATE FUNCTION erase_user(user_id text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER
AS $$
#variable_conflict use_column
DECLARE
  separators constant text := '[]\[:;,|/&=?#(){}<>[:space:]]+';  -- of the components of a key
  person users;
  names  text[];
  ids    text;  -- regular expressions
  marks  text;  -- the ids, and the names that are no common word
  words  text;  -- all others
  rough  text;  -- found in the text of each document that contains one of them, and in few others
BEGIN
  PERFORM must_act_as(erase_user.user_id);
  -- not NO KEY: it waits for rows of the person that others are writing, and makes later ones wait
  SELECT * INTO person FROM users WHERE id = erase_user.user_id FOR UPDATE;
  IF NOT FOUND THEN
    RETURN false;
  END IF;

  names := array_remove(ARRAY[lower(person.username::text), lower(btrim(person.full_name)), lower(btrim(person.display_name))], '');
  SELECT string_agg(found, '|') FILTER (WHERE kind <> 'name'),
         string_agg(found, '|') FILTER (WHERE kind <> 'name' OR btrim(mark) ~ '[[:space:]_0-9]'),
         string_agg(found, '|') FILTER (WHERE kind = 'name' AND btrim(mark) !~ '[[:space:]_0-9]'),
         string_agg(regexp_replace(btrim(mark), '[^[:alnum:]]+', '.+', 'g'), '|')
    INTO ids, marks, words, rough
    FROM (SELECT kind, mark,
                 CASE WHEN kind = 'id' AND length(escaped) >= 8 THEN escaped
                      WHEN kind = 'email'
                      THEN '[^[:alnum:]]' || replace(escaped, '@', '(@|%40)') || '([^[:alnum:].-]|[.-][^[:alnum:]])'
                      -- a name without a letter, such as an emoji, only if a text is nothing else
                      WHEN kind = 'name' AND mark !~ '[[:alnum:]\u00C0-\u1FFF\u2C00-\uD7FF]' THEN '\n' || escaped || '\n'
                      ELSE '[^[:alnum:]_]_*' || escaped || '_*[^[:alnum:]_]'
                 END AS found
            FROM (VALUES ('id', person.id::text), ('email', person.email::text), ('id', person.auth0_id),
                         ('id', (SELECT right(person.avatar_url, 500)  -- the end of an image that is written out differs
                                  WHERE NOT EXISTS (SELECT FROM users o
                                                     WHERE o.avatar_url = person.avatar_url AND o.id <> person.id))),
                         ('name', person.username::text), ('name', person.full_name), ('name', person.display_name)
                 ) known (kind, mark),
                 LATERAL regexp_replace(btrim(mark), '([]\[.*+?^${}()|\\])', '\\\1', 'g') quoted,
                 LATERAL regexp_replace(quoted, '\s+', '\\s+', 'g') escaped
           WHERE btrim(mark) <> '') each_mark;

  DELETE FROM rate_limits
   WHERE E'\n' || key || E'\n' ~* ids OR lower(key) = ANY (names)
      OR EXISTS (SELECT FROM unnest(names) n WHERE n ~ separators AND strpos(lower(key), n) > 1)  -- of several components
      OR (regexp_split_to_array(lower(key), separators))[2:] && names;
  DELETE FROM notifications
   WHERE user_id <> person.id
     AND (E'\n' || related_id || E'\n' ~* concat_ws('|', marks, words) OR content::text ~* rough AND mentions(content, marks, words));
  DELETE FROM sessions                 WHERE user_id = person.id OR user_id IS NULL AND mentions(data, marks, words);
  DELETE FROM profiles                 WHERE user_id = person.id;
  DELETE FROM user_settings            WHERE user_id = person.id;
  DELETE FROM user_status              WHERE user_id = person.id;
  DELETE FROM notification_preferences WHERE user_id = person.id;
  DELETE FROM notifications            WHERE user_id = person.id;
  DELETE FROM relationships            WHERE user_id = person.id;
  DELETE FROM relationships            WHERE related_user_id = person.id;
  DELETE FROM refresh_tokens           WHERE user_id = person.id;
  DELETE FROM sync_state               WHERE user_id = person.id;
  DELETE FROM typing_indicators        WHERE user_id = person.id;
  DELETE FROM files                    WHERE user_id = person.id AND message_id IS NULL;
  DELETE FROM message_deliveries       WHERE user_id = person.id;
  DELETE FROM message_reads            WHERE user_id = person.id;
  DELETE FROM channel_members          WHERE user_id = person.id;
  UPDATE messages
     SET client_message_id = NULL, metadata = CASE WHEN mentions(metadata, marks, words) THEN '{}' ELSE metadata END
   WHERE user_id = person.id AND (client_message_id IS NOT NULL OR metadata <> '{}');
  UPDATE users
     SET email = 'erased-' || id || '@erased.invalid', username = 'erased_' || id, auth0_id = 'erased|' || id,
         password_hash = NULL, full_name = NULL, display_name = NULL, avatar_url = NULL,
         is_active = false, is_verified = false, last_seen_at = NULL, last_login_at = NULL,
         deleted_at = coalesce(deleted_at, now())
   WHERE id = person.id;
  RETURN true;
END
$$;

SELECT pin_search_path('update_user', 'delete_user', 'erase_user', 'refuse_deleted_user', 'must_be_live');

COMMENT ON VIEW public_users IS 'Live users with the columns that everyone may see: no e-mail address, no hash, no flag.';
COMMENT ON FUNCTION create_user(text, text, text, text, text, text, text) IS
  'Creates a user; needs an auth0_id or a password_hash. An e-mail address, user name or auth0_id of another live user raises 23505.';
COMMENT ON FUNCTION find_user(text) IS 'The live user with this id, or no row.';
COMMENT ON FUNCTION find_user_by_email(text) IS 'The live user with this e-mail address, compared without regard to case, or no row.';
COMMENT ON FUNCTION find_user_by_username(text) IS 'The live user with this user name, compared without regard to case, or no row.';
COMMENT ON FUNCTION update_user(text, jsonb) IS
  'Changes the columns that are keys of changes; null sets a column to NULL. Raises P0002 if there is no such live user, 22023 for any other key.';
COMMENT ON FUNCTION touch_last_seen(text) IS
  'Sets users.last_seen_at and user_status.last_seen to now and returns it; NULL if there is no such live user.';
COMMENT ON FUNCTION set_presence(text, text, text) IS
  'Sets the status of a user (online, away, busy, offline), and when they were last seen. custom_status stays unless it is given; an empty text clears it.';
COMMENT ON FUNCTION find_presence(text, interval) IS
  'Status of a live user: offline if they have been silent for longer than silent_after, or never set one.';
COMMENT ON FUNCTION list_presence(text[], interval) IS
  'Status of these live users, each as find_presence() tells it. Pass users => ..., or text[]: an untyped argument is a channel.';
COMMENT ON FUNCTION list_presence(text, interval) IS
  'Status of the live members of a channel, each as find_presence() tells it.';
COMMENT ON FUNCTION put_profile(text, text) IS 'Writes what a user says about themselves, up to 500 characters.';
COMMENT ON FUNCTION get_profile(text) IS 'The profile of a live user, or no row.';
COMMENT ON FUNCTION delete_user(text) IS
  'Marks a user as deleted: e-mail address, user name and auth0_id can be used again, and no token or session of the user works any more, not even if the user is restored. False if there is no such live user. SECURITY DEFINER: only for the owner of the schema or the user (otherwise 42501).';
COMMENT ON FUNCTION mentions(jsonb, text, text) IS
  'For erase_user(): whether a document contains one of these regular expressions: marks anywhere, words in its texts.';
COMMENT ON FUNCTION must_be_live(text, text, text) IS
  'For operations: refuses a deleted user as an unknown one is, with the foreign key of the table (23503).';
COMMENT ON FUNCTION refuse_deleted_user() IS
  'Trigger: a row of a deleted user is refused as one of an unknown user is, with the foreign key (23503).';
COMMENT ON FUNCTION erase_user(text) IS
  'Makes a user anonymous and deletes what belongs to them alone, and notifications and rate limits that name them; messages with their files, and reactions stay. False if there is no such user. SECURITY DEFINER: only for the owner of the schema or the user (otherwise 42501).';
