# The oracle's machinery, for redo-oracle.sh: sourced, not run. A suite has a server of its own in $WORK/SUITE, a copy of its directory from before, and a report.

# DATA and BASE of the suite that runs, and the port of its server.
DATA='' BASE='' PORT=''

oracle_start() { as_pg "$PGBIN/pg_ctl" -D "$DATA" -l "$DATA.log" -t 300 -w "$@" start >/dev/null || { tail -n 20 "$DATA.log" >&2; die "PostgreSQL does not start"; }; }
oracle_stop() { as_pg "$PGBIN/pg_ctl" -D "$DATA" -m "$1" -t 600 -w stop >/dev/null; }
oracle_kill() { [ -z "$DATA" ] || [ ! -e "$DATA/postmaster.pid" ] || as_pg "$PGBIN/pg_ctl" -D "$DATA" -m immediate -w stop >/dev/null || true; }

sql() { as_pg "$PGBIN/psql" -X -q -A -t -v ON_ERROR_STOP=1 -h 127.0.0.1 -p "$PORT" -U postgres -d postgres "$@"; }
bench() {
  as_pg "$PGBIN/pgbench" -h 127.0.0.1 -p "$PORT" -U postgres "$@" postgres >>"$WORK/pgbench.log" 2>&1 || { tail -n 20 "$WORK/pgbench.log" >&2; die "pgbench failed"; }
}

# A fresh server for a suite, with a copy from before its first start.
oracle_begin() {
  DATA=$WORK/$1/data BASE=$WORK/$1/base PORT=$(free_port)
  as_pg mkdir -p "$WORK/$1"
  as_pg "$PGBIN/initdb" -D "$DATA" --data-checksums -A trust -U postgres -N -E UTF8 --locale=C.UTF-8 >"$WORK/initdb.log"
  as_pg tee -a "$DATA/postgresql.conf" >/dev/null <<CONF
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
port = $PORT
fsync = off
wal_level = logical
wal_keep_size = '100GB'
max_wal_size = '8GB'
checkpoint_timeout = '30s'
wal_consistency_checking = 'all'
wal_compression = lz4
autovacuum_naptime = '2s'
max_prepared_transactions = 20
track_commit_timestamp = on
max_connections = 100
shared_buffers = '256MB'
CONF
  # Just before the end of a segment of pg_xact and of pg_multixact/offsets, so that the first ones can be truncated.
  as_pg truncate -s 262144 "$DATA/pg_xact/0000" "$DATA/pg_multixact/offsets/0000"
  as_pg "$PGBIN/pg_resetwal" -D "$DATA" -x 1046000 -m 65000,1 >/dev/null
  as_pg cp -a "$DATA" "$BASE"
  oracle_start
}

# The clean stop, and the judgement. What was clean is removed, so that one suite's log does not crowd out the next one's.
oracle_check() {
  local status=0
  oracle_stop fast
  say "   log: $(du -sm "$DATA/pg_wal" | cut -f1) MB"
  as_pg "$BIN/sharedstorage" walcheck --base "$BASE" --wal "$DATA/pg_wal" --against "$DATA" --output "$WORK/$1/differing" --json > "$WORK/$1.json" || status=1
  python3 "$ROOT/scripts/lib/redo-oracle-table.py" --verdict "$WORK/$1.json" || status=1
  oracle_waldump "$1" || status=1
  [ -n "$KEEP" ] || rm -rf "${WORK:?}/$1"
  return "$status"
}

control() { as_pg "$PGBIN/pg_controldata" -D "$1" | sed -n "s/^$2: *//p"; }

