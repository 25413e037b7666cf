CREATE TABLE orders (id int, total int);
-- totals are kept in minor units
CREATE INDEX ON orders (id) WHERE totl > 0;
