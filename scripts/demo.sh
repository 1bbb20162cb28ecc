#!/usr/bin/env bash
# Shows a cluster at work: one writer and two readers on one directory, load on all three, the writer killed, failover, and a check that nothing acknowledged is lost.
# usage: demo.sh [--dir DIR] [--keep] [--seconds N]      DIR: an empty or new directory (default: a fresh one under /var/tmp); N: length of a load phase (default 8)
. "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"
. "$ROOT/scripts/lib/nodes.sh"
. "$ROOT/scripts/lib/load.sh"

DIR='' keep='' seconds=8
while [ $# -gt 0 ]; do
  case $1 in
    --dir) DIR=$2; shift 2;;
    --keep) keep=1; shift;;
    --seconds) seconds=$2; shift 2;;
    *) sed -n '2,3p' "$0"; exit 2;;
  esac
done
stage_programs
began=$SECONDS
if [ -n "$DIR" ]; then
  mkdir -p "$DIR"; DIR=$(cd "$DIR" && pwd)
  [ -z "$(ls -A "$DIR")" ] || die "$DIR is not empty"
else
  DIR=$(mktemp -d /var/tmp/sharedstorage-demo.XXXXXX)
fi
cluster() { "$ROOT/scripts/cluster.sh" "$1" "$DIR" "${@:2}"; }
table() { cluster status; }
step() { printf '\n== %s\n' "$*"; }

finish() {
  local status=$? n pid
  trap - EXIT INT TERM
  for pid in $(jobs -p); do kill "$pid" 2>/dev/null || true; done
  if [ $status = 0 ] && [ -n "$keep" ]; then exit 0; fi
  if [ $status != 0 ]; then
    for n in $(nodes); do printf '\n-- the last of %s'"'"'s log\n' "$n"; tail -n 8 "$DIR/$n/log" 2>/dev/null || true; done >&2
  fi
  for n in $(nodes); do
    if node_alive "$n"; then read -r pid _ < "$DIR/$n/process"; as_pg kill -KILL "$pid" || true; fi
  done
  if [ $status = 0 ]; then rm -rf "$DIR"; else printf 'demo failed; its directory is kept for a look: %s\n' "$DIR" >&2; fi
  exit $status
}
trap finish EXIT
trap 'exit 1' INT TERM

step "A data directory by initdb, one writer and two readers in $DIR"
cluster init --readers 2
cluster start
work=$DIR/load
as_pg mkdir "$work"

step "Tables by stock pgbench -i, scale 5 (500000 accounts)"
load_tables writer 5

step "$seconds s of TPC-B on the writer (4 clients), and of selects on both readers (2 clients each), all at once"
begin_bench writer -n -M prepared -c 4 -j 1 -T "$seconds" > "$work/tpcb" 2>&1 & load=$!
for r in reader1 reader2; do begin_bench "$r" -n -S -M prepared -c 2 -j 1 -T "$seconds" > "$work/select.$r" 2>&1 & declare "pid_$r=$!"; done
for _ in 1 2 3; do sleep "$((seconds / 4))"; table; done
wait "$load" || { cat "$work/tpcb"; die "pgbench on the writer failed"; }
for r in reader1 reader2; do p=pid_$r; wait "${!p}" || { cat "$work/select.$r"; die "pgbench on $r failed"; }; done
for f in tpcb select.reader1 select.reader2; do printf '%-16s %s\n' "$f" "$(grep '^tps' "$work/$f")"; done
before=$(ask writer "select count(*) from pgbench_history")
base_processed=$(sed -n 's/^number of transactions actually processed: \([0-9]*\).*/\1/p' "$work/tpcb")
[ "$before" = "$base_processed" ] || die "pgbench_history has $before rows, pgbench processed $base_processed transactions"
say "pgbench_history has $before rows, as many as pgbench's transactions"

