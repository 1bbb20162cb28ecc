#!/usr/bin/env bash
# Concurrent clients on a writer and two readers, and a checker of what they saw: one order of commits on all nodes, snapshot isolation, session and global reads, remote_apply.
# usage: history.sh [--seconds N]      default: 1800
. "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

seconds=1800
while [ $# -gt 0 ]; do
  case $1 in
    --seconds) seconds=$2; shift 2;;
    *) sed -n '2,3p' "$0"; exit 2;;
  esac
done
cd "$ROOT"
require_dotnet
require_packages postgresql-15 postgresql-client-15
TEST_HISTORY_SECONDS=$seconds dotnet test tests/Cluster -c Release -nologo -v q --filter FullyQualifiedName~HistoryTests --logger "console;verbosity=detailed"
