-- What a client shows first: the channels of a user by last activity, and how much is unread in each. There is no
-- counter and no "last message" in the channel's row: every message would have to write it, and the
-- writers of a busy channel would wait for each other. Each channel costs a look at the right end of one
-- index instead, whatever the number of messages. LATERAL with LIMIT looks each channel up by its key, where a join
-- would read all channels that there are as long as these are a few thousand.

-- Counted up to 100: a client shows "99+", and what is more need not be read. ORDER BY keeps the planner from
-- collecting all that is unread before it takes the first hundred.
CREATE FUNCTION unread_counts(user_id text) RETURNS TABLE (channel_id text, unread integer)
LANGUAGE sql STABLE ROWS 20
BEGIN ATOMIC
  SELECT m.channel_id, n.unread::integer
    FROM channel_members m
   CROSS JOIN LATERAL (SELECT FROM channels c WHERE c.id = m.channel_id AND c.deleted_at IS NULL LIMIT 1) live
   CROSS JOIN LATERAL (
         SELECT count(*) AS unread
           FROM (SELECT u.id FROM messages u
                  WHERE u.channel_id = m.channel_id
                    AND u.id > CASE WHEN m.last_read_message_id IS NULL THEN '' ELSE m.last_read_message_id END
                    AND u.user_id <> m.user_id
                    AND u.deleted_at IS NULL
                  ORDER BY u.id DESC
                  LIMIT 100) newest_100) n
   WHERE m.user_id = unread_counts.user_id;
END;

-- Last activity is the newest live message, or the channel's own beginning: ids of both are ULIDs, and so they
-- compare as times do. Which channels belong to the page is found first; messages are read for these alone.
-- The newest message is first looked for from the marker on: where everything is read that is one entry of the index,
-- and nothing to count; from the channel's end on, a whole leaf of it would be gone through. OFFSET 0 keeps the planner
-- from asking for it again wherever it is named.
CREATE FUNCTION list_channels(user_id text, "limit" integer DEFAULT 20, before text DEFAULT NULL)
RETURNS TABLE (
  id text, type text, name text, description text, avatar_url text, metadata jsonb, archived_at timestamptz,
  direct_user_id text, role text, muted_until timestamptz, last_read_message_id text,
  last_message_id text, last_message_user_id text, last_message_at timestamptz, last_message_preview text,
  unread integer, last_activity text
)
LANGUAGE sql STABLE ROWS 20
BEGIN ATOMIC
  SELECT page.channel_id, page.type, page.name, page.description, page.avatar_url, page.metadata, page.archived_at,
         page.direct_user_id, page.role, page.muted_until, page.last_read_message_id,
         n.id, n.user_id, n.created_at, left(n.content, 100),
         CASE WHEN n.id > page.marker
              THEN (SELECT count(*)
                      FROM (SELECT u.id FROM messages u
                             WHERE u.channel_id = page.channel_id
                               AND u.id > page.marker
                               AND u.user_id <> page.user_id
                               AND u.deleted_at IS NULL
                             ORDER BY u.id DESC
                             LIMIT 100) newest_100)::integer
              ELSE 0
         END,
         page.last_activity
    FROM (SELECT m.channel_id, m.user_id, m.role, m.muted_until, m.last_read_message_id, m.marker,
                 c.type, c.name, c.description, c.avatar_url, c.metadata, c.archived_at,
                 CASE m.user_id WHEN c.direct_low THEN c.direct_high ELSE c.direct_low END AS direct_user_id,
                 newest.id AS newest_id, coalesce(newest.id, m.channel_id) AS last_activity
            FROM (SELECT *, CASE WHEN last_read_message_id IS NULL THEN '' ELSE last_read_message_id END AS marker
                    FROM channel_members WHERE channel_members.user_id = list_channels.user_id) m
           CROSS JOIN LATERAL (SELECT * FROM channels WHERE channels.id = m.channel_id AND deleted_at IS NULL LIMIT 1) c
           CROSS JOIN LATERAL (SELECT coalesce(
                 (SELECT l.id FROM messages l
                   WHERE l.channel_id = m.channel_id AND l.id >= m.marker AND l.deleted_at IS NULL
                   ORDER BY l.id DESC
                   LIMIT 1),
                 (SELECT l.id FROM messages l
                   WHERE l.channel_id = m.channel_id AND l.deleted_at IS NULL
                   ORDER BY l.id DESC
                   LIMIT 1)) AS id OFFSET 0) newest
           WHERE coalesce(newest.id, m.channel_id) < CASE WHEN list_channels.before IS NULL THEN 'Z' ELSE list_channels.before END
           ORDER BY last_activity DESC
           LIMIT coalesce(list_channels.limit, 20)) page
    LEFT JOIN messages n ON n.id = page.newest_id
   ORDER BY page.last_activity DESC;
END;

COMMENT ON FUNCTION unread_counts(text) IS
  'For each live channel of the user, how many messages of others are newer than the read marker, counted up to 100.';
COMMENT ON FUNCTION list_channels(text, integer, text) IS
  'A page of the live channels of a user by last activity, with the newest message, its first 100 characters and the unread count (up to 100). "before" is the last_activity of the last row of the page before.';
