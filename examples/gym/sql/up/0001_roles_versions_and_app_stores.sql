-- The tables that refer to no other.

CREATE TABLE roles (
  id         text CONSTRAINT roles_pkey PRIMARY KEY
             CONSTRAINT roles_id_known CHECK (id IN ('STUDENT', 'INSTRUCTOR', 'MANAGER')),
  created_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE roles IS 'What a user may be in the app';

CREATE TABLE versions (
  id          serial CONSTRAINT versions_pkey PRIMARY KEY,
  app_version text NOT NULL,
  disabled_at timestamptz,
  created_at  timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE versions IS 'The released versions of the app';
COMMENT ON COLUMN versions.disabled_at IS 'From then on the app asks for an update; NULL while the version is supported';

CREATE TABLE app_stores (
  id          serial CONSTRAINT app_stores_pkey PRIMARY KEY,
  store       text NOT NULL,
  url         text NOT NULL,
  disabled_at timestamptz,
  created_at  timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE app_stores IS 'Where the app can be downloaded';
