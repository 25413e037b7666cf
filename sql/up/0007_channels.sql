-- Conversations of every kind: open to all (public), by invitation (private), of a few people (group), or of
-- two (direct). A direct channel stores its two users in a fixed order, so that the unique constraint allows only
-- one channel per pair, whichever user opens it; a deleted channel counts, too.

CREATE TABLE channels (
  id          varchar(26) COLLATE "C" NOT NULL DEFAULT generate_ulid(),
  type        text NOT NULL,
  name        text,
  description text,
  avatar_url  text,
  created_by  varchar(26) COLLATE "C",
  metadata    jsonb NOT NULL DEFAULT '{}',
  direct_low  varchar(26) COLLATE "C",
  direct_high varchar(26) COLLATE "C",
  archived_at timestamptz,
  created_at  timestamptz NOT NULL DEFAULT now(),
  updated_at  timestamptz NOT NULL DEFAULT now(),
  deleted_at  timestamptz,

  CONSTRAINT channels_pkey PRIMARY KEY (id),
  CONSTRAINT channels_id_format CHECK (length(id) = 26 AND id ~ '^[0-7][0-9A-HJKMNP-TV-Z]*$'),
  CONSTRAINT channels_created_by_fkey FOREIGN KEY (created_by) REFERENCES users (id) ON DELETE SET NULL,
  -- RESTRICT: deleting the channel would delete the other user's messages
  CONSTRAINT channels_direct_low_fkey FOREIGN KEY (direct_low) REFERENCES users (id) ON DELETE RESTRICT,
  CONSTRAINT channels_direct_high_fkey FOREIGN KEY (direct_high) REFERENCES users (id) ON DELETE RESTRICT,
  CONSTRAINT channels_type_valid CHECK (type IN ('public', 'private', 'group', 'direct')),
  CONSTRAINT channels_name_present CHECK (type = 'direct' OR name IS NOT NULL AND btrim(name) <> ''),
  CONSTRAINT channels_name_length CHECK (length(name) <= 255),
  CONSTRAINT channels_group_name_length CHECK (type <> 'group' OR length(name) <= 100),
  CONSTRAINT channels_metadata_object CHECK (jsonb_typeof(metadata) = 'object'),
  CONSTRAINT channels_direct_users CHECK (
    CASE WHEN type = 'direct'
         THEN direct_low IS NOT NULL AND direct_high IS NOT NULL AND direct_low <= direct_high
         ELSE direct_low IS NULL AND direct_high IS NULL
    END),
  CONSTRAINT channels_direct_users_key UNIQUE (direct_low, direct_high)
);

CREATE INDEX channels_created_by_idx ON channels (created_by) WHERE created_by IS NOT NULL;
CREATE INDEX channels_direct_high_idx ON channels (direct_high) WHERE direct_high IS NOT NULL;
-- the few deleted channels, for queries that check many channels
CREATE INDEX channels_deleted_idx ON channels (id) WHERE deleted_at IS NOT NULL;

CREATE TRIGGER channels_set_updated_at
  BEFORE UPDATE ON channels
  FOR EACH ROW WHEN (OLD.* *<> NEW.*)
  EXECUTE FUNCTION set_updated_at();

COMMENT ON TABLE channels IS 'Conversations: public, private, group or direct.';
COMMENT ON COLUMN channels.id IS 'ULID; sorts by the time of creation.';
COMMENT ON COLUMN channels.type IS 'public: all may join; private: by invitation; group: up to 100 people; direct: two people, or one with themselves.';
COMMENT ON COLUMN channels.name IS 'Required except for a direct channel, which is shown under the other user''s name.';
COMMENT ON COLUMN channels.created_by IS 'The user who created it; NULL if that user was removed.';
COMMENT ON COLUMN channels.metadata IS 'Data of the application, by key.';
COMMENT ON COLUMN channels.direct_low IS 'Of the two users of a direct channel, the one whose id sorts first; NULL for other types.';
COMMENT ON COLUMN channels.direct_high IS 'The other user of a direct channel; the same user in a channel with oneself.';
COMMENT ON COLUMN channels.archived_at IS 'When the channel became read-only; NULL while it is in use.';
COMMENT ON COLUMN channels.deleted_at IS 'When it was deleted; NULL for a live channel.';
