"""Primary killed → the standby's role command has started; against a bare relay with the same hops in the same namespaces."""
import os
import signal
import subprocess
import time

from measure import BenchWorld, Result, median, ms, percentile, tree

PORT = 7001
MEDIAN_RATIO, P99_RATIO = 3, 5


class Floor:
    """bench-relay in the namespaces of the world: A beside the victim, C where scs is, B beside the standby."""

    def __init__(self, w):
        self.w, self.relay = w, tree.program("bench-relay")
        self.processes = []
        self._start("scs", "c", PORT).stdout.readline()
        self._start("b", "b", w.net.address["scs"], PORT, w.mark, w.marks_file("floor")).stdout.readline()
        self.a = self._start("a", "a", w.net.address["scs"], PORT, w.mark, w.marks_file("victim"), "sleep")

    def _start(self, host, *words):
        p = subprocess.Popen(self.w.net.inside(host, self.relay, *words), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.processes.append(p)
        return p

    def sample(self):
        self.a.stdin.write("start\n")
        self.a.stdin.flush()
        pid = int(self.a.stdout.readline())
        self.w.next_mark("victim", time.monotonic_ns() - 10**9)
        time.sleep(0.02)
        since = time.monotonic_ns()
        os.kill(pid, signal.SIGKILL)
        return self.w.next_mark("floor", since)[0] - since

    def close(self):
        for p in self.processes:
            p.kill()
            p.wait()


def sample(w, primary):
    """Kills the primary; ns until the standby's on-primary began, and who is primary."""
    standby = "p2" if primary == "p1" else "p1"
    pid = w.marks(primary)[-1][1]
    since = time.monotonic_ns()
    os.kill(pid, signal.SIGKILL)
    took = w.next_mark(f"{standby}.role", since, role="primary")[0] - since
    w.next_mark(primary, since)
    w.wait_normal(primary=standby, pair="p1")
    return took, standby


def build():
    w = BenchWorld(("a", "b"))
    for name, host in (("p1", "a"), ("p2", "b")):
        roles = f"{w.mark} {w.marks_file(name + '.role')}"
        w.marked(name, host, on_primary=roles, on_backup=roles)
    w.scs_conf["application p1"]["backup"] = "p2"
    w.scs_conf["scs"]["haflip-detect-timeout"] = "0"
    return w


def run(quick, samples):
    n = 40 if quick else 200
    with build() as w:
        w.start()
        floor = Floor(w)
        ours, bare, primary = [], [], w.pair_state("p1")["primary"]
        for _ in range(n):
            bare.append(floor.sample())
            took, primary = sample(w, primary)
            ours.append(took)
        floor.close()
    samples.keep("switchover", {"ours_ns": ours, "floor_ns": bare})
    m, p = median(ours) / median(bare), percentile(ours, 99) / percentile(bare, 99)
    beside = lambda f: f"ours {ms(f(ours)):.2f} ms, floor {ms(f(bare)):.2f} ms, {n} kills with mutual TLS"
    return [Result("switchover after a kill, median", m, MEDIAN_RATIO, "x floor", beside(median)),
            Result("switchover after a kill, p99", p, P99_RATIO, "x floor", beside(lambda v: percentile(v, 99)))]
