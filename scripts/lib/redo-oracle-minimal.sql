-- For a server with wal_level = minimal: a GiST index that is made in the transaction is not logged, but its page splits need positions of the log (ASSIGN_LSN).
BEGIN;
CREATE TABLE oracle_not_logged (p point);
CREATE INDEX ON oracle_not_logged USING gist (p);
INSERT INTO oracle_not_logged SELECT point(i, i % 7) FROM generate_series(1, 1000) i;
ROLLBACK;
