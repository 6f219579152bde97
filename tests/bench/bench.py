#!/usr/bin/python3
"""The benches behind tests/bench/run: which figures there are, in which order, and what becomes of their results."""
import argparse
import os
import pathlib
import random
import signal
import sys
import time

import applications
import failover
import footprint
import restart
import safe
import silence
import world
from report import Report

FIGURES = {"failover": failover.measure, "restart": restart.measure, "silence": silence.measure, "footprint": footprint.measure, "safety": safe.measure,
           "applications": applications.measure}
GATE = ("failover", "restart", "silence", "footprint")
TIMED = {"failover", "restart", "silence", "safety"}


def samples_folder(args):
    if args.samples:
        return pathlib.Path(args.samples)
    if args.quick:
        return None
    cache = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(cache) / "understudy/bench" / time.strftime("%Y%m%d-%H%M%S")


def set_policy(name, fair):
    """What is timed runs under SCHED_FIFO, product, floor and control timer alike: everything started from here inherits it. What it came to, in words."""
    fifo = name in TIMED and not fair
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO if fifo else os.SCHED_OTHER, os.sched_param(1 if fifo else 0))
    except PermissionError:
        return "SCHED_OTHER: SCHED_FIFO is not allowed here"
    return "all under SCHED_FIFO" if fifo else "SCHED_OTHER"


def main():
    parser = argparse.ArgumentParser(prog="tests/bench/run")
    parser.add_argument("names", nargs="*", metavar="NAME", help=" ".join(FIGURES))
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--samples")
    parser.add_argument("--fair", action="store_true")
    parser.add_argument("--part", action="append", choices=(*safe.PARTS, *applications.PARTS))
    parser.add_argument("--minutes", type=float)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 31))
    args = parser.parse_args()
    unknown = [n for n in args.names if n not in FIGURES]
    if unknown:
        parser.error(f"there is no figure '{unknown[0]}'; there are: {' '.join(FIGURES)}")
    if "safety" not in args.names and args.minutes:
        parser.error("--minutes is of safety")
    if args.part and args.names not in (["safety"], ["applications"]):
        parser.error("--part is of safety or of applications, named alone")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGHUP, lambda *_: sys.exit(129))
    report = Report(samples_folder(args))
    started = time.monotonic()
    print(f"tests/bench/run {' '.join(args.names)}{' --quick' if args.quick else ''}{' --fair' if args.fair else ''} --seed {args.seed}; {report.machine()}", flush=True)
    try:
        for name in args.names or GATE:
            begun = time.monotonic()
            report.policy = set_policy(name, args.fair)
            more = {"safety": {"parts": args.part, "minutes": args.minutes}, "applications": {"parts": args.part}}.get(name, {})
            FIGURES[name](report, args.quick, random.Random(f"{args.seed} {name}"), **more)
            report.say(f"  ({time.monotonic() - begun:.0f} s)")
    except AssertionError as e:
        print(f"tests/bench/run: {e}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted: cleaning up", file=sys.stderr)
        return 130
    finally:
        world.close_all()
    return report.end(time.monotonic() - started)


if __name__ == "__main__":
    sys.exit(main())
