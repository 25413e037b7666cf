-- On whose behalf a session works. An application tells it once in each transaction:
--   SELECT set_config('chat.user_id', '01M7XXYZHZH8AF2BRD97RMHKAP', true);

-- One expression, which the planner inlines into each policy.
CREATE FUNCTION acting_user() RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
RETURN nullif(current_setting('chat.user_id', true), '');

-- For functions with SECURITY DEFINER, which no policy holds back. There current_user is the owner, while
-- "role" and session_user still say who called.
CREATE FUNCTION must_act_as(user_id text) RETURNS void
LANGUAGE plpgsql STABLE
AS $$
DECLARE
  caller constant name := coalesce(nullif(current_setting('role'), 'none'), session_user);
BEGIN
  -- IS NOT TRUE: where neither is set, nobody acts as nobody. USAGE: who may only become the owner, is not.
  IF (current_setting('chat.user_id', true) = user_id) IS NOT TRUE
     AND NOT pg_has_role(caller, current_user, 'USAGE') THEN
    RAISE EXCEPTION 'only the user themselves may do this'
      USING ERRCODE = 'insufficient_privilege',
            HINT = 'Set chat.user_id to the user on whose behalf the transaction works.';
  END IF;
END
$$;

COMMENT ON FUNCTION acting_user() IS
  'The user on whose behalf the transaction works: the setting chat.user_id; NULL when it is not set.';
COMMENT ON FUNCTION must_act_as(text) IS
  'Refuses (42501) who works on behalf of another user, unless they have the rights of the owner of the schema.';
