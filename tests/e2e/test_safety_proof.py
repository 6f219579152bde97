"""The tools of the safety scenarios, proven on what must not be safe: with `fencing = none` two primaries have to be seen."""
import contextlib
import os
import signal
import socket
import subprocess
import time

import pytest

import etcd
import overlap
import tree
import wire
from safety import SafetyWorld
from world import boot_ns, wait

pytestmark = pytest.mark.audit(False)


@pytest.fixture
def make(make_world):
    """Worlds without leases. Their audits are the tests' own."""
    def one(**more):
        return make_world(kind=SafetyWorld, **{"hosts": ("a", "b"), "fencing": "none", "profile": "default", **more})
    return one


def quick(w, **more):
    w.scs_conf["scs"].update({"addp-timeout": "300ms", "addp-remote-timeout": "300ms", "poll-period": "100ms", "haflip-detect-timeout": "0s", **more})


def test_partition_without_fencing_is_seen(make):
    """{a} | {b, scs}: a goes on acting, b is made primary. The checker must measure it."""
    w = make()
    quick(w, **{"host-loss": "controller"})
    w.pair()
    w.start()
    w.wait_acting("p1")
    w.net.split(["a"], ["b", "scs"])
    w.wait_acting("p2")
    w.wait_acting("p1")
    w.net.heal()
    w.wait_normal("p2")
    w.wait_silent("p1")
    w.expect(changes=range(1, 1_000_000), overlap_ms=None)
    w.audit()
    seen = w.witnessed()
    assert seen.overlap_ms() > 0 and seen.stale() and seen.overlaps()
    with pytest.raises(AssertionError, match="two acted at once"):
        seen.expect(changes=range(1_000_000))


def test_planned_switchover_is_no_overlap(make):
    w = make()
    quick(w)
    w.pair()
    w.start()
    w.wait_acting("p1")
    with w.gap(until="p2"):
        assert w.ctl("switchover", "p1").code == 0
    w.wait_normal("p2")
    w.expect(changes=1)
    w.audit()


def test_killed_primary_is_no_overlap(make):
    w = make()
    quick(w)
    w.pair()
    w.start()
    w.wait_acting("p1")
    with w.gap(until="p2"):
        w.kill_app("p1")
    w.wait_normal("p2")
    w.expect(changes=1)
    w.audit()


def test_a_stopped_witness_is_not_told(make):
    """A role command waits for a stopped process, as most do, and what it was not told it does not act on."""
    w = make()
    w.pair(role_timeout="20s")
    w.start()
    pid = w.pid("p2")
    os.kill(pid, signal.SIGSTOP)
    assert w.ctl("switchover", "p1", "--no-wait").code == 0
    w.wait_silent("p1")
    assert not w.acts("p2")
    os.kill(pid, signal.SIGCONT)
    w.wait_acting("p2")
    w.wait_normal("p2")
    assert w.witnessed().overlap_ms() == 0 and not w.witnessed().stale()


class Lonely:
    """A witness without lca, with a lease word of the test's."""

    def __init__(self, folder, mode=""):
        self.dir, self.word = folder, folder / "word"
        (folder / "p1.mode").write_text(mode)
        self.program, self.environment = tree.program("witness"), {"LCA_APPLICATION": "p1", "LCA_LEASE_WORD": str(self.word)}
        self.lease(0)
        self.process = subprocess.Popen([self.program, "run", folder], env=self.environment)
        wait((folder / "p1.ctl").exists)

    def lease(self, ms, epoch="7.1"):
        subprocess.run([self.program, "word", self.word, str(ms), *epoch.split(".")], check=True, env=self.environment)

    def role(self, role, epoch="7.1"):
        return subprocess.run([self.program, "role", self.dir], env={**self.environment, "LCA_ROLE": role, "LCA_EPOCH": epoch}).returncode

    def samples(self, since=0):
        return [s for s in overlap.read_ring(self.dir / "p1.ring", "p1") if s.t >= since]


@pytest.fixture
def lonely(tmp_path):
    made = []

    def make_one(**more):
        made.append(Lonely(tmp_path, **more))
        return made[-1]

    yield make_one
    for one in made:
        one.process.kill()
        one.process.wait()


def test_witness_stops_by_itself_at_the_end_of_its_lease(lonely):
    w = lonely()
    wait(lambda: w.role("primary") == 0)
    wait(lambda: w.samples() and not w.samples()[-1].acting, what="told, but the word says no")
    w.lease(600_000, "7.2")
    wait(lambda: w.samples()[-1].acting)
    assert {s.epoch for s in w.samples() if s.acting} == {(7, 2)}, "the word's epoch"
    w.lease(300)
    end = boot_ns() + 300 * overlap.MS
    wait(lambda: w.samples() and not w.samples()[-1].acting)
    assert max(s.t for s in w.samples() if s.acting) <= end
    w.lease(600_000)
    wait(lambda: w.samples()[-1].acting)
    assert w.role("backup") == 0
    told = boot_ns()
    wait(lambda: boot_ns() > told + 50 * overlap.MS)
    assert w.samples(since=told) == [], "no sample once the command has ended"


