#!/usr/bin/env bash
# Two readers follow a mixed load (pgbench, VACUUM, indexes made, churned and dropped) with so little memory for the index of the log that it goes to local disk all the time.
# usage: spill-rounds.sh DIR [--seconds N] [--keep]      DIR: an empty or new directory; N: 3600
# At every look, in one snapshot on each reader: pgbench's sums are equal, index scans equal sequential ones. At the end the readers catch up with the writer, and stock PostgreSQL's
# amcheck and checksums judge the files.
. "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"
. "$ROOT/scripts/lib/nodes.sh"
. "$ROOT/scripts/lib/load.sh"

keep='' seconds=3600 arguments=()
while [ $# -gt 0 ]; do
  case $1 in
    --keep) keep=1; shift;;
    --seconds) seconds=$2; shift 2;;
    -*) sed -n '2,5p' "$0"; exit 2;;
    *) arguments+=("$1"); shift;;
  esac
done
[ ${#arguments[@]} = 1 ] || { sed -n '2,5p' "$0"; exit 2; }
stage_programs
mkdir -p "${arguments[0]}"; DIR=$(cd "${arguments[0]}" && pwd)
[ -z "$(ls -A "$DIR")" ] || die "$DIR is not empty"

end_nodes_at_exit "$keep"

"$ROOT/scripts/cluster.sh" init "$DIR" --readers 2
for n in $(nodes); do echo "sharedstorage.log_index_size = '64kB'" | as_pg tee -a "$DIR/$n/sharedstorage.conf" >/dev/null; done
"$ROOT/scripts/cluster.sh" start "$DIR"
load=$DIR/load
as_pg mkdir "$load"
load_tables writer 2
ask writer "create table churn (k int primary key, a int, t text)"
ask writer "create index churn_a on churn (a)"
as_pg tee "$load/churn.sql" >/dev/null <<'Q'
\set k random(1, 20000)
\set a random(1, 100000)
delete from churn where k = :k;
insert into churn values (:k, :a, 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx');
update churn set a = a + 1 where k = :k + 1;
Q

began=$(date +%s)
begin_bench writer -n -M prepared -c 4 -j 1 -T "$seconds" > "$load/tpcb" 2>&1 & tpcb=$!
begin_bench writer -n -M prepared -c 1 -j 1 -T "$seconds" -f "$load/churn.sql" > "$load/churn" 2>&1 & churn=$!

# A look at a reader: every line says true. Numbers come from the round, so that a run can be repeated. A reader that says that it cannot answer now (its lease has run out on a busy machine, or
# it comes back from an eviction) is asked again: no answer is no wrong answer. Any other error ends the run.
look() {
  local n=$1 round=$2 out tries
  for tries in $(seq 60); do
    if out=$(as_pg env PGCONNECT_TIMEOUT=10 psql -X -q -A -t -v ON_ERROR_STOP=1 -v VERBOSITY=verbose -h 127.0.0.1 -p "$(node_setting "$n" port)" -U postgres \
      -v low=$((round * 7919 % 99000)) -v high=$((round * 7919 % 99000 + 400)) -v point=$((round * 104729 % 20000 + 1)) -v aid=$((round * 15485863 % 200000 + 1)) -f - < "$ROOT/scripts/lib/spill-look.sql" 2>&1); then
      [ "$(printf '%s\n' "$out" | grep -c ' true$')" = 4 ] || die "round $round on $n: $out"
      return
    fi
    grep -qE '57P0[1-5]|40001|does not answer queries now|not yet accepting connections|terminating connection' <<<"$out" || die "round $round on $n: $out"
    refused=$((refused + 1))
    sleep 1
  done
  die "round $round on $n: no answer: $out"
}

refused=0
round=0
while kill -0 "$tpcb" 2>/dev/null; do
  round=$((round + 1))
  for n in $(nodes_by_role reader); do look "$n" "$round"; done
  case $((round % 8)) in
    2) ask writer "vacuum churn";;
    4) ask writer "create index churn_t on churn (t, a)";;
    6) ask writer "drop index churn_t";;
    0) ask writer "vacuum";;
  esac
done
wait "$tpcb" || { cat "$load/tpcb"; die "pgbench failed"; }
wait "$churn" || { cat "$load/churn"; die "the churning client failed"; }
have=$(sums writer)
sums_agree "$have" || die "the sums on the writer differ: $have"
for n in $(nodes_by_role reader); do
  for _ in $(seq 200); do there=$(sums "$n" 2>/dev/null || true); [ "$there" = "$have" ] && break; sleep 0.1; done
  [ "$there" = "$have" ] || die "$n has $there, the writer has $have"
  look "$n" "$round"
  said=$(grep -o 'gone to local disk [0-9]* times' "$DIR/$n/log" | tail -n 1 || true)
  [ -n "$said" ] || die "$n never spilled its index: there was nothing to see"
  say "$n: the index of the log has $said or more; $round looks, all agree"
done

"$ROOT/scripts/cluster.sh" stop "$DIR" >/dev/null
as_pg "$PGBIN/pg_checksums" --check -D "$DIR/shared" | sed -n 's/^/  /p'
port=$(free_port)
as_pg "$PGBIN/pg_ctl" -D "$DIR/shared" -w -s -l "$load/postgres.log" -o "-p $port -c listen_addresses=127.0.0.1 -c unix_socket_directories=" start
judged=0
as_pg "$PGBIN/pg_amcheck" -h 127.0.0.1 -p "$port" -U postgres --install-missing --heapallindexed --parent-check postgres || judged=1
as_pg "$PGBIN/pg_ctl" -D "$DIR/shared" -w -s -m fast stop
[ $judged = 0 ] || die "pg_amcheck found damage"
say "$(($(date +%s) - began)) s: $have; $refused looks were refused and repeated; pg_checksums and pg_amcheck find nothing"
