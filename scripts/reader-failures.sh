#!/usr/bin/env bash
# Readers die (SIGKILL) and stand still (SIGSTOP), one and all of them, under TPC-B with a buffer pool far smaller than the data: the writer must not care for longer than one lease.
# usage: reader-failures.sh DIR [--readers N=3] [--scale N=50] [--clients N=8] [--pool SIZE=64MB] [--keep]     DIR: an empty or new directory
# Prints transactions per second, second by second, for each case; logins, DDL and a checkpoint are timed meanwhile. Afterwards the readers must be active again and right.
. "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"
. "$ROOT/scripts/lib/nodes.sh"
. "$ROOT/scripts/lib/load.sh"

readers=3 scale=50 clients=8 pool=64MB keep='' place=''
while [ $# -gt 0 ]; do
  case $1 in
    --readers) readers=$2; shift 2;;
    --scale) scale=$2; shift 2;;
    --clients) clients=$2; shift 2;;
    --pool) pool=$2; shift 2;;
    --keep) keep=1; shift;;
    -*) sed -n '2,4p' "$0"; exit 2;;
    *) place=$1; shift;;
  esac
done
[ -n "$place" ] || { sed -n '2,4p' "$0"; exit 2; }
stage_programs
mkdir -p "$place"; DIR=$(cd "$place" && pwd)
[ -z "$(ls -A "$DIR")" ] || die "$DIR is not empty"
before=5 lease=5 length=22 failures=0

end_nodes_at_exit "$keep"

fault() { say "    NOT AS PROMISED: $*"; failures=$((failures + 1)); }
now() { date +%s%N; }
since() { echo $((($(now) - $1) / 1000000)); }
signal_node() { local pid; read -r pid _ < "$DIR/$2/process"; as_pg kill "-$1" "$pid"; }

activations() { grep -c 'activated: floor' "$DIR/$1/log" || true; }

# await_active READER ACTIVATIONS SECONDS: waits until it was activated more often than that and answers; prints how long it took in ms, or fails.
await_active() {
  local began; began=$(now)
  while [ "$(since "$began")" -lt $(($3 * 1000)) ]; do
    if [ "$(activations "$1")" -gt "$2" ] && [ "$(ask "$1" 'select 1' 2>/dev/null || true)" = 1 ]; then since "$began"; return; fi
    sleep 0.05
  done
  return 1
}

# timed WHAT SQL: runs it on the writer and says how long it took.
timed() {
  local began; began=$(now)
  if ask writer "$2" >/dev/null 2>"$DIR/load/error"; then printf '    %-34s %6s ms\n' "$1" "$(since "$began")"; else fault "$1: $(head -1 "$DIR/load/error")"; fi
}

# One case: SIGNAL, name of the case, readers.
run_case() {
  local signal=$1 name=$2 n took out
  local -A activated=()
  shift 2
  out=$DIR/load/$name
  say "$name: SIG$signal of $*"
  begin_bench writer -n -M prepared -c "$clients" -j 2 -T "$length" -P 1 > "$out" 2>&1 & client=$!
  sleep "$before"
  for n in "$@"; do activated[$n]=$(activations "$n"); signal_node "$signal" "$n"; done
  timed "login" "select 1"
  timed "DDL" "create table meanwhile (a int primary key, b text); insert into meanwhile values (1, 'x'); alter table meanwhile add c int; drop table meanwhile"
  timed "checkpoint" "checkpoint"
  timed "login after it" "select 1"
  if [ "$signal" = STOP ]; then
    sleep 2
    for n in "$@"; do signal_node CONT "$n"; done
    for n in "$@"; do
      # What it answers now is of one moment, or it does not answer.
      have=$(sums "$n" 2>/dev/null || true)
      [ -z "$have" ] || sums_agree "$have" || fault "$n answers $have right after SIGCONT"
      if took=$(await_active "$n" "${activated[$n]}" 10); then
        printf '    %-34s %6s ms\n' "$n is activated again" "$took"
      else
        fault "$n is not activated again within 10 s of SIGCONT"
      fi
    done
  else
    for n in "$@"; do
      took=$(now)
      "$ROOT/scripts/cluster.sh" start "$DIR" "$n" >/dev/null
      if await_active "$n" "${activated[$n]}" 10 >/dev/null; then
        printf '    %-34s %6s ms\n' "$n is active after its start" "$(since "$took")"
      else
        fault "$n is not active within 10 s of its start"
      fi
    done
  fi
  wait "$client" || fault "pgbench: $(grep -m1 -i error "$out" || tail -1 "$out")"
  if grep -qi 'error\|aborted' "$out"; then fault "pgbench: $(grep -m1 -i 'error\|aborted' "$out")"; fi
  have=$(sums writer)
  sums_agree "$have" || fault "the sums on the writer differ: $have"
  for n in $(nodes_by_role reader); do
    for _ in $(seq 200); do there=$(sums "$n" 2>/dev/null || true); [ "$there" = "$have" ] && break; sleep 0.1; done
    [ "$there" = "$have" ] || fault "$n has $there, the writer has $have"
  done
}

