-- Row-level security: a transaction sees and changes what its user may see and change (acting_user()); without a user
-- it sees nothing, and a statement that writes is refused with the reason (must_act()). This protects against a forgotten
-- WHERE, not against someone who runs arbitrary SQL as chat_app, because they can set chat.user_id. It does not apply to
-- the owner of the tables: FORCE is not set.
--
-- The policies name no role (except chat_readonly's): they apply to every role that is granted a table, and the schema
-- can be created where the roles cannot.
--
-- chatdb: allow: several-strong-locks, the file is applied together with those that make the tables

-- A policy on channel_members cannot query channel_members: these functions read it with the rights of the owner, and
-- answer for the acting user only.
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

-- Owners and admins of a channel add others; every user may join a public channel; the creator is the first member.
CREATE FUNCTION may_add_member(channel_id text, user_id text, role text) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER
RETURN must_act() IS NOT NULL AND (runs_channel(may_add_member.channel_id)
    OR may_add_member.user_id = acting_user() AND EXISTS (
         SELECT FROM channels c
          WHERE c.id = may_add_member.channel_id AND c.deleted_at IS NULL
            AND (c.type = 'public' AND may_add_member.role = 'member'
                 OR c.created_by = acting_user() AND is_empty_channel(c.id))));

-- A policy sees only the new row. Without reading the current one, members could make themselves owners, and move
-- their membership to any channel. VOLATILE reads as late as the row itself: an update of the read marker that
-- waited for a change of role is not refused because of the old role.
CREATE FUNCTION may_change_member(channel_id text, user_id text, role text) RETURNS boolean
LANGUAGE sql VOLATILE SECURITY DEFINER
RETURN EXISTS (
         SELECT FROM channel_members m
          WHERE m.channel_id = may_change_member.channel_id AND m.user_id = acting_user()
            AND (m.role IN ('owner', 'admin')
                 OR may_change_member.user_id = m.user_id AND may_change_member.role = m.role));

-- Nobody may change the type of a channel or the pair of a direct one: its members agreed to talk to those that they
-- see, and a direct channel belongs to its two users.
CREATE FUNCTION may_change_channel(channel_id text, type text, direct_low text, direct_high text) RETURNS boolean
LANGUAGE sql VOLATILE SECURITY DEFINER
RETURN runs_channel(may_change_channel.channel_id)
   AND EXISTS (SELECT FROM channels c
                WHERE c.id = may_change_channel.channel_id AND c.type = may_change_channel.type
                  AND c.direct_low IS NOT DISTINCT FROM may_change_channel.direct_low
                  AND c.direct_high IS NOT DISTINCT FROM may_change_channel.direct_high);

-- For a message that is not new when it is written: a policy alone would not say which rule it violates.
CREATE FUNCTION refuse_status() RETURNS boolean
LANGUAGE plpgsql
AS $$
BEGIN
  RAISE EXCEPTION 'the status of a new message is "sending"' USING ERRCODE = 'insufficient_privilege',
    HINT = 'Receipts move it forward: mark_delivered(), mark_read(). Its author calls set_message_status(message_id, user_id, status).';
END
$$;

-- Owners and admins of a channel delete messages of others: what the author wrote, and who the author is, stays.
CREATE FUNCTION may_change_message(message_id text, channel_id text, user_id text, content text, content_type text,
                                   reply_to_id text, metadata jsonb) RETURNS boolean
LANGUAGE sql VOLATILE SECURITY DEFINER
RETURN EXISTS (
         SELECT FROM messages m
          WHERE m.id = may_change_message.message_id AND m.user_id = may_change_message.user_id
            AND (m.user_id = acting_user()
                 OR m.channel_id = may_change_message.channel_id AND m.content = may_change_message.content
                    AND m.content_type IS NOT DISTINCT FROM may_change_message.content_type
                    AND m.reply_to_id IS NOT DISTINCT FROM may_change_message.reply_to_id
                    AND m.metadata IS NOT DISTINCT FROM may_change_message.metadata));

SELECT pin_search_path('sees_channel', 'runs_channel', 'is_empty_channel', 'may_add_member', 'may_change_member',
                       'may_change_channel', 'may_change_message');

-- The policies call these functions as the caller, so that each role with rights on the tables needs the right to call
-- them, too; other roles could ask who is a member of which channel.
REVOKE EXECUTE ON FUNCTION sees_channel(text) FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION runs_channel(text) FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION is_empty_channel(text) FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION may_add_member(text, text, text) FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION may_change_member(text, text, text) FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION may_change_channel(text, text, text, text) FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION may_change_message(text, text, text, text, text, text, jsonb) FROM PUBLIC;

DO $$
DECLARE
  role text;
BEGIN
  FOREACH role IN ARRAY ARRAY['chat_app', 'chat_readonly'] LOOP
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = role) THEN
      EXECUTE format('GRANT EXECUTE ON FUNCTION sees_channel(text), runs_channel(text), is_empty_channel(text) TO %I', role);
    END IF;
  END LOOP;
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'chat_app') THEN
    GRANT EXECUTE ON FUNCTION may_add_member(text, text, text), may_change_member(text, text, text),
                              may_change_channel(text, text, text, text),
                              may_change_message(text, text, text, text, text, text, jsonb) TO chat_app;
  END IF;
