DROP TABLE class;
