#!/usr/bin/env bash
# Judges our redo by stock PostgreSQL 15: it runs pgbench, VACUUM, DDL and the rest with wal_consistency_checking = all, and walcheck replays that log over a copy from before, comparing
# each page with its images and, at the end, with the files of a clean stop.
# usage: redo-oracle.sh [--clients N] [--seconds N] [--scale N] [--keep DIR]
. "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

CLIENTS=8 SECONDS_EACH=10 SCALE=2 KEEP=
while [ $# -gt 0 ]; do
  case "$1" in
    --clients) CLIENTS=$2; shift 2 ;;
    --seconds) SECONDS_EACH=$2; shift 2 ;;
    --scale) SCALE=$2; shift 2 ;;
    --keep) KEEP=$2; shift 2 ;;
    *) die "unknown argument: $1 (usage: $(basename "$0") [--clients N] [--seconds N] [--scale N] [--keep DIR])" ;;
  esac
done

[ -x "$PGBIN/initdb" ] || die "PostgreSQL 15 is missing: run scripts/build.sh, or set PGBIN"
stage_programs

WORK=${KEEP:-$(mktemp -d /var/tmp/redo-oracle.XXXXXX)}
mkdir -p "$WORK"
[ "$(id -u)" != 0 ] || chown postgres: "$WORK"
chmod 755 "$WORK"
DATA=$WORK/data BASE=$WORK/base
PORT=$(free_port)

finish() {
  [ ! -e "$DATA/postmaster.pid" ] || as_pg "$PGBIN/pg_ctl" -D "$DATA" -m immediate -w stop >/dev/null || true
  [ -n "$KEEP" ] || rm -rf "$WORK"
}
trap finish EXIT

sql() { as_pg "$PGBIN/psql" -X -q -A -t -v ON_ERROR_STOP=1 -h 127.0.0.1 -p "$PORT" -U postgres -d postgres "$@"; }
bench() { as_pg "$PGBIN/pgbench" -h 127.0.0.1 -p "$PORT" -U postgres "$@" postgres >>"$WORK/pgbench.log" 2>&1 || { tail -n 20 "$WORK/pgbench.log" >&2; die "pgbench failed"; }; }

say "== stock PostgreSQL in $WORK"
as_pg "$PGBIN/initdb" -D "$DATA" --data-checksums -A trust -U postgres -N -E UTF8 --locale=C.UTF-8 >"$WORK/initdb.log"
as_pg tee -a "$DATA/postgresql.conf" >/dev/null <<CONF
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
port = $PORT
fsync = off
wal_level = logical
max_prepared_transactions = 10
track_commit_timestamp = on
wal_keep_size = '100GB'
max_wal_size = '8GB'
checkpoint_timeout = '30s'
wal_consistency_checking = 'all'
wal_compression = lz4
autovacuum_naptime = '2s'
shared_buffers = '256MB'
CONF
# Just before the end of a segment of pg_xact and of pg_multixact/offsets, so that the first ones can be truncated.
as_pg truncate -s 262144 "$DATA/pg_xact/0000" "$DATA/pg_multixact/offsets/0000"
as_pg "$PGBIN/pg_resetwal" -D "$DATA" -x 1046000 -m 65000,1 >/dev/null
as_pg cp -a "$DATA" "$BASE"
start() { as_pg "$PGBIN/pg_ctl" -D "$DATA" -l "$WORK/server.log" -w "$@" start >/dev/null; }
stop() { as_pg "$PGBIN/pg_ctl" -D "$DATA" -m "$1" -w stop >/dev/null; }
start

