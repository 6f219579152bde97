"""Applications: what it costs them to take part.

library: lca_is_primary() beside a bare clock_gettime(CLOCK_BOOTTIME) of the same process, rounds by turns, the quickest of each counted because everything that
disturbs makes slower; and whether it makes a system call, by strace."""
import re
import subprocess

import tree
from report import quantile

PARTS = ("library",)
ROUNDS, QUICK_ROUNDS = 200, 50
MOST = 1.5
ASKED = 10000


def program():
    return tree.BUILD / "tests/bench/bench_library"


def library(report, quick):
    out = subprocess.run([program(), "primary", str(QUICK_ROUNDS if quick else ROUNDS)], capture_output=True, text=True, check=True).stdout
    rows = re.findall(r"clock ([\d.]+)\nprimary ([\d.]+)", out)
    clock, primary = ([float(row[i]) for row in rows] for i in (0, 1))
    ours, floor = min(primary), min(clock)
    report.row("applications", "lca_is_primary(), quickest round", f"{ours:.1f} ns", f"<= {MOST:g} x floor", f"{floor:.1f} ns", f"{ours / floor:.2f}", ours <= MOST * floor)
    report.row("applications", "the same, median of the rounds", f"{quantile(primary, 0.5):.1f} ns", "", f"{quantile(clock, 0.5):.1f} ns",
               f"{quantile(primary, 0.5) / quantile(clock, 0.5):.2f}")
    traced = subprocess.run(["strace", "-f", program(), "hold", str(ASKED)], capture_output=True, text=True, check=True).stderr
    calls = traced[traced.index('"begin'):traced.index('"end')].splitlines()[1:-1]
    calls = [line for line in calls if re.match(r"(\[pid +\d+\] )?\w+\(", line) and not line.startswith("write(2,")]
    report.row("applications", f"system calls in {ASKED} questions", str(len(calls)), "0", ok=not calls)
    report.samples("applications-library", ("clock_ns", "primary_ns"), rows)


def measure(report, quick, rng, parts=None):
    report.title("applications", "what it costs a program to take part")
    for part in parts or PARTS:
        {"library": library}[part](report, quick)