END
$$;

COMMENT ON FUNCTION sees_channel(text) IS
  'For policies: whether the acting user is a member of the channel. SECURITY DEFINER: a policy on channel_members cannot query that table.';
COMMENT ON FUNCTION runs_channel(text) IS
  'For policies: whether the acting user is owner or admin of the channel. SECURITY DEFINER, like sees_channel().';
COMMENT ON FUNCTION is_empty_channel(text) IS
  'For policies: whether the channel has no members. SECURITY DEFINER, like sees_channel().';
COMMENT ON FUNCTION refuse_status() IS 'For policies: raises 42501, because a message is not written with another status than sending.';
COMMENT ON FUNCTION may_change_member(text, text, text) IS
  'For policies: whether the acting user may change a member to these values: themselves, without changing the role, or any member if they are owner or admin. SECURITY DEFINER, like sees_channel().';
COMMENT ON FUNCTION may_change_channel(text, text, text, text) IS
  'For policies: whether the acting user may change the channel to these values: owners and admins, without changing its type or pair. SECURITY DEFINER, like sees_channel().';
COMMENT ON FUNCTION may_change_message(text, text, text, text, text, text, jsonb) IS
  'For policies: whether the message keeps its author, and, unless that is the acting user, its channel and what was written. SECURITY DEFINER, like sees_channel().';
COMMENT ON FUNCTION may_add_member(text, text, text) IS
  'For policies: whether the acting user may add this member with this role. SECURITY DEFINER, like sees_channel().';

-- Channels and members

ALTER TABLE channels ENABLE ROW LEVEL SECURITY;
CREATE POLICY channels_read ON channels FOR SELECT
  USING (type = 'public' AND acting_user() IS NOT NULL
         OR EXISTS (SELECT FROM channel_members m WHERE m.channel_id = channels.id AND m.user_id = acting_user())
         OR created_by = acting_user() AND is_empty_channel(id));  -- the creator sees it before becoming a member
CREATE POLICY channels_create ON channels FOR INSERT
  WITH CHECK (created_by = must_act() AND type <> 'direct');
CREATE POLICY channels_change ON channels FOR UPDATE
  USING (runs_channel(id))
  WITH CHECK (may_change_channel(id, type, direct_low, direct_high));
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

-- Messages and what belongs to them: a deleted user writes none of it, like one who does not exist. A correlated EXISTS on the membership has no measurable cost;
-- "= ANY (ARRAY(SELECT all my channels))" costs milliseconds for a user with a thousand channels.

ALTER TABLE messages ENABLE ROW LEVEL SECURITY;
CREATE POLICY messages_read ON messages FOR SELECT
  USING (EXISTS (SELECT FROM channel_members m WHERE m.channel_id = messages.channel_id AND m.user_id = acting_user()));
