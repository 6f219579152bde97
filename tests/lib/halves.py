#!/usr/bin/python3
"""Runs the pytest files of a folder two at a time, the longest first (as they took last time), each with its own report LOGS/e2e-FILE.xml.

A test that waits leaves its processor to another; more than two would disturb each other on two processors."""
import argparse
import os
import pathlib
import queue
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree

PRINT = threading.Lock()


def took(report):
    try:
        return sum(float(s.get("time", 0)) for s in xml.etree.ElementTree.parse(report).iter("testsuite"))
    except (OSError, ValueError, xml.etree.ElementTree.ParseError):
        return 1e9


def run_one(path, report, words):
    start = time.monotonic()
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", "--durations=3", "--junitxml", str(report), *words, str(path)]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", env=environment)
    with PRINT:
        print(f"-- {path.name}: {time.monotonic() - start:.0f} s\n{done.stdout}", flush=True)
    return done.returncode


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--logs", type=pathlib.Path, required=True)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("folder", type=pathlib.Path)
    args, words = parser.parse_known_args()
    todo, status = queue.Queue(), []
    files = sorted(args.folder.glob("test_*.py"), key=lambda p: -took(args.logs / f"e2e-{p.stem}.xml"))
    reports = {p: args.logs / f"e2e-{p.stem}.xml" for p in files}
    for old in args.logs.glob("e2e-*.xml"):
        old.unlink()
    for path in files:
        todo.put(path)

    def work():
        while True:
            try:
                path = todo.get_nowait()
            except queue.Empty:
                return
            status.append(run_one(path, reports[path], words))

    workers = [threading.Thread(target=work) for _ in range(args.jobs)]
    for w in workers:
        w.start()
    for w in workers:
        w.join()
    return 1 if any(s not in (0, 5) for s in status) or not files else 0


if __name__ == "__main__":
    sys.exit(main())
