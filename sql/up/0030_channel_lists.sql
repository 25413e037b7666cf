-- What a client shows first: the channels of a user by last activity, and the number of unread messages in each. The
-- channel's row has no counter and no "last message": every message would have to update it, and the writers of a
-- busy channel would wait for each other. Instead, each channel costs one look at the right end of one index,
-- whatever the number of messages. LATERAL with LIMIT looks up each channel by its key, where a join would read all
-- channels as long as there are only a few thousand.

-- Counts stop at 100: a client shows "99+", and further messages need not be read. ORDER BY keeps the planner from
-- collecting all unread messages before it takes the first hundred. Whether a channel is deleted is looked up in the
-- index of deleted channels, which is hardly more than a page, where each channel's row would take three. A scalar
-- subquery is evaluated per channel; NOT EXISTS would be joined, and might read all of them.
CREATE FUNCTION unread_counts(user_id text) RETURNS TABLE (channel_id text, unread integer)
LANGUAGE sql STABLE ROWS 20
BEGIN ATOMIC
  SELECT m.channel_id, n.unread::integer
    FROM channel_members m
   CROSS JOIN LATERAL (
         SELECT count(*) AS unread
           FROM (SELECT u.id FROM messages u
                  WHERE u.channel_id = m.channel_id
                    AND u.id > CASE WHEN m.last_read_message_id IS NULL THEN '' ELSE m.last_read_message_id END
                    AND u.user_id <> m.user_id
                    AND u.deleted_at IS NULL
                  ORDER BY u.id DESC
                  LIMIT 100) newest_100) n
   WHERE m.user_id = unread_counts.user_id
     AND (SELECT gone.id FROM channels gone WHERE gone.id = m.channel_id AND gone.deleted_at IS NOT NULL) IS NULL;
END;

CREATE FUNCTION count_unread(user_id text) RETURNS bigint
LANGUAGE sql STABLE
RETURN (SELECT coalesce(sum(c.unread), 0) FROM unread_counts(count_unread.user_id) c);

-- Last activity is the newest live message, or the creation of the channel: both ids are ULIDs, so they compare like
-- times. The channels are sorted in this order first, and read from the top until the page is full; messages are
-- read for those only. OFFSET 0 keeps the planner from reordering this, and from looking up the newest message
-- again wherever it is named.
-- The newest message is first searched from the read marker on: if everything is read, that is one index entry, and
-- nothing to count; a search from the channel's end would read a whole leaf page.
CREATE FUNCTION list_channels(user_id text, "limit" integer DEFAULT 20, before text DEFAULT NULL)
RETURNS TABLE (
  id text, type text, name text, description text, avatar_url text, metadata jsonb, archived_at timestamptz,
  direct_user_id text, role text, muted_until timestamptz, last_read_message_id text,
  last_message_id text, last_message_user_id text, last_message_at timestamptz, last_message_preview text,
  unread integer, last_activity text
)
LANGUAGE sql STABLE ROWS 20
BEGIN ATOMIC
  SELECT c.id, c.type, c.name, c.description, c.avatar_url, c.metadata, c.archived_at,
         CASE active.user_id WHEN c.direct_low THEN c.direct_high ELSE c.direct_low END,
         active.role, active.muted_until, active.last_read_message_id,
         n.id, n.user_id, n.created_at, left(n.content, 100),
         CASE WHEN n.id > active.marker
              THEN (SELECT count(*)
                      FROM (SELECT u.id FROM messages u
                             WHERE u.channel_id = active.channel_id
                               AND u.id > active.marker
                               AND u.user_id <> active.user_id
                               AND u.deleted_at IS NULL
                             ORDER BY u.id DESC
                             LIMIT 100) newest_100)::integer
              ELSE 0
         END,
         active.last_activity
    FROM (SELECT m.*, newest.id AS newest_id, coalesce(newest.id, m.channel_id) AS last_activity
            FROM (SELECT *, CASE WHEN last_read_message_id IS NULL THEN '' ELSE last_read_message_id END AS marker
                    FROM channel_members WHERE channel_members.user_id = list_channels.user_id) m
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
           ORDER BY last_activity DESC OFFSET 0) active
   CROSS JOIN LATERAL (SELECT * FROM channels WHERE channels.id = active.channel_id AND deleted_at IS NULL LIMIT 1) c
    LEFT JOIN LATERAL (SELECT * FROM messages WHERE messages.id = active.newest_id LIMIT 1) n ON true
   ORDER BY active.last_activity DESC
   LIMIT coalesce(list_channels.limit, 20);
END;

COMMENT ON FUNCTION unread_counts(text) IS
  'For each live channel of the user, the number of messages of others that are newer than the read marker, up to 100.';
COMMENT ON FUNCTION count_unread(text) IS
  'The sum of unread_counts(): unread messages in all live channels of the user, at most 100 of each.';
COMMENT ON FUNCTION list_channels(text, integer, text) IS
  'A page of the live channels of a user by last activity, with the newest message, its first 100 characters and the unread count (up to 100). "before" is the last_activity of the last row of the previous page.';
