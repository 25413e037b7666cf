-- Drops the function; the functions that it changed keep their search_path.

DROP FUNCTION pin_search_path(regproc[]);
