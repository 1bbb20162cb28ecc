# Shared by the scripts: sourced, not run.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
PGBIN=${PGBIN:-/usr/lib/postgresql/15/bin}
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1
# One compiler for all projects, as is the default: one process for each takes three times as long.
export UseSharedCompilation=true

say() { printf '%s\n' "$*"; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

# The user that nodes, PostgreSQL and clients run as: PostgreSQL refuses root, and so do our nodes.
run_user() { if [ "$(id -u)" = 0 ]; then echo postgres; else id -un; fi; }

# Runs a command as that user.
as_pg() { if [ "$(id -u)" = 0 ]; then runuser -u postgres -- "$@"; else "$@"; fi; }

require_dotnet() {
  command -v dotnet >/dev/null || die "the .NET SDK 10 is missing: install it from your distribution or from Microsoft, so that 'dotnet' is on the PATH"
  dotnet --list-sdks | grep -q '^10\.' || die "the .NET SDK 10 is missing (found: $(dotnet --list-sdks | cut -d' ' -f1 | tr '\n' ' '))"
}

# Installs Debian packages that are missing, by name.
require_packages() {
  local missing=() p
  for p in "$@"; do dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing+=("$p"); done
  [ ${#missing[@]} -gt 0 ] || return 0
  [ "$(id -u)" = 0 ] || die "missing packages: ${missing[*]} (install them with: sudo apt-get install ${missing[*]})"
  say "installing ${missing[*]}"
  # A cluster that the package would make and start on installation is not wanted.
  mkdir -p /etc/postgresql-common
  [ -e /etc/postgresql-common/createcluster.conf ] || echo 'create_main_cluster = false' > /etc/postgresql-common/createcluster.conf
  apt-get update -qq >/dev/null || true
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null || die "apt-get could not install: ${missing[*]}"
}

# Where the built programs are, for a user that may not be able to look into the checkout: then a copy in a public place.
BIN=
stage_programs() {
  [ -x "$ROOT/out/sharedstorage" ] || die "the programs are not built: run scripts/build.sh"
  if as_pg test -x "$ROOT/out/sharedstorage" 2>/dev/null && as_pg test -r "$ROOT/out/lib/sharedstorage.dll" 2>/dev/null; then
    BIN=$ROOT/out
  else
    BIN=/var/tmp/sharedstorage-$(printf %s "$ROOT" | cksum | cut -d' ' -f1)
    mkdir -p "$BIN"
    cp -au "$ROOT/out/." "$BIN/"
    chmod -R a+rX "$BIN"
  fi
}

# A TCP port that is free now, on loopback.
free_port() {
  local p
  while :; do
    p=$((20000 + RANDOM % 12000))
    (exec 3<>"/dev/tcp/127.0.0.1/$p") 2>/dev/null || { echo "$p"; return; }
  done
}

# The field of a one-line JSON object list, for a node: json_field FILE NODE FIELD
json_field() { python3 - "$@" <<'P'
import json, sys
for n in json.load(open(sys.argv[1])):
    if n["name"] == sys.argv[2]:
        print(n.get(sys.argv[3], ""))
P
}

# CPU ticks of a server so far: its process, the children it has waited for, and its living children.
ticks() {
  local pid=$1 child sum=0 f
  for child in $pid $(pgrep -P "$pid" || true); do
    f=$(cat "/proc/$child/stat" 2>/dev/null) || continue
    set -- ${f##*) }
    sum=$((sum + ${12} + ${13}))
    [ "$child" != "$pid" ] || sum=$((sum + ${14} + ${15}))
  done
  echo "$sum"
}
# cpu FROM TO: ticks as seconds.
cpu() { awk -v a="$1" -v b="$2" -v h="$(getconf CLK_TCK)" 'BEGIN { printf "%.1f", (b - a) / h }'; }
