-- What is not an index page, for redo-oracle.sh and its short form in the tests: prepared transactions, replication origins, tablespaces, databases copied by file.
-- Needs max_prepared_transactions = 10 and leaves transactions prepared, so it comes last: they hold back VACUUM.
SET allow_in_place_tablespaces = on;
CREATE TABLE xact_rows (k int PRIMARY KEY, v text);
INSERT INTO xact_rows SELECT i, md5(i::text) FROM generate_series(1, 500) i;
CREATE TABLE xact_dropped AS SELECT * FROM xact_rows;
CREATE TABLE xact_kept AS SELECT * FROM xact_rows;
-- Prepared transactions: committed, rolled back, with subtransactions, with files made and dropped.
BEGIN; INSERT INTO xact_rows VALUES (1001, 'committed'); SAVEPOINT a; UPDATE xact_rows SET v = 'sub' WHERE k = 1; SAVEPOINT b; DELETE FROM xact_rows WHERE k = 2; PREPARE TRANSACTION 'xact_committed';
BEGIN; CREATE TABLE xact_gone AS SELECT * FROM xact_rows; DROP TABLE xact_kept; PREPARE TRANSACTION 'xact_rolled_back';
BEGIN; CREATE TABLE xact_made AS SELECT * FROM xact_rows; DROP TABLE xact_dropped; PREPARE TRANSACTION 'xact_files';
CHECKPOINT;
COMMIT PREPARED 'xact_committed';
ROLLBACK PREPARED 'xact_rolled_back';
COMMIT PREPARED 'xact_files';
-- Replication origins: by commits, by a prepared transaction, by function, one that goes.
SELECT count(pg_replication_origin_create(n)) FROM unnest(ARRAY['xact_a', 'xact_b', 'xact_c', 'xact_d']) n;
SELECT pg_replication_origin_session_setup('xact_a') IS NULL;
BEGIN; SELECT pg_replication_origin_xact_setup('0/1234', '2020-02-02 02:02:02+00'); INSERT INTO xact_rows VALUES (1002, 'from a'); COMMIT;
BEGIN; SELECT pg_replication_origin_xact_setup('0/2345', '2020-02-02 02:02:03+00'); UPDATE xact_rows SET v = 'from a' WHERE k = 3; SAVEPOINT a; DELETE FROM xact_rows WHERE k = 4; COMMIT;
SELECT pg_replication_origin_session_reset() IS NULL;
SELECT pg_replication_origin_session_setup('xact_d') IS NULL;
BEGIN; SELECT pg_replication_origin_xact_setup('0/3456', '2020-02-02 02:02:04+00'); INSERT INTO xact_rows VALUES (1003, 'from d'); PREPARE TRANSACTION 'xact_from_d';
COMMIT PREPARED 'xact_from_d';
SELECT pg_replication_origin_session_reset() IS NULL;
SELECT pg_replication_origin_advance('xact_b', '0/99999') IS NULL;
SELECT pg_replication_origin_advance('xact_b', '0/55555') IS NULL;
SELECT pg_replication_origin_advance('xact_c', '0/77777') IS NULL;
SELECT pg_replication_origin_drop('xact_c') IS NULL;
SELECT pg_logical_emit_message(true, 'xact', 'transactional') IS NOT NULL;
-- Tablespaces, within the data directory.
CREATE TABLESPACE xact_space LOCATION '';
CREATE TABLESPACE xact_space_gone LOCATION '';
CREATE TABLE xact_elsewhere (k int PRIMARY KEY USING INDEX TABLESPACE xact_space, v text) TABLESPACE xact_space;
INSERT INTO xact_elsewhere SELECT i, repeat('x', 100) FROM generate_series(1, 2000) i;
DELETE FROM xact_elsewhere WHERE k > 1000;
VACUUM xact_elsewhere;
CREATE TABLE xact_moved TABLESPACE xact_space_gone AS SELECT * FROM xact_rows;
ALTER TABLE xact_moved SET TABLESPACE xact_space;
ALTER TABLE xact_rows SET TABLESPACE xact_space;
DROP TABLESPACE xact_space_gone;
-- Databases: copied by file, changed afterwards, moved, dropped, copied again.
CREATE DATABASE xact_copied TEMPLATE template0 STRATEGY file_copy;
CREATE DATABASE xact_copy_gone STRATEGY file_copy;
DROP DATABASE xact_copy_gone;
CREATE DATABASE xact_elsewhere STRATEGY wal_log TABLESPACE xact_space;
\c xact_copied
CREATE TABLE in_copy (k int PRIMARY KEY, v text);
INSERT INTO in_copy SELECT i, md5(i::text) FROM generate_series(1, 1000) i;
DELETE FROM in_copy WHERE k % 3 = 0;
VACUUM in_copy;
VACUUM FULL pg_class;
ANALYZE;
\c postgres
CREATE DATABASE xact_copied_again TEMPLATE xact_copied STRATEGY file_copy;
ALTER DATABASE xact_copied SET TABLESPACE xact_space;
\c xact_copied
UPDATE in_copy SET v = 'moved' WHERE k < 100;
CREATE INDEX in_copy_v ON in_copy (v);
\c xact_copied_again
UPDATE in_copy SET v = 'again' WHERE k > 900;
\c postgres
CREATE UNLOGGED TABLE xact_unlogged (k int PRIMARY KEY, v text);
INSERT INTO xact_unlogged SELECT i, 'x' FROM generate_series(1, 500) i;
SELECT pg_create_restore_point('xact') IS NOT NULL;
-- These stay prepared: with locks, files, and more subtransactions than a list of running ones holds.
BEGIN; UPDATE xact_rows SET v = 'prepared' WHERE k = 10; LOCK TABLE xact_moved IN ACCESS EXCLUSIVE MODE; PREPARE TRANSACTION 'xact_stays';
CHECKPOINT;
BEGIN; CREATE TABLE xact_maybe AS SELECT * FROM xact_rows; DROP TABLE xact_kept; PREPARE TRANSACTION 'xact_stays_with_files';
BEGIN;
DO $$
BEGIN
  FOR i IN 2001..2100 LOOP
    BEGIN
      INSERT INTO xact_rows VALUES (i, 'sub');
      IF i % 4 = 0 THEN RAISE EXCEPTION 'no'; END IF;
    EXCEPTION WHEN raise_exception THEN NULL;
    END;
  END LOOP;
END $$;
SELECT k FROM xact_rows WHERE k BETWEEN 20 AND 25 FOR KEY SHARE;
PREPARE TRANSACTION 'xact_stays_with_many';
CHECKPOINT;
