"""The tools themselves: a cut that does not cut and an audit that finds nothing would make every other test pass."""
import os
import signal
import subprocess
import sys
import threading

import pytest

import janitor
import tree
import wire
import world


@pytest.fixture
def net(make_world):
    return make_world(tls=False).net


def reaches(net, source, target, port=7):
    """Whether a TCP connection from one host to another opens."""
    with wire.socket_in(net.namespace(target)) as server:
        server.setsockopt(wire.socket.SOL_SOCKET, wire.socket.SO_REUSEADDR, 1)
        server.bind((net.address[target], port))
        server.listen()
        try:
            wire.connect(net.address[target], port, netns=net.namespace(source), timeout=0.4).close()
            return True
        except OSError:
            return False


@pytest.mark.audit(False)
def test_cut_and_heal(net):
    assert reaches(net, "a", "b") and reaches(net, "scs", "b")
    net.cut("b")
    assert not reaches(net, "a", "b", 8) and not reaches(net, "scs", "b", 9) and not reaches(net, "b", "a", 10)
    assert reaches(net, "scs", "a", 11)
    net.heal("b")
    assert reaches(net, "a", "b", 12)
    net.cut("b", "scs")
    assert reaches(net, "a", "b", 13) and not reaches(net, "scs", "b", 14)


@pytest.mark.audit(False)
def test_one_way_cut(net):
    def datagram(source, target):
        receiver, sender = _udp(net, target), _udp(net, source)
        receiver.bind((net.address[target], 99))
        receiver.settimeout(0.4)
        sender.sendto(b"x", (net.address[target], 99))
        try:
            return receiver.recv(10) == b"x"
        except TimeoutError:
            return False
        finally:
            receiver.close()
            sender.close()

    assert datagram("a", "b") and datagram("b", "a")
    net.deafen("b", "a")
    assert not datagram("a", "b") and datagram("b", "a")
    net.heal("b")
    net.silence("b", "a")
    assert datagram("a", "b") and not datagram("b", "a")


def _udp(net, host):
    import ctypes
    import socket
    libc = ctypes.CDLL(None, use_errno=True)
    with open("/proc/thread-self/ns/net") as home, open(f"/run/netns/{net.namespace(host)}") as there:
        assert libc.setns(there.fileno(), 0x40000000) == 0
        try:
            return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        finally:
            assert libc.setns(home.fileno(), 0x40000000) == 0


@pytest.mark.audit(False)
def test_daemon_is_started_again_and_its_end_is_noticed(make_world):
    w = make_world(tls=False)
    d = world.Daemon("sleeper", w.net.inside("a", "sleep", "600"), w.path("sleeper.log"), w.dir)
    w.daemons["sleeper"] = d
    d.start()
    first = d.pid
    assert d.kill_and_return() != first
    assert d.ended[0].asked and d.ended[0].code == -signal.SIGKILL
    os.kill(d.pid, signal.SIGKILL)  # behind the harness's back: the audit has to object
    world.wait(lambda: len(d.ended) == 2)
    with pytest.raises(AssertionError, match="ended by itself"):
        w._audit_ends()
    d.stop()


@pytest.mark.audit(False)
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_nothing_stays_when_the_owner_dies(how):
    script = ("import world, subprocess, sys, time\nw = world.World(tls=False)\nsubprocess.Popen(w.net.inside('a', 'sleep', '600'))\n"
              "print(world.janitor.tag_of(), flush=True)\ntime.sleep(600)")
    owner = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                             env={**os.environ, "PYTHONPATH": str(tree.SOURCE / "tests/lib")})
    tag = owner.stdout.readline().strip()
    namespace = next(n for n in janitor.namespaces(tag) if n.endswith("-a"))
    inside = world.wait(lambda: janitor.pids_in(namespace))
    owner.send_signal(how)
    owner.wait(30)
    world.wait(lambda: not janitor.namespaces(tag) and not (janitor.BASE / tag).exists(), what="its namespaces and folder are gone")
    world.wait(lambda: not any(world.alive(p) for p in inside))


@pytest.mark.audit(False)
def test_speaker_speaks_tls_with_itself(make_world):
    w = make_world()
    pki = world.site_pki()
    server = wire.socket_in(w.net.namespace("a"))
    server.bind((w.net.address["a"], 4999))
    server.listen()
    heard = []

    def serve():
        speaker = wire.Speaker(wire.secure(server.accept()[0], pki.issue("lca", "a"), server=True))
        heard.append(speaker.receive())
        speaker.hello("LCA", "a")

    thread = threading.Thread(target=serve)
    thread.start()
    with wire.Speaker(w.connect("a", tls=pki.issue("scs", "scs1"))) as s:
        s.hello("SCS", "scs1")
        assert s.greeted().name == b"a"
    thread.join()
    server.close()
    assert heard[0][0] == wire.HELLO


@pytest.mark.audit(False)
def test_audit_sees_what_is_wrong(make_world):
    """Each thing that the audit is for, done on purpose."""
    w = make_world()
    w.pair()
    w.start()
    w.audit()
    stray = subprocess.Popen(w.net.inside("a", "sleep", "600"), start_new_session=True)
    assert [p for _, p, _ in w.orphans()] == [stray.pid]
    stray.kill()
    stray.wait()
    record = w.apps_dir / "p2.record"
    before = record.read_text()
    # The checker of overlaps must see one: p2 told that it is primary, with no higher epoch than p1's.
    t, name, (term, n) = w.role_changes("p1", "p2")[-1]
    record.write_text(before + f"{t + 1} role 1 primary {term}.{n} forged\n")
    with pytest.raises(AssertionError, match="with epoch"):
        w._audit_epochs("p1", "p2")
    with pytest.raises(AssertionError, match="was last told"):
        w._audit_pair("p1", "p2")
    record.write_text(before)
    w.audit()
    w.baseline["a agent"] -= 10
    with pytest.raises(AssertionError, match="descriptors"):
        w._audit_descriptors(0.2)
    os.kill(w.agent_pid("a"), signal.SIGKILL)  # not by the harness's hand
    world.wait(lambda: "agent-died" in w.log("a"))
    with pytest.raises(AssertionError, match="agents died"):
        w._audit_ends()
