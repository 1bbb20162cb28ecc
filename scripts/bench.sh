#!/usr/bin/env bash
# The speed rows of the design that can be measured on one host, against stock PostgreSQL 15 in the same run: the same rows, shared_buffers and durability, one server at work at a time.
# usage: bench.sh [--seconds N] [--scale N] [--dir DIR] [PHASE...]      phases: select tpcb readers visible scan restart promotion memory (default: all)
#        bench.sh replay [--mb N] [--dir DIR] [KIND...]                  the tail and full replay against a standby's (bench-replay.sh)
#        bench.sh recovery [--mb LIST] [--dir DIR]                       crash restart and promotion with so much WAL since the checkpoint (bench-recovery.sh)
# Beside each figure: the CPU seconds that the server's processes used (/proc/PID/stat). pgbench runs on the same cores.
. "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"
. "$ROOT/scripts/lib/nodes.sh"
. "$ROOT/scripts/lib/load.sh"

if [ "${1:-}" = recovery ]; then shift; exec "$ROOT/scripts/bench-recovery.sh" "$@"; fi
if [ "${1:-}" = replay ]; then shift; exec "$ROOT/scripts/bench-replay.sh" "$@"; fi

seconds=10 scale=10 DIR='' phases=()
while [ $# -gt 0 ]; do
  case $1 in
    --seconds) seconds=$2; shift 2;;
    --scale) scale=$2; shift 2;;
    --dir) DIR=$2; shift 2;;
    -*) sed -n '2,6p' "$0"; exit 2;;
    *) phases+=("$1"); shift;;
  esac
