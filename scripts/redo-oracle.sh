#!/usr/bin/env bash
# Judges our redo by stock PostgreSQL 15: each suite runs on a directory of its own with wal_consistency_checking = all, and walcheck replays its log over a copy from before, comparing each
# page with its images and, at the end, with the files of a clean stop; waldump must print what pg_waldump prints over that log. Ends with one table of all op codes, and with 0 only when nothing differs.
# usage: redo-oracle.sh [--seconds N] [--clients N] [--scale N] [--suites regress,isolation,contrib,pgbench,own] [--source DIR] [--keep DIR]
. "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"
. "$ROOT/scripts/lib/redo-oracle.sh"
. "$ROOT/scripts/lib/redo-oracle-suites.sh"

USAGE="usage: $(basename "$0") [--seconds N] [--clients N] [--scale N] [--suites regress,isolation,contrib,pgbench,own] [--source DIR] [--keep DIR]
  --seconds  how long each load of pgbench runs (default 10)
  --suites   which to run, in this order (default: all)
  --source   PostgreSQL 15's unpacked source (default: Debian's source package, fetched now, for regress, isolation and contrib)
  --keep     work in this directory and leave everything there"
CLIENTS=8 SECONDS_EACH=10 SCALE=2 KEEP='' SUITES=pgbench,own,isolation,contrib,regress SOURCE=''
while [ $# -gt 0 ]; do
  case "$1" in
    --clients) CLIENTS=$2; shift 2 ;;
    --seconds) SECONDS_EACH=$2; shift 2 ;;
    --scale) SCALE=$2; shift 2 ;;
    --suites) SUITES=$2; shift 2 ;;
    --source) SOURCE=$2; shift 2 ;;
    --keep) KEEP=$2; shift 2 ;;
    *) die "unknown argument: $1
$USAGE" ;;
  esac
done
for suite in ${SUITES//,/ }; do
  case "$suite" in pgbench|own|isolation|contrib|regress) ;; *) die "unknown suite: $suite
$USAGE" ;; esac
done

[ -x "$PGBIN/initdb" ] || die "PostgreSQL 15 is missing: run scripts/build.sh, or set PGBIN"
stage_programs
WORK=${KEEP:-$(mktemp -d /var/tmp/redo-oracle.XXXXXX)}
mkdir -p "$WORK"
WORK=$(cd "$WORK" && pwd)
[ "$(id -u)" != 0 ] || chown postgres: "$WORK"
chmod 755 "$WORK"
finish() {
  oracle_kill
  [ -n "$KEEP" ] || rm -rf "$WORK"
}
trap finish EXIT

case ",$SUITES," in
  *,regress,*|*,isolation,*|*,contrib,*) oracle_source ;;
esac

status=0
reports=()
for suite in ${SUITES//,/ }; do
  say "== $suite"
  oracle_begin "$suite"
  "suite_$suite"
  oracle_check "$suite" || status=1
  reports+=("$WORK/$suite.json")
done

say "== all suites"
python3 "$ROOT/scripts/lib/redo-oracle-table.py" "${reports[@]}" || status=1
exit $status
