#!/usr/bin/env bash
# Makes and runs a cluster on this host: the data directory is DIR/shared, each node's own is DIR/NODE.
# usage: cluster.sh init DIR [--readers N] [--data PGDATA]    new cluster; PGDATA is copied in place of a fresh initdb
#        cluster.sh start DIR [NODE]      all nodes (the writer first), or one
#        cluster.sh stop DIR [NODE]       clean stop: readers first, then the writer
#        cluster.sh kill DIR NODE         SIGKILL
#        cluster.sh status DIR [--json]
#        cluster.sh psql DIR NODE [ARGS]
. "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"
. "$ROOT/scripts/lib/nodes.sh"

[ $# -ge 2 ] || { sed -n '2,9p' "$0"; exit 2; }
command=$1
mkdir -p "$2" && DIR=$(cd "$2" && pwd)
shift 2

case $command in
  init)
    readers=2 data=
    while [ $# -gt 0 ]; do
      case $1 in
        --readers) readers=$2; shift 2;;
        --data) data=$2; shift 2;;
        *) die "unknown option $1";;
      esac
    done
    [ ! -e "$DIR/shared" ] || die "$DIR/shared exists already"
    [ "$(id -u)" != 0 ] || chown postgres "$DIR"
    as_pg test -w "$DIR" || die "user $(run_user) cannot write $DIR: choose a place that this user can traverse"
    if [ -n "$data" ]; then
      as_pg cp -a "$data" "$DIR/shared"
      as_pg chmod 700 "$DIR/shared"
    else
      as_pg "$PGBIN/initdb" -D "$DIR/shared" --data-checksums -E UTF8 --locale=C.UTF-8 -A trust -U postgres >/dev/null
    fi
    peers=
    nodes=(writer); for i in $(seq 1 "$readers"); do nodes+=("reader$i"); done
    declare -A port control
    for n in "${nodes[@]}"; do port[$n]=$(free_port); control[$n]=$(free_port); peers+=${peers:+,}127.0.0.1:${control[$n]}; done
    for n in "${nodes[@]}"; do
      as_pg mkdir -p "$DIR/$n"
      as_pg tee "$DIR/$n/sharedstorage.conf" >/dev/null <<C
port = ${port[$n]}
sharedstorage.node_name = '$n'
sharedstorage.control_port = ${control[$n]}
sharedstorage.peers = '$peers'
C
      if [ "$n" = writer ]; then role=writer; else role=reader; fi
      echo "$role" | as_pg tee "$DIR/$n/role" >/dev/null
    done
    say "cluster in $DIR: ${nodes[*]}"
    ;;
  start)
    stage_programs
    if [ $# -gt 0 ]; then node_start "$1"; else
      for n in $(nodes_by_role writer) $(nodes_by_role reader); do node_start "$n"; done
    fi
    ;;
  stop)
    if [ $# -gt 0 ]; then node_stop "$1"; else
      for n in $(nodes_by_role reader) $(nodes_by_role writer); do node_stop "$n"; done
    fi
    ;;
  kill)
    [ $# = 1 ] || die "usage: cluster.sh kill DIR NODE"
    node_alive "$1" || die "node $1 does not run"
    read -r pid _ < "$DIR/$1/process"
    as_pg kill -KILL "$pid"
    for _ in $(seq 100); do node_alive "$1" || break; sleep 0.05; done
    say "killed $1 (process $pid)"
    ;;
  status)
    stage_programs
    as_pg "$BIN/sharedstorage" status --peers "$(node_setting "$(nodes | sed -n 1p)" sharedstorage.peers)" "$@"
    ;;
  psql)
    [ $# -ge 1 ] || die "usage: cluster.sh psql DIR NODE [ARGS]"
    node=$1; shift
    as_pg psql -h 127.0.0.1 -p "$(node_setting "$node" port)" -U postgres "$@"
    ;;
  *) die "unknown command $command";;
esac
