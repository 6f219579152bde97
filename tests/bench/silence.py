"""A host falls silent -> the switchover is decided. addp-timeout = 100 ms in both directions, host-loss = confirmed, fencing = none: with leases the
decision waits for the lease's end, whatever ADDP says (the figure for that is in safe.py).

The cut is one store in the bridge (cut.c), timed on both sides; the decision's instant is the controller's own, as `scsctl why` has it, moved from the wall clock to CLOCK_BOOTTIME by
reading both clocks here. A control timer runs all the while and says how late this machine is by itself."""
import re
import time

import tree
import world
from hands import Helper, make_world, pair, pause
from report import ms, quantile

T = 100_000_000
SLACK = 20_000_000
ROUNDS, QUICK_ROUNDS = 100, 24
TIMER_MS = 10


def wall_minus_boot_ns():
    """The least of several: whatever comes between the two readings makes it greater."""
    best = None
    for _ in range(5):
        before = world.boot_ns()
        wall = time.time_ns()
        after = world.boot_ns()
        if best is None or after - before < best[0]:
            best = (after - before, wall - (before + after) // 2)
    return best[1]


def sees_its_peer(w, host):
    """What the agent last said of the other one."""
    said = re.findall(r" (peer-seen|peer-lost) ", w.path(f"lca-{host}.log").read_text())
    return said and said[-1] == "peer-seen"


def links_are_up(w):
    """Both hosts Running and both agents connected to each other: only then has a cut to be seen by the controller and by the peer."""
    return all(sees_its_peer(w, h) for h in w.hosts) and all(h["status"] == "Running" for h in w.status()["hosts"])


def decided_after(w, to, since_ns):
    """The decision that made `to` primary after this instant, on CLOCK_BOOTTIME."""
    d = w.why("p1")["decision"]
    if not d or d["to"] != to:
        return None
    at = d["time_us"] * 1000 - wall_minus_boot_ns()
    return (at, d) if at > since_ns else None


def one_cut(w, cutter, old, new, host):
    """(nanoseconds from the cut to the decision, uncertainty of the cut's instant, rule)"""
    device = f"v{w.hosts.index(host) + 1}"
    before, after = map(int, cutter.ask(f"cut {device}").split())
    time.sleep(0.26)  # nobody is asked while it is measured
    at, decision = world.wait(lambda: decided_after(w, new, before), what=f"{new} is made primary")
    cutter.ask(f"heal {device}")
    return at - before, after - before, decision["rule"]


def measure(report, quick, rng):
    report.title("silence", "host silent -> switchover decided (addp-timeout = 100ms both ways, mutual TLS)")
    w = make_world()
    w.scs_conf["scs"].update({"addp-timeout": "100ms", "addp-remote-timeout": "100ms", "haflip-detect-timeout": "0s", "disconnect-switchover-timeout": "0s"})
    pair(w, fencing="none")
    w.start()
    cutter = Helper(w, "-net", tree.program("bench_cut"))
    timer = Helper(w, "scs", tree.program("bench_timer"), TIMER_MS)
    primary, backup = "p1", "p2"
    samples = []
    for _ in range(QUICK_ROUNDS if quick else ROUNDS):
        world.wait(lambda: links_are_up(w), what="every connection is up")
        pause(rng, 0.25, 0.45)
        samples.append(one_cut(w, cutter, primary, backup, "a" if primary == "p1" else "b"))
        primary, backup = backup, primary
        w.wait_normal(primary, timeout=60)
    late = [int(x) for x in timer.end().split()]
    w.close()
    judge(report, samples, late)


def judge(report, samples, late):
    times = [s[0] for s in samples]
    report.samples("silence", ("decided_ns", "cut_uncertainty_ns", "rule"), samples)
    report.samples("silence-timer", ("late_ns",), [(x,) for x in late])
    p99 = quantile(times, 0.99)
    report.row("silence", f"p99 of {len(times)} cuts", ms(p99), "100..220 ms", ok=T <= p99 <= 2 * T + SLACK)
    for what, value, control in (("minimum", min(times), min(late)), ("median", quantile(times, 0.5), quantile(late, 0.5)), ("maximum", max(times), max(late))):
        report.row("silence", f"{what} (floor: the control timer's lateness)", ms(value), "shown", ms(control))
    report.row("silence", "the cut's instant is known to within", ms(max(s[1] for s in samples)), "shown")
