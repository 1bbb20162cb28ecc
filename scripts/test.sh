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
status=0
: > "$results/dead"
for project in tests/*/*.csproj; do
  grep -q '<IsTestProject>true' "$project" || continue
  name=$(basename "$project" .csproj)
  say "== $name ($((SECONDS - start)) s so far)"
  timeout 1200 dotnet test "$project" -c Release --no-build -nologo -v q --filter 'Category!=Long' --logger "console;verbosity=normal" --logger "trx;LogFileName=$results/$name.trx" || status=1
  [ -e "$results/$name.trx" ] || echo "$name" >> "$results/dead"
done

# The counts come from the result files, so that a project that died before it reported counts as a failure.
python3 - "$results" <<'P' || status=1
import glob, sys, xml.etree.ElementTree as E
ns = {"t": "http://microsoft.com/schemas/VisualStudio/TeamTest/2010"}
passed = failed = skipped = 0
for f in sorted(glob.glob(sys.argv[1] + "/*.trx")):
    root = E.parse(f).getroot()
    c = root.find(".//t:Counters", ns).attrib
    passed += int(c["passed"]); failed += int(c["failed"]) + int(c["error"]) + int(c["timeout"]) + int(c["aborted"])
    skipped += int(c["total"]) - int(c["executed"])
    for r in root.iterfind(".//t:UnitTestResult", ns):
        if r.get("outcome") == "NotExecuted":
            m = r.find(".//t:Message", ns)
            print("skipped:", r.get("testName"), "-", (m.text if m is not None else "").strip())
        elif r.get("outcome") == "Failed":
            print("failed:", r.get("testName"))
for name in open(sys.argv[1] + "/dead").read().split():
    failed += 1
    print("failed:", name, "ended, or was ended after 20 minutes, without results")
open(sys.argv[1] + "/line", "w").write(f"{passed} passed, {failed} failed, {skipped} skipped\n")
sys.exit(1 if failed else 0)
P
say "tests took $((SECONDS - start)) s"
cat "$results/line"
exit $status
