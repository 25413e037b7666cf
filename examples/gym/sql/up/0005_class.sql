-- chatdb: allow: name-needs-quotes, "end" is the name that the app knows
CREATE TABLE class (
  id            serial CONSTRAINT class_pkey PRIMARY KEY,
  gym_id        integer CONSTRAINT class_gym_id_fkey REFERENCES gyms (id),
  instructor_id integer CONSTRAINT class_instructor_id_fkey REFERENCES users (id),
  created_by    integer CONSTRAINT class_created_by_fkey REFERENCES users (id),
  modality      text,
  description   text,
  day           text,
  start         text CONSTRAINT class_start_is_a_time CHECK (start ~ '^([01]\d|2[0-3]):[0-5]\d$'),
  "end"         text CONSTRAINT class_end_is_a_time CHECK ("end" ~ '^([01]\d|2[0-3]):[0-5]\d$'),
  deleted_at    timestamptz,
  created_at    timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX class_gym_id_idx ON class (gym_id);
CREATE INDEX class_instructor_id_idx ON class (instructor_id);
CREATE INDEX class_created_by_idx ON class (created_by);
COMMENT ON TABLE class IS 'The classes that a gym offers each week';
COMMENT ON COLUMN class.day IS 'The day of the week, in the words of the app';
COMMENT ON COLUMN class.start IS 'The time of day in the time zone of the gym, as text: HH:MM; "end" is the same';
COMMENT ON COLUMN class.deleted_at IS 'Soft delete: NULL for a class that takes place';
