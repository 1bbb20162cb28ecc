# Nodes of a cluster on this host: sourced after common.sh, with DIR set.

nodes() { local f; for f in "$DIR"/*/sharedstorage.conf; do basename "$(dirname "$f")"; done; }
nodes_by_role() { local n; for n in $(nodes); do [ "$(cat "$DIR/$n/role")" = "$1" ] && echo "$n"; done; true; }
node_setting() { sed -n "s/^$2 = '\{0,1\}\([^']*\)'\{0,1\}\$/\1/p" "$DIR/$1/sharedstorage.conf"; }

node_alive() {
  local pid start boot stat
  [ -s "$DIR/$1/process" ] || return 1
  read -r pid start boot < "$DIR/$1/process"
  [ "$(cat /proc/sys/kernel/random/boot_id)" = "$boot" ] || return 1
  stat=$(cat "/proc/$pid/stat" 2>/dev/null) || return 1
  set -- ${stat##*) }
  [ "$1" != Z ] && [ "$1" != X ] && [ "${20}" = "$start" ]
}

# Starts a node by its role and waits until it serves PostgreSQL's protocol, or ends with its log's last lines.
node_start() {
  local n=$1 role
  [ -e "$DIR/$n/sharedstorage.conf" ] || die "there is no node $n in $DIR"
  if node_alive "$n"; then say "$n runs already"; return; fi
  role=$(cat "$DIR/$n/role")
  as_pg rm -f "$DIR/$n/process"
  # A session of its own: it outlives the shell that starts it.
  as_pg setsid sh -c 'exec "$1" --data "$2" --local "$3" >>"$3/log" 2>&1 </dev/null &' sh \
    "$BIN/sharedstorage-$role" "${SHARED_MOUNT:-$DIR/shared}" "$DIR/$n"
  local port i
  port=$(node_setting "$n" port)
  for i in $(seq 600); do
    if [ -s "$DIR/$n/process" ] && ! node_alive "$n"; then break; fi
    if as_pg "$PGBIN/pg_isready" -q -h 127.0.0.1 -p "$port" 2>/dev/null; then say "$n is up: $role, port $port"; return; fi
    sleep 0.1
  done
  tail -n 15 "$DIR/$n/log" >&2
  die "$n did not come up"
}

node_stop() {
  local n=$1 pid
  if ! node_alive "$n"; then say "$n does not run"; return; fi
  read -r pid _ < "$DIR/$n/process"
  as_pg kill -TERM "$pid"
  local i
  for i in $(seq 1200); do node_alive "$n" || { say "$n is stopped"; return; }; sleep 0.05; done
  die "$n did not stop within 60 s"
}

# end_nodes_at_exit KEEP: when the script ends, in whatever way, its jobs and the nodes end; DIR goes after a success, unless KEEP is not empty.
end_nodes_at_exit() {
  KEEP_NODES=$1
  trap end_nodes EXIT
  trap 'exit 1' INT TERM
}

end_nodes() {
  local status=$? n pid
  trap - EXIT INT TERM
  for pid in $(jobs -p); do kill "$pid" 2>/dev/null || true; done
  for n in $(nodes); do
    if node_alive "$n"; then read -r pid _ < "$DIR/$n/process"; as_pg kill -KILL "$pid" || true; fi
  done
  if [ $status = 0 ] && [ -z "$KEEP_NODES" ]; then rm -rf "$DIR"; else say "left for a look: $DIR"; fi
  exit $status
}
