#!/usr/bin/env bash
# Full disks for data, for the log, for all of shared storage and for a node's own files, each with room again afterwards; and 1,000 clients where 100 have a place. As root: small filesystems are mounted.
# usage: full-disk.sh [--rounds N]      N: 10
. "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

rounds=10
while [ $# -gt 0 ]; do
  case $1 in
    --rounds) rounds=$2; shift 2;;
    *) sed -n '2,3p' "$0"; exit 2;;
  esac
done
[ "$(id -u)" = 0 ] || die "filesystems are mounted: run it as root"
cd "$ROOT"
require_dotnet
require_packages postgresql-15 postgresql-client-15
dotnet build tests/Cluster -c Release -nologo -v q
for round in $(seq "$rounds"); do
  say "round $round of $rounds"
  dotnet test tests/Cluster -c Release --no-build -nologo -v q --filter 'FullyQualifiedName~FullDiskTests|FullyQualifiedName~ManyConnectionsTests' --logger "console;verbosity=normal"
done
