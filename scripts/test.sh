#!/usr/bin/env bash
# Installs what is missing, builds with warnings as errors, checks the formatting, runs the tests, and ends with "N passed, N failed, N skipped".
. "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

cd "$ROOT"
start=$SECONDS
require_dotnet
require_packages libpg-query-dev postgresql-15 postgresql-client-15 strace

say "== build, warnings as errors"
dotnet build SharedStorage.sln -c Release -nologo -v q -m:2
scripts/build.sh
dotnet build-server shutdown --vbcscompiler >/dev/null

say "== formatting"
dotnet format whitespace --folder --verify-no-changes --exclude '**/obj' --exclude '**/bin' --exclude out

results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT
: > "$results/unwell"
# A suite by its name: each test as it ends, and a file of results. "unwell" names those that did not end well.
suite() {
  say "== $1 (begun after $((SECONDS - start)) s)"
  "${@:2}" timeout 1800 dotnet test "tests/$1" -c Release --no-build -nologo -v q --filter 'Category!=Long' --logger 'console;verbosity=normal' --logger "trx;LogFileName=$results/$1.trx" ||
    echo "$1" >> "$results/unwell"
}
all=$(grep -l '<IsTestProject>true' tests/*/*.csproj | xargs -n1 basename -s .csproj)

# The cluster's tests wait for leases, loads and dead nodes half of the time. The other suites, whose answers no clock changes, take what they leave of the processors.
for name in $all; do [ "$name" = Cluster ] || suite "$name" nice -n 19; done > "$results/others" 2>&1 &
suite Cluster
wait
cat "$results/others"
status=0

# The counts come from the result files, so that a project that died before it reported counts as a failure.
python3 - "$results" <<'P' || status=1
import glob, os, sys, xml.etree.ElementTree as E
ns = {"t": "http://microsoft.com/schemas/VisualStudio/TeamTest/2010"}
passed = failed = skipped = 0
failures = {}
for f in sorted(glob.glob(sys.argv[1] + "/*.trx")):
    root = E.parse(f).getroot()
    c = root.find(".//t:Counters", ns).attrib
    n = failures[os.path.basename(f)[:-4]] = sum(int(c[k]) for k in ("failed", "error", "timeout", "aborted"))
    passed += int(c["passed"]); failed += n
    skipped += int(c["total"]) - int(c["executed"])
    for r in root.iterfind(".//t:UnitTestResult", ns):
        if r.get("outcome") == "NotExecuted":
            m = r.find(".//t:Message", ns)
            print("skipped:", r.get("testName"), "-", (m.text if m is not None else "").strip())
        elif r.get("outcome") == "Failed":
            print("failed:", r.get("testName"))
for name in open(sys.argv[1] + "/unwell").read().split():
    if not failures.get(name):
        failed += 1
        print("failed:", name, "died, or was ended after 30 minutes")
open(sys.argv[1] + "/line", "w").write(f"{passed} passed, {failed} failed, {skipped} skipped\n")
sys.exit(1 if failed else 0)
P
say "tests took $((SECONDS - start)) s"
cat "$results/line"
exit $status