"$ROOT/scripts/cluster.sh" init "$DIR" --readers "$readers"
for n in $(nodes); do echo "shared_buffers = '$pool'" | as_pg tee -a "$DIR/$n/sharedstorage.conf" >/dev/null; done
"$ROOT/scripts/cluster.sh" start "$DIR"
as_pg mkdir "$DIR/load"; chmod 777 "$DIR/load"
load_tables writer "$scale"
say "data: $(ask writer "select pg_size_pretty(pg_database_size('postgres'))"), shared_buffers $pool, $readers readers, $clients clients, lease $lease s, $(nproc) CPUs for all"
mapfile -t all < <(nodes_by_role reader)
cases=(kill-one kill-all stop-one stop-all)
run_case KILL kill-one "${all[0]}"
run_case KILL kill-all "${all[@]}"
run_case STOP stop-one "${all[0]}"
run_case STOP stop-all "${all[@]}"

python3 - "$DIR/load" "$before" "$lease" "${cases[@]}" <<'P' || failures=$((failures + 1))
import re, statistics, sys
where, before, lease, cases = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:]
runs = {c: [float(m.group(1)) for m in re.finditer(r"^progress: .* s, ([0-9.]+) tps", open(f"{where}/{c}").read(), re.M)] for c in cases}
print("transactions per second, second by second (the signal comes at the line):")
print("  second " + "".join(f"{c:>10}" for c in cases))
for i in range(max(map(len, runs.values()))):
    if i == before:
        print("  " + "-" * (7 + 10 * len(cases)))
    print(f"  {i + 1:>6} " + "".join(f"{r[i]:>10.0f}" if i < len(r) else " " * 10 for r in runs.values()))
wrong = 0
for c, r in runs.items():
    usual = statistics.median(r[1:before])
    # One lease, the fiftieth that the writer waits longer, and the second in which it is noticed.
    later = r[before + lease + 2:]
    back = statistics.median(later)
    stall = max((len(s) for s in re.findall(r"0+", "".join("0" if x < usual / 10 else "1" for x in r[before:]))), default=0)
    print(f"  {c}: {usual:.0f} before, {back:.0f} from one lease on, {stall} s below a tenth")
    # A third: other work on the host moves the rate more than readers do; what fails here is a writer that stays slow.
    if back < usual / 3 or stall > lease + 2:
        wrong += 1
sys.exit(1 if wrong else 0)
P
"$ROOT/scripts/cluster.sh" stop "$DIR" >/dev/null
as_pg "$PGBIN/pg_checksums" --check -D "$DIR/shared" | sed -n '/Bad/s/^/  /p'
[ $failures = 0 ] || die "$failures promises were not kept"
say "all cases: back within one lease; logins, DDL and checkpoints went on; the readers came back and are right"
