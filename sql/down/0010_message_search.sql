-- Drops the search index, which does not exist if the server had no pg_trgm.

DO $$
BEGIN
  IF to_regclass(quote_ident(current_schema()) || '.messages_content_search_idx') IS NOT NULL THEN
    DROP INDEX messages_content_search_idx;
  END IF;
END
$$;
