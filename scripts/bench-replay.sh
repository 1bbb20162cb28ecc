#!/usr/bin/env bash
# Replay against stock PostgreSQL 15, on the same WAL in one run: our tail, then with all pages brought forward; a standby's replay; pg_waldump -q; dd with O_DIRECT.
# usage: bench-replay.sh [--mb N] [--dir DIR] [--pool N] [KIND...]      kinds: images noimages indexes (default: all); --mb: megabytes of WAL of each kind (1024)
# bench.sh replay runs this. With --dir the WAL is kept in DIR, and used again when it is there. Beside each figure: CPU seconds.
. "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

mb=1024 DIR='' pool_mb=512 keep='' kinds=()
while [ $# -gt 0 ]; do
  case $1 in
    --mb) mb=$2; shift 2;;
    --dir) DIR=$2 keep=1; shift 2;;
    --pool) pool_mb=$2; shift 2;;
    -*) sed -n '2,4p' "$0"; exit 2;;
    *) kinds+=("$1"); shift;;
  esac
done
all=(images noimages indexes)
[ ${#kinds[@]} -gt 0 ] || kinds=("${all[@]}")
for k in "${kinds[@]}"; do [[ " ${all[*]} " == *" $k "* ]] || die "unknown kind $k"; done
stage_programs
DIR=${DIR:-$(mktemp -d /var/tmp/sharedstorage-replay.XXXXXX)}
mkdir -p "$DIR"
DIR=$(cd "$DIR" && pwd)
[ "$(id -u)" != 0 ] || chown postgres "$DIR"
port=$(free_port)

finish() {
  local status=$? d
  trap - EXIT INT TERM
  for d in "$DIR"/*/data "$DIR"/*/standby; do [ ! -s "$d/postmaster.pid" ] || as_pg "$PGBIN/pg_ctl" -D "$d" -w -s -m immediate stop 2>/dev/null || true; done
  if [ -z "$keep" ]; then rm -rf "$DIR"; else rm -rf "$DIR"/*/standby; fi
  exit $status
}
trap finish EXIT
trap 'exit 1' INT TERM

data='' base=''
declare -A standby_seconds standby_cpu
sql() { as_pg psql -X -q -A -t -v ON_ERROR_STOP=1 -h 127.0.0.1 -p "$port" -U postgres -c "$1"; }
stock() { as_pg "$PGBIN/pg_ctl" -D "$1" -w -s -t 600 -l "$1.log" -o "-c port=$port -c listen_addresses=127.0.0.1 -c unix_socket_directories=" start; }
bench() { as_pg "$PGBIN/pgbench" -h 127.0.0.1 -U postgres -p "$port" -n "$@" postgres >>"$data.pgbench" 2>&1 || { tail -n 5 "$data.pgbench" >&2; die "pgbench failed"; }; }

# Until so much WAL is there: enough COMMAND...
enough() {
  local from=$1 n=0
  shift
  while [ "$(sql "select (pg_current_wal_lsn() - '$from')::bigint / 1048576")" -lt "$mb" ]; do
    "$@"
    n=$((n + 1))
    [ "$kind" != images ] || sql checkpoint
  done
}

# WAL of a kind, from a cleanly stopped copy (base) to a clean stop (data).
make_log() {
  local scale=$((mb >= 1024 ? 50 : mb / 25 + 1)) from
  rm -rf "${data:?}" "${base:?}" "$data.end"
  as_pg mkdir -p "$DIR/$kind"
  as_pg "$PGBIN/initdb" -D "$data" --data-checksums -E UTF8 --locale=C.UTF-8 -A trust -U postgres -N >/dev/null
  as_pg tee -a "$data/postgresql.conf" >/dev/null <<C
shared_buffers = '${pool_mb}MB'
max_wal_size = '20GB'
wal_keep_size = '40GB'
checkpoint_timeout = '1h'
autovacuum = off
fsync = off
synchronous_commit = off
$([ $kind = images ] || echo "full_page_writes = off")
C
  stock "$data"
  as_pg "$PGBIN/pgbench" -h 127.0.0.1 -U postgres -p "$port" -i -q -s "$scale" postgres >/dev/null 2>&1
  if [ $kind = indexes ]; then
    sql "create table items (id bigint primary key, a text, b int, c bigint, d text); create index on items (a); create index on items (b); create index on items (c); create index on items (d)"
    as_pg tee "$DIR/$kind/insert.sql" >/dev/null <<'S'
insert into items select nextval('ids'), md5(random()::text), (random() * 1000000)::int, (random() * 1e15)::bigint, left(md5(random()::text), 12) from generate_series(1, 200);
update items set b = b + 1, c = c + 1 where id in (select (random() * currval('ids'))::bigint from generate_series(1, 50));
delete from items where id in (select (random() * currval('ids'))::bigint from generate_series(1, 20));
S
    sql "create sequence ids cache 1000"
  fi
  as_pg "$PGBIN/pg_ctl" -D "$data" -w -s -m fast stop
  as_pg cp -a "$data" "$base"
  as_pg sh -c "rm -f '$base'/pg_wal/0*"
  stock "$data"
  from=$(sql "select pg_current_wal_lsn()")
  case $kind in
    images) enough "$from" bench -c 8 -j 2 -M prepared -t $((mb / 8 + 50));;
    noimages) enough "$from" bench -c 8 -j 2 -M prepared -t $((mb * 12));;
    indexes) enough "$from" bench -c 8 -j 2 -f "$DIR/$kind/insert.sql" -t $((mb / 16 + 5)); sql "vacuum items";;
  esac
  as_pg "$PGBIN/pg_ctl" -D "$data" -w -s -m fast stop
  as_pg "$PGBIN/pg_controldata" -D "$data" | sed -n 's/^Latest checkpoint location: *//p' > "$data.end"
  sync
}

control() { as_pg "$PGBIN/pg_controldata" -D "$1" | sed -n "s/^$2: *//p"; }
field() { python3 -c 'import json,sys; d = json.load(open(sys.argv[1])); v = d
for k in sys.argv[2].split("."): v = v[k]
print(v)' "$1" "$2"; }
calc() { awk "BEGIN { printf \"$1\", $2 }"; }
# Stock's seconds, or CPU seconds, divided by ours.
by() { calc %.2f "$1 / ($2 + 0.0001)"; }
row() { printf '  %-42s %8s %10s %9s %8s %8s %8s %7s %8s\n' "$@"; }
# A row of the log's replay: NAME SECONDS CPU-SECONDS PEAK
replay_row() {
  row "$1" "$(calc %.0f "$log / ($2 + 0.001)")" "$(calc %.0f "$records / ($2 + 0.001)")" "$(calc %.2f "$2")" "$3" \
    "$(by "${standby_seconds[cold]}" "$2")" "$(by "${standby_seconds[warm]}" "$2")" "$([ -z "$3" ] || by "(${standby_cpu[warm]})" "$3")" "$4"
}

# A stock server that recovers the same WAL from the base copy: the server itself says how long redo took, and with how much CPU. warm: all files are in the system's cache, as the
# copying left them; cold: none is, so that it reads from the device what we read from there.
standby_replay() {
  local copy=$DIR/$kind/standby line
  rm -rf "$copy"
  as_pg cp -a "$base" "$copy"
  as_pg sh -c "cp -a '$data'/pg_wal/0* '$copy/pg_wal/'"
  as_pg touch "$copy/recovery.signal"
  as_pg tee -a "$copy/postgresql.conf" >/dev/null <<C
restore_command = 'false'
hot_standby = on
fsync = on
C
  sync
  [ "$1" = warm ] || find "$copy" -type f -size +0 -exec dd if={} iflag=nocache count=0 status=none ';'
  stock "$copy"
  for _ in $(seq 6000); do line=$(grep 'redo done at' "$copy.log" || true); [ -z "$line" ] || break; sleep 0.1; done
  [ -n "$line" ] || die "the stock server did not end its recovery: see $copy.log"
  as_pg "$PGBIN/pg_ctl" -D "$copy" -w -s -m immediate stop
  standby_seconds[$1]=$(printf %s "$line" | sed 's/.*elapsed: \([0-9.]*\) s.*/\1/')
  standby_cpu[$1]=$(printf %s "$line" | sed 's/.*user: \([0-9.]*\) s, system: \([0-9.]*\) s.*/\1 + \2/')
  rm -rf "$copy" "$copy.log"
}

replay() { as_pg "$BIN/sharedstorage" replay --base "$base" --wal "$data/pg_wal" --to "$end" --frames "$((pool_mb * 128))" --json "$@"; }

say "machine: $(nproc) CPUs, load average $(cut -d' ' -f1-3 /proc/loadavg), $(df --output=fstype "$DIR" | tail -1); pools of $pool_mb MB"
for kind in "${kinds[@]}"; do
  data=$DIR/$kind/data base=$DIR/$kind/base
  [ -s "$data.end" ] || make_log
  end=$(control "$data" 'Latest checkpoint location')
  start=$(control "$base" 'Latest checkpoint location')
  out=$DIR/$kind/ours.json
  replay > "$out"
  replay --bring-forward > "$out.forward"
  standby_replay warm
  standby_replay cold
  log=$(field "$out" megabytes) records=$(field "$out" records)
  t0=$(date +%s.%N); as_pg "$PGBIN/pg_waldump" -q -p "$data/pg_wal" -s "$start" -e "$end"; t1=$(date +%s.%N)
  dump=$(calc %.3f "$t1 - $t0")
  t0=$(date +%s.%N)
  as_pg sh -c "for f in '$data'/pg_wal/0*; do dd if=\$f of=/dev/null bs=1M iflag=direct status=none; done"
  t1=$(date +%s.%N)
  files=$(ls "$data/pg_wal" | grep -c '^0')
  printf '\n%s: %s MB of WAL, %s records\n' "$kind" "$log" "$records"
  row '' 'MB/s' 'records/s' seconds cpu-s 'x cold' 'x warm' 'x cpu' 'peak MB'
  replay_row "our tail" "$(field "$out" tail.seconds)" "$(field "$out" tail.cpuSeconds)" "$(field "$out" peakMegabytes)"
  replay_row "our tail, then all pages brought forward" "$(field "$out.forward" totalSeconds)" "$(field "$out.forward" totalCpuSeconds)" "$(field "$out.forward" peakMegabytes)"
  replay_row "stock PostgreSQL's replay, cold" "${standby_seconds[cold]}" "$(calc %.2f "${standby_cpu[cold]}")" ''
  replay_row "stock PostgreSQL's replay, warm" "${standby_seconds[warm]}" "$(calc %.2f "${standby_cpu[warm]}")" ''
  replay_row "pg_waldump -q" "$dump" '' ''
  row "dd iflag=direct bs=1M (whole segments)" "$(calc %.0f "$files * 16.777 / ($t1 - $t0)")" '' "$(calc %.2f "$t1 - $t0")" '' '' '' '' ''
  say "  brought forward: $(field "$out.forward" forward.pages) pages, $(field "$out.forward" forward.recordsRedone) changes redone, in $(calc %.2f "$(field "$out.forward" forward.seconds)") s"
done
say ""
say "x cold, x warm: the seconds of stock PostgreSQL's replay divided by the row's. We read log and pages from the device, with O_DIRECT, as nodes do that share storage; so does stock when it is cold. Warm, it has all files in the system's"
say "cache, and pg_waldump too. x cpu: the CPU seconds of the warm one (user and system, all threads) divided by the row's, which say more on a machine that others use too."