done
[ ${#phases[@]} -gt 0 ] || phases=(select tpcb readers visible scan restart promotion memory)
for p in "${phases[@]}"; do [[ " select tpcb readers visible scan restart promotion memory " == *" $p "* ]] || die "unknown phase $p"; done
stage_programs
DIR=${DIR:-$(mktemp -d /var/tmp/sharedstorage-bench.XXXXXX)}
mkdir -p "$DIR"
[ "$(id -u)" != 0 ] || chown postgres "$DIR"
pool_mb=256
PROBE=$DIR/probe.py
stock=$DIR/stock/data stock_port=$(free_port)
standby=$DIR/stock/standby standby_port=$(free_port)

as_pg cp "$ROOT/scripts/lib/probe.py" "$PROBE" 2>/dev/null || as_pg tee "$PROBE" < "$ROOT/scripts/lib/probe.py" >/dev/null
probe() { as_pg python3 "$PROBE" "$@"; }
nodes_dir=$DIR/nodes
cluster() { "$ROOT/scripts/cluster.sh" "$1" "$nodes_dir" "${@:2}" >/dev/null; }
port_of() { sed -n 's/^port = //p' "$nodes_dir/$1/sharedstorage.conf"; }
pid_of() { local pid; read -r pid _ < "$nodes_dir/$1/process"; echo "$pid"; }
stock_command() { printf '%s\n' "$PGBIN/postgres" -D "$1" -c "port=$2" -c listen_addresses=127.0.0.1 -c unix_socket_directories=; }
stock_start() { as_pg "$PGBIN/pg_ctl" -D "$1" -w -s -l "$1.log" -o "-c port=$2 -c listen_addresses=127.0.0.1 -c unix_socket_directories=" start; }
stock_stop() { as_pg "$PGBIN/pg_ctl" -D "$1" -w -s -m "${2:-fast}" stop; }

finish() {
  local status=$? n pid d
  trap - EXIT INT TERM
  DIR=$nodes_dir
  for n in $(nodes 2>/dev/null); do if node_alive "$n"; then read -r pid _ < "$DIR/$n/process"; as_pg kill -KILL "$pid" || true; fi; done
  for d in "$stock" "$standby" "$stock.copy"; do [ ! -s "$d/postmaster.pid" ] || stock_stop "$d" immediate 2>/dev/null || true; done
  if [ $status = 0 ]; then rm -rf "${nodes_dir%/nodes}"; else say "left for a look: ${nodes_dir%/nodes}" >&2; fi
  exit $status
}
trap finish EXIT
trap 'exit 1' INT TERM

# load PORT PID PGBENCH-ARGS: sets tps and used (CPU seconds of the server).
load() {
  local port=$1 pid=$2 before out
  shift 2
  before=$(ticks "$pid")
  out=$(as_pg "${PGBENCH[@]}" -p "$port" -n -j 2 -T "$seconds" "$@" postgres 2>&1) || { printf '%s\n' "$out" >&2; die "pgbench failed on port $port"; }
  tps=$(printf '%s\n' "$out" | sed -n 's/^tps = \([0-9]*\).*/\1/p')
  used=$(cpu "$before" "$(ticks "$pid")")
}
ratio() { awk -v a="$1" -v b="$2" 'BEGIN { if (b > 0) printf "%.2fx", a / b; else printf "-" }'; }
header() { printf '\n%-44s %12s %8s %12s %8s %8s\n' "$1" ours cpu-s stock cpu-s "$2"; }
row() { printf '%-44s %12s %8s %12s %8s %8s\n' "$@"; }
wants() { [[ " ${phases[*]} " == *" $1 "* ]]; }
checkpoint_all() { as_pg psql -X -q -h 127.0.0.1 -p "$1" -U postgres -c checkpoint; }

say "machine: $(nproc) CPUs, load average $(cut -d' ' -f1-3 /proc/loadavg), $(df --output=fstype "$DIR" | tail -1); scale $scale, shared_buffers $pool_mb MB, $seconds s a phase"
as_pg mkdir "$DIR/stock"
as_pg "$PGBIN/initdb" -D "$stock" --data-checksums -E UTF8 --locale=C.UTF-8 -A trust -U postgres >/dev/null
as_pg tee -a "$stock/postgresql.conf" >/dev/null <<C
shared_buffers = '${pool_mb}MB'
max_wal_size = '4GB'
checkpoint_timeout = '30min'
C
stock_start "$stock" "$stock_port"
as_pg "${PGBENCH[@]}" -p "$stock_port" -i -q -s "$scale" postgres >/dev/null 2>&1
stock_stop "$stock"
cluster init --readers 4 --data "$stock"
stock_start "$stock" "$stock_port"
cluster start writer
ours=$(port_of writer) ours_pid=$(pid_of writer)
theirs_pid=$(head -1 "$stock/postmaster.pid")

# both TITLE ARGS: the same pgbench on both.
both() {
  local title=$1 a b
  shift
  load "$ours" "$ours_pid" "$@"; a=$tps b=$used
  load "$stock_port" "$theirs_pid" "$@"
  row "$title" "$a" "$b" "$tps" "$used" "$(ratio "$a" "$tps")"
}

if wants select; then
  load "$ours" "$ours_pid" -S -c 8 -M prepared
  load "$stock_port" "$theirs_pid" -S -c 8 -M prepared
  header "point select, 8 clients, tps (after one to warm)" ratio
  both "  prepared" -S -c 8 -M prepared
  both "  simple" -S -c 8 -M simple
fi

if wants scan; then
  header "filter and aggregate over all accounts, ms" ratio
  sql="select count(*), sum(abalance), max(aid) from pgbench_accounts where aid % 7 <> 3 and abalance < 1000000"
  before=$(ticks "$ours_pid"); a=$(probe best "$ours" "$sql" 5); used=$(cpu "$before" "$(ticks "$ours_pid")")
  before=$(ticks "$theirs_pid"); b=$(probe best "$stock_port" "$sql" 5)
  row "  best of 5, one core" "$a" "$used" "$b" "$(cpu "$before" "$(ticks "$theirs_pid")")" "$(ratio "$b" "$a")"
fi

if wants tpcb; then
  header "TPC-B, prepared, synchronous commit, tps" ratio
  checkpoint_all "$ours"; checkpoint_all "$stock_port"
  both "  8 clients" -c 8 -M prepared
  both "  32 clients" -c 32 -M prepared
fi

# with_nodes TITLE NODES...: the writer's TPC-B beside these readers; then what a transaction costs each node, since all of them share this host's CPUs.
with_nodes() {
  local title=$1 n costs='' done_
  local -A before=()
  shift
  checkpoint_all "$ours"
  # Some seconds first: programs that have just started compile what runs often.
  as_pg "${PGBENCH[@]}" -p "$ours" -n -c 8 -j 2 -M prepared -T 4 postgres >/dev/null 2>&1
  for n in writer "$@"; do before[$n]=$(ticks "$(pid_of "$n")"); done
  load "$ours" "$ours_pid" -c 8 -M prepared
  done_=$((tps * seconds))
  for n in writer "$@"; do
    costs+=", $n $(awk -v a="${before[$n]}" -v b="$(ticks "$(pid_of "$n")")" -v h="$(getconf CLK_TCK)" -v n="$done_" 'BEGIN { printf "%.0f", (b - a) / h * 1000000 / n }')"
  done
  row "$title" "$tps" "$used" "${alone:-$tps}" "${alone_cpu:-$used}" "$(ratio "$tps" "${alone:-$tps}")"
  say "    CPU a transaction, us: ${costs#, }"
}

if wants readers; then
  alone='' alone_cpu=''
  printf '\n%-44s %12s %8s %12s %8s %8s\n' "writer's TPC-B, 8 clients, tps" readers cpu-s alone cpu-s ratio
  with_nodes "  alone"
  alone=$tps alone_cpu=$used
  cluster start reader1; cluster start reader2
  with_nodes "  2 readers, all on the same CPUs" reader1 reader2
  cluster start reader3; cluster start reader4
  with_nodes "  4 readers" reader1 reader2 reader3 reader4
  all_ticks() { local n sum=0; for n in writer reader1 reader2 reader3 reader4; do sum=$((sum + $(ticks "$(pid_of "$n")"))); done; echo "$sum"; }
  # The steady flush writes what has changed for some seconds more.
  sleep 15
  idle=$(all_ticks)
  sleep 5
  say "    all five nodes idle: $(cpu "$idle" "$(all_ticks)") CPU seconds in 5 s"
  # Killed as the load begins: the writer waits for its lease, 5 s at most.
  as_pg kill -KILL "$(pid_of reader4)"
  load "$ours" "$ours_pid" -c 8 -M prepared
  row "  3 readers, and one killed at the start" "$tps" "$used" "$alone" "$alone_cpu" "$(ratio "$tps" "$alone")"
  "$ROOT/scripts/cluster.sh" stop "$nodes_dir" reader3 >/dev/null
fi

if wants visible || wants memory || wants promotion; then
  for n in reader1 reader2; do cluster start "$n"; done
fi
if wants visible || wants promotion; then
  as_pg "$PGBIN/pg_basebackup" -h 127.0.0.1 -p "$stock_port" -U postgres -D "$standby" -R -c fast
  stock_start "$standby" "$standby_port"
fi

if wants visible; then
  header "commit acknowledged to seen on a reader, ms" ratio
  for loaded in "" "under TPC-B by 4 clients"; do
    pids=()
    for p in "$ours $(port_of reader1)" "$stock_port $standby_port"; do
      set -- $p
      client=
      if [ -n "$loaded" ]; then
        (exec $([ "$(id -u)" != 0 ] || echo runuser -u postgres --) "${PGBENCH[@]}" -p "$1" -n -c 4 -j 1 -M prepared -T "$((seconds + 2))" postgres >/dev/null 2>&1) & client=$!
        sleep 1
      fi
      pids+=("$(probe visible "$1" "$2" "$seconds")")
      [ -z "$client" ] || wait "$client"
    done
    read -r n p50 p99 max <<< "${pids[0]}"; read -r sn s50 s99 smax <<< "${pids[1]}"
    row "  ${loaded:-idle}: p50 (of $n, $sn)" "$p50" "" "$s50" "" "$(ratio "$s50" "$p50")"
    row "  ${loaded:-idle}: p99" "$p99" "" "$s99" "" "$(ratio "$s99" "$p99")"
  done
fi

if wants memory; then
  # A scan of all accounts fills the pool.
  probe best "$(port_of reader1)" "select count(*) from pgbench_accounts where filler <> ''" 1 >/dev/null
  rss=$(awk '/^VmRSS/ { print int($2 / 1024) }' "/proc/$(pid_of reader1)/status")
  size=$(as_pg psql -X -A -t -h 127.0.0.1 -p "$stock_port" -U postgres -c "select pg_database_size('postgres') / 1048576")
  say ""
  held=$((size < pool_mb ? size : pool_mb))
  say "memory of a reader after reading all accounts: $rss MB resident, of which at most $held MB are pages (database $size MB, pool $pool_mb MB): at least $((rss - held)) MB beyond its pool"
fi

if wants restart; then
  # The same crashed directory for both: written by stock PostgreSQL, which dies under load.
  checkpoint_all "$stock_port"
  from=$(as_pg psql -X -A -t -h 127.0.0.1 -p "$stock_port" -U postgres -c "select pg_current_wal_lsn()")
  load "$stock_port" "$theirs_pid" -c 32 -M prepared
  wal=$(as_pg psql -X -A -t -h 127.0.0.1 -p "$stock_port" -U postgres -c "select (pg_current_wal_lsn() - '$from')::bigint / 1048576")
  stock_stop "$stock" immediate
  as_pg cp -a "$stock" "$stock.copy"
  crashed=$DIR/crashed
  mkdir -p "$crashed"; [ "$(id -u)" != 0 ] || chown postgres "$crashed"
  "$ROOT/scripts/cluster.sh" init "$crashed" --readers 0 --data "$stock" >/dev/null
  sync
  crashed_port=$(sed -n 's/^port = //p' "$crashed/writer/sharedstorage.conf")
  a=$(probe first-answer "$crashed_port" sh -c "exec '$BIN/sharedstorage-writer' --data '$crashed/shared' --local '$crashed/writer' >>'$crashed/writer/log' 2>&1")
  read -r pid _ < "$crashed/writer/process"
  used=$(cpu 0 "$(ticks "$pid")")
  as_pg kill -KILL "$pid"
  mapfile -t command < <(stock_command "$stock.copy" "$stock_port")
  b=$(probe first-answer "$stock_port" "${command[@]}")
  pid=$(head -1 "$stock.copy/postmaster.pid")
  theirs_used=$(cpu 0 "$(ticks "$pid")")
  stock_stop "$stock.copy" immediate
  header "crash restart to first query, ms" ratio
  row "  the same directory, $wal MB of WAL" "$a" "$used" "$b" "$theirs_used" "$(ratio "$b" "$a")"
fi

if wants promotion; then
  as_pg kill -KILL "$ours_pid"
  for _ in $(seq 100); do kill -0 "$ours_pid" 2>/dev/null || break; sleep 0.02; done
  control=$(sed -n 's/^sharedstorage.control_port = //p' "$nodes_dir/reader1/sharedstorage.conf")
  before=$(ticks "$(pid_of reader1)")
  a=$(probe first-write "$(port_of reader1)" "$BIN/sharedstorage" promote --control "127.0.0.1:$control" --fenced)
  used=$(cpu "$before" "$(ticks "$(pid_of reader1)")")
  pid=$(head -1 "$standby/postmaster.pid")
  before=$(ticks "$pid")
  b=$(probe first-write "$standby_port" "$PGBIN/pg_ctl" -D "$standby" -w -s promote)
  header "promotion to first write, ms" ratio
  row "  with the command's own start" "$a" "$used" "$b" "$(cpu "$before" "$(ticks "$pid")")" "$(ratio "$b" "$a")"
fi

say ""
say "ratio: above 1 is faster than stock (for milliseconds: stock's divided by ours)."
say "not measured here: the tail against a standby's replay and the limits by dd (bench.sh replay); a cluster filesystem."
