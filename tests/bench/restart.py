"""Dead process -> its replacement runs, against a bare loop of C: fork, exec, wait by pidfd, again. The two take turns, kill by kill.

Two series: processes that had run for a while, and processes that die again within 50 ms of their start. In the second restart-delay is 0 s: the pause between quick restarts is what
the operator asks for with that option, and no part of the product's own time."""
import time

import tree
import world
from hands import Helper, Stamps, application, kill, make_world, pause, stamp
from report import quantile

ROUNDS, QUICK_ROUNDS = 200, 80
LIMIT = 60  # restart-limit of the second series: what comes after it is tried too, and must not be


def one(stamps, last, wait_s):
    """Kills what started last, `wait_s` after its start at the earliest. (nanoseconds, the replacement's line)"""
    rest = wait_s - (world.boot_ns() - last.t) / 1e9
    if rest > 0:
        time.sleep(rest)
    killed = kill(last.pid)
    line = stamps.after(killed, "start")
    return line.t - killed, line


def series(floor, ours, rounds, wait):
    """(floor, ours) in nanoseconds per round, and the longest that one of ours lived before its kill."""
    lines = {s: s.last("start") for s in (floor, ours)}
    samples, lived = [], []
    for _ in range(rounds):
        lived.append(lines[ours].t)
        pair = []
        for s in (floor, ours):
            taken, lines[s] = one(s, lines[s], wait())
            pair.append(taken)
        lived[-1] = lines[ours].t - pair[1] - lived[-1]
        samples.append(tuple(pair))
    return samples, max(lived[1:])


def judge(report, name, what, measured, most):
    samples, longest = measured
    floors, times = [f for f, _ in samples], [t for _, t in samples]
    report.samples(name, ("floor_ns", "ours_ns"), samples)
    report.against_floor("restart", f"{what}, median of {len(samples)}", quantile(times, 0.5), quantile(floors, 0.5), most)
    p99 = quantile(times, 0.99), quantile(floors, 0.99)
    report.row("restart", "  longest life before a kill", f"{longest / 1e6:.0f} ms", "shown")
    report.row("restart", "  its p99", f"{p99[0] / 1e6:.3f} ms", "shown", f"{p99[1] / 1e6:.3f} ms", f"{p99[0] / p99[1]:.2f}")


def measure(report, quick, rng):
    report.title("restart", "dead process -> its replacement runs (mutual TLS)")
    w = make_world(hosts=("a",))
    ours = application(w, "r1", "a")
    short = application(w, "r2", "a", restart_limit=LIMIT, restart_window="1h")
    w.start()
    floor = Stamps(w.apps_dir / "floor.stamps")
    Helper(w, "a", tree.program("bench_floor"), "respawn", *stamp(w, floor.path, "start", "stay"))
    floor.after(0, "start")
    judge(report, "restart", "after a while", series(floor, ours, QUICK_ROUNDS if quick else ROUNDS, lambda: rng.uniform(0.06, 0.16)), 1.5)
    judge(report, "restart-quick-deaths", "died within 50 ms", series(floor, short, LIMIT, lambda: rng.uniform(0.005, 0.015)), 1.5)
    kill(short.last("start").pid)
    stays_down = world.wait(lambda: w.app("r2")["failed"], what="the limit of restarts holds")
    report.row("restart", f"the death after restart-limit ({LIMIT})", "stays down", "no restart", ok=bool(stays_down) and len(short.lines()) == LIMIT + 1)
    w.close()
