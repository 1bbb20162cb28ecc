#!/usr/bin/env bash
# The fencing hook of a cluster on one host: cuts the node's access to storage for good, and proves it.
# usage: fence.sh DIR NODE        exits 0 only when the node's process is proven dead
# A cluster over several hosts gives its own hook in SHAREDSTORAGE_FENCE: power, SCSI reservation, or eviction from the filesystem; the process alone is not enough there.
. "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

[ $# = 2 ] || die "usage: fence.sh DIR NODE"
dir=$1 node=$2
identity=$dir/$node/process
[ -s "$identity" ] || { say "fence: $node has never run here"; exit 0; }
read -r pid start boot < "$identity"

# The start time tells this process from a later one with the same number (field 22 of /proc/PID/stat, after the command in parentheses).
alive() {
  [ "$(cat /proc/sys/kernel/random/boot_id)" = "$boot" ] || return 1
  local stat
  stat=$(cat "/proc/$pid/stat" 2>/dev/null) || return 1
  set -- ${stat##*) }
  [ "$1" != Z ] && [ "$1" != X ] && [ "${20}" = "$start" ]
}

if alive; then
  kill -KILL "$pid" 2>/dev/null || as_pg kill -KILL "$pid" || true
  for _ in $(seq 100); do alive || break; sleep 0.05; done
fi
alive && die "fence: process $pid of $node is still there"
say "fence: process $pid of $node is dead (started at $start, boot $boot)"
