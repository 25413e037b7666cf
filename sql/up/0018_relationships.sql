-- Friendships and blocks. A row is directed from one user to another: a friendship has one row, created by the
-- user who asked first; two users who block each other have two rows.

CREATE TABLE relationships (
  id              varchar(26) COLLATE "C" NOT NULL DEFAULT generate_ulid(),
  user_id         varchar(26) COLLATE "C" NOT NULL,
  related_user_id varchar(26) COLLATE "C" NOT NULL,
  type            text NOT NULL,
  status          text NOT NULL DEFAULT 'pending',
  created_at      timestamptz NOT NULL DEFAULT now(),
  updated_at      timestamptz NOT NULL DEFAULT now(),

  CONSTRAINT relationships_pkey PRIMARY KEY (id),
  CONSTRAINT relationships_id_format CHECK (length(id) = 26 AND id ~ '^[0-7][0-9A-HJKMNP-TV-Z]*$'),
  CONSTRAINT relationships_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
  CONSTRAINT relationships_related_user_id_fkey FOREIGN KEY (related_user_id) REFERENCES users (id) ON DELETE CASCADE,
  CONSTRAINT relationships_type_valid CHECK (type IN ('friend', 'blocked')),
  CONSTRAINT relationships_status_valid CHECK (status IN ('pending', 'accepted', 'rejected')),
  CONSTRAINT relationships_not_with_oneself CHECK (user_id <> related_user_id),
  CONSTRAINT relationships_pair_key UNIQUE (user_id, related_user_id)
);

CREATE INDEX relationships_related_user_idx ON relationships (related_user_id, user_id);

CREATE TRIGGER relationships_set_updated_at
  BEFORE UPDATE ON relationships
  FOR EACH ROW WHEN (OLD.* *<> NEW.*)
  EXECUTE FUNCTION set_updated_at();

COMMENT ON TABLE relationships IS 'Friend requests, friendships and blocks, each from one user to another.';
COMMENT ON COLUMN relationships.id IS 'ULID; sorts by the time of creation.';
COMMENT ON COLUMN relationships.user_id IS 'The user who asked, or who blocks.';
COMMENT ON COLUMN relationships.related_user_id IS 'The user who was asked, or who is blocked.';
COMMENT ON COLUMN relationships.status IS 'Status of a friend request; a block needs no answer and is accepted at once.';