say "== pgbench: load with foreign keys, all built-in scripts, $CLIENTS clients, $SECONDS_EACH s each"
bench -i -s "$SCALE" -q --foreign-keys
bench -c "$CLIENTS" -T "$SECONDS_EACH" -b tpcb-like
bench -c "$CLIENTS" -T "$SECONDS_EACH" -b simple-update -M prepared
bench -c "$CLIENTS" -T 2 -b select-only
say "== DDL, TOAST, sequences, subtransactions, freeze, rewrites, databases"
sql < "$ROOT/scripts/lib/redo-oracle.sql" >/dev/null
say "== GiST, SP-GiST, BRIN and bloom indexes"
sql < "$ROOT/scripts/lib/redo-oracle-indexes.sql" >/dev/null
say "== hash and GIN indexes"
sql < "$ROOT/scripts/lib/redo-oracle-hashgin.sql" >/dev/null
sql -c "CREATE INDEX oracle_churn_hash ON oracle_churn USING hash (t)" -c "CREATE INDEX oracle_churn_gin ON oracle_churn USING gin (to_tsvector('simple', t))"
# A slot makes rewrites of catalogs log where their rows went. It holds back the horizon, so it is short-lived: else no deleted index page would be used again.
sql -c "SELECT pg_create_logical_replication_slot('oracle', 'test_decoding')" >/dev/null
sql -c "CREATE TABLE oracle_slot (i serial)" -c "DROP TABLE oracle_slot" -c "VACUUM FULL pg_class" -c "VACUUM FULL pg_attribute"
sql -c "SELECT pg_drop_replication_slot('oracle')" >/dev/null
sql -c "VACUUM (FREEZE)" -c "VACUUM FULL pgbench_accounts" -c "CLUSTER pgbench_tellers USING pgbench_tellers_pkey"
sql -c "CREATE DATABASE copied STRATEGY wal_log" -c "CREATE DATABASE dropped STRATEGY wal_log" -c "DROP DATABASE dropped"
say "== rows locked by several transactions at once, deletes and reinserts"
as_pg tee "$WORK/share.sql" >/dev/null <<'SQL'
\set a random(1, 20)
\set b random(1, 20)
BEGIN;
SELECT k FROM oracle_locks WHERE k = least(:a, :b) FOR KEY SHARE;
SAVEPOINT s;
SELECT k FROM oracle_locks WHERE k = greatest(:a, :b) FOR SHARE;
RELEASE s;
COMMIT;
SQL
as_pg tee "$WORK/key.sql" >/dev/null <<'SQL'
\set a random(1, 20)
BEGIN;
SELECT k FROM oracle_locks WHERE k = :a FOR KEY SHARE;
UPDATE oracle_locks SET v = v + 1 WHERE k = :a;
COMMIT;
SQL
as_pg tee "$WORK/churn.sql" >/dev/null <<'SQL'
\set a random(1, 5000)
BEGIN;
DELETE FROM oracle_churn WHERE k BETWEEN :a AND :a + 20;
INSERT INTO oracle_churn SELECT i, md5(i::text) FROM generate_series(:a, :a + 20) i ON CONFLICT (k) DO UPDATE SET t = excluded.t || 'x';
END;
SQL
as_pg tee "$WORK/shapes.sql" >/dev/null <<'SQL'
\set a random(1, 3000)
BEGIN;
DELETE FROM oracle_shapes WHERE k BETWEEN :a AND :a + 5;
INSERT INTO oracle_shapes SELECT i, point(i % 50, :a % 60), chr(200 + :a % 90) || repeat('x', i % 30) || :a, :a FROM generate_series(:a, :a + 8) i;
END;
SQL
bench -n -c "$CLIENTS" -T "$SECONDS_EACH" -f "$WORK/shapes.sql" --max-tries=10
bench -n -c "$CLIENTS" -T "$SECONDS_EACH" -f "$WORK/share.sql" -f "$WORK/key.sql" --max-tries=10
bench -n -c "$CLIENTS" -T "$SECONDS_EACH" -f "$WORK/churn.sql" --max-tries=10
sql -c "VACUUM" -c "CHECKPOINT"
say "== without full-page images, over a restart and a crash"
sql -c "ALTER SYSTEM SET full_page_writes = off" -c "SELECT pg_reload_conf()" >/dev/null
bench -c "$CLIENTS" -T "$SECONDS_EACH"
sql -c "ALTER SYSTEM SET full_page_writes = on" -c "SELECT pg_reload_conf()" -c "SELECT pg_switch_wal()" >/dev/null
sql -c "SELECT pg_backup_start('oracle', true)" -c "SELECT pg_backup_stop()" >/dev/null
stop fast
start -o "-c max_connections=90"
as_pg "$PGBIN/pgbench" -h 127.0.0.1 -p "$PORT" -U postgres -n -c "$CLIENTS" -T 60 -f "$WORK/churn.sql" -f "$WORK/shapes.sql" -b tpcb-like --max-tries=10 postgres >/dev/null 2>&1 &
sleep "$((SECONDS_EACH / 2 + 1))"
stop immediate
wait
start -o "-c max_connections=90"
bench -c "$CLIENTS" -T "$SECONDS_EACH"
say "== freeze all databases: pg_xact and pg_multixact are truncated"
sql -c "UPDATE pg_database SET datallowconn = true"
as_pg "$PGBIN/vacuumdb" -h 127.0.0.1 -p "$PORT" -U postgres --all --freeze -q
sql -c "CHECKPOINT"
stop fast
start -o "-c max_connections=90 -c wal_level=minimal -c max_wal_senders=0"
sql < "$ROOT/scripts/lib/redo-oracle-minimal.sql" >/dev/null
stop fast
start -o "-c max_connections=90"
sql -c "DELETE FROM oracle_churn" -c "VACUUM oracle_churn" -c "VACUUM oracle_churn" -c "VACUUM (FREEZE)" -c "ANALYZE" -c "SELECT pg_create_restore_point('end')" >/dev/null
say "== prepared transactions, replication origins, tablespaces, databases copied by file"
sql < "$ROOT/scripts/lib/redo-oracle-xact.sql" >/dev/null
stop fast

say "== walcheck"
as_pg "$BIN/sharedstorage" walcheck --base "$BASE" --wal "$DATA/pg_wal" --against "$DATA" --output "$WORK/differing"
