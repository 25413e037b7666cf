-- Drops both functions; nothing uses them any more.

DROP FUNCTION must_act_as(text);
DROP FUNCTION acting_user();
