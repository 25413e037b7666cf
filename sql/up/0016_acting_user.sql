-- The user on whose behalf a transaction runs. The application sets it once in each transaction:
--   SELECT set_config('chat.user_id', '01M7XXYZHZH8AF2BRD97RMHKAP', true);

-- A single expression, which the planner inlines into each policy.
CREATE FUNCTION acting_user() RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
RETURN nullif(current_setting('chat.user_id', true), '');

-- For SECURITY DEFINER functions, to which no policy applies. In them current_user is the owner, while "role"
-- and session_user still identify the caller.
CREATE FUNCTION must_act_as(user_id text) RETURNS void
LANGUAGE plpgsql STABLE
AS $$
DECLARE
  caller constant name := coalesce(nullif(current_setting('role'), 'none'), session_user);
BEGIN
  -- IS NOT TRUE: refuse also if either is NULL. USAGE: a role that may only SET ROLE to the owner does not count.
  IF (current_setting('chat.user_id', true) = user_id) IS NOT TRUE
     AND NOT pg_has_role(caller, current_user, 'USAGE') THEN
    RAISE EXCEPTION 'only the user themselves may do this'
      USING ERRCODE = 'insufficient_privilege',
            HINT = 'Set chat.user_id to the user on whose behalf the transaction runs.';
  END IF;
END
$$;

COMMENT ON FUNCTION acting_user() IS
  'The user on whose behalf the transaction runs: the setting chat.user_id; NULL if it is not set.';
COMMENT ON FUNCTION must_act_as(text) IS
  'Raises 42501 if the transaction runs on behalf of another user, unless the caller has the rights of the schema''s owner.';
