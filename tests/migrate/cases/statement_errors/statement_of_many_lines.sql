SELECT 1 +

   2 +
 nope
 + 3;