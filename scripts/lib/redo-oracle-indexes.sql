-- Indexes of the other methods, for redo-oracle.sh and its short form in the tests: each op code of GiST, SP-GiST and BRIN, and of Generic by contrib's bloom.
CREATE EXTENSION IF NOT EXISTS bloom;
-- GiST: sorted, buffered and plain builds, splits up to the root and above, pages that become empty, are deleted and used again.
CREATE TABLE oracle_gist (i int, p point, b box, r int4range, t tsvector) WITH (autovacuum_enabled = off);
CREATE INDEX oracle_gist_p ON oracle_gist USING gist (p);
CREATE INDEX oracle_gist_b ON oracle_gist USING gist (b) WITH (fillfactor = 60);
CREATE INDEX oracle_gist_r ON oracle_gist USING gist (r, p);
CREATE INDEX oracle_gist_t ON oracle_gist USING gist (t);
INSERT INTO oracle_gist
  SELECT i, point(i * 7919 % 10007, i * 9973 % 10009), box(point(i % 97, i % 89), point(i % 97 + i % 7, i % 89 + 3)), int4range(i * 31 % 5003, i * 31 % 5003 + i % 40),
    to_tsvector('simple', md5(i::text) || ' ' || md5((i % 50)::text) || ' w' || i % 300)
  FROM generate_series(1, 4000) i;
CREATE INDEX oracle_gist_sorted ON oracle_gist USING gist (p);
CREATE INDEX oracle_gist_buffered ON oracle_gist USING gist (p) WITH (buffering = on);
DELETE FROM oracle_gist WHERE i % 3 = 0;
VACUUM oracle_gist;
UPDATE oracle_gist SET p = point(p[1], p[0]), r = int4range(i, i + 5) WHERE i % 10 = 1;
DELETE FROM oracle_gist WHERE p[0] < 8000;
VACUUM oracle_gist;
SELECT txid_current();
SELECT txid_current();
VACUUM oracle_gist;
INSERT INTO oracle_gist SELECT i, point(i * 13 % 10007, i % 10009), box(point(i, 0), point(i, i)), int4range(i, 2 * i), to_tsvector('simple', md5(i::text)) FROM generate_series(1, 4000) i;
-- Entries that scans find dead are removed when a page is full.
CREATE TABLE oracle_gist_dead (i int, p point) WITH (autovacuum_enabled = off);
CREATE INDEX oracle_gist_dead_p ON oracle_gist_dead USING gist (p);
INSERT INTO oracle_gist_dead SELECT i, point(i % 50, i % 40) FROM generate_series(1, 1500) i;
DELETE FROM oracle_gist_dead WHERE i % 4 <> 0;
SET enable_seqscan = off;
SET enable_bitmapscan = off;
SELECT count(*) FROM oracle_gist_dead WHERE p <@ box(point(-1, -1), point(60, 60));
RESET enable_seqscan;
RESET enable_bitmapscan;
INSERT INTO oracle_gist_dead SELECT i, point(i % 50, i % 40) FROM generate_series(1, 1500) i;
-- SP-GiST: prefix trees, trees of quadrants and halves, networks, nulls; chains that move, entries that split, redirections and their end.
CREATE TABLE oracle_spgist (i int, t text, p point, n inet, r int4range) WITH (autovacuum_enabled = off);
CREATE INDEX oracle_spgist_t ON oracle_spgist USING spgist (t) INCLUDE (i);
CREATE INDEX oracle_spgist_q ON oracle_spgist USING spgist (p);
CREATE INDEX oracle_spgist_k ON oracle_spgist USING spgist (p kd_point_ops);
CREATE INDEX oracle_spgist_n ON oracle_spgist USING spgist (n);
CREATE INDEX oracle_spgist_r ON oracle_spgist USING spgist (r);
INSERT INTO oracle_spgist
  SELECT i, CASE i % 4 WHEN 0 THEN 'f' || repeat('o', i % 90) || chr(97 + i % 26) WHEN 1 THEN md5(i::text) || repeat(md5(i::text), i % 5) WHEN 2 THEN chr(200 + i * 7 % 700) || i ELSE repeat('same', 20) || i % 3 END,
    CASE WHEN i % 11 > 0 THEN point(i * 7919 % 1009, i * 9973 % 1013) END, ('10.' || i % 200 || '.' || i % 7 || '.' || i % 251)::inet, int4range(i % 100, i % 100 + i % 17)
  FROM generate_series(1, 6000) i;
