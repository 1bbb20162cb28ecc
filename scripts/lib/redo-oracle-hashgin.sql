-- What makes PostgreSQL write each record of hash and GIN indexes, for redo-oracle.sh and its short form in the tests.
-- Hash: buckets split and get overflow pages; one key with a long chain; an index that is made from rows that are there.
CREATE TABLE oracle_hash (k int, t text) WITH (autovacuum_enabled = off);
CREATE INDEX oracle_hash_k ON oracle_hash USING hash (k);
CREATE INDEX oracle_hash_t ON oracle_hash USING hash (t) WITH (fillfactor = 30);
INSERT INTO oracle_hash SELECT i, md5((i % 700)::text) FROM generate_series(1, 4000) i;
INSERT INTO oracle_hash SELECT 1, 'long' FROM generate_series(1, 2500) i;
CREATE INDEX oracle_hash_built ON oracle_hash USING hash (k);
-- More buckets than are made by doubling alone: the planner is told that the table has many rows.
CREATE TABLE oracle_hash_large AS SELECT 1 AS k;
VACUUM oracle_hash_large;
UPDATE pg_class SET reltuples = 50000 WHERE relname = 'oracle_hash_large';
CREATE INDEX oracle_hash_large_k ON oracle_hash_large USING hash (k) WITH (fillfactor = 10);
-- Entries that a scan finds to be dead make room for new ones.
DELETE FROM oracle_hash WHERE k = 1;
SET enable_seqscan = off;
SET enable_bitmapscan = off;
SELECT count(*) FROM oracle_hash WHERE k = 1;
SELECT count(*) FROM oracle_hash WHERE t = 'long';
RESET enable_seqscan;
RESET enable_bitmapscan;
INSERT INTO oracle_hash SELECT 1, 'long' FROM generate_series(1, 900) i;
-- Chains that are squeezed: entries move to earlier pages, whole and in part, and free pages are used again.
INSERT INTO oracle_hash SELECT 2 + i % 3, 'squeezed' FROM generate_series(1, 4000) i;
DELETE FROM oracle_hash WHERE ctid IN (SELECT ctid FROM oracle_hash WHERE t = 'squeezed' AND random() < 0.4);
VACUUM oracle_hash;
DELETE FROM oracle_hash WHERE k BETWEEN 1 AND 3 OR k % 5 = 0;
VACUUM oracle_hash;
INSERT INTO oracle_hash SELECT 3, 'again' FROM generate_series(1, 2000) i;
INSERT INTO oracle_hash SELECT i, md5(i::text) FROM generate_series(10000, 13000) i;
VACUUM oracle_hash;
-- GIN without a pending list: entries grow into posting trees, and these beyond their root; rows in places that are used again, so that lists change in the middle.
CREATE TABLE oracle_gin (id int, a int[], j jsonb, v tsvector) WITH (autovacuum_enabled = off);
CREATE INDEX oracle_gin_a ON oracle_gin USING gin (a) WITH (fastupdate = off);
INSERT INTO oracle_gin (id, a) SELECT i, ARRAY[1, 2 + i % 2, 10 + i % 40, 1000 + i] FROM generate_series(1, 12000) i;
DELETE FROM oracle_gin WHERE id % 3 = 0;
VACUUM oracle_gin;
INSERT INTO oracle_gin (id, a) SELECT i, ARRAY[1, 3 - i % 2, 5, 10 + i % 40] FROM generate_series(1, 4000) i;
-- Long keys, so that the entry tree is deep; keys that are null, and arrays that are or have nothing.
CREATE TABLE oracle_gin_wide (id int, k text[]) WITH (autovacuum_enabled = off);
CREATE INDEX oracle_gin_wide_k ON oracle_gin_wide USING gin (k) WITH (fastupdate = off);
INSERT INTO oracle_gin_wide SELECT i, ARRAY[(SELECT string_agg(md5((i * 31 + n)::text), '') FROM generate_series(1, 40) n)] FROM generate_series(1, 700) i;
INSERT INTO oracle_gin_wide VALUES (0, NULL), (0, '{}'), (0, ARRAY[NULL, 'x']), (0, ARRAY[NULL]);
-- The pending list: rows that fit its tail, rows longer than a page, and its end by hand, by its limit and by VACUUM.
CREATE INDEX oracle_gin_j ON oracle_gin USING gin (j);
CREATE INDEX oracle_gin_v ON oracle_gin USING gin (v) WITH (gin_pending_list_limit = 64);
INSERT INTO oracle_gin (id, j, v) SELECT i, jsonb_build_object('k', i % 10, md5(i::text), i), to_tsvector('simple', md5(i::text) || ' common ' || i % 50) FROM generate_series(1, 1500) i;
INSERT INTO oracle_gin (id, v) SELECT i, (SELECT to_tsvector('simple', string_agg(md5((i * 1000 + n)::text), ' ')) FROM generate_series(1, 600) n) FROM generate_series(1, 3) i;
SELECT gin_clean_pending_list('oracle_gin_j'), gin_clean_pending_list('oracle_gin_v');
UPDATE oracle_gin SET v = v || 'more'::tsvector, j = j || '{"more": true}' WHERE id % 4 = 0 AND j IS NOT NULL;
VACUUM oracle_gin;
-- Pages of posting trees that become empty are deleted, lists in entries and on leaves get shorter, and all of it is used again.
DELETE FROM oracle_gin WHERE id BETWEEN 2000 AND 11900;
VACUUM oracle_gin;
VACUUM oracle_gin;
CREATE TABLE oracle_gin_one (id int, a int[]) WITH (autovacuum_enabled = off);
CREATE INDEX oracle_gin_one_a ON oracle_gin_one USING gin (a) WITH (fastupdate = off);
INSERT INTO oracle_gin_one SELECT i, ARRAY[1] FROM generate_series(1, 25000) i;
DELETE FROM oracle_gin_one WHERE id BETWEEN 3000 AND 20000 OR id % 9 = 0;
VACUUM oracle_gin_one;
INSERT INTO oracle_gin_one SELECT i, ARRAY[1, 2] FROM generate_series(1, 3000) i;
DELETE FROM oracle_gin_wide WHERE id % 2 = 0;
VACUUM oracle_gin_wide;
INSERT INTO oracle_gin (id, a) SELECT i, ARRAY[1, 2, 7, i] FROM generate_series(20000, 23000) i;
CREATE INDEX oracle_gin_built ON oracle_gin USING gin (a);
CREATE UNLOGGED TABLE oracle_unlogged_indexes (k int, a int[]);
CREATE INDEX ON oracle_unlogged_indexes USING hash (k);
CREATE INDEX ON oracle_unlogged_indexes USING gin (a);
INSERT INTO oracle_unlogged_indexes SELECT i, ARRAY[i, i % 5] FROM generate_series(1, 500) i;
