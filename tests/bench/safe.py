"""Fast and never two: how long a silent host's work stands still, what false alarms a busy machine raises, what becomes of primaries when controllers die; and the
same faults under keepalived (rival.py).

Everything is measured by witnesses (tests/apps/witness.c), which write down every millisecond in which they act; all namespaces share one clock. A site has three
hosts whose agents vote (arbiter = agents), two controllers in places of their own, one pair on the first two hosts, fencing = lease, mutual TLS. A site is
watched from its start to its end (watch.py), so an overlap that nobody waited for is found too.

Long parts in which nothing is timed run side by side with parts that leave the processors idle; nothing runs beside the load."""
import calendar
import contextlib
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time

import rival
import tree
import world
from hands import DiskControl, Helper, make_plain, pause
from report import ms, quantile
from safety import SafetyWorld
from silence import wall_minus_boot_ns
from watch import Watch

LEASE_MS = {"default": 2000, "fast": 150}
CUT_BOUND_MS = {"default": 3000, "fast": 300}
PARTS = ("simulator", "cuts", "leader", "gone", "stress", "rival")
SIZES = {  # full, quick
    "fast cuts": (100, 12), "default cuts": (100, 3), "fast leader kills": (100, 8), "default leader kills": (100, 2),
    "seconds without controllers": (600, 10), "seconds of load": (1800, 15), "rounds": (10, 2), "seeds": (200, 40)}
FAULT_LASTS = 2  # seconds; of each fault that keepalived gets too


class Site:
    """A site that runs, its watch, and the hands for its faults."""

    def __init__(self, profile, realtime, more, fencing="lease"):
        w = self.w = SafetyWorld(arbiter="agents", profile=profile, fencing=fencing)
        make_plain(w)
        w.scs_conf["scs"].update({"haflip-detect-timeout": "0s", **more})
        word = "yes" if realtime else "no"
        for section in (*(w.lca_conf[h]["lca"] for h in w.hosts), *w.own_conf.values()):
            section["realtime"] = word
        w.pair(restart_delay="0s", restart_limit=1000, restart_window="1s")
        w.start()
        self.cutter = Helper(w, "-net", tree.program("bench_cut"))
        self.watch = Watch(w)

    def acting(self):
        """The member that acts, and the other one."""
        return world.wait(lambda: (lambda found: found and (found[0], "p2" if found[0] == "p1" else "p1"))(self.w.acting()), what="a primary acts")

    def host_of(self, app):
        return self.w.scs_conf[f"application {app}"]["host"]

    def port_of(self, app):
        return f"v{self.w.net.hosts.index(self.host_of(app)) + 1}"

    def settled(self):
        """Both hosts are heard, the pair is whole, one controller leads and the other one is there."""
        self.w.wait_normal(timeout=60)
        world.wait(lambda: all(h["status"] == "Running" for h in self.w.status()["hosts"]), 60, "all hosts are Running")
        world.wait(lambda: self.w.ctl("authority").json["authority"]["peer_up"], 60, "the controllers are connected")

    def say(self):
        """What a reader of a failure wants to know."""
        lines = [self.w.story()]
        for which in (*self.w.hosts, *self.w.controllers):
            lines += [f"-- {which}", *self.w.log(which).splitlines()[-12:]]
        print("\n".join(lines), file=sys.stderr, flush=True)

    def close(self):
        try:
            self.watch.end()
        finally:
            self.w.close()


@contextlib.contextmanager
def site(profile, realtime=False, fencing="lease", **more):
    """`more`: options of [scs]."""
    s = Site(profile, realtime, {k.replace("_", "-"): v for k, v in more.items()}, fencing)
    try:
        yield s
    except AssertionError:
        s.say()
        raise
    finally:
        s.close()


