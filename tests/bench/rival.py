"""keepalived as Debian has it, on two hosts of a bridge, at 100 ms adverts: how long until the other one holds the virtual address, and for how long both do.

Its configuration is the ordinary one for a pair: VRRP version 3, no pre-emption. What holds the address is asked of the kernels, a thousand times a second (vip.c)."""
import collections
import os
import signal
import subprocess
import time

import janitor
import network
import tree
import world

ADDRESS = "10.77.0.100"
CONF = """global_defs {{
    router_id {host}
    vrrp_version 3
}}
vrrp_instance pair {{
    state BACKUP
    nopreempt
    interface eth0
    virtual_router_id 51
    priority {priority}
    advert_int 0.1
    virtual_ipaddress {{
        {address}/24
    }}
}}
"""
Held = collections.namedtuple("Held", "since until")


def holdings(path, now):
    """The times in which the kernel had the address, oldest first; an open one lasts until `now`."""
    rows = [line.split() for line in path.read_text().splitlines() if line and "end" not in line]
    held, since = [], None
    for t, word in rows:
        if word == "1":
            since = int(t)
        elif since is not None:
            held.append(Held(since, int(t)))
            since = None
    return held + ([Held(since, now)] if since is not None else [])


def both_ns(a, b, since):
    """For how long after `since` both had it."""
    return sum(max(0, min(x.until, y.until) - max(x.since, y.since, since)) for x in a for y in b)


class Keepalived:
    """Two hosts, a keepalived and a look-out on each."""

    hosts = ("a", "b")

    def __init__(self, folder):
        self.dir = folder
        self.dir.mkdir(mode=0o755)
        self.net = network.Network(self.hosts)
        self.processes, self.lookouts = {}, []
        for host in self.hosts:
            (self.dir / f"{host}.conf").write_text(CONF.format(host=host, priority=100 if host == "a" else 90, address=ADDRESS))
            with open(self.dir / f"{host}.vip", "wb") as out:
                self.lookouts.append(subprocess.Popen(self.net.inside(host, tree.program("bench_vip"), ADDRESS), stdout=out, start_new_session=True))
        for host in self.hosts:
            self.start(host)
            self.settled()  # two that start in one instant both take the address

    def start(self, host):
        words = self.net.inside(host, "keepalived", "--dont-fork", "--vrrp", "--log-console", "-f", self.dir / f"{host}.conf", "-p", self.dir / f"{host}.pid",
                                "-r", self.dir / f"{host}.vrrp.pid")
        with open(self.dir / f"{host}.log", "ab") as log:
            self.processes[host] = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)

    def pids(self, host):
        """keepalived and its child, by their pids."""
        return [p for p in janitor.pids_in(self.net.namespace(host)) if world.command_of(p).split(" ")[0].endswith("keepalived")]

    def held(self, host):
        return holdings(self.dir / f"{host}.vip", world.boot_ns())

    def holder(self):
        """The one host that has the address, None while none or both have."""
        now = world.boot_ns()
        has = [h for h in self.hosts if (lambda l: l and l[-1].until >= now)(holdings(self.dir / f"{h}.vip", now))]
        return has[0] if len(has) == 1 else None

    def settled(self):
        return world.wait(self.holder, what="one keepalived holds the address")

    def signal(self, host, number):
        t = world.boot_ns()
        for pid in self.pids(host):
            os.kill(pid, number)
        return t

    def taken_after(self, host, t):
        def since():
            later = [h.since for h in self.held(host) if h.since > t]
            return later and later[0]
        return world.wait(since, what=f"{host} holds the address")

    def end(self, host):
        for pid in self.pids(host):
            os.kill(pid, signal.SIGKILL)
        self.processes[host].wait(10)
        for left in self.dir.glob(f"{host}.*pid"):  # of a child that its new parent has not reaped yet
            left.unlink()
        subprocess.run(self.net.inside(host, "ip", "address", "del", f"{ADDRESS}/24", "dev", "eth0"), capture_output=True)

    def close(self):
        self.net.close()
        for p in [*self.processes.values(), *self.lookouts]:
            p.wait(10)


def round_of(k, fault, lasts):
    """One fault on the holder for so many seconds: (ns until the other one has the address, ns in which both had it)."""
    old = k.settled()
    new = "b" if old == "a" else "a"
    time.sleep(0.5)
    assert k.holder() == old, "the address moves by itself"
    if fault == "cut":
        t = world.boot_ns()
        k.net.cut(old)
    else:
        t = k.signal(old, signal.SIGKILL if fault == "killed" else signal.SIGSTOP)
    taken = k.taken_after(new, t) - t
    time.sleep(max(0, lasts - (world.boot_ns() - t) / 1e9))
    if fault == "stopped":
        k.signal(old, signal.SIGCONT)
        time.sleep(0.5)
    both = both_ns(k.held(old), k.held(new), t)
    if fault == "cut":
        k.net.heal(old)
    k.end(old)
    k.start(old)
    time.sleep(0.5)
    return taken, both


def measure(rounds, lasts):
    """{fault: [(taken_ns, both_ns)]}"""
    k = Keepalived(world.scratch() / "keepalived")
    try:
        return {fault: [round_of(k, fault, lasts) for _ in range(rounds)] for fault in ("killed", "stopped", "cut")}
    finally:
        k.close()
