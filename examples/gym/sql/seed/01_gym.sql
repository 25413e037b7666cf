-- A small gym for development: every id is fixed, and rows that exist stay as they are.

INSERT INTO roles (id) VALUES ('STUDENT'), ('INSTRUCTOR'), ('MANAGER') ON CONFLICT DO NOTHING;

INSERT INTO versions (id, app_version) VALUES (1, '3.0.0') ON CONFLICT DO NOTHING;

INSERT INTO app_stores (id, store, url) VALUES
  (1, 'apple', 'https://apps.example/gym'), (2, 'google', 'https://play.example/gym')
ON CONFLICT DO NOTHING;

-- The gym refers to its manager, who is inserted after it: that is checked at COMMIT.
SET CONSTRAINTS gyms_manager_id_fkey DEFERRED;

INSERT INTO gyms (id, name, address, since, manager_id) VALUES (1, 'Center', '1 Main Street', '2004-05-17', 1)
ON CONFLICT DO NOTHING;

INSERT INTO users (id, clerk_user_id, email, first_name, last_name, birth, birth_day, role, gym_id, approved_at)
VALUES
  (1, 'user_seed_maria', 'maria@gym.example', 'Maria', 'Lima', '1984-03-12', '03-12', 'MANAGER', 1, now()),
  (2, 'user_seed_ivo', 'ivo@gym.example', 'Ivo', 'Reis', '1990-11-29', '11-29', 'INSTRUCTOR', 1, now()),
  (3, 'user_seed_nina', 'nina@gym.example', 'Nina', 'Berg', '2001-07-04', '07-04', 'STUDENT', 1, now()),
  (4, 'user_seed_tom', 'tom@gym.example', 'Tom', 'Ade', '1999-02-28', '02-28', 'STUDENT', 1, NULL)
ON CONFLICT DO NOTHING;

INSERT INTO graduations (id, user_id, belt, degree, modality) VALUES
  (1, 2, 'black', 1, 'BJJ'), (2, 3, 'white', 2, 'BJJ')
ON CONFLICT DO NOTHING;

INSERT INTO class (id, gym_id, instructor_id, created_by, modality, description, day, start, "end") VALUES
  (1, 1, 2, 1, 'BJJ', 'Fundamentals', 'MONDAY', '18:30', '19:45'),
  (2, 1, 2, 1, 'BJJ', 'Open mat', 'FRIDAY', '20:00', '21:30')
ON CONFLICT DO NOTHING;

INSERT INTO assets (id, class_id, title, content, type) VALUES (1, 1, 'Week 1', 'Grips and balance', 'text')
ON CONFLICT DO NOTHING;

INSERT INTO attachments (id, class_id, file_name, file_url, file_type, file_size) VALUES
  (1, 1, 'rules.pdf', 'https://files.example/rules.pdf', 'application/pdf', 48211)
ON CONFLICT DO NOTHING;

INSERT INTO checkins (id, user_id, class_id, date) VALUES (1, 3, 1, '2026-11-23') ON CONFLICT DO NOTHING;

INSERT INTO notifications (id, title, content, channel, status, sent_by, sent_at, recipients, viewed_by) VALUES
  (1, 'Holiday', 'Closed on the 25th', 'push', 'sent', 1, now(), '{user_seed_nina,user_seed_tom}', '{user_seed_nina}')
ON CONFLICT DO NOTHING;

-- The ids above were given by hand: the sequences continue after them.
SELECT setval(pg_get_serial_sequence(name, 'id'), highest)
FROM (VALUES
  ('versions', (SELECT max(id) FROM versions)), ('app_stores', (SELECT max(id) FROM app_stores)),
  ('gyms', (SELECT max(id) FROM gyms)), ('users', (SELECT max(id) FROM users)),
  ('graduations', (SELECT max(id) FROM graduations)), ('class', (SELECT max(id) FROM class)),
  ('assets', (SELECT max(id) FROM assets)), ('attachments', (SELECT max(id) FROM attachments)),
  ('checkins', (SELECT max(id) FROM checkins)), ('notifications', (SELECT max(id) FROM notifications))
) serial (name, highest);
