#!/usr/bin/env bash
# Kills the writer (SIGKILL) at random moments under load, again and again, and checks after each restart that every acknowledged transaction is there, once.
# usage: kill-rounds.sh DIR [ROUNDS=20] [--keep]      DIR: an empty or new directory; SEED=N repeats a run's moments
#        kill-rounds.sh --fault-points [NAME,...]     a round for each named fault point instead, or for these: the nodes die there (sharedstorage faultpoints lists them)
# In every second round a reader takes over (failover.sh); in the others the writer recovers by itself. A reader is killed at a random moment of each round, too, and the readers are looked at all along:
# their sums agree in every answer. In every tenth round, and at the end, stock PostgreSQL's amcheck and checksums judge the files.
. "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"
. "$ROOT/scripts/lib/nodes.sh"
. "$ROOT/scripts/lib/load.sh"

if [ "${1:-}" = --fault-points ]; then
  cd "$ROOT"
  require_dotnet
  require_packages postgresql-15 postgresql-client-15
  TEST_FAULT_POINTS=${2:-all} exec dotnet test tests/Cluster -c Release -nologo -v q --filter FullyQualifiedName~FaultPointKillTests --logger "console;verbosity=detailed"
fi

keep='' arguments=()
for a in "$@"; do if [ "$a" = --keep ]; then keep=1; else arguments+=("$a"); fi; done
set -- "${arguments[@]}"
[ $# -ge 1 ] || { sed -n '2,6p' "$0"; exit 2; }
rounds=${2:-20}
stage_programs
mkdir -p "$1"; DIR=$(cd "$1" && pwd)
[ -z "$(ls -A "$DIR")" ] || die "$DIR is not empty"
seed=${SEED:-$((RANDOM * 32768 + RANDOM))}
RANDOM=$((seed % 32768))
say "seed $seed"

end_nodes_at_exit "$keep"

"$ROOT/scripts/cluster.sh" init "$DIR" --readers 2
"$ROOT/scripts/cluster.sh" start "$DIR"
load=$DIR/load
as_pg mkdir "$load"
load_tables writer 2
write_numbered_tpcb "$load/numbered.sql"

# Looks at a node until it is ended. What is answered must agree; no answer is none, since nodes are killed here.
watch_node() {
  local n=$1 seen
  while :; do
    if seen=$(sums "$n" 2>/dev/null) && [ -n "$seen" ]; then
      echo >> "$load/looks"
      sums_agree "$seen" || echo "$n: $seen" >> "$load/wrong"
    fi
    sleep 0.2
  done
}
: > "$load/looks"
for n in $(nodes); do watch_node "$n" & done

# Stock PostgreSQL on a directory; leaves its sums in $there: judge DATA
judge() {
  local data=$1 port judged=0
  port=$(free_port)
  as_pg "$PGBIN/pg_ctl" -D "$data" -w -s -l "$DIR/load/postgres.log" -o "-p $port -c listen_addresses=127.0.0.1 -c unix_socket_directories=" start
  as_pg "$PGBIN/pg_amcheck" -h 127.0.0.1 -p "$port" -U postgres --install-missing --heapallindexed --parent-check postgres || judged=1
  there=$(as_pg psql -X -A -t -h 127.0.0.1 -p "$port" -U postgres -c "select (select sum(abalance) from pgbench_accounts), (select sum(tbalance) from pgbench_tellers), (select sum(bbalance) from pgbench_branches), (select sum(delta) from pgbench_history), (select count(*) from pgbench_history)")
  as_pg "$PGBIN/pg_ctl" -D "$data" -w -s -m fast stop
  [ $judged = 0 ] || die "pg_amcheck found damage"
  as_pg "$PGBIN/pg_checksums" --check -D "$data" | sed -n 's/^/  /p'
}

total=0
for round in $(seq "$rounds"); do
  writer=$(nodes_by_role writer)
  base=$((round * 1000000000))
  begin_bench "$writer" -n -M prepared -c 8 -j 1 -T 600 -s 2 -D base=$base -D n=0 -f "$load/numbered.sql" -l --log-prefix="$load/acknowledged.$round" > "$load/pgbench.$round" 2>&1 & client=$!
  pause=$((300 + RANDOM % 2700))
  sleep "$((pause / 1000)).$(printf %03d $((pause % 1000)))"
  readers=($(nodes_by_role reader))
  victim=${readers[$((RANDOM % ${#readers[@]}))]}
  "$ROOT/scripts/cluster.sh" kill "$DIR" "$victim" >/dev/null
  [ $((RANDOM % 2)) = 0 ] || sleep "0.$((RANDOM % 10))"
  "$ROOT/scripts/cluster.sh" kill "$DIR" "$writer" >/dev/null
  wait "$client" || true
  if [ $((round % 10)) = 0 ]; then
    # What a crash leaves: stock PostgreSQL recovers a copy of it by itself.
    as_pg cp -a "$DIR/shared" "$DIR/copy"
    rm -f "$DIR/copy/postmaster.pid"
    judge "$DIR/copy"
    sums_agree "$there" || die "round $round: stock PostgreSQL, after its own recovery, has $there"
    rm -rf "$DIR/copy"
  fi
  if [ $((round % 2)) = 0 ]; then
    how=failover
    "$ROOT/scripts/failover.sh" "$DIR" >/dev/null
    writer=$(nodes_by_role writer)
  else
    how=restart
    "$ROOT/scripts/cluster.sh" start "$DIR" "$writer" >/dev/null
    "$ROOT/scripts/cluster.sh" start "$DIR" "$victim" >/dev/null
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
  [ ! -s "$load/wrong" ] || die "round $round: a node answered $(head -n 1 "$load/wrong")"
  total=$((total + $(printf '%s' "$line" | sed 's/acknowledged \([0-9]*\).*/\1/')))
  say "round $round: killed after $pause ms, $victim too, $how, writer $writer: $line; three nodes agree"
done

"$ROOT/scripts/cluster.sh" stop "$DIR" >/dev/null
say "clean stop; stock PostgreSQL judges the files"
judge "$DIR/shared"
[ "$there" = "$have" ] || die "stock PostgreSQL has $there, we had $have"
say "$rounds rounds, $total transactions acknowledged, none missing, none twice; $(wc -l < "$load/looks") looks at the nodes meanwhile, all right; pg_checksums and pg_amcheck find nothing"
