CREATE TABLE assets (
  id          serial CONSTRAINT assets_pkey PRIMARY KEY,
  class_id    integer CONSTRAINT assets_class_id_fkey REFERENCES class (id),
  title       text,
  content     text,
  type        text,
  valid_until timestamptz,
  created_at  timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX assets_class_id_idx ON assets (class_id);
COMMENT ON TABLE assets IS 'Texts and links that belong to a class';
COMMENT ON COLUMN assets.valid_until IS 'The app shows it until then; NULL for always';

CREATE TABLE attachments (
  id         serial CONSTRAINT attachments_pkey PRIMARY KEY,
  class_id   integer CONSTRAINT attachments_class_id_fkey REFERENCES class (id),
  file_name  text NOT NULL,
  file_url   text NOT NULL,
  file_type  text,
  file_size  integer CONSTRAINT attachments_file_size_not_negative CHECK (file_size >= 0),
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX attachments_class_id_idx ON attachments (class_id);
COMMENT ON TABLE attachments IS 'Files that belong to a class; the content is in an object store';
COMMENT ON COLUMN attachments.file_size IS 'In bytes';