class Table:
    """The rows of one run, and what all sites of it saw of two at once."""

    def __init__(self, report, quick):
        self.report, self.quick = report, quick
        self.overlap_ms, self.stale, self.cuts = 0.0, 0, 0

    def size(self, of):
        return SIZES[of][1 if self.quick else 0]

    def row(self, what, figure, bound="shown", ok=None, **more):
        self.report.row("safety", what, figure, bound, ok=ok, **more)

    @contextlib.contextmanager
    def part(self, name):
        """What fails in here is a bound that is missed; the other parts go on."""
        try:
            yield
        except AssertionError as e:
            print(f"{name}: {e}", file=sys.stderr, flush=True)
            self.row(f"{name}: not measured to its end", "failed", "", False)

    def seen(self, s):
        """Takes over what a site's watch found of two at once."""
        s.watch.look()
        self.overlap_ms += s.watch.overlap_ms
        self.stale += s.watch.stale
        return s.watch


# -- a host falls silent ---------------------------------------------------------------------------------------------------------------------


def one_cut(s):
    """ns from the cut until the other one acts."""
    old, new = s.acting()
    before = int(s.cutter.ask(f"cut {s.port_of(old)}").split()[0])
    taken = s.watch.first_act(new, before) - before
    time.sleep(0.2)
    s.cutter.ask(f"heal {s.port_of(old)}")
    return taken


def cuts(table, rng, profile):
    rounds, bound = table.size(f"{profile} cuts"), CUT_BOUND_MS[profile]
    samples = []
    with site(profile, realtime=profile == "fast") as s:
        for _ in range(rounds):
            s.settled()
            pause(rng, 0.3, 0.3 + LEASE_MS[profile] / 1000)
            samples.append(one_cut(s))
        s.settled()
        seen = table.seen(s)
    table.cuts += rounds
    table.report.samples(f"safety-cut-{profile}", ("acting_ns",), [(t,) for t in samples])
    p99 = quantile(samples, 0.99)
    table.row(f"{profile}: host silent -> standby acts, p99 of {rounds}", ms(p99), f"<= {bound} ms", p99 <= bound * 1e6)
    table.row("  its median", ms(quantile(samples, 0.5)))
    table.row("  switchovers for these cuts", str(seen.changes), str(rounds), seen.changes == rounds)


def proof(table):
    """The same cut without leases: what looks for two at once has to find them."""
    with site("default", fencing="none", host_loss="controller", addp_timeout="100ms", addp_remote_timeout="100ms") as s:
        s.settled()
        one_cut(s)
        s.settled()
        s.watch.look()
        table.row("such a cut with fencing = none: two acted", f"{s.watch.overlap_ms:.1f} ms", "> 0 ms", s.watch.overlap_ms > 0)


# -- controllers die -------------------------------------------------------------------------------------------------------------------------


def led_since(w, t):
    """When a controller took up the authority after this instant, by the controllers' own logs; on CLOCK_BOOTTIME."""
    offset = wall_minus_boot_ns()
    found = []
    for label in w.controllers:
        for stamp, micros in re.findall(r"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.(\d{6})Z \w+ \d+ authority-held ", w.log(label), re.M):
            wall = calendar_seconds(stamp) * 1_000_000_000 + int(micros) * 1000
            if wall - offset > t:
                found.append(wall - offset)
    return min(found, default=None)


def calendar_seconds(stamp):
    return calendar.timegm(time.strptime(stamp, "%Y-%m-%dT%H:%M:%S"))


