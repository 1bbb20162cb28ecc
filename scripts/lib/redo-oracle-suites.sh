# The suites of redo-oracle.sh: sourced, not run. Each finds a started server and leaves it running. What PostgreSQL's suites print does not matter here, only the log that they make.

# The modules whose suites touch access methods.
CONTRIB_MODULES=(bloom btree_gin btree_gist cube hstore intarray ltree pg_trgm seg)

suite_pgbench() {
  say "   all built-in scripts, $CLIENTS clients, $SECONDS_EACH s each"
  bench -i -s "$SCALE" -q --foreign-keys
  bench -c "$CLIENTS" -T "$SECONDS_EACH" -b tpcb-like
  bench -c "$CLIENTS" -T "$SECONDS_EACH" -b simple-update -M prepared
  bench -c "$CLIENTS" -T 2 -b select-only
  sql -c "VACUUM (FREEZE)" -c "VACUUM FULL pgbench_accounts" -c "CLUSTER pgbench_tellers USING pgbench_tellers_pkey" -c "CHECKPOINT"
  say "   without full-page images, over a restart and a crash"
  sql -c "ALTER SYSTEM SET full_page_writes = off" -c "SELECT pg_reload_conf()" >/dev/null
  bench -c "$CLIENTS" -T "$SECONDS_EACH"
  sql -c "ALTER SYSTEM SET full_page_writes = on" -c "SELECT pg_reload_conf()" -c "SELECT pg_switch_wal()" >/dev/null
  sql -c "SELECT pg_backup_start('oracle', true)" -c "SELECT pg_backup_stop()" >/dev/null
  oracle_stop fast
  oracle_start -o "-c max_connections=90"
  crash_under -b tpcb-like
  oracle_start -o "-c max_connections=90"
  bench -c "$CLIENTS" -T "$SECONDS_EACH"
  say "   a record whose end is lost in a crash, and a promotion"
  lose_end_of_record
  oracle_start
  promote
  bench -c "$CLIENTS" -T "$SECONDS_EACH"
  freeze_all
}

# Our own scripts, for the op codes that the others leave out.
suite_own() {
  local script
  say "   DDL, TOAST, sequences, subtransactions, rewrites, databases, index methods"
  for script in "$ROOT"/scripts/lib/redo-oracle*.sql; do
    case "$script" in *-minimal.sql|*-xact.sql) continue ;; esac
    sql < "$script" >/dev/null
  done
  # Indexes of other kinds on the table that changes all the time below.
  sql -c "CREATE INDEX oracle_churn_hash ON oracle_churn USING hash (t)" -c "CREATE INDEX oracle_churn_gin ON oracle_churn USING gin (to_tsvector('simple', t))"
  # A slot makes rewrites of catalogs log where their rows went. It holds back the horizon, so it is short-lived: else no deleted index page would be used again.
  sql -c "SELECT pg_create_logical_replication_slot('oracle', 'test_decoding')" >/dev/null
  sql -c "CREATE TABLE oracle_slot (i serial)" -c "DROP TABLE oracle_slot" -c "VACUUM FULL pg_class" -c "VACUUM FULL pg_attribute"
  sql -c "SELECT pg_drop_replication_slot('oracle')" >/dev/null
  sql -c "CREATE DATABASE copied STRATEGY wal_log" -c "CREATE DATABASE dropped STRATEGY wal_log" -c "DROP DATABASE dropped"
  say "   rows locked by several transactions at once, deletes and reinserts, over a crash"
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
  crash_under -f "$WORK/churn.sql" -f "$WORK/shapes.sql" --max-tries=10
  oracle_start
  bench -n -c "$CLIENTS" -T "$SECONDS_EACH" -f "$WORK/churn.sql" --max-tries=10
  freeze_all
  # What is logged only when the log is minimal: scripts that say so by their name.
  for script in "$ROOT"/scripts/lib/redo-oracle*-minimal.sql; do
    [ -e "$script" ] || continue
    oracle_stop fast
    oracle_start -o "-c wal_level=minimal -c max_wal_senders=0"
    sql < "$script" >/dev/null
    oracle_stop fast
    oracle_start
  done
  sql -c "DELETE FROM oracle_churn" -c "VACUUM oracle_churn" -c "VACUUM oracle_churn" -c "VACUUM (FREEZE)" -c "ANALYZE" -c "SELECT pg_create_restore_point('end')" >/dev/null
  # Last, since it leaves transactions prepared, which hold back every horizon.
  say "   prepared transactions, replication origins, tablespaces, databases copied by file"
  sql < "$ROOT/scripts/lib/redo-oracle-xact.sql" >/dev/null
}

