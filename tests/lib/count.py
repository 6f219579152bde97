#!/usr/bin/python3
"""Counts test cases in the reports of a suite: meson's testlog (cmocka and TAP output inside) and JUnit XML of pytest.

Prints one line per failed case and ends with "PASSED FAILED SKIPPED". A program that dies in the middle of a case has failed that case; a suite that failed
although no case did (a leak at exit, no report at all) counts as one more failed case; a suite without reports is one case: its exit status."""
import argparse
import json
import os
import re
import sys
import xml.etree.ElementTree

RUN = re.compile(r"^\[ RUN      \] (\S+)", re.M)
DONE = re.compile(r"^\[       OK \] (\S+)", re.M)
SKIPPED = re.compile(r"^\[  SKIPPED \] (\S+)", re.M)
TAP = re.compile(r"^(not ok|ok) \d+(?: - | )?([^#\n]*)(#\s*SKIP)?", re.M | re.I)


class Counts:
    def __init__(self):
        self.passed = self.skipped = 0
        self.failed = []

    def add(self, passed, failed, skipped):
        self.passed += passed
        self.failed += failed
        self.skipped += skipped


def cmocka(name, text):
    run = RUN.findall(text)
    skipped = SKIPPED.findall(text)
    rest = list(run)
    for case in DONE.findall(text) + skipped:
        if case in rest:
            rest.remove(case)
    return len(run) - len(rest) - len(skipped), [f"{name}: {case}" for case in rest], len(skipped)


def tap(name, text):
    passed, failed, skipped = 0, [], 0
    for outcome, title, skip in TAP.findall(text):
        if skip:
            skipped += 1
        elif outcome.lower() == "ok":
            passed += 1
        else:
            failed.append(f"{name}: {title.strip()}")
    return passed, failed, skipped


def meson_one(counts, test):
    text = test.get("stdout", "") + "\n" + test.get("stderr", "")
    name, result = test["name"], test["result"]
    if RUN.search(text):
        passed, failed, skipped = cmocka(name, text)
    elif TAP.search(text):
        passed, failed, skipped = tap(name, text)
    else:
        passed, failed, skipped = (result == "OK"), [], (result == "SKIP")
    if result not in ("OK", "SKIP", "EXPECTEDFAIL") and not failed:
        failed = [f"{name}: {result.lower()}"]
    counts.add(passed, failed, skipped)


def meson(counts, path):
    with open(path, encoding="utf-8", errors="replace") as log:
        for line in log:
            if line.strip():
                meson_one(counts, json.loads(line))


def junit(counts, path):
    for case in xml.etree.ElementTree.parse(path).iter("testcase"):
        kinds = {child.tag for child in case}
        if kinds & {"failure", "error"}:
            counts.failed.append(f"{case.get('classname')}.{case.get('name')}")
        elif "skipped" in kinds:
            counts.skipped += 1
        else:
            counts.passed += 1


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--status", type=int, required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--meson", nargs="*", default=[])
    parser.add_argument("--junit", nargs="*", default=[])
    args = parser.parse_args()
    counts = Counts()
    reports = [(meson, p) for p in args.meson if os.path.exists(p)] + [(junit, p) for p in args.junit if os.path.exists(p)]
    for read, path in reports:
        try:
            read(counts, path)
        except (ValueError, KeyError, xml.etree.ElementTree.ParseError) as e:
            counts.failed.append(f"{path}: {e}")
    expects = args.meson or args.junit
    if not expects:
        counts.add(args.status == 0, [] if args.status == 0 else [f"{args.name}: exit status {args.status}"], 0)
    elif args.status != 0 and not counts.failed:
        counts.failed.append(f"{args.name}: exit status {args.status}, and no case failed")
    elif not reports and args.status == 0:
        counts.failed.append(f"{args.name}: no report was written")
    for name in counts.failed:
        print(f"FAILED {name}")
    print(counts.passed, len(counts.failed), counts.skipped)


if __name__ == "__main__":
    sys.exit(main())
