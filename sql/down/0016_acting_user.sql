-- Drops both functions; nothing uses them any more.

DROP FUNCTION must_act_as(text);
DROP FUNCTION must_have_user(text);
DROP FUNCTION must_act();
DROP FUNCTION no_user();
DROP FUNCTION acting_user();
