SELECT '[31m', nope;
