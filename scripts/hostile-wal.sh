#!/usr/bin/env bash
# Feeds wrong log to everything that reads log: records and segments of stock PostgreSQL, mutated. Nothing may crash, hang, or change what it should not.
# usage: hostile-wal.sh [--mutations N] [--seed N]
. "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

MUTATIONS=10000000 SEED=
while [ $# -gt 0 ]; do
  case "$1" in
    --mutations) MUTATIONS=$2; shift 2 ;;
    --seed) SEED=$2; shift 2 ;;
    *) die "unknown argument: $1 (usage: $(basename "$0") [--mutations N] [--seed N])" ;;
  esac
done
require_dotnet
[ -x "$PGBIN/initdb" ] || die "PostgreSQL 15 is missing: run scripts/build.sh, or set PGBIN"

cd "$ROOT"
[ -n "$SEED" ] || SEED=$(od -An -N4 -tu4 /dev/urandom | tr -d ' ' | awk '{print $1 % 2147483647}')
say "== $MUTATIONS mutations, seed $SEED"
export SHAREDSTORAGE_HOSTILE_MUTATIONS=$MUTATIONS SHAREDSTORAGE_HOSTILE_SEED=$SEED
dotnet test tests/Unit -c Release -nologo -v q --filter "FullyQualifiedName~Unit.Hostile" --logger "console;verbosity=detailed"
