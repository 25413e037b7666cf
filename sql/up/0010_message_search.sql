-- Search in messages: any part of any word, in any language, regardless of case: content ILIKE '%part%'.
--
-- It uses trigrams instead of full-text search: a chat has no single language whose stems and stop words would
-- fit, people search for parts of words, paths and codes, and ILIKE returns the same rows with and without the
-- index. So a server without pg_trgm gets the same schema without this index: search is then slow, not wrong.
-- To add the index later, create the extension and run the CREATE INDEX below.
--
-- chatdb: allow-lock: SHARE messages, this file runs right after the one that creates the table

DO $$
DECLARE
  home text := (SELECT quote_ident(n.nspname)
                  FROM pg_extension e
                  JOIN pg_namespace n ON n.oid = e.extnamespace
                 WHERE e.extname = 'pg_trgm');
BEGIN
  IF home IS NULL THEN
    RAISE NOTICE 'without the extension "pg_trgm" a search in messages reads the whole table';
    RETURN;
  END IF;
  EXECUTE format(
    'CREATE INDEX messages_content_search_idx ON messages USING gin (content %s.gin_trgm_ops) WHERE deleted_at IS NULL',
    home);
END
$$;
