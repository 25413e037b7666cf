-- Row-level security: a transaction sees and changes what the user may on whose behalf it works (acting_user());
-- without one it sees nothing. It guards against a forgotten WHERE, not against somebody who runs SQL of their
-- own as chat_app, since they can set chat.user_id. The owner of the tables is not held back: no FORCE.
--
-- The policies name no role (but chat_readonly's): whoever is granted a table is held back, and the schema
-- builds where the roles can't be made.

-- A policy on channel_members can't ask channel_members: these look with the rights of the owner, and answer for
-- the acting user alone.
CREATE FUNCTION sees_channel(channel_id text) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER
RETURN EXISTS (SELECT FROM channel_members m WHERE m.channel_id = sees_channel.channel_id AND m.user_id = acting_user());

CREATE FUNCTION runs_channel(channel_id text) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER
RETURN EXISTS (SELECT FROM channel_members m WHERE m.channel_id = runs_channel.channel_id AND m.user_id = acting_user()
                                               AND m.role IN ('owner', 'admin'));

CREATE FUNCTION is_empty_channel(channel_id text) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER
RETURN NOT EXISTS (SELECT FROM channel_members m WHERE m.channel_id = is_empty_channel.channel_id);

-- Who runs a channel adds others; everybody joins a public one themselves; the creator is the first one in.
CREATE FUNCTION may_add_member(channel_id text, user_id text, role text) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER
RETURN runs_channel(may_add_member.channel_id)
    OR may_add_member.user_id = acting_user() AND EXISTS (
         SELECT FROM channels c
          WHERE c.id = may_add_member.channel_id AND c.deleted_at IS NULL
            AND (c.type = 'public' AND may_add_member.role = 'member'
                 OR c.created_by = acting_user() AND is_empty_channel(c.id)));

-- A policy sees only what a row becomes. Without a look at what it is now, members could make themselves owners, and
-- move their membership into any channel. VOLATILE looks as late as the row itself: a marker that waited
-- for a change of role is not refused for the role of before.
CREATE FUNCTION may_change_member(channel_id text, user_id text, role text) RETURNS boolean
LANGUAGE sql VOLATILE SECURITY DEFINER
RETURN EXISTS (
         SELECT FROM channel_members m
          WHERE m.channel_id = may_change_member.channel_id AND m.user_id = acting_user()
            AND (m.role IN ('owner', 'admin')
                 OR may_change_member.user_id = m.user_id AND may_change_member.role = m.role));

SELECT pin_search_path('sees_channel', 'runs_channel', 'is_empty_channel', 'may_add_member', 'may_change_member');

-- The policies run these as the caller.
COMMENT ON FUNCTION sees_channel(text) IS
  'For policies: whether the acting user is in the channel. SECURITY DEFINER: a policy on the members can''t ask them.';
COMMENT ON FUNCTION runs_channel(text) IS
  'For policies: whether the acting user is owner or admin of the channel. SECURITY DEFINER, like sees_channel().';
COMMENT ON FUNCTION is_empty_channel(text) IS
  'For policies: whether nobody is in the channel. SECURITY DEFINER, like sees_channel().';
COMMENT ON FUNCTION may_change_member(text, text, text) IS
  'For policies: whether the acting user may make a member be this: themselves in the role that they have, anybody where they run the channel. SECURITY DEFINER, like sees_channel().';
COMMENT ON FUNCTION may_add_member(text, text, text) IS
  'For policies: whether the acting user may add this member in this role. SECURITY DEFINER, like sees_channel().';

-- Channels and members

ALTER TABLE channels ENABLE ROW LEVEL SECURITY;
CREATE POLICY channels_read ON channels FOR SELECT
  USING (type = 'public' AND acting_user() IS NOT NULL
         OR EXISTS (SELECT FROM channel_members m WHERE m.channel_id = channels.id AND m.user_id = acting_user())
         OR created_by = acting_user() AND is_empty_channel(id));  -- who makes it sees it before they are in
CREATE POLICY channels_create ON channels FOR INSERT
  WITH CHECK (created_by = acting_user() AND type <> 'direct');
CREATE POLICY channels_change ON channels FOR UPDATE
  USING (runs_channel(id));
CREATE POLICY channels_delete ON channels FOR DELETE
  USING (runs_channel(id));

ALTER TABLE channel_members ENABLE ROW LEVEL SECURITY;
CREATE POLICY channel_members_read ON channel_members FOR SELECT
  USING (user_id = acting_user() OR sees_channel(channel_id));
CREATE POLICY channel_members_add ON channel_members FOR INSERT
  WITH CHECK (may_add_member(channel_id, user_id, role));
CREATE POLICY channel_members_change ON channel_members FOR UPDATE
  USING (user_id = acting_user() OR runs_channel(channel_id))
  WITH CHECK (may_change_member(channel_id, user_id, role));
CREATE POLICY channel_members_remove ON channel_members FOR DELETE
  USING (user_id = acting_user() OR runs_channel(channel_id));

-- Messages and what hangs on them. A correlated EXISTS on the membership costs nothing that one could measure;
-- "= ANY (ARRAY(SELECT all my channels))" costs milliseconds for someone in a thousand of them.

ALTER TABLE messages ENABLE ROW LEVEL SECURITY;
CREATE POLICY messages_read ON messages FOR SELECT
  USING (EXISTS (SELECT FROM channel_members m WHERE m.channel_id = messages.channel_id AND m.user_id = acting_user()));
CREATE POLICY messages_send ON messages FOR INSERT
  WITH CHECK (user_id = acting_user()
              AND EXISTS (SELECT FROM channel_members m WHERE m.channel_id = messages.channel_id AND m.user_id = acting_user()));
-- Who runs the channel may take a message away, not put words into another's mouth.
CREATE POLICY messages_change ON messages FOR UPDATE
  USING (user_id = acting_user() OR runs_channel(channel_id))
  WITH CHECK (user_id = acting_user()
              AND EXISTS (SELECT FROM channel_members m WHERE m.channel_id = messages.channel_id AND m.user_id = acting_user())
              OR deleted_at IS NOT NULL AND runs_channel(channel_id));
CREATE POLICY messages_delete ON messages FOR DELETE
  USING (user_id = acting_user() OR runs_channel(channel_id));

ALTER TABLE message_edits ENABLE ROW LEVEL SECURITY;
CREATE POLICY message_edits_read ON message_edits FOR SELECT
  USING (EXISTS (SELECT FROM messages m WHERE m.id = message_edits.message_id));

ALTER TABLE message_deliveries ENABLE ROW LEVEL SECURITY;
CREATE POLICY message_deliveries_read ON message_deliveries FOR SELECT
  USING (user_id = acting_user() OR EXISTS (SELECT FROM messages m WHERE m.id = message_deliveries.message_id));
CREATE POLICY message_deliveries_write ON message_deliveries FOR INSERT
  WITH CHECK (user_id = acting_user() AND EXISTS (SELECT FROM messages m WHERE m.id = message_deliveries.message_id));
CREATE POLICY message_deliveries_delete ON message_deliveries FOR DELETE
  USING (user_id = acting_user());

ALTER TABLE message_reads ENABLE ROW LEVEL SECURITY;
CREATE POLICY message_reads_read ON message_reads FOR SELECT
  USING (user_id = acting_user() OR EXISTS (SELECT FROM messages m WHERE m.id = message_reads.message_id));
CREATE POLICY message_reads_write ON message_reads FOR INSERT
  WITH CHECK (user_id = acting_user() AND EXISTS (SELECT FROM messages m WHERE m.id = message_reads.message_id));
CREATE POLICY message_reads_delete ON message_reads FOR DELETE
  USING (user_id = acting_user());

ALTER TABLE reactions ENABLE ROW LEVEL SECURITY;
CREATE POLICY reactions_read ON reactions FOR SELECT
  USING (EXISTS (SELECT FROM messages m WHERE m.id = reactions.message_id));
CREATE POLICY reactions_add ON reactions FOR INSERT
  WITH CHECK (user_id = acting_user() AND EXISTS (SELECT FROM messages m WHERE m.id = reactions.message_id));
CREATE POLICY reactions_remove ON reactions FOR DELETE
  USING (user_id = acting_user());

ALTER TABLE files ENABLE ROW LEVEL SECURITY;
CREATE POLICY files_read ON files FOR SELECT
  USING (EXISTS (SELECT FROM messages m WHERE m.id = files.message_id));
CREATE POLICY files_write ON files FOR ALL
  USING (EXISTS (SELECT FROM messages m WHERE m.id = files.message_id AND m.user_id = acting_user()));

ALTER TABLE typing_indicators ENABLE ROW LEVEL SECURITY;
CREATE POLICY typing_indicators_read ON typing_indicators FOR SELECT
  USING (sees_channel(channel_id));
CREATE POLICY typing_indicators_write ON typing_indicators FOR ALL
  USING (user_id = acting_user())
  WITH CHECK (user_id = acting_user() AND sees_channel(channel_id));

-- What is of one user

ALTER TABLE relationships ENABLE ROW LEVEL SECURITY;
CREATE POLICY relationships_read ON relationships FOR SELECT
  USING (acting_user() IN (user_id, related_user_id));
CREATE POLICY relationships_make ON relationships FOR INSERT
  WITH CHECK (user_id = acting_user() AND (type = 'blocked' OR status = 'pending'));
-- Who was asked answers; who asked may only turn to blocking. A block is the blocker's alone to take back.
CREATE POLICY relationships_change ON relationships FOR UPDATE
  USING (user_id = acting_user() OR related_user_id = acting_user() AND type = 'friend')
  WITH CHECK (user_id = acting_user() AND type = 'blocked' OR related_user_id = acting_user() AND type = 'friend');
CREATE POLICY relationships_end ON relationships FOR DELETE
  USING (user_id = acting_user() OR related_user_id = acting_user() AND type = 'friend');

ALTER TABLE notifications ENABLE ROW LEVEL SECURITY;
CREATE POLICY notifications_own ON notifications USING (user_id = acting_user());

ALTER TABLE notification_preferences ENABLE ROW LEVEL SECURITY;
CREATE POLICY notification_preferences_own ON notification_preferences USING (user_id = acting_user());

ALTER TABLE sessions ENABLE ROW LEVEL SECURITY;
CREATE POLICY sessions_own ON sessions USING (user_id = acting_user());

ALTER TABLE refresh_tokens ENABLE ROW LEVEL SECURITY;
CREATE POLICY refresh_tokens_own ON refresh_tokens USING (user_id = acting_user());

ALTER TABLE sync_state ENABLE ROW LEVEL SECURITY;
CREATE POLICY sync_state_own ON sync_state USING (user_id = acting_user());

ALTER TABLE user_settings ENABLE ROW LEVEL SECURITY;
CREATE POLICY user_settings_own ON user_settings USING (user_id = acting_user());

-- Reports read it all, but what they were not granted.
DO $$
DECLARE
  report text;
BEGIN
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'chat_readonly') THEN
    FOREACH report IN ARRAY ARRAY['channels', 'channel_members', 'messages', 'message_edits', 'message_deliveries',
        'message_reads', 'reactions', 'files', 'typing_indicators', 'relationships', 'notifications',
        'notification_preferences', 'sync_state', 'user_settings'] LOOP
      EXECUTE format('CREATE POLICY %I ON %I FOR SELECT TO chat_readonly USING (true)', report || '_report', report);
    END LOOP;
  END IF;
END
$$;
