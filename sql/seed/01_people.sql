-- A small workspace for development: eight people of a company, and one week of January 2026.
--
-- It can be run repeatedly: every id is fixed, and existing rows stay unchanged, even if you have edited them. The
-- time in each id is the time of its row. Never run it in a database with real users: Ada and Ben can log in with
-- the password "Chat-seed-1".

INSERT INTO users (id, email, username, full_name, display_name, is_verified, auth0_id, password_hash,
                   last_seen_at, created_at, updated_at)
SELECT id, username || '@example.com', username, full_name, display_name, is_verified, auth0_id,
       CASE WHEN auth0_id IS NULL THEN '$2b$10$kH5IuZG/wJ6kggGP86ZyOetymAfOKRtwmLob6mWetqO4qY.IH3THS' END,
       timestamptz '2026-01-08 17:00:00+00', ulid_timestamp(id), ulid_timestamp(id)
FROM (VALUES
  ('01KE6JQ3000000000000000ADA', 'ada', 'Ada Okafor', 'Ada', true, NULL),
  ('01KE6JRXK00000000000000BEN', 'ben', 'Ben Fischer', 'Ben', true, NULL),
  ('01KE6JTR60000000000000CHEN', 'chen', 'Chen Wei', '陈伟', true, 'auth0|seed-chen'),
  ('01KE6JWJS0000000000000D1YA', 'diya', 'Diya Patel', NULL, true, 'auth0|seed-diya'),
  ('01KE6JYDC0000000000000E11F', 'elif', 'Elif Yılmaz', 'Elif', true, 'google-oauth2|seed-elif'),
  ('01KE6K07Z000000000000FAR1D', 'farid', 'Farid Haddad', NULL, true, 'auth0|seed-farid'),
  ('01KE6K22J000000000000GRACE', 'grace', 'Grace Nováková', 'Grace', true, 'auth0|seed-grace'),
  ('01KE6K3X50000000000000HANA', 'hana', 'Hana Sato', '花', false, 'auth0|seed-hana')
) person (id, username, full_name, display_name, is_verified, auth0_id)
ON CONFLICT (id) DO NOTHING;

INSERT INTO profiles (user_id, bio, created_at, updated_at)
SELECT user_id, bio, ulid_timestamp(user_id), ulid_timestamp(user_id)
FROM (VALUES
  ('01KE6JQ3000000000000000ADA', 'Founder. Asks why.'),
  ('01KE6JTR60000000000000CHEN', 'Engineering lead. 山 and coffee.'),
  ('01KE6K22J000000000000GRACE', 'Support, from Prague. I answer before my second tea.')
) profile (user_id, bio)
ON CONFLICT (user_id) DO NOTHING;

INSERT INTO user_settings (user_id, theme, notifications_enabled, preferences, created_at, updated_at)
SELECT user_id, theme, notified, preferences::jsonb, ulid_timestamp(user_id), ulid_timestamp(user_id)
FROM (VALUES
  ('01KE6JQ3000000000000000ADA', 'dark', true, '{"language": "en", "compact": true}'),
  ('01KE6JYDC0000000000000E11F', 'system', false, '{"language": "tr"}'),
  ('01KE6K3X50000000000000HANA', 'light', true, '{"language": "ja"}')
) setting (user_id, theme, notified, preferences)
ON CONFLICT (user_id) DO NOTHING;

INSERT INTO user_status (user_id, status, custom_status, last_seen, created_at, updated_at)
SELECT user_id, status, said, seen::timestamptz, ulid_timestamp(user_id), seen::timestamptz
FROM (VALUES
  ('01KE6JQ3000000000000000ADA', 'online', NULL, '2026-01-08 17:00:00+00'),
  ('01KE6JRXK00000000000000BEN', 'away', 'back at six', '2026-01-08 16:40:00+00'),
  ('01KE6JTR60000000000000CHEN', 'busy', 'release', '2026-01-08 16:55:00+00'),
  ('01KE6JYDC0000000000000E11F', 'offline', 'on holiday 🏖️', '2026-01-07 17:30:00+00')
) presence (user_id, status, said, seen)
ON CONFLICT (user_id) DO NOTHING;

INSERT INTO notification_preferences (user_id, email, push, on_message, created_at, updated_at)
SELECT user_id, email, push, on_message, ulid_timestamp(user_id), ulid_timestamp(user_id)
FROM (VALUES
  ('01KE6JWJS0000000000000D1YA', false, true, true),
  ('01KE6JYDC0000000000000E11F', false, false, false)
) preference (user_id, email, push, on_message)
ON CONFLICT (user_id) DO NOTHING;

-- Friends, a pending request, and a block.
INSERT INTO relationships (id, user_id, related_user_id, type, status, created_at, updated_at)
SELECT id, user_id, related_user_id, type, status, ulid_timestamp(id), ulid_timestamp(id)
FROM (VALUES
  ('01KE725FA00000000000000RE1', '01KE6JQ3000000000000000ADA', '01KE6JRXK00000000000000BEN', 'friend', 'accepted'),
  ('01KE9D45400000000000000RE2', '01KE6K22J000000000000GRACE', '01KE6K3X50000000000000HANA', 'friend', 'accepted'),
  ('01KECSV5800000000000000RE3', '01KE6K07Z000000000000FAR1D', '01KE6JWJS0000000000000D1YA', 'friend', 'pending'),
  ('01KECT4A700000000000000RE4', '01KE6JWJS0000000000000D1YA', '01KE6K07Z000000000000FAR1D', 'blocked', 'accepted')
) relationship (id, user_id, related_user_id, type, status)
ON CONFLICT DO NOTHING;

INSERT INTO sync_state (id, user_id, sync_type, last_sync, metadata, created_at, updated_at)
VALUES
  ('01KEF8T0M0000000000SYNCADA', '01KE6JQ3000000000000000ADA', 'messages', '2026-01-08 17:00:00+00',
   '{"device": "laptop"}', '2026-01-08 17:00:00+00', '2026-01-08 17:00:00+00')
ON CONFLICT DO NOTHING;
