-- Takes the function away; what it has set stays with the functions that have it.

DROP FUNCTION pin_search_path(regproc[]);