suite_regress() {
  local libraries=$WORK/regress-lib
  as_pg mkdir -p "$libraries" "$WORK/regress-out"
  require_packages gcc postgresql-server-dev-15
  as_pg gcc -O1 -fPIC -shared -w -I"$("$PGBIN/pg_config" --includedir-server)" -o "$libraries/regress.so" "$SUITE_SOURCE/regress/regress.c" \
    || die "regress.so cannot be compiled"
  as_pg cp "$("$PGBIN/pg_config" --pkglibdir)/refint.so" "$("$PGBIN/pg_config" --pkglibdir)/autoinc.so" "$libraries/"
  run_suite regress "$TESTERS/regress/pg_regress" --inputdir="$SUITE_SOURCE/regress" --dlpath="$libraries" --dbname=regression --max-concurrent-tests=20 \
    --schedule="$SUITE_SOURCE/regress/parallel_schedule"
}

suite_isolation() {
  as_pg mkdir -p "$WORK/isolation-out"
  run_suite isolation "$TESTERS/isolation/pg_isolation_regress" --inputdir="$SUITE_SOURCE/isolation" --dlpath="$("$PGBIN/pg_config" --pkglibdir)" --dbname=isolation_regression \
    --schedule="$SUITE_SOURCE/isolation/isolation_schedule"
}

suite_contrib() {
  local module test tests
  for module in "${CONTRIB_MODULES[@]}"; do
    tests=$(sed -e ':a' -e '/\\$/{N;s/\\\n//;ta' -e '}' "$SUITE_SOURCE/$module/Makefile" | sed -n 's/^REGRESS *= *//p')
    [ -n "$tests" ] || die "the suite of $module names no tests"
    say "   $module: $tests"
    sql -c "CREATE DATABASE contrib_$module"
    for test in $tests; do
      # An error in a statement is part of many tests.
      (cd "$SUITE_SOURCE/$module" && as_pg "$PGBIN/psql" -X -q -h 127.0.0.1 -p "$PORT" -U postgres -d "contrib_$module" -f "sql/$test.sql" >>"$WORK/contrib.log" 2>&1) \
        || die "psql could not run $module/$test: see $WORK/contrib.log"
    done
    as_pg "$PGBIN/vacuumdb" -h 127.0.0.1 -p "$PORT" -U postgres -q "contrib_$module"
  done
}

# pg_regress NAME PROGRAM ARGUMENTS: its count of differences is told, not judged (the server's minor version and settings are not the source's).
run_suite() {
  local name=$1
  shift
  (cd "$WORK/$name-out" && as_pg "$@" --outputdir="$WORK/$name-out" --bindir="$PGBIN" --host=127.0.0.1 --port="$PORT" --user=postgres > "$WORK/$name.log" 2>&1) || true
  grep -Eo '(All [0-9]+ tests passed|[0-9]+ of [0-9]+ tests (passed|failed)).*' "$WORK/$name.log" | sed 's/^/   /' || { tail -n 20 "$WORK/$name.log" >&2; die "the suite $name did not run"; }
  sql -c "CHECKPOINT" >/dev/null || die "PostgreSQL did not survive the suite $name"
}

# crash_under PGBENCH-ARGUMENTS: stops the server at once in the middle of that load.
crash_under() {
  as_pg "$PGBIN/pgbench" -h 127.0.0.1 -p "$PORT" -U postgres -n -c "$CLIENTS" -T 60 "$@" postgres >/dev/null 2>&1 &
  local load=$!
  sleep "$((SECONDS_EACH / 2 + 1))"
  oracle_stop immediate
  wait "$load" || true
}

# Stops the server at once with a record that goes on in a segment that is gone then: the next start overwrites its rest.
lose_end_of_record() {
  local lost
  sql -c "ALTER SYSTEM SET autovacuum = off" -c "SELECT pg_reload_conf()" -c "CHECKPOINT" >/dev/null
  lost=$(sql <<'SQL'
DO $$ BEGIN
  WHILE 16777216 - (pg_current_wal_insert_lsn() - '0/0') % 16777216 > 300000 LOOP PERFORM pg_logical_emit_message(false, 'oracle', repeat('x', 100000)); END LOOP;
END $$;
SELECT pg_logical_emit_message(true, 'oracle', repeat('x', 600000)) AS emitted \gset
SELECT pg_walfile_name(pg_current_wal_insert_lsn());
SQL
  )
  oracle_stop immediate
  as_pg rm "$DATA/pg_wal/$lost"
}

# The directory's own server goes on as a standby and is promoted: an end of recovery, and another timeline.
promote() {
  sql -c "ALTER SYSTEM RESET autovacuum"
  oracle_stop fast
  as_pg touch "$DATA/standby.signal"
  oracle_start
  as_pg "$PGBIN/pg_ctl" -D "$DATA" -w -t 120 promote >/dev/null
}

freeze_all() {
  say "   freeze all databases: pg_xact and pg_multixact are truncated"
  sql -c "UPDATE pg_database SET datallowconn = true"
  as_pg "$PGBIN/vacuumdb" -h 127.0.0.1 -p "$PORT" -U postgres --all --freeze -q
  sql -c "CHECKPOINT"
}
