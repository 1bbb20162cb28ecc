#!/usr/bin/env bash
# Crash restart to the first query, and promotion to the first write, with so much WAL since the checkpoint: ours beside stock PostgreSQL 15.
# usage: bench-recovery.sh [--mb LIST=64,1024] [--scale N] [--dir DIR]      LIST: megabytes of WAL, with commas
# bench.sh recovery runs this. The crashed directory is the same for both: stock PostgreSQL wrote it and died under load. Beside each figure: CPU seconds; the limit is dd reading that WAL.
. "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"
. "$ROOT/scripts/lib/nodes.sh"
. "$ROOT/scripts/lib/load.sh"

sizes=64,1024 scale='' place=''
while [ $# -gt 0 ]; do
  case $1 in
    --mb) sizes=$2; shift 2;;
    --scale) scale=$2; shift 2;;
    --dir) place=$2; shift 2;;
    *) sed -n '2,4p' "$0"; exit 2;;
  esac
done
stage_programs
place=${place:-$(mktemp -d /var/tmp/sharedstorage-recovery.XXXXXX)}
mkdir -p "$place"; place=$(cd "$place" && pwd)
[ "$(id -u)" != 0 ] || chown postgres "$place"
PROBE=$place/probe.py
as_pg tee "$PROBE" < "$ROOT/scripts/lib/probe.py" >/dev/null
DIR=$place/nodes
primary=$place/primary primary_port=$(free_port)
standby=$place/standby standby_port=$(free_port)

finish() {
  local status=$? n pid d
  trap - EXIT INT TERM
  for DIR in "$place"/nodes "$place"/crashed; do
    for n in $(nodes 2>/dev/null); do if node_alive "$n"; then read -r pid _ < "$DIR/$n/process"; as_pg kill -KILL "$pid" || true; fi; done
  done
  for d in "$primary" "$standby"; do [ ! -s "$d/postmaster.pid" ] || stock_stop "$d" immediate 2>/dev/null || true; done
  if [ $status = 0 ]; then rm -rf "$place"; else say "left for a look: $place" >&2; fi
  exit $status
}
trap finish EXIT
trap 'exit 1' INT TERM

probe() { as_pg python3 "$PROBE" "$@"; }
stock_start() { as_pg "$PGBIN/pg_ctl" -D "$1" -w -s -t 600 -l "$1.log" -o "-c port=$2 -c listen_addresses=127.0.0.1 -c unix_socket_directories=" start; }
stock_stop() { as_pg "$PGBIN/pg_ctl" -D "$1" -w -s -m "${2:-fast}" stop; }
sql() { as_pg psql -X -q -A -t -v ON_ERROR_STOP=1 -h 127.0.0.1 -p "$1" -U postgres -c "$2"; }

# CPU seconds of a server so far, its children included.
used_by() { cpu 0 "$(ticks "$1")"; }
ratio() { awk -v a="$1" -v b="$2" 'BEGIN { if (a > 0) printf "%.2fx", b / a; else printf "-" }'; }
row() { printf '%-40s %10s %8s %10s %8s %8s %10s\n' "$@"; }

# fill PORT MB: pgbench until so much WAL is there since a checkpoint; prints how much.
fill() {
  local from
  sql "$1" checkpoint >/dev/null
  from=$(sql "$1" "select pg_current_wal_lsn()")
  while [ "$(sql "$1" "select (pg_current_wal_lsn() - '$from')::bigint / 1048576")" -lt "$2" ]; do
    as_pg "${PGBENCH[@]}" -p "$1" -n -c 16 -j 2 -M prepared -T 1 postgres >/dev/null 2>&1 || die "pgbench failed on port $1"
  done
  sql "$1" "select (pg_current_wal_lsn() - '$from')::bigint / 1048576"
}

# The time that dd takes to read the newest so many megabytes of WAL with O_DIRECT, in ms.
dd_ms() {
  local began files
  mapfile -t files < <(ls -t "$1"/pg_wal/0* | grep -E '/[0-9A-F]{24}$' | head -n $((($2 + 15) / 16)))
  began=$(date +%s%N)
  for f in "${files[@]}"; do as_pg dd if="$f" of=/dev/null bs=1M iflag=direct status=none; done
  echo $((($(date +%s%N) - began) / 1000000))
}

