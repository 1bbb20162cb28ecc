#!/usr/bin/env bash
# An attached reader and a stock hot standby answer the same queries at the same log position, again and again, beside load on the stock primary.
# usage: attach-rounds.sh [--seconds N=600]
# The load: pgbench, VACUUM, index builds, TRUNCATE, DROP, checkpoints, pg_restore; the reader is killed and started again in every fourth round. PostgreSQL's log must show nothing.
. "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

seconds=600
while [ $# -gt 0 ]; do
  case $1 in
    --seconds) [[ ${2:-} =~ ^[0-9]+$ ]] || die "--seconds needs a number"; seconds=$2; shift 2 ;;
    *) sed -n '2,4p' "$0"; exit 2 ;;
  esac
done

cd "$ROOT"
require_dotnet
require_packages libpg-query-dev postgresql-15 postgresql-client-15
dotnet build tests/Cluster -c Release -nologo -v q
ATTACH_SECONDS=$seconds dotnet test tests/Cluster -c Release --no-build -nologo --logger 'console;verbosity=detailed' --filter 'FullyQualifiedName~AttachTests.An_attached_reader'