CREATE POLICY messages_send ON messages FOR INSERT
  WITH CHECK (user_id = must_act()
              AND EXISTS (SELECT FROM channel_members m JOIN users u ON u.id = m.user_id AND u.deleted_at IS NULL
                           WHERE m.channel_id = messages.channel_id AND m.user_id = acting_user())
              AND (status = 'sending' OR refuse_status() IS NULL));
-- Owners and admins of the channel may delete a message, but not change what its author wrote.
CREATE POLICY messages_change ON messages FOR UPDATE
  USING (user_id = acting_user() OR runs_channel(channel_id))
  WITH CHECK (may_change_message(id, channel_id, user_id, content, content_type, reply_to_id, metadata)
              AND (user_id = acting_user()
                   AND EXISTS (SELECT FROM channel_members m JOIN users u ON u.id = m.user_id AND u.deleted_at IS NULL
                                WHERE m.channel_id = messages.channel_id AND m.user_id = acting_user())
                   OR deleted_at IS NOT NULL AND runs_channel(channel_id)));
CREATE POLICY messages_delete ON messages FOR DELETE
  USING (user_id = acting_user() OR runs_channel(channel_id));

ALTER TABLE message_edits ENABLE ROW LEVEL SECURITY;
CREATE POLICY message_edits_read ON message_edits FOR SELECT
  USING (EXISTS (SELECT FROM messages m WHERE m.id = message_edits.message_id));

ALTER TABLE message_deliveries ENABLE ROW LEVEL SECURITY;
CREATE POLICY message_deliveries_read ON message_deliveries FOR SELECT
  USING (user_id = acting_user() OR EXISTS (SELECT FROM messages m WHERE m.id = message_deliveries.message_id));
CREATE POLICY message_deliveries_write ON message_deliveries FOR INSERT
  WITH CHECK (user_id = must_act() AND EXISTS (SELECT FROM messages m WHERE m.id = message_deliveries.message_id)
              AND EXISTS (SELECT FROM users u WHERE u.id = acting_user() AND u.deleted_at IS NULL));
CREATE POLICY message_deliveries_delete ON message_deliveries FOR DELETE
  USING (user_id = acting_user());

ALTER TABLE message_reads ENABLE ROW LEVEL SECURITY;
CREATE POLICY message_reads_read ON message_reads FOR SELECT
  USING (user_id = acting_user() OR EXISTS (SELECT FROM messages m WHERE m.id = message_reads.message_id));
CREATE POLICY message_reads_write ON message_reads FOR INSERT
  WITH CHECK (user_id = must_act() AND EXISTS (SELECT FROM messages m WHERE m.id = message_reads.message_id)
              AND EXISTS (SELECT FROM users u WHERE u.id = acting_user() AND u.deleted_at IS NULL));
CREATE POLICY message_reads_delete ON message_reads FOR DELETE
  USING (user_id = acting_user());

ALTER TABLE reactions ENABLE ROW LEVEL SECURITY;
CREATE POLICY reactions_read ON reactions FOR SELECT
  USING (EXISTS (SELECT FROM messages m WHERE m.id = reactions.message_id));
CREATE POLICY reactions_add ON reactions FOR INSERT
  WITH CHECK (user_id = must_act() AND EXISTS (SELECT FROM messages m WHERE m.id = reactions.message_id)
              AND EXISTS (SELECT FROM users u WHERE u.id = acting_user() AND u.deleted_at IS NULL));
CREATE POLICY reactions_remove ON reactions FOR DELETE
  USING (user_id = acting_user());

ALTER TABLE files ENABLE ROW LEVEL SECURITY;
CREATE POLICY files_read ON files FOR SELECT
  USING (user_id = acting_user() OR EXISTS (SELECT FROM messages m WHERE m.id = files.message_id));
CREATE POLICY files_write ON files FOR ALL
  USING (user_id = acting_user())
  WITH CHECK (user_id = must_act()
              AND (message_id IS NULL
                   OR EXISTS (SELECT FROM messages m WHERE m.id = files.message_id AND m.user_id = acting_user())));

