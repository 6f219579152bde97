"""Host silent → switchover decided, with ADDP 100 ms on every link; beside a timer with nothing to do, as measure of the machine itself.

The cut is one ioctl on the bridge's end of the host's cable, so its instant is known; the decision's instant is what `scsctl why` says of it."""
import ctypes
import fcntl
import os
import random
import socket
import struct
import subprocess
import threading
import time

from measure import BenchWorld, Result, median, ms, percentile, tree

T_MS = 100
SLACK_MS = 20
CLONE_NEWNET = 0x40000000
SIOCSIFFLAGS, IFF_UP = 0x8914, 1
SEED = 20


def socket_in(namespace):
    """A socket that acts in another network namespace; the thread that opened it is gone."""
    box = []

    def open_there():
        with open(f"/run/netns/{namespace}") as f:
            if ctypes.CDLL(None, use_errno=True).setns(f.fileno(), CLONE_NEWNET) < 0:
                raise OSError(ctypes.get_errno(), "setns")
        box.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))

    t = threading.Thread(target=open_there)
    t.start()
    t.join()
    return box[0]


class Cable:
    def __init__(self, w, host):
        self.socket = socket_in(w.net.namespace("-net"))
        self.device = f"v{w.net.hosts.index(host) + 1}".encode()

    def set(self, up):
        """Returns the instant, wall clock in ns."""
        request = struct.pack("16sh14x", self.device, IFF_UP if up else 0)
        at = time.time_ns()
        fcntl.ioctl(self.socket, SIOCSIFFLAGS, request)
        return at


def build():
    w = BenchWorld(("a", "b"))
    for name, host in (("p1", "a"), ("p2", "b")):
        roles = f"{w.mark} {w.marks_file(name + '.role')}"
        w.marked(name, host, on_primary=roles, on_backup=roles)
    w.scs_conf["application p1"]["backup"] = "p2"
    w.scs_conf["scs"].update({"haflip-detect-timeout": "0", "addp-timeout": f"{T_MS}ms", "addp-remote-timeout": f"{T_MS}ms", "poll-period": "100ms"})
    return w


def sample(w, cables, r):
    """Cuts the primary's host off; ms from the cut to the decision."""
    primary = w.pair_state("p1")["primary"]
    host, standby = ("a", "p2") if primary == "p1" else ("b", "p1")
    time.sleep(r.random() * T_MS / 1000)
    cut = cables[host].set(False)
    w.next_mark(f"{standby}.role", 0 if not w.marks(f"{standby}.role") else w.marks(f"{standby}.role")[-1][0] + 1, role="primary")
    decision = w.why("p1")["decision"]
    cables[host].set(True)
    w.wait_normal(primary=standby, pair="p1")
    time.sleep(1.2)  # the agents' own link is back: its back-off ends at a second
    assert decision["to"] == standby, decision
    return decision["time_us"] / 1e3 - cut / 1e6


def run(quick, samples):
    n, r = 15 if quick else 100, random.Random(SEED)
    with build() as w:
        w.start()
        cables = {h: Cable(w, h) for h in ("a", "b")}
        time.sleep(1.5)
        control = subprocess.Popen([tree.program("bench-lateness"), "10"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        took = [sample(w, cables, r) for _ in range(n)]
        late = [int(line) / 1e6 for line in control.communicate()[0].split()]
    samples.keep("silence", {"decided_ms": took, "control_late_ms": late, "seed": SEED})
    beside = (f"{n} cuts at T = {T_MS} ms: {min(took):.1f} .. {max(took):.1f} ms, median {median(took):.1f}; a control timer was late by {max(late):.2f} ms at most, "
              f"p99 {percentile(late, 99):.2f}")
    return [Result("host silent until decided, p99", percentile(took, 99), 2 * T_MS + SLACK_MS, "ms", beside),
            Result("host silent until decided, earliest (not before T)", T_MS - min(took), 0, "ms too early", f"earliest {min(took):.1f} ms")]
