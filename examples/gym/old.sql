-- A copy of the old database, to practise the move: other names, no foreign keys, invented rows.
-- In the old system the table class was called classes, checkins check_ins, app_stores appstores, and the column
-- recipients of notifications "to".

CREATE TABLE roles (id text PRIMARY KEY, created_at timestamptz NOT NULL);
CREATE TABLE versions (id serial PRIMARY KEY, app_version text, disabled_at timestamptz, created_at timestamptz NOT NULL);
CREATE TABLE appstores (id serial PRIMARY KEY, store text, url text, disabled_at timestamptz,
  created_at timestamptz NOT NULL);
CREATE TABLE gyms (id serial PRIMARY KEY, name text, address text, since text, logo text, manager_id integer,
  created_at timestamptz NOT NULL);
CREATE TABLE users (id serial PRIMARY KEY, clerk_user_id text, email text, first_name text, last_name text, phone text,
  birth text, birth_day text, gender text, profile_picture text, instagram text, role text, gym_id integer,
  expo_push_token text, customer_id text, subscription_id text, plan text, approved_at timestamptz,
  denied_at timestamptz, migrated_at timestamptz, deleted_at timestamptz, created_at timestamptz NOT NULL);
CREATE TABLE graduations (id serial PRIMARY KEY, user_id integer, belt text, degree integer, modality text,
  created_at timestamptz NOT NULL);
CREATE TABLE classes (id serial PRIMARY KEY, gym_id integer, instructor_id integer, created_by integer, modality text,
  description text, day text, start text, "end" text, deleted_at timestamptz, created_at timestamptz NOT NULL);
CREATE TABLE assets (id serial PRIMARY KEY, class_id integer, title text, content text, type text,
  valid_until timestamptz, created_at timestamptz NOT NULL);
CREATE TABLE attachments (id serial PRIMARY KEY, class_id integer, file_name text, file_url text, file_type text,
  file_size integer, created_at timestamptz NOT NULL);
CREATE TABLE check_ins (id serial PRIMARY KEY, user_id integer, class_id integer, date text,
  created_at timestamptz NOT NULL);
CREATE TABLE notifications (id serial PRIMARY KEY, title text, content text, channel text, status text, sent_by integer,
  sent_at timestamptz, "to" text[], viewed_by text[], created_at timestamptz NOT NULL);

INSERT INTO roles SELECT unnest(ARRAY['STUDENT', 'INSTRUCTOR', 'MANAGER']), '2019-01-01 09:00+00';
INSERT INTO versions (app_version, disabled_at, created_at) VALUES
  ('1.0.0', '2021-06-01 00:00+00', '2019-01-01 09:00+00'), ('2.0.0', NULL, '2021-03-01 09:00+00');
INSERT INTO appstores (store, url, created_at) VALUES
  ('apple', 'https://apps.example/gym', '2019-01-01 09:00+00'), ('google', 'https://play.example/gym', '2019-01-01 09:00+00');
INSERT INTO gyms (name, address, since, manager_id, created_at) VALUES
  ('Center', '1 Main Street', '2004-05-17', 1, '2019-01-02 09:00+00'), ('Harbor', '5 Pier Road', '2011-09-01', 2, '2019-01-02 10:00+00');
INSERT INTO users (clerk_user_id, email, first_name, last_name, birth, birth_day, role, gym_id, plan, approved_at, deleted_at, created_at)
SELECT 'user_' || md5(n::text), CASE WHEN n % 7 > 0 THEN 'user' || n || '@mail.example' END, 'First ' || n, 'Last ' || n,
       to_char(date '1980-01-01' + n * 97, 'YYYY-MM-DD'), to_char(date '1980-01-01' + n * 97, 'MM-DD'),
       CASE WHEN n <= 2 THEN 'MANAGER' WHEN n <= 6 THEN 'INSTRUCTOR' ELSE 'STUDENT' END, 1 + n % 2,
       CASE WHEN n % 3 = 0 THEN 'monthly' END, timestamptz '2019-02-01 12:00+00' + n * interval '1 day',
       CASE WHEN n % 50 = 0 THEN timestamptz '2025-01-01 00:00+00' END, timestamptz '2019-01-03 12:00+00' + n * interval '1 day'
FROM generate_series(1, 300) n;
INSERT INTO graduations (user_id, belt, degree, modality, created_at)
SELECT 3 + n % 290, (ARRAY['white', 'blue', 'purple'])[1 + n % 3], n % 5, 'BJJ', timestamptz '2020-01-01 18:00+00' + n * interval '2 days'
FROM generate_series(1, 400) n;
INSERT INTO classes (gym_id, instructor_id, created_by, modality, description, day, start, "end", created_at)
SELECT 1 + n % 2, 3 + n % 4, 1 + n % 2, 'BJJ', 'Class ' || n, (ARRAY['MONDAY', 'WEDNESDAY', 'FRIDAY'])[1 + n % 3],
       to_char(6 + n % 14, 'FM00') || ':30', to_char(8 + n % 14, 'FM00') || ':00', '2019-02-01 12:00+00'
FROM generate_series(1, 24) n;
INSERT INTO assets (class_id, title, content, type, valid_until, created_at)
SELECT 1 + n % 24, 'Technique ' || n, E'Grips;\tsweeps\n"guard" \\ half guard', 'text', '2027-01-01 00:00+00', '2024-05-01 12:00+00'
FROM generate_series(1, 30) n;
INSERT INTO attachments (class_id, file_name, file_url, file_type, file_size, created_at)
SELECT 1 + n % 24, n || '.pdf', 'https://files.example/' || n || '.pdf', 'application/pdf', 1000 * n, '2024-05-01 12:00+00'
FROM generate_series(1, 20) n;
INSERT INTO check_ins (user_id, class_id, date, created_at)
SELECT 7 + n % 290, 1 + n % 24, to_char(date '2025-01-01' + n / 20, 'YYYY-MM-DD'), timestamptz '2025-01-01 18:00+00' + n * interval '1 hour'
FROM generate_series(1, 5000) n;
INSERT INTO notifications (title, content, channel, status, sent_by, sent_at, "to", viewed_by, created_at)
SELECT 'News ' || n, 'Text of ' || n, 'push', 'sent', 1, '2025-03-01 12:00+00',
       ARRAY(SELECT clerk_user_id FROM users u WHERE u.id % 40 = n ORDER BY u.id), '{}', '2025-03-01 12:00+00'
FROM generate_series(1, 30) n;

-- Rows were deleted over the years, the newest ones too: their numbers must not be given out again.
DELETE FROM check_ins WHERE id % 97 = 0 OR id > 4990;
DELETE FROM graduations WHERE id > 395;
