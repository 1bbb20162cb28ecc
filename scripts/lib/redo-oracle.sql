-- What pgbench leaves out, for redo-oracle.sh and its short form in the tests.
CREATE TABLE oracle_locks (k int PRIMARY KEY, v int);
INSERT INTO oracle_locks SELECT i, 0 FROM generate_series(1, 20) i;
CREATE TABLE oracle_churn (k int PRIMARY KEY, t text);
CREATE INDEX oracle_churn_t ON oracle_churn (t);
INSERT INTO oracle_churn SELECT i, md5(i::text) FROM generate_series(1, 5000) i;
CREATE TABLE oracle_ddl (id serial PRIMARY KEY, a text, b numeric, c timestamptz DEFAULT now());
INSERT INTO oracle_ddl (a, b) SELECT repeat(md5(i::text), i % 5), i FROM generate_series(1, 3000) i;
CREATE INDEX oracle_ddl_ab ON oracle_ddl (a, b DESC);
CREATE INDEX oracle_ddl_few ON oracle_ddl ((id % 7));
ALTER TABLE oracle_ddl ADD COLUMN d int DEFAULT 7;
ALTER TABLE oracle_ddl ALTER COLUMN b TYPE bigint;
ALTER TABLE oracle_ddl DROP COLUMN c;
UPDATE oracle_ddl SET a = a || 'y' WHERE id % 3 = 0;
-- Equal keys, so that leaves are deduplicated, and an index that is built by insertion.
CREATE TABLE oracle_dup (k int, v int);
CREATE INDEX oracle_dup_k ON oracle_dup (k);
INSERT INTO oracle_dup SELECT i % 10, i FROM generate_series(1, 20000) i;
DELETE FROM oracle_dup WHERE v % 3 = 0;
VACUUM oracle_dup;
DELETE FROM oracle_dup WHERE k < 9;
VACUUM oracle_dup;
INSERT INTO oracle_dup SELECT 3, i FROM generate_series(1, 5000) i;
UPDATE oracle_dup SET v = v + 1 WHERE k = 3;
UPDATE oracle_dup SET v = v + 1 WHERE k = 3;
-- Leaves that split in the middle, and whole subtrees that are deleted.
CREATE TABLE oracle_wide (k text PRIMARY KEY);
INSERT INTO oracle_wide SELECT md5(i::text) || repeat(md5((i * 7)::text), 20) FROM generate_series(1, 4000) i;
DELETE FROM oracle_wide;
VACUUM oracle_wide;
VACUUM oracle_wide;
INSERT INTO oracle_wide SELECT md5(i::text) FROM generate_series(1, 4000) i;
-- TOAST, in all the ways that it is stored.
CREATE TABLE oracle_toast (id int, t text, u text, v text);
ALTER TABLE oracle_toast ALTER COLUMN t SET STORAGE EXTERNAL, ALTER COLUMN u SET STORAGE MAIN, ALTER COLUMN v SET COMPRESSION lz4;
INSERT INTO oracle_toast SELECT i, repeat(md5(i::text), 200 * (i % 7)), repeat(md5(i::text), 50), repeat(md5((i * 3)::text), 300) FROM generate_series(1, 200) i;
UPDATE oracle_toast SET t = t || 'more' WHERE id % 5 = 0;
DELETE FROM oracle_toast WHERE id % 4 = 0;
VACUUM oracle_toast;
-- Subtransactions, some aborted, more of them than a commit record's cache holds.
DO $$
BEGIN
  FOR i IN 1..200 LOOP
    BEGIN
      INSERT INTO oracle_ddl (a, b) VALUES ('sub', i);
      IF i % 3 = 0 THEN RAISE EXCEPTION 'no'; END IF;
    EXCEPTION WHEN raise_exception THEN NULL;
    END;
  END LOOP;
END $$;
BEGIN; SAVEPOINT a; UPDATE oracle_ddl SET d = 8 WHERE id < 50; ROLLBACK TO a; SELECT count(*) FROM (SELECT id FROM oracle_ddl WHERE id < 20 FOR UPDATE) x; COMMIT;
-- A lock and then an update by subtransactions of one transaction: a multixact without a second session.
BEGIN; SELECT k FROM oracle_locks WHERE k < 5 FOR KEY SHARE; SAVEPOINT a; UPDATE oracle_locks SET v = v + 1 WHERE k < 5; SAVEPOINT b; UPDATE oracle_locks SET v = v + 1 WHERE k < 3; COMMIT;
BEGIN; INSERT INTO oracle_ddl (a) SELECT 'gone' FROM generate_series(1, 500); CREATE TABLE oracle_gone AS SELECT * FROM oracle_ddl; ROLLBACK;
-- Sequences.
CREATE SEQUENCE oracle_seq INCREMENT 5 CACHE 3;
SELECT count(nextval('oracle_seq')) FROM generate_series(1, 100);
SELECT setval('oracle_seq', 4000);
ALTER SEQUENCE oracle_seq RESTART WITH 17;
-- Files that come and go.
CREATE TABLE oracle_trunc AS SELECT i FROM generate_series(1, 2000) i;
TRUNCATE oracle_trunc;
BEGIN; TRUNCATE oracle_trunc; INSERT INTO oracle_trunc VALUES (1); ROLLBACK;
INSERT INTO oracle_trunc SELECT i FROM generate_series(1, 5000) i;
DELETE FROM oracle_trunc WHERE i > 1000;
VACUUM oracle_trunc;
CREATE TABLE oracle_drop AS SELECT * FROM oracle_ddl;
CREATE INDEX ON oracle_drop (id);
DROP TABLE oracle_drop;
CREATE UNLOGGED TABLE oracle_unlogged (i int PRIMARY KEY);
INSERT INTO oracle_unlogged SELECT generate_series(1, 1000);
CREATE TEMP TABLE oracle_temp AS SELECT * FROM oracle_ddl;
CREATE TABLE oracle_part (k int, v text) PARTITION BY RANGE (k);
CREATE TABLE oracle_part1 PARTITION OF oracle_part FOR VALUES FROM (0) TO (500);
CREATE TABLE oracle_part2 PARTITION OF oracle_part FOR VALUES FROM (500) TO (1000);
INSERT INTO oracle_part SELECT i, 'v' || i FROM generate_series(0, 999) i;
UPDATE oracle_part SET k = k + 500 WHERE k < 100;
BEGIN; CREATE TABLE oracle_frozen (i int); COPY oracle_frozen FROM PROGRAM 'seq 1 3000' WITH (FREEZE); COMMIT;
VACUUM (FREEZE) oracle_frozen;
UPDATE oracle_frozen SET i = i + 1 WHERE i % 50 = 0;
DELETE FROM oracle_frozen WHERE i % 70 = 0;
VACUUM (FREEZE) oracle_frozen;
REINDEX TABLE oracle_ddl;
CREATE INDEX CONCURRENTLY oracle_ddl_conc ON oracle_ddl (d, id);
VACUUM FULL oracle_ddl;
VACUUM FULL pg_class;
CLUSTER oracle_wide USING oracle_wide_pkey;
SELECT pg_logical_emit_message(false, 'oracle', 'message') IS NOT NULL;
ANALYZE;
