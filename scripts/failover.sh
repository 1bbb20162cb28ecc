#!/usr/bin/env bash
# Makes a reader the writer when the writer is dead: checks, fences, picks, promotes, brings the old writer back as a reader, reports. Run again, it finishes what is left.
# usage: failover.sh DIR [--to NODE] [--dry-run]
# The fencing hook is SHAREDSTORAGE_FENCE (default scripts/fence.sh), called as: HOOK DIR NODE.
. "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"
. "$ROOT/scripts/lib/nodes.sh"

[ $# -ge 1 ] || { sed -n '2,4p' "$0"; exit 2; }
DIR=$(cd "$1" && pwd); shift
to= dry=
while [ $# -gt 0 ]; do
  case $1 in
    --to) to=$2; shift 2;;
    --dry-run) dry=1; shift;;
    *) die "unknown option $1";;
  esac
done
stage_programs
fence=${SHAREDSTORAGE_FENCE:-$ROOT/scripts/fence.sh}
peers=$(node_setting "$(nodes | sed -n 1p)" sharedstorage.peers)
json=$(mktemp); trap 'rm -f "$json"' EXIT
status() { as_pg "$BIN/sharedstorage" status --peers "$peers" --json > "$json" || true; [ -s "$json" ] || echo '[]' > "$json"; }

status
former=$(nodes_by_role writer | sed -n 1p)
serving=$(python3 -c 'import json,sys; w=[n for n in json.load(open(sys.argv[1])) if n["role"]=="writer" and n["state"]=="open"]; w.sort(key=lambda n:-n["epoch"]); print(w[0]["name"] if w else "")' "$json")

if [ -n "$serving" ]; then
  say "node $serving is the writer and answers: no promotion is needed"
  promoted=$serving
  if [ "$serving" = "$former" ] && [ -z "$to" ]; then exit 0; fi
  [ -z "$to" ] || [ "$to" = "$serving" ] || die "node $serving is a healthy writer: a planned change of writer is a switchover, not a failover"
else
  # The fittest reader: promotable, and the furthest in the log.
  pick=$(python3 - "$json" "$to" <<'P'
import json, sys
def lsn(s):
    a, b = s.split("/"); return int(a, 16) << 32 | int(b, 16)
c = [n for n in json.load(open(sys.argv[1])) if n["role"] == "reader" and n["promotable"] and n["state"] in ("active", "activated", "frozen", "expired")]
if sys.argv[2]: c = [n for n in c if n["name"] == sys.argv[2]]
c.sort(key=lambda n: (-lsn(n["applied"]), n["name"]))
print(c[0]["name"] if c else "")
P
)
  [ -n "$pick" ] || die "no reader can be promoted${to:+ (asked for $to)}"
  say "the writer, node $former, does not answer; node $pick is the fittest reader (applied $(json_field "$json" "$pick" applied))"
  if [ -n "$dry" ]; then
    say "dry run: would call $fence $DIR $former, promote $pick, and start $former as a reader"
    exit 0
  fi
  "$fence" "$DIR" "$former" || die "fencing of $former failed: nothing was promoted"
  started=$(date +%s%N)
  as_pg "$BIN/sharedstorage" promote --control "127.0.0.1:$(node_setting "$pick" sharedstorage.control_port)" --fenced
  say "promotion took $(( ($(date +%s%N) - started) / 1000000 )) ms"
  promoted=$pick
fi

[ -z "$dry" ] || exit 0
echo writer | as_pg tee "$DIR/$promoted/role" >/dev/null
for n in $(nodes_by_role writer); do
  [ "$n" = "$promoted" ] || echo reader | as_pg tee "$DIR/$n/role" >/dev/null
done
for n in $(nodes); do node_alive "$n" || node_start "$n"; done
say "node $promoted is the writer now, port $(node_setting "$promoted" port)"
as_pg "$BIN/sharedstorage" status --peers "$peers"