INSERT INTO oracle_spgist (i) SELECT i FROM generate_series(1, 1000) i;
CREATE INDEX oracle_spgist_built ON oracle_spgist USING spgist (t);
DELETE FROM oracle_spgist WHERE i % 3 = 0;
VACUUM oracle_spgist;
INSERT INTO oracle_spgist SELECT i, md5(i::text) || chr(97 + i % 26), point(i % 300, i % 7), ('fe80::' || to_hex(i % 65000))::inet, int4range(i, NULL) FROM generate_series(1, 3000) i;
DELETE FROM oracle_spgist WHERE i < 2500;
VACUUM oracle_spgist;
SELECT txid_current();
VACUUM oracle_spgist;
INSERT INTO oracle_spgist SELECT i, 'g' || repeat('x', i % 40) || md5(i::text), point(i, -i) FROM generate_series(1, 2000) i;
-- The root is its only leaf.
CREATE TABLE oracle_spgist_root (t text);
CREATE INDEX oracle_spgist_root_t ON oracle_spgist_root USING spgist (t);
INSERT INTO oracle_spgist_root SELECT 'root' || i FROM generate_series(1, 20) i;
DELETE FROM oracle_spgist_root WHERE t LIKE '%3';
VACUUM oracle_spgist_root;
INSERT INTO oracle_spgist_root SELECT 'root' || i FROM generate_series(1, 20) i;
-- Inner entries with many nodes: they outgrow their page and leave a redirection.
CREATE TABLE oracle_spgist_wide (t text) WITH (autovacuum_enabled = off);
CREATE INDEX oracle_spgist_wide_t ON oracle_spgist_wide USING spgist (t);
INSERT INTO oracle_spgist_wide SELECT 'p' || chr(33 + i % 60) || chr(300 + i / 60 % 500) || i FROM generate_series(1, 12000) i;
DELETE FROM oracle_spgist_wide WHERE t LIKE 'pA%';
SELECT txid_current();
VACUUM oracle_spgist_wide;
INSERT INTO oracle_spgist_wide SELECT 'pA' || chr(300 + i % 500) || repeat(md5(i::text), 40) FROM generate_series(1, 600) i;
-- BRIN: one heap page for each range, so that the range map grows beyond its first page and pages with summaries make room for it; summaries that outgrow their page.
CREATE TABLE oracle_brin (i int, t text, f text) WITH (autovacuum_enabled = off, fillfactor = 10);
ALTER TABLE oracle_brin ALTER COLUMN f SET STORAGE PLAIN;
CREATE INDEX oracle_brin_i ON oracle_brin USING brin (i) WITH (pages_per_range = 1, autosummarize = on);
CREATE INDEX oracle_brin_t ON oracle_brin USING brin (t, i) WITH (pages_per_range = 1);
CREATE INDEX oracle_brin_bloom ON oracle_brin USING brin (i int4_bloom_ops) WITH (pages_per_range = 16);
CREATE INDEX oracle_brin_multi ON oracle_brin USING brin (i int4_minmax_multi_ops (values_per_range = 16)) WITH (pages_per_range = 4);
INSERT INTO oracle_brin SELECT i, 't' || i, repeat('f', 4500) FROM generate_series(1, 700) i;
SELECT brin_summarize_new_values('oracle_brin_i'), brin_summarize_new_values('oracle_brin_t'), brin_summarize_new_values('oracle_brin_multi'), brin_summarize_range('oracle_brin_bloom', 16);
INSERT INTO oracle_brin SELECT i, 't' || i, repeat('f', 4500) FROM generate_series(701, 1500) i;
VACUUM oracle_brin;
UPDATE oracle_brin SET t = repeat(md5(i::text), 1 + i % 20), i = -i WHERE i % 3 = 0;
INSERT INTO oracle_brin SELECT i, repeat('z', i % 900), NULL FROM generate_series(1, 1500) i;
SELECT brin_desummarize_range('oracle_brin_i', b), brin_desummarize_range('oracle_brin_t', b * 2), brin_desummarize_range('oracle_brin_multi', b * 4) FROM generate_series(0, 300, 7) b;
SELECT brin_summarize_range('oracle_brin_i', 7), brin_summarize_new_values('oracle_brin_t');
INSERT INTO oracle_brin SELECT i, repeat('y', i), NULL FROM generate_series(1, 1200) i;
DELETE FROM oracle_brin WHERE i < 0;
VACUUM oracle_brin;
CREATE INDEX oracle_brin_built ON oracle_brin USING brin (i, t) WITH (pages_per_range = 2);
-- Generic: bloom indexes, whose pages are changed by fragments.
CREATE TABLE oracle_bloom (i int, t text) WITH (autovacuum_enabled = off);
INSERT INTO oracle_bloom SELECT i, md5(i::text) FROM generate_series(1, 1000) i;
CREATE INDEX oracle_bloom_it ON oracle_bloom USING bloom (i, t) WITH (length = 128, col1 = 3);
INSERT INTO oracle_bloom SELECT i, md5(i::text) FROM generate_series(1001, 4000) i;
DELETE FROM oracle_bloom WHERE i < 1500 OR i % 5 = 0;
VACUUM oracle_bloom;
INSERT INTO oracle_bloom SELECT i, md5(i::text) FROM generate_series(1, 2000) i;
DELETE FROM oracle_bloom;
VACUUM oracle_bloom;
INSERT INTO oracle_bloom SELECT i, 'x' FROM generate_series(1, 200) i;
-- All of them together, for many sessions.
CREATE TABLE oracle_shapes (k int, p point, t text, n int);
CREATE INDEX ON oracle_shapes USING gist (p);
CREATE INDEX ON oracle_shapes USING spgist (t);
CREATE INDEX ON oracle_shapes USING spgist (p);
CREATE INDEX ON oracle_shapes USING brin (n, t) WITH (pages_per_range = 2, autosummarize = on);
CREATE INDEX ON oracle_shapes USING bloom (k, n);
CREATE INDEX ON oracle_shapes (k);
