"""The network fence and the virtual IP (SAFETY 5.2): what the kernel closes by itself, with agent and keeper stopped."""
import signal
import subprocess

import pytest

from safety import SafetyWorld
from world import alive, wait

PORT = 7000
# Beside the witness, in its cgroup and knowing nothing of leases: answers everybody with its name.
SERVER = """#!/bin/bash
/usr/bin/python3 - <<'END' &
import os, socket
name = os.environ["LCA_APPLICATION"].encode()
s = socket.create_server(("0.0.0.0", %d), backlog=64)
while True:
    c, _ = s.accept()
    try:
        c.sendall(name)
    except OSError:
        pass
    c.close()
END
exec %s "$@"
"""
CLIENT = "import socket, sys; print(socket.create_connection((sys.argv[1], int(sys.argv[2])), 0.5).recv(64).decode())"


class FencedWorld(SafetyWorld):
    """p1 and p2 serve on their host's address as long as they live, and on the virtual IP."""

    def __init__(self, fence="yes", **more):
        super().__init__(hosts=("a", "b", "c"), **more)
        self.virtual = self.net.address["a"].rpartition(".")[0] + ".200"
        for host, app in (("a", "p1"), ("b", "p2")):
            self.lca_conf[host][f"application {app}"] = {"network-fence": fence, "virtual-ip": f"{self.virtual}/24@{self.interface(host)}"}
        script = self.bin / "serving"
        script.write_text(SERVER % (PORT, self.testapp()))
        script.chmod(0o755)
        self.pair(command=f"{script} run {self.apps_dir}")

    def interface(self, host):
        out = subprocess.run(self.net.inside(host, "ip", "-o", "-4", "address"), capture_output=True, text=True, check=True).stdout
        return next(line.split()[1] for line in out.splitlines() if self.net.address[host] in line)

    def served(self, address):
        """Who answers a client on c at that address; "" for nobody."""
        done = subprocess.run(self.net.inside("c", "/usr/bin/python3", "-c", CLIENT, address, PORT), capture_output=True, text=True, timeout=60)
        return done.stdout.strip()

    def wait_served(self, address, app):
        wait(lambda: self.served(address) == app, what=f"{app or 'nobody'} answers at {address}")


@pytest.fixture
def make_fenced(make_world):
    def make(**more):
        return make_world(kind=FencedWorld, **more).start()
    return make


def test_the_standbys_network_is_its_own_and_the_address_follows_the_role(make_fenced):
    """A planned switchover: both serve on their hosts' addresses before and after it, and the virtual IP goes along."""
    w = make_fenced()
    for app in ("p1", "p2"):
        w.wait_served(w.net.address["a"], "p1")
        w.wait_served(w.net.address["b"], "p2")
        w.wait_served(w.virtual, app)
        if app == "p1":
            with w.gap(until="p2"):
                assert w.ctl("switchover", "p1", "--yes").code == 0
            w.wait_normal("p2")
    for host in w.hosts:
        assert "30323" not in w.path(f"lca-{host}.log").read_text()
    w.expect(changes=1)


@pytest.mark.parametrize("fence", ["yes", "no"])
def test_fault13_the_fence_closes_although_keeper_and_agent_are_stopped(make_fenced, fence):
    """The process and its address are there still; nobody reaches them. Without the fence the address alone is closed."""
    w = make_fenced(fence=fence)
    w.wait_served(w.virtual, "p1")
    pid, stopped = w.pid("p1"), [w.agent_pid("a"), w.lca("a").pid]
    with w.gap(until="p2"):
        w.signal_all(stopped, signal.SIGSTOP)
    w.wait_served(w.virtual, "p2")
    assert alive(pid)
    assert w.served(w.net.address["a"]) == ("" if fence == "yes" else "p1")
    addresses = subprocess.run(w.net.inside("a", "ip", "-4", "address"), capture_output=True, text=True, check=True).stdout
    assert w.virtual in addresses
    w.thaw(stopped)
    w.wait_normal("p2")
    w.wait_served(w.net.address["a"], "p1")  # started anew, as backup, with a network of its own
    w.wait_served(w.virtual, "p2")
    addresses = subprocess.run(w.net.inside("a", "ip", "-4", "address"), capture_output=True, text=True, check=True).stdout
    assert w.virtual not in addresses
    w.expect(changes=1)


def test_a_keeper_that_comes_after_a_killed_one_goes_on_with_the_fence(make_fenced):
    w = make_fenced()
    w.wait_served(w.virtual, "p1")
    pids = w.pids()
    w.lca("a").kill_and_return()
    w.wait_normal("p1")
    w.hold(1, "p1")
    w.wait_served(w.virtual, "p1")
    w.wait_served(w.net.address["a"], "p1")
    w.assert_untouched(pids)
    w.expect(changes=0)


def test_a_flushed_ruleset_is_made_again(make_fenced):
    """As the distribution's own firewall service does at its reload."""
    w = make_fenced()
    w.wait_served(w.virtual, "p1")
    subprocess.run(w.net.inside("a", "nft", "flush", "ruleset"), check=True)

    def stands():
        listing = subprocess.run(w.net.inside("a", "nft", "list", "ruleset"), capture_output=True, text=True, check=True).stdout
        return "expires" in listing and "@fenced" in listing

    wait(stands, what="the fence stands again")
    w.wait_served(w.virtual, "p1")
    w.expect(changes=0)