def leader_kills(table, rng, profile):
    """kill -9 of the leading controller, again and again; it is started again as by a service manager."""
    rounds, bound = table.size(f"{profile} leader kills"), LEASE_MS[profile] * 1.4
    samples = []
    with site(profile, realtime=profile == "fast") as s:
        disk = DiskControl(s.w.path("control"))
        for _ in range(rounds):
            s.settled()
            pause(rng, 0.2, 0.2 + LEASE_MS[profile] / 1000)
            leader = s.w.leader()
            t = world.boot_ns()
            s.w.daemon(leader).kill()
            samples.append(world.wait(lambda since=t: led_since(s.w, since), what="a controller leads again") - t)
        s.settled()
        seen, disk_ns = table.seen(s), disk.end()
    table.report.samples(f"safety-leader-{profile}", ("led_ns",), [(t,) for t in samples])
    p99 = quantile(samples, 0.99)
    table.row(f"{profile}: leader killed -> led again, p99 of {rounds}", ms(p99), f"<= {bound:.0f} ms", p99 <= bound * 1e6, floor=ms(quantile(disk_ns, 0.99)))
    table.row("  its median (floor: fdatasync of one page)", ms(quantile(samples, 0.5)), floor=ms(quantile(disk_ns, 0.5)))
    table.row("  its maximum", ms(max(samples)), floor=ms(max(disk_ns)))
    table.row("  primaries lost meanwhile", str(seen.lost), "0", seen.lost == 0)
    table.row("  longest time between two acts", f"{seen.longest_gap_ms:.1f} ms")


class Gone:
    """A site whose two controllers are killed and stay away, while other things are measured."""

    def __init__(self, table):
        self.table, self.seconds = table, table.size("seconds without controllers")
        self.s = Site("fast", True, {})
        self.s.settled()
        for label in self.s.w.controllers:
            self.s.w.kill_controller(label)
        self.since = time.monotonic()

    def end(self):
        try:
            self._judge()
        finally:
            self.s.close()

    def _judge(self):
        time.sleep(max(0, self.seconds - (time.monotonic() - self.since)))
        w, table = self.s.w, self.table
        away = time.monotonic() - self.since
        seen = table.seen(self.s)
        lost, acts = seen.lost, len(w.acting()) == 1
        table.row(f"both controllers gone for {away:.0f} s: primaries lost", str(lost + (not acts)), "0", lost == 0 and acts)
        for label in w.controllers:
            w.start_controller(label)
        self.s.settled()
        seen.look()
        table.row("  and after their return", str(seen.lost - lost), "0", seen.lost == lost)
        table.row("  longest time between two acts", f"{seen.longest_gap_ms:.1f} ms")


# -- a busy machine --------------------------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def ordinary_policy():
    """The product as anybody runs it: what is started in here inherits no priority."""
    policy, param = os.sched_getscheduler(0), os.sched_getparam(0)
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    try:
        yield
    finally:
        os.sched_setscheduler(0, policy, param)


def stress(table, minutes):
    """All cores kept busy by stress-ng; three sites side by side."""
    seconds = table.size("seconds of load") if table.quick or minutes is None else minutes * 60
    with ordinary_policy(), contextlib.ExitStack() as stack:
        sites = {k: stack.enter_context(site(*how)) for k, how in
                 {"default": ("default", False), "fast, realtime": ("fast", True), "fast, not realtime": ("fast", False)}.items()}
        for s in sites.values():
            s.settled()
            s.watch.look()
        before = {k: s.watch.lost for k, s in sites.items()}
        subprocess.run(["stress-ng", "--cpu", str(os.cpu_count()), "--timeout", f"{seconds:.0f}s", "--quiet"], stdin=subprocess.DEVNULL, check=True)
        for kind, s in sites.items():
            s.watch.look()
            lost = s.watch.lost - before[kind]
            what = f"{kind}: false failovers, {seconds:.0f} s of load"
            if kind == "fast, not realtime":
                table.row(what, f"{lost * 3600 / seconds:.0f} an hour")
            else:
                table.row(what, str(lost), "0", lost == 0)
            table.seen(s)


# -- beside keepalived -----------------------------------------------------------------------------------------------------------------------


