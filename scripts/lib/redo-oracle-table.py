"""Prints what walcheck found: one line for a suite (--verdict), or the merged table of op codes of several reports. Ends with 1 when anything differs."""
import json
import os
import sys


def verdict(path):
    with open(path) as f:
        text = f.read()
    name = os.path.splitext(os.path.basename(path))[0]
    if not text.strip():
        return f"   {name}: walcheck gave no report", False, None
    r = json.loads(text)
    files = r["files"] or {}
    line = (f"   {name}: {r['records']} records, {r['compared']} pages compared, {r['mismatches']} mismatches; "
            f"files: {files.get('Pages', 0)} pages, {files.get('DifferingPages', 0)} differing, {len(files.get('Problems', []))} sizes, "
            f"{files.get('DifferingSlruPages', 0)} of {files.get('SlruPages', 0)} SLRU pages, {files.get('DifferingMaps', 0)} of {files.get('Maps', 0)} maps; "
            f"{r['bytes'] / 1e6:.0f} MB in {r['seconds']:.0f} s")
    for d in r["details"]:
        line += f"\n   mismatch: {d['lsn'] or 'end'} {d['where']} offset {d['offset']}: {d['message']}"
    for p in files.get("Problems", []):
        line += f"\n   file: {p}"
    if r["failure"]:
        line += f"\n   stopped: {r['failure']}"
    return line, r["clean"], r


def main(arguments):
    if arguments[0] == "--verdict":
        line, clean, _ = verdict(arguments[1])
        print(line)
        return 0 if clean else 1

    rows, never, clean, seconds, size = {}, None, True, 0.0, 0
    for path in arguments:
        _, fine, r = verdict(path)
        clean = clean and fine
        if r is None:
            continue
        seconds += r["seconds"]
        size += r["bytes"]
        for o in r["operations"]:
            row = rows.setdefault((o["rmgr"], o["op"], o["operation"]), [0, 0, 0])
            for i, field in enumerate(("records", "compared", "mismatches")):
                row[i] += o[field]
        missing = {(m, name) for m, names in r["neverMet"].items() for name in names}
        never = missing if never is None else never & missing
        order = list(r["neverMet"])
    if never is None:
        print("no suite gave a report")
        return 1
    print(f"{'Resource manager':<18}{'Op':<4}{'Operation':<26}{'Records':>12}{'Compared':>12}{'Mismatches':>12}")
    for (manager, op, name), (records, compared, mismatches) in sorted(rows.items(), key=lambda x: (order.index(x[0][0]), x[0][1])):
        print(f"{manager:<18}{op:02X}  {name:<26}{records:>12}{compared:>12}{mismatches:>12}")
    total = [sum(r[i] for r in rows.values()) for i in range(3)]
    print(f"{'total':<48}{total[0]:>12}{total[1]:>12}{total[2]:>12}")
    for manager in order:
        names = sorted(n for m, n in never if m == manager)
        if names:
            print(f"never met: {manager}: {', '.join(names)}")
    print(f"{size / 1e6:.0f} MB of log in {seconds:.0f} s, {size / 1e6 / max(seconds, 0.001):.1f} MB/s, {total[0] / max(seconds, 0.001):.0f} records/s")
    print("clean" if clean else "NOT clean: see the suites above")
    return 0 if clean else 1


sys.exit(main(sys.argv[1:]))
