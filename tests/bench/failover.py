"""Primary killed -> the standby's role command runs, against a bare relay of C with the same sockets and one record brought to disk. The two take turns, kill by kill."""
import tree
from hands import Helper, Stamps, command, kill, make_world, pair, pause, stamp
from report import quantile

ROUNDS, QUICK_ROUNDS = 200, 60
PORT_IN, PORT_OUT = 7001, 7002


class Relay:
    """The floor: who waits for the victim on a, who passes on, who starts the command on b."""

    def __init__(self, w):
        self.victim, self.done = (Stamps(w.apps_dir / f"floor.{x}") for x in ("victim", "done"))
        floor, middle = tree.program("bench_floor"), w.net.address["scs"]
        self.helpers = [Helper(w, "scs", floor, "pass", PORT_IN, PORT_OUT),
                        Helper(w, "b", floor, "act", middle, PORT_OUT, w.path("floor.record"), *stamp(w, self.done.path, "done")),
                        Helper(w, "a", floor, "watch", middle, PORT_IN, *stamp(w, self.victim.path, "start", "stay"))]
        self.helpers[0].line()
        self.last = 0

    def round(self):
        victim = self.victim.after(self.last, "start")
        self.last = victim.t
        killed = kill(victim.pid)
        return self.done.after(killed, "done").t - killed


class Ours:
    def __init__(self):
        self.w = make_world()
        self.w.scs_conf["scs"]["haflip-detect-timeout"] = "0s"
        self.stamps = pair(self.w)
        self.w.start()
        self.primary, self.backup = "p1", "p2"

    def round(self):
        old, new = self.primary, self.backup
        killed = kill(self.stamps[old].last("start").pid)
        taken = self.stamps[new].after(killed, "primary").t - killed
        self.primary, self.backup = new, old
        self.w.wait_normal(new, timeout=60)
        return taken


def measure(report, quick, rng):
    report.title("failover", "primary killed -> the standby's role command runs (mutual TLS)")
    ours = Ours()
    relay = Relay(ours.w)
    samples = []
    for _ in range(QUICK_ROUNDS if quick else ROUNDS):
        pause(rng, 0.02, 0.12)
        floor = relay.round()
        pause(rng, 0.02, 0.12)
        samples.append((floor, ours.round()))
    ours.w.close()
    floors, times = [f for f, _ in samples], [t for _, t in samples]
    report.samples("failover", ("floor_ns", "ours_ns"), samples)
    report.against_floor("failover", f"median of {len(samples)}", quantile(times, 0.5), quantile(floors, 0.5), 3)
    report.against_floor("failover", "p99", quantile(times, 0.99), quantile(floors, 0.99), 5)