def our_round(s, fault):
    """As rival.round_of(): the same fault on the host of the primary, for as long. ns until the other one acts."""
    old, new = s.acting()
    lca = s.w.daemon(s.host_of(old))
    pids = [lca.pid, s.w.agent_pid(s.host_of(old))]
    t = world.boot_ns()
    if fault == "cut":
        t = int(s.cutter.ask(f"cut {s.port_of(old)}").split()[0])
    elif fault == "killed":
        lca.stop(signal.SIGKILL)
    else:
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
    taken = s.watch.first_act(new, t) - t
    time.sleep(max(0, FAULT_LASTS - (world.boot_ns() - t) / 1e9))
    if fault == "cut":
        s.cutter.ask(f"heal {s.port_of(old)}")
    elif fault == "killed":
        lca.start()
    else:
        s.w.thaw(pids)
    s.settled()
    return taken


def beside(table):
    rounds = table.size("rounds")
    theirs = rival.measure(rounds, FAULT_LASTS)
    what = {"killed": "supervisor killed", "stopped": "stopped, continued", "cut": "host cut off"}
    table.report.say(f"  {f'the same faults, each for {FAULT_LASTS} s':44} {'understudy':>12} {'':>14} {'keepalived':>12}")
    with site("fast", True, agent_return_timeout="0s") as s:  # a dead supervisor is not waited for, as keepalived does not
        for fault, rows in theirs.items():
            s.settled()
            s.watch.look()
            before = s.watch.overlap_ms
            ours = [our_round(s, fault) for _ in range(rounds)]
            s.watch.look()
            both = s.watch.overlap_ms - before
            mine, their = quantile(ours, 0.5), quantile([t for t, _ in rows], 0.5)
            table.report.samples(f"safety-beside-{fault}", ("ours_ns", "keepalived_ns", "keepalived_both_ns"),
                                 [(o, *r) for o, r in zip(ours, rows)])
            table.row(f"{what[fault]}: other one acts, median", ms(mine), floor=ms(their), ratio=f"{mine / their:.2f}")
            table.row("  both active, mean", f"{both / rounds:.1f} ms", "0 ms", both == 0, floor=ms(sum(b for _, b in rows) / rounds))
        table.seen(s)


# -- the simulator ---------------------------------------------------------------------------------------------------------------------------


def simulator(table):
    """In the simulator's own processor time: others may want the machine."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = tree.run(tree.program("simulator"), "--bench", "--seeds", f"1..{table.size('seeds')}", timeout=1200)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    took = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    found = re.search(r"(\d+) events of the cores, .*?; (\d+) s of virtual time", done.stdout)
    assert done.returncode == 0 and found, f"simulator: exit {done.returncode}\n{done.stdout[-1000:]}{done.stderr[-1000:]}"
    rate = int(found[1]) / took
    table.row("simulator: core events per second, checks on", f"{rate:,.0f}", ">= 300,000", rate >= 300_000)
    table.row("  times real time", f"{int(found[2]) / took:.0f}")


def measure(report, quick, rng, parts=(), minutes=None):
    report.title("safety", "leases, three electors, two controllers, mutual TLS")
    for needed in ("keepalived", "stress-ng"):
        assert shutil.which(needed), f"{needed} is not installed"
    chosen, table = parts or PARTS, Table(report, quick)

    def run(name, *measured):
        for one in measured if name in chosen else ():
            with table.part(name):
                one()

    away = []
    run("simulator", lambda: simulator(table))
    run("gone", lambda: away.append(Gone(table)))
    run("cuts", lambda: proof(table), *(lambda p=p: cuts(table, rng, p) for p in LEASE_MS))
    run("leader", *(lambda p=p: leader_kills(table, rng, p) for p in LEASE_MS))
    run("rival", lambda: beside(table))
    run("gone", *(g.end for g in away))
    run("stress", lambda: stress(table, minutes))
    table.row("two acted at once, in all sites with leases", f"{table.overlap_ms:.1f} ms", "0 ms", table.overlap_ms == 0)
    table.row("  acts on a lower epoch after a higher", str(table.stale), "0", table.stale == 0)