# Our waldump and PostgreSQL's over the suite's whole log, timeline by timeline, to the shutdown's checkpoint: each line, each block, each number must be the same.
oracle_waldump() {
  local status=0 start end stop options timeline history
  start=$(control "$BASE" "Latest checkpoint's REDO location") end=$(control "$DATA" "Latest checkpoint location")
  history=$(find "$DATA/pg_wal" -name '*.history' | sort | tail -n 1)
  while read -r timeline stop _; do
    for options in -b --stats --stats=record; do
      if cmp <(as_pg "$PGBIN/pg_waldump" "$options" -p "$DATA/pg_wal" -t "$timeline" -s "$start" -e "$stop" 2>&1) \
             <(as_pg "$BIN/sharedstorage" waldump "$options" -p "$DATA/pg_wal" -t "$timeline" -s "$start" -e "$stop" 2>&1); then
        say "   waldump $options: equal to pg_waldump's on timeline $timeline from $start to $stop"
      else
        say "   waldump $options: DIFFERS from pg_waldump's on timeline $timeline from $start to $stop"; status=1
      fi
    done
    start=$stop
  done < <([ -z "$history" ] || grep '^[0-9]' "$history"; echo "$(control "$DATA" "Latest checkpoint's TimeLineID") $end")
  return "$status"
}

# PostgreSQL's source in $SOURCE. Debian's source package comes through the machine's own package sources, with lists of its own: nothing outside $WORK changes.
oracle_source() {
  if [ -z "$SOURCE" ]; then
    local apt=$WORK/apt file version
    mkdir -p "$apt/parts" "$apt/lists/partial" "$apt/cache"
    for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
      [ ! -e "$file" ] || sed -n 's/^deb /deb-src /p' "$file" > "$apt/parts/$(basename "$file" .list)-src.list"
    done
    for file in /etc/apt/sources.list.d/*.sources; do
      [ ! -e "$file" ] || sed 's/^Types:.*/Types: deb-src/' "$file" > "$apt/parts/$(basename "$file" .sources)-src.sources"
    done
    local options=(-qq -o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts="$apt/parts" -o Dir::State::Lists="$apt/lists" -o Dir::Cache="$apt/cache" -o APT::Sandbox::User=root)
    apt-get "${options[@]}" update >/dev/null 2>&1 || true
    # The newest version may be announced before its source is there: then the one before it.
    for version in $(apt-cache "${options[@]:1}" showsrc postgresql-15 2>/dev/null | sed -n 's/^Version: //p' | sort -Vru); do
      say "fetching the source of PostgreSQL $version"
      if (cd "$apt" && apt-get "${options[@]}" source --download-only "postgresql-15=$version" >/dev/null 2>&1); then break; fi
      rm -f "$apt"/postgresql-15_*
    done
    file=$(find "$apt" -maxdepth 1 -name 'postgresql-15_*.orig.tar.*' ! -name '*.asc' | head -n 1)
    [ -n "$file" ] || die "Debian's source package of PostgreSQL 15 cannot be fetched: give an unpacked source with --source, or leave out the suites regress, isolation and contrib"
    tar -xf "$file" -C "$WORK"
    SOURCE=$(find "$WORK" -maxdepth 1 -type d -name 'postgresql-15*' | head -n 1)
  fi
  [ -e "$SOURCE/src/test/regress/parallel_schedule" ] || die "\"$SOURCE\" is not PostgreSQL's source"
  # The suites write beside their files, and run as another user.
  SUITE_SOURCE=$WORK/source
  rm -rf "$SUITE_SOURCE"
  mkdir -p "$SUITE_SOURCE"
  cp -r "$SOURCE/src/test/regress" "$SOURCE/src/test/isolation" "$SUITE_SOURCE/"
  local module
  for module in "${CONTRIB_MODULES[@]}"; do cp -r "$SOURCE/contrib/$module" "$SUITE_SOURCE/"; done
  chmod -R a+rX "$SUITE_SOURCE"
  [ "$(id -u)" != 0 ] || chown -R postgres: "$SUITE_SOURCE"
  TESTERS=$("$PGBIN/pg_config" --pkglibdir)/pgxs/src/test
  [ -x "$TESTERS/regress/pg_regress" ] && [ -x "$TESTERS/isolation/pg_isolation_regress" ] || die "pg_regress and pg_isolation_regress are missing: install postgresql-server-dev-15"
}
