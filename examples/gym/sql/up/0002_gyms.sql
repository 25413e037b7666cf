-- A gym has a manager, who is a user, and a user has a gym: the first of two steps.  The next migration adds the
-- reference to users, when that table exists.

CREATE TABLE gyms (
  id         serial CONSTRAINT gyms_pkey PRIMARY KEY,
  name       text NOT NULL,
  address    text NOT NULL,
  since      text NOT NULL
             CONSTRAINT gyms_since_is_a_date CHECK (since ~ '^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$'),
  logo       text,
  manager_id integer,
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX gyms_manager_id_idx ON gyms (manager_id);
COMMENT ON TABLE gyms IS 'The gyms, each with one manager';
COMMENT ON COLUMN gyms.since IS 'The day of the opening, as text: YYYY-MM-DD';
COMMENT ON COLUMN gyms.logo IS 'The URL of a picture';
