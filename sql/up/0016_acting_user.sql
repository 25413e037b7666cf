-- The user on whose behalf a transaction runs. The application sets it once in each transaction:
--   SELECT set_config('chat.user_id', '01M7XXYZHZH8AF2BRD97RMHKAP', true);

-- A single expression, which the planner inlines into each policy.
CREATE FUNCTION acting_user() RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
RETURN nullif(current_setting('chat.user_id', true), '');

-- Who may write a row is decided by comparing it with the acting user. Where nobody is acting, the error must say so: of
-- a policy that is false, PostgreSQL would say that the row violates it, and an operation that nobody is a member.
CREATE FUNCTION no_user() RETURNS text
LANGUAGE plpgsql
AS $$
BEGIN
  RAISE EXCEPTION 'chat.user_id is not set' USING ERRCODE = 'insufficient_privilege',
    DETAIL = 'Row-level security decides by this setting on whose behalf the transaction runs.',
    HINT = 'Set it at the start of each transaction: SELECT set_config(''chat.user_id'', ''<id of the user>'', true);';
END
$$;

-- For the WITH CHECK of policies: also a single expression.
CREATE FUNCTION must_act() RETURNS text
LANGUAGE sql VOLATILE
RETURN coalesce(acting_user(), no_user());

-- For operations, before they refuse or find nothing: somebody is acting, and it is the user in whose name they are
-- called, if they say which.
CREATE FUNCTION must_have_user(user_id text DEFAULT NULL) RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
  IF row_security_active('messages'::regclass) AND must_act() <> must_have_user.user_id THEN
    RAISE EXCEPTION 'only the user themselves may do this'
      USING ERRCODE = 'insufficient_privilege',
            HINT = 'Set chat.user_id to the user on whose behalf the transaction runs.';
  END IF;
END
$$;

SELECT pin_search_path('must_have_user');

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
    PERFORM must_act();
    RAISE EXCEPTION 'only the user themselves may do this'
      USING ERRCODE = 'insufficient_privilege',
            HINT = 'Set chat.user_id to the user on whose behalf the transaction runs.';
  END IF;
END
$$;

COMMENT ON FUNCTION acting_user() IS
  'The user on whose behalf the transaction runs: the setting chat.user_id; NULL if it is not set.';
COMMENT ON FUNCTION no_user() IS 'Raises 42501: chat.user_id is not set.';
COMMENT ON FUNCTION must_act() IS 'For policies: the acting user. Raises 42501 if there is none.';
COMMENT ON FUNCTION must_have_user(text) IS
  'For operations: raises 42501 if row-level security applies to the caller and nobody is acting, or another user than the given one.';
COMMENT ON FUNCTION must_act_as(text) IS
  'Raises 42501 if the transaction runs on behalf of another user, unless the caller has the rights of the schema''s owner.';