make_base() {
  as_pg "$PGBIN/initdb" -D "$primary" --data-checksums -E UTF8 --locale=C.UTF-8 -A trust -U postgres >/dev/null
  as_pg tee -a "$primary/postgresql.conf" >/dev/null <<C
shared_buffers = '512MB'
max_wal_size = '20GB'
wal_keep_size = '20GB'
checkpoint_timeout = '1h'
synchronous_commit = off
autovacuum = off
C
  stock_start "$primary" "$primary_port"
  as_pg "${PGBENCH[@]}" -p "$primary_port" -i -q -s "$1" postgres >/dev/null 2>&1
  stock_stop "$primary"
  as_pg cp -a "$primary" "$place/base"
}

rows=()
for mb in ${sizes//,/ }; do
  # So large that full-page images go on to the end: about 1.4 MB of them for each step of the scale.
  n=${scale:-$((mb / 12 + 4))}
  say "making $mb MB of WAL at scale $n"
  rm -rf "$primary" "$place/base" "$standby" "$place/crashed" "$DIR"
  make_base "$n"
  stock_start "$primary" "$primary_port"
  as_pg "$PGBIN/pg_basebackup" -h 127.0.0.1 -p "$primary_port" -U postgres -D "$standby" -R -c fast
  stock_start "$standby" "$standby_port"
  wal=$(fill "$primary_port" "$mb")
  stock_stop "$primary" immediate

  # Promotion of the stock standby, which has replayed all.
  theirs=$(probe first-write "$standby_port" "$PGBIN/pg_ctl" -D "$standby" -w -s promote)
  stock_stop "$standby" immediate

  # Crash restart: the same directory for both.
  mkdir -p "$place/crashed"; [ "$(id -u)" != 0 ] || chown postgres "$place/crashed"
  "$ROOT/scripts/cluster.sh" init "$place/crashed" --readers 0 --data "$primary" >/dev/null
  sync
  limit=$(dd_ms "$place/crashed/shared" "$wal")
  port=$(sed -n 's/^port = //p' "$place/crashed/writer/sharedstorage.conf")
  a=$(probe first-answer "$port" sh -c "exec '$BIN/sharedstorage-writer' --data '$place/crashed/shared' --local '$place/crashed/writer' >>'$place/crashed/writer/log' 2>&1")
  read -r pid _ < "$place/crashed/writer/process"
  a_used=$(used_by "$pid")
  as_pg kill -KILL "$pid"
  b=$(probe first-answer "$primary_port" "$PGBIN/postgres" -D "$primary" -c "port=$primary_port" -c listen_addresses=127.0.0.1 -c unix_socket_directories=)
  b_used=$(used_by "$(head -1 "$primary/postmaster.pid")")
  stock_stop "$primary" immediate
  rows+=("$(row "  crash restart, $wal MB of WAL" "$a" "$a_used" "$b" "$b_used" "$(ratio "$a" "$b")" "$limit")")

  # Promotion of a reader whose writer dies with as much WAL since its checkpoint.
  rm -rf "$place/crashed"
  "$ROOT/scripts/cluster.sh" init "$DIR" --readers 1 --data "$place/base" >/dev/null
  "$ROOT/scripts/cluster.sh" start "$DIR" >/dev/null
  wal=$(fill "$(node_setting writer port)" "$mb")
  "$ROOT/scripts/cluster.sh" kill "$DIR" writer >/dev/null
  read -r pid _ < "$DIR/reader1/process"
  before=$(used_by "$pid")
  a=$(probe first-write "$(node_setting reader1 port)" "$BIN/sharedstorage" promote --control "127.0.0.1:$(node_setting reader1 sharedstorage.control_port)" --fenced)
  a_used=$(awk -v a="$before" -v b="$(used_by "$pid")" 'BEGIN { printf "%.1f", b - a }')
  rows+=("$(row "  promotion, $wal MB of WAL" "$a" "$a_used" "$theirs" "" "$(ratio "$a" "$theirs")" "")")
  as_pg kill -KILL "$pid"
done

say ""
row "since the checkpoint, ms" ours cpu-s stock cpu-s ratio "dd"
printf '%s\n' "${rows[@]}"
say ""
say "ratio: stock's time divided by ours. A restart is from the program's start to the first answered query; a promotion from the command's start to the first accepted write."
