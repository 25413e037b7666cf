CREATE TABLE graduations (
  id         serial CONSTRAINT graduations_pkey PRIMARY KEY,
  user_id    integer NOT NULL CONSTRAINT graduations_user_id_fkey REFERENCES users (id),
  belt       text NOT NULL,
  degree     integer NOT NULL DEFAULT 0 CONSTRAINT graduations_degree_not_negative CHECK (degree >= 0),
  modality   text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX graduations_user_id_idx ON graduations (user_id);
COMMENT ON TABLE graduations IS 'Each belt and degree that a user was given';
COMMENT ON COLUMN graduations.degree IS 'The stripes on the belt';
COMMENT ON COLUMN graduations.modality IS 'The martial art, such as BJJ';