ALTER TABLE typing_indicators ENABLE ROW LEVEL SECURITY;
CREATE POLICY typing_indicators_read ON typing_indicators FOR SELECT
  USING (sees_channel(channel_id));
CREATE POLICY typing_indicators_write ON typing_indicators FOR ALL
  USING (user_id = acting_user())
  WITH CHECK (user_id = must_act() AND sees_channel(channel_id)
              AND EXISTS (SELECT FROM users u WHERE u.id = acting_user() AND u.deleted_at IS NULL));

-- Data of one user

ALTER TABLE relationships ENABLE ROW LEVEL SECURITY;
CREATE POLICY relationships_read ON relationships FOR SELECT
  USING (acting_user() IN (user_id, related_user_id));
CREATE POLICY relationships_make ON relationships FOR INSERT
  WITH CHECK (user_id = must_act() AND (type = 'blocked' OR status = 'pending'));
-- The user who was asked answers; the user who asked may only turn the request into a block. Only the blocking user
-- may remove a block.
CREATE POLICY relationships_change ON relationships FOR UPDATE
  USING (user_id = acting_user() OR related_user_id = acting_user() AND type = 'friend')
  WITH CHECK (user_id = acting_user() AND type = 'blocked' OR related_user_id = acting_user() AND type = 'friend');
CREATE POLICY relationships_end ON relationships FOR DELETE
  USING (user_id = acting_user() OR related_user_id = acting_user() AND type = 'friend');

ALTER TABLE notifications ENABLE ROW LEVEL SECURITY;
CREATE POLICY notifications_own ON notifications USING (user_id = acting_user()) WITH CHECK (user_id = must_act());

ALTER TABLE notification_preferences ENABLE ROW LEVEL SECURITY;
CREATE POLICY notification_preferences_own ON notification_preferences USING (user_id = acting_user()) WITH CHECK (user_id = must_act());

ALTER TABLE sessions ENABLE ROW LEVEL SECURITY;
CREATE POLICY sessions_own ON sessions USING (user_id = acting_user()) WITH CHECK (user_id = must_act());

ALTER TABLE refresh_tokens ENABLE ROW LEVEL SECURITY;
CREATE POLICY refresh_tokens_own ON refresh_tokens USING (user_id = acting_user()) WITH CHECK (user_id = must_act());

ALTER TABLE sync_state ENABLE ROW LEVEL SECURITY;
CREATE POLICY sync_state_own ON sync_state USING (user_id = acting_user()) WITH CHECK (user_id = must_act());

ALTER TABLE user_settings ENABLE ROW LEVEL SECURITY;
CREATE POLICY user_settings_own ON user_settings USING (user_id = acting_user()) WITH CHECK (user_id = must_act());

-- Without a user, the policies above find no row to change or delete: the statement would succeed and do nothing.
CREATE FUNCTION refuse_nobody() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
  IF coalesce(current_setting('chat.user_id', true), '') = '' AND row_security_active(TG_RELID) THEN
    EXECUTE format('SELECT %I.no_user()', TG_TABLE_SCHEMA);
  END IF;
  RETURN NULL;
END
$$;

DO $$
DECLARE
  written text;
BEGIN
  FOREACH written IN ARRAY ARRAY['channels', 'channel_members', 'messages', 'message_deliveries', 'message_reads', 'reactions',
      'files', 'typing_indicators', 'relationships', 'notifications', 'notification_preferences', 'sessions',
      'refresh_tokens', 'sync_state', 'user_settings'] LOOP
    EXECUTE format('CREATE TRIGGER %I BEFORE UPDATE OR DELETE ON %I FOR EACH STATEMENT EXECUTE FUNCTION refuse_nobody()',
                   written || '_refuse_nobody', written);
  END LOOP;
END
$$;

COMMENT ON FUNCTION refuse_nobody() IS
  'Trigger: where row-level security applies, an UPDATE or DELETE without chat.user_id is refused (42501).';

-- Reports read all rows of the tables that they are granted.
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
