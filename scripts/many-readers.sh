#!/usr/bin/env bash
# Fifteen readers at once on this machine, with small pools, beside load on the writer: all active, all right in every look, storage held once.
# usage: many-readers.sh [--seconds N]      N: how long the load runs, 300
. "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

seconds=300
while [ $# -gt 0 ]; do
  case $1 in
    --seconds) seconds=$2; shift 2;;
    *) sed -n '2,3p' "$0"; exit 2;;
  esac
done
cd "$ROOT"
require_dotnet
require_packages postgresql-15 postgresql-client-15
TEST_MANY_READERS_SECONDS=$seconds dotnet test tests/Cluster -c Release -nologo -v q --filter FullyQualifiedName~ManyReadersTests --logger "console;verbosity=detailed"