step "The writer is killed (SIGKILL) under load"
write_numbered_tpcb "$work/numbered.sql"
begin_bench writer -n -M prepared -c 8 -j 1 -T 600 -s 5 -D base=1000000000 -D n=0 -f "$work/numbered.sql" -l --log-prefix="$work/acknowledged" > "$work/numbered" 2>&1 & load=$!
for r in reader1 reader2; do
  begin_bench "$r" -n -S -M prepared -c 2 -j 1 -R 500 -T 600 -l --log-prefix="$work/answers.$r" > "$work/answering.$r" 2>&1 & declare "pid_$r=$!"
done
sleep "$((seconds / 2))"
killed=$(date +%s%N)
cluster kill writer
# pgbench notices that its server is gone and ends, with an error as it should.
wait "$load" || true
processed=$(sed -n 's/^number of transactions actually processed: \([0-9]*\).*/\1/p' "$work/numbered")
say "pgbench lost its server; it had processed $processed transactions"
table

step "failover.sh: fence, pick, promote, and the old writer comes back as a reader"
"$ROOT/scripts/failover.sh" "$DIR"
writer=$(nodes_by_role writer)
say "$(( ($(date +%s%N) - killed) / 1000000 )) ms from the kill to all nodes up again"

step "What was acknowledged is there"
line=$(check_acknowledged "$writer" 1000000000 "$work"/acknowledged.*) || die "on $writer: ${line:-no answer}"
say "on the new writer $writer: $line (found may be more: a commit whose answer the kill cut off)"
after=$(ask "$writer" "select count(*) from pgbench_history")
[ "$((after - before))" -ge "$processed" ] || die "pgbench_history grew by $((after - before)), pgbench processed $processed"
say "pgbench_history grew by $((after - before)) rows, pgbench processed $processed"

step "$((seconds / 2)) s of TPC-B on the new writer"
bench "$writer" -n -M prepared -c 4 -j 1 -T "$((seconds / 2))" > "$work/again" 2>&1 || { cat "$work/again"; die "pgbench on $writer failed"; }
grep '^tps' "$work/again"
table

step "The readers went on answering"
for r in reader1 reader2; do
  p=pid_$r
  kill -0 "${!p}" 2>/dev/null || { cat "$work/answering.$r"; die "the load on $r ended before its time"; }
  # A signal ends pgbench at once; the last buffer of its log is lost then, and the last line may be cut.
  kill "${!p}"; wait "${!p}" 2>/dev/null || true
  python3 - "$r" "$killed" "$work"/answers."$r".* <<'P'
import sys
node, killed = sys.argv[1], int(sys.argv[2]) / 1e9
times = sorted(int(f[4]) + int(f[5]) / 1e6 for log in sys.argv[3:] for f in (l.split() for l in open(log) if l.endswith("\n")))
after = [t for t in times if t >= killed]
if not after: sys.exit(f"error: {node} gave no answer after the kill")
last = max(t for t in times if t < killed)
gap = max(b - a for a, b in zip([last] + after, after))
print(f"{node}: {len(after)} selects answered after the kill, none failed, on the same connections; the longest pause between two answers was {gap * 1000:.0f} ms")
P
done

step "All nodes agree"
want=$(sums "$writer")
sums_agree "$want" || die "the sums on $writer differ: $want"
for n in $(nodes); do
  for _ in $(seq 100); do have=$(sums "$n"); [ "$have" = "$want" ] && break; sleep 0.1; done
  [ "$have" = "$want" ] || die "$n has $have, $writer has $want"
  say "$n: accounts|tellers|branches|history, rows: $have"
done
table

if [ -n "$keep" ]; then
  step "The cluster goes on running"
  for n in $(nodes); do say "$n ($(cat "$DIR/$n/role")): psql -h 127.0.0.1 -p $(node_setting "$n" port) -U postgres postgres"; done
  say "stop it: scripts/cluster.sh stop $DIR; then remove $DIR"
else
  step "Clean stop, readers first"
  cluster stop
  state=$(as_pg "$PGBIN/pg_controldata" "$DIR/shared" | sed -n 's/^Database cluster state: *//p')
  say "stock pg_controldata says: $state"
  [ "$state" = "shut down" ] || die "the stop was not clean"
fi
say ""
say "The demo took $((SECONDS - began)) s: a writer died under load, a reader took its place, nothing acknowledged was lost."
