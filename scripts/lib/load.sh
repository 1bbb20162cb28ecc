# Load by stock pgbench whose every acknowledged transaction can be looked up afterwards: sourced after common.sh and nodes.sh.

PGBENCH=("$PGBIN/pgbench" -h 127.0.0.1 -U postgres)

# pgbench on a node, as the user of the nodes.
bench() { local n=$1; shift; as_pg env PGCONNECT_TIMEOUT=10 "${PGBENCH[@]}" -p "$(node_setting "$n" port)" "$@" postgres; }

# The same for the background (begin_bench ... &): $! is then a process that ends pgbench when it gets SIGTERM.
begin_bench() {
  local n=$1 run=(exec)
  shift
  [ "$(id -u)" != 0 ] || run=(exec runuser -u postgres --)
  "${run[@]}" "${PGBENCH[@]}" -p "$(node_setting "$n" port)" "$@" postgres
}

# One value from a node.
ask() { local n=$1; shift; as_pg env PGCONNECT_TIMEOUT=10 psql -X -q -A -t -v ON_ERROR_STOP=1 -h 127.0.0.1 -p "$(node_setting "$n" port)" -U postgres -c "$1"; }

# Tables by stock pgbench: load_tables NODE SCALE
load_tables() {
  local out
  if ! out=$(bench "$1" -i -q -s "$2" 2>&1); then
    # All steps but the vacuum, on a build that does not have it yet.
    [[ $out == *"VACUUM is not supported"* ]] || { printf '%s\n' "$out" >&2; die "pgbench -i failed"; }
    say "VACUUM is not supported yet: pgbench -i goes without its vacuum step"
    out=$(bench "$1" -i -I dtgpf -q -s "$2" 2>&1) || { printf '%s\n' "$out" >&2; die "pgbench -i failed"; }
  fi
  printf '%s\n' "$out" | tail -n 1
}

# TPC-B as pgbench has it, but each transaction leaves an id in its row of pgbench_history: :base + a million times the client + a count.
# pgbench -D base=N -D n=0 -l -f FILE then logs one line for each transaction that the server acknowledged.
write_numbered_tpcb() {
  as_pg tee "$1" >/dev/null <<'Q'
\set aid random(1, 100000 * :scale)
\set bid random(1, 1 * :scale)
\set tid random(1, 10 * :scale)
\set delta random(-5000, 5000)
\set n :n + 1
\set id :base + 1000000 * :client_id + :n
BEGIN;
UPDATE pgbench_accounts SET abalance = abalance + :delta WHERE aid = :aid;
SELECT abalance FROM pgbench_accounts WHERE aid = :aid;
UPDATE pgbench_tellers SET tbalance = tbalance + :delta WHERE tid = :tid;
UPDATE pgbench_branches SET bbalance = bbalance + :delta WHERE bid = :bid;
INSERT INTO pgbench_history (tid, bid, aid, delta, mtime, filler) VALUES (:tid, :bid, :aid, :delta, CURRENT_TIMESTAMP, :id);
END;
Q
}

# Looks up every acknowledged id: check_acknowledged NODE BASE LOGFILES... Prints one line, fails when one is missing or is there twice.
check_acknowledged() {
  local node=$1 base=$2 found
  shift 2
  found=$(mktemp)
  ask "$node" "select filler from pgbench_history" > "$found"
  python3 - "$base" "$found" "$@" <<'P'
import collections, sys
base, found, logs = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
acknowledged = collections.Counter()
for log in logs:
    for line in open(log):
        acknowledged[int(line.split()[0])] += 1
ids = [int(s) for s in open(found) if s.strip()]
ids = [i for i in ids if base < i < base + 1000000000]
there = set(ids)
missing = [(c, n) for c, k in acknowledged.items() for n in range(1, k + 1) if base + 1000000 * c + n not in there]
total = sum(acknowledged.values())
print(f"acknowledged {total}, found {len(there)}, missing {len(missing)}, twice {len(ids) - len(there)}")
sys.exit(0 if total and not missing and len(ids) == len(there) else 1)
P
  local ok=$?
  rm -f "$found"
  return $ok
}

# The sums that TPC-B keeps equal, on one node: accounts tellers branches history
sums() {
  ask "$1" "select (select sum(abalance) from pgbench_accounts), (select sum(tbalance) from pgbench_tellers), (select sum(bbalance) from pgbench_branches), (select coalesce(sum(delta), 0) from pgbench_history), (select count(*) from pgbench_history)"
}

# Fails unless all sums are equal within a node: sums_agree LINE
sums_agree() { [[ $1 =~ ^(-?[0-9]+)\|(-?[0-9]+)\|(-?[0-9]+)\|(-?[0-9]+)\|[0-9]+$ ]] && [ "${BASH_REMATCH[1]}" = "${BASH_REMATCH[2]}" ] && [ "${BASH_REMATCH[1]}" = "${BASH_REMATCH[3]}" ] && [ "${BASH_REMATCH[1]}" = "${BASH_REMATCH[4]}" ]; }
