-- The second of the two steps (0002): with both tables there, gyms refers to users.  That constraint is checked at
-- COMMIT if a transaction asks for it (SET CONSTRAINTS ALL DEFERRED): so a gym and its manager, who belongs to that
-- gym, can be inserted in one transaction, and a copy can load gyms before users.

CREATE TABLE users (
  id              serial CONSTRAINT users_pkey PRIMARY KEY,
  clerk_user_id   text NOT NULL CONSTRAINT users_clerk_user_id_key UNIQUE,
  email           text,
  first_name      text,
  last_name       text,
  phone           text,
  birth           text
                  CONSTRAINT users_birth_is_a_date CHECK (birth ~ '^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$'),
  birth_day       text
                  CONSTRAINT users_birth_day_is_a_day CHECK (birth_day ~ '^(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$'),
  gender          text,
  profile_picture text,
  instagram       text,
  role            text CONSTRAINT users_role_fkey REFERENCES roles (id),
  gym_id          integer CONSTRAINT users_gym_id_fkey REFERENCES gyms (id),
  expo_push_token text,
  customer_id     text,
  subscription_id text,
  plan            text,
  approved_at     timestamptz,
  denied_at       timestamptz,
  migrated_at     timestamptz,
  deleted_at      timestamptz,
  created_at      timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX users_role_idx ON users (role);
CREATE INDEX users_gym_id_idx ON users (gym_id);
COMMENT ON TABLE users IS 'Students, instructors and managers';
COMMENT ON COLUMN users.clerk_user_id IS 'The id of the user at the login provider';
COMMENT ON COLUMN users.birth IS 'The date of birth, as text: YYYY-MM-DD';
COMMENT ON COLUMN users.birth_day IS 'The day of the birthday, as text: MM-DD, so that today''s birthdays are found';
COMMENT ON COLUMN users.customer_id IS 'The id of the user at the payment provider, as subscription_id is';
COMMENT ON COLUMN users.migrated_at IS 'When the user came from the system before the old one';
COMMENT ON COLUMN users.deleted_at IS 'Soft delete: NULL for a user who is there';

-- chatdb: allow: foreign-key-without-not-valid, there are no gyms yet
ALTER TABLE gyms ADD CONSTRAINT gyms_manager_id_fkey
  FOREIGN KEY (manager_id) REFERENCES users (id) DEFERRABLE INITIALLY IMMEDIATE;
COMMENT ON COLUMN gyms.manager_id IS 'The user who runs the gym; required from 0009 on';