def test_witness_that_was_stopped_past_its_lease_does_not_act(lonely):
    w = lonely()
    w.lease(300)
    end = boot_ns() + 300 * overlap.MS
    wait(lambda: w.role("primary") == 0)
    wait(lambda: w.samples() and w.samples()[-1].acting)
    os.kill(w.process.pid, signal.SIGSTOP)
    wait(lambda: boot_ns() > end)
    os.kill(w.process.pid, signal.SIGCONT)
    wait(lambda: w.samples(since=end + 20 * overlap.MS))
    assert not any(s.acting for s in w.samples(since=end))


def test_unlinked_witness_acts_on(lonely):
    w = lonely(mode="unlinked")
    wait(lambda: w.role("primary") == 0)
    wait(lambda: w.samples() and w.samples()[-1].acting)


def arrived(net, source, target, count=100):
    """Numbered datagrams one way: the numbers that arrived, in their order. Then the cable is made good again, and the last is repeated until it is through."""
    with udp(net, target) as receiver, udp(net, source) as sender:
        receiver.bind((net.address[target], 4000))
        receiver.settimeout(0.2)
        for i in range(count):
            sender.sendto(str(i).encode(), (net.address[target], 4000))
        numbers = []
        for _ in range(200):
            with contextlib.suppress(TimeoutError):
                while True:
                    numbers.append(int(receiver.recv(10)))
                    if numbers[-1] == count:
                        return numbers[:-1]
            net.sluggish(source)
            sender.sendto(str(count).encode(), (net.address[target], 4000))
    raise AssertionError("nothing comes through a good cable")


def udp(net, host):
    return wire.socket_in(net.namespace(host), socket.SOCK_DGRAM)


@pytest.mark.parametrize("source, target", [("a", "b"), ("b", "a")])
def test_sluggish_cable_loses_duplicates_and_reorders(make, source, target):
    net = make(tls=False).net
    net.sluggish(source)
    assert sorted(arrived(net, source, target)) == list(range(100)), "it changes nothing that it was not told to"
    net.sluggish(source, out=(0, 0, 0, 100))
    assert sorted(arrived(net, source, target)) == sorted([*range(100)] * 2)
    net.sluggish(source, out=(0, 0, 100, 0))
    assert arrived(net, source, target) == []
    net.sluggish(source, out=(1, 20, 30, 20), into=(0, 0, 100, 0))
    seen = arrived(net, source, target)
    assert 0 < len(set(seen)) < 100 and len(seen) > len(set(seen)) and seen != sorted(seen)


def test_sluggish_cable_delays_each_way_and_can_be_cut(make):
    net = make(tls=False).net
    net.sluggish("a", out=(40, 0, 0, 0), into=(30, 0, 0, 0))
    with wire.socket_in(net.namespace("b")) as listener:
        listener.bind((net.address["b"], 4000))
        listener.listen()
        begin = time.monotonic()
        wire.connect(net.address["b"], 4000, netns=net.namespace("a")).close()
        assert time.monotonic() - begin >= 0.07, "a round trip takes what both ways take"
    net.sluggish("a")
    for cut in (lambda: net.cut("a"), lambda: net.silence("a", "b"), lambda: net.deafen("a", "b")):
        cut()
        with wire.socket_in(net.namespace("b")) as listener:
            listener.bind((net.address["b"], 4001))
            listener.listen()
            with pytest.raises(TimeoutError):
                wire.connect(net.address["b"], 4001, netns=net.namespace("a"), timeout=0.4)
            net.heal("a")
            wire.connect(net.address["b"], 4001, netns=net.namespace("a")).close()


@pytest.mark.parametrize("tls", [False, True])
def test_etcd_cluster_survives_one_member_and_not_two(make, tls):
    w = make(hosts=("a",), others=("e1", "e2", "e3"))
    w.etcd = cluster = etcd.Cluster(w, {"e1": "e1", "e2": "e2", "e3": "e3"}, tls=tls).start()
    assert cluster.put("k", "one") and cluster.get("k") == "one"
    leader = cluster.leader()
    cluster.stop(leader)
    wait(lambda: cluster.put("k", "two"), what="the two that are left have a leader")
    second = next(iter(cluster.processes))
    cluster.pause(second)
    other = next(m for m in cluster.processes if m != second)
    with pytest.raises((etcd.Refused, OSError)):
        cluster.put("k", "three", other)
    cluster.resume(second)
    wait(lambda: cluster.put("k", "four"))
    cluster.start(leader)
    wait(lambda: cluster.call("kv/range", {"key": etcd.encoded("k")}, leader)["kvs"][0]["value"] == etcd.encoded("four"))
    if tls:
        cluster.authenticate("understudy", "secret")
        assert cluster.get("k") == "four"
        cluster.token = None
        with pytest.raises(etcd.Refused):
            cluster.get("k")
