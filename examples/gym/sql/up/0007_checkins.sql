CREATE TABLE checkins (
  id         serial CONSTRAINT checkins_pkey PRIMARY KEY,
  user_id    integer NOT NULL CONSTRAINT checkins_user_id_fkey REFERENCES users (id),
  class_id   integer NOT NULL CONSTRAINT checkins_class_id_fkey REFERENCES class (id),
  date       text NOT NULL
             CONSTRAINT checkins_date_is_a_date CHECK (date ~ '^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$'),
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX checkins_user_id_idx ON checkins (user_id);
CREATE INDEX checkins_class_id_idx ON checkins (class_id);
COMMENT ON TABLE checkins IS 'Who came to which class, and when';
COMMENT ON COLUMN checkins.date IS 'The day in the time zone of the gym, as text: YYYY-MM-DD';
