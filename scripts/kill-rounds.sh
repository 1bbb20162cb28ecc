#!/usr/bin/env bash
# Kills the writer (SIGKILL) at random moments under load, again and again, and checks after each restart that every acknowledged transaction is there, once.
# usage: kill-rounds.sh DIR [ROUNDS=20] [--keep]      DIR: an empty or new directory; SEED=N repeats a run's moments
# In every second round a reader takes over (failover.sh); in the others the writer recovers by itself. At the end stock PostgreSQL's amcheck and checksums judge the files.
. "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"
. "$ROOT/scripts/lib/nodes.sh"
. "$ROOT/scripts/lib/load.sh"

keep='' arguments=()
for a in "$@"; do if [ "$a" = --keep ]; then keep=1; else arguments+=("$a"); fi; done
set -- "${arguments[@]}"
[ $# -ge 1 ] || { sed -n '2,4p' "$0"; exit 2; }
rounds=${2:-20}
stage_programs
mkdir -p "$1"; DIR=$(cd "$1" && pwd)
[ -z "$(ls -A "$DIR")" ] || die "$DIR is not empty"
seed=${SEED:-$((RANDOM * 32768 + RANDOM))}
RANDOM=$((seed % 32768))
say "seed $seed"

finish() {
  local status=$? n pid
  trap - EXIT INT TERM
  for pid in $(jobs -p); do kill "$pid" 2>/dev/null || true; done
  for n in $(nodes); do
    if node_alive "$n"; then read -r pid _ < "$DIR/$n/process"; as_pg kill -KILL "$pid" || true; fi
  done
  if [ $status = 0 ] && [ -z "$keep" ]; then rm -rf "$DIR"; else say "left for a look: $DIR"; fi
  exit $status
}
trap finish EXIT
trap 'exit 1' INT TERM

"$ROOT/scripts/cluster.sh" init "$DIR" --readers 2
"$ROOT/scripts/cluster.sh" start "$DIR"
load=$DIR/load
as_pg mkdir "$load"
load_tables writer 2
write_numbered_tpcb "$load/numbered.sql"

total=0
for round in $(seq "$rounds"); do
  writer=$(nodes_by_role writer)
  base=$((round * 1000000000))
  begin_bench "$writer" -n -M prepared -c 8 -j 1 -T 600 -s 2 -D base=$base -D n=0 -f "$load/numbered.sql" -l --log-prefix="$load/acknowledged.$round" > "$load/pgbench.$round" 2>&1 & client=$!
  pause=$((300 + RANDOM % 2700))
  sleep "$((pause / 1000)).$(printf %03d $((pause % 1000)))"
  "$ROOT/scripts/cluster.sh" kill "$DIR" "$writer" >/dev/null
  wait "$client" || true
  if [ $((round % 2)) = 0 ]; then
    how=failover
    "$ROOT/scripts/failover.sh" "$DIR" >/dev/null
    writer=$(nodes_by_role writer)
  else
    how=restart
    "$ROOT/scripts/cluster.sh" start "$DIR" "$writer" >/dev/null
  fi
  logs=("$load/acknowledged.$round".*)
  [ -e "${logs[0]}" ] || { cat "$load/pgbench.$round"; die "round $round: no load ran"; }
  # All rounds so far are looked up again: a later recovery must not lose what an earlier one kept.
  for earlier in $(seq "$round"); do
    line=$(check_acknowledged "$writer" $((earlier * 1000000000)) "$load/acknowledged.$earlier".*) || die "round $round, acknowledged in round $earlier, on $writer: ${line:-no answer}"
  done
  have=$(sums "$writer")
  sums_agree "$have" || die "round $round: the sums on $writer differ: $have"
  for n in $(nodes_by_role reader); do
    for _ in $(seq 200); do there=$(sums "$n" 2>/dev/null || true); [ "$there" = "$have" ] && break; sleep 0.1; done
    [ "$there" = "$have" ] || die "round $round: $n has $there, $writer has $have"
  done
  total=$((total + $(printf '%s' "$line" | sed 's/acknowledged \([0-9]*\).*/\1/')))
  say "round $round: killed after $pause ms, $how, writer $writer: $line; three nodes agree"
done

"$ROOT/scripts/cluster.sh" stop "$DIR" >/dev/null
say "clean stop; stock PostgreSQL judges the files"
as_pg "$PGBIN/pg_checksums" --check -D "$DIR/shared" | sed -n 's/^/  /p'
port=$(free_port)
as_pg "$PGBIN/pg_ctl" -D "$DIR/shared" -w -s -l "$DIR/load/postgres.log" -o "-p $port -c listen_addresses=127.0.0.1 -c unix_socket_directories=" start
judged=0
as_pg "$PGBIN/pg_amcheck" -h 127.0.0.1 -p "$port" -U postgres --install-missing --heapallindexed --parent-check postgres || judged=1
there=$(as_pg psql -X -A -t -h 127.0.0.1 -p "$port" -U postgres -c "select (select sum(abalance) from pgbench_accounts), (select sum(tbalance) from pgbench_tellers), (select sum(bbalance) from pgbench_branches), (select sum(delta) from pgbench_history), (select count(*) from pgbench_history)")
as_pg "$PGBIN/pg_ctl" -D "$DIR/shared" -w -s -m fast stop
[ $judged = 0 ] || die "pg_amcheck found damage"
[ "$there" = "$have" ] || die "stock PostgreSQL has $there, we had $have"
say "$rounds rounds, $total transactions acknowledged, none missing, none twice; pg_checksums and pg_amcheck find nothing"
