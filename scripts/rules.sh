#!/usr/bin/env bash
# The holes that rules R1 to R17 close, on running nodes with pauses and kills at named fault points; stock PostgreSQL judges what is left. With 1 GB of log where the test run takes 100 MB.
# usage: rules.sh [--mb N] [--rounds N] [--filter NAME]      defaults: 1024, 3, all; NAME: a part of a test's name
. "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

mb=1024 rounds=3 filter=SharedStorage.Cluster.Rules.
while [ $# -gt 0 ]; do
  case $1 in
    --mb) mb=$2; shift 2;;
    --rounds) rounds=$2; shift 2;;
    --filter) filter=$2; shift 2;;
    *) sed -n '2,3p' "$0"; exit 2;;
  esac
done
cd "$ROOT"
require_dotnet
require_packages postgresql-15 postgresql-client-15 strace
dotnet build tests/Cluster -c Release -nologo -v q
for round in $(seq "$rounds"); do
  say "round $round of $rounds, $mb MB of log"
  TEST_RULES_WAL_MB=$mb dotnet test tests/Cluster -c Release --no-build -nologo --filter "FullyQualifiedName~$filter" --logger "console;verbosity=normal"
done
