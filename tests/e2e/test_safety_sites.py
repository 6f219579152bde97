"""What happens to a site as a whole (FAULTS 14, 24, 34, 35): upgrades, impostors, a crowd, mixed versions. Witnesses measure that the primary does not notice."""
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading

import pytest

import tree
import wire
from safety import SafetyWorld
from world import Daemon, LCA_PORT, conf_text, wait

CROWD, FIRST_PORT = 500, 20000


def upgrade(w, host, version):
    """Puts the programs of the agent elsewhere, as a package does, and has the next start take them from there."""
    folder = w.path(f"version-{version}-{host}")
    folder.mkdir(mode=0o755)
    for program in ("lca", "lca-agent"):
        shutil.copy2(tree.program(program), folder / program)
    words = w.lca(host).words
    at = next(i for i, word in enumerate(words) if os.path.basename(word) == "lca")
    words[at] = str(folder / "lca")
    return folder


def test_fault14_upgrade_under_load(make_world):
    """Both hosts in turn, twice: no restart, no role change; each process is of the new programs then."""
    w = make_world(kind=SafetyWorld, hosts=("a", "b"), profile="default")
    w.pair()
    w.start()
    pids = w.pids()
    for version in (2, 3):
        for host in w.hosts:
            folder = upgrade(w, host, version)
            before = w.agent_pid(host)
            w.lca(host).kill_and_return(signal.SIGTERM)
            wait(lambda: w.agent_pid(host) not in (0, before), what="the agent of the new version")
            for pid in (w.lca(host).pid, w.agent_pid(host)):
                assert os.path.dirname(os.readlink(f"/proc/{pid}/exe")) == str(folder)
            w.wait_normal("p1")
            w.hold(0.5, "p1")
    w.assert_untouched(pids)
    w.expect(changes=0)


def test_fault14_an_exit_during_the_upgrade_is_not_missed(make_world):
    """The standby dies while no lca is there: the next one says so, and starts it again as backup."""
    w = make_world(kind=SafetyWorld, hosts=("a", "b"), profile="default")
    w.pair()
    w.start()
    pid, dead = w.pid("p1"), w.pid("p2")
    upgrade(w, "b", 2)
    w.lca("b").stop()
    os.kill(dead, signal.SIGKILL)
    wait(lambda: not os.path.exists(f"/proc/{dead}") or w.last_pid("p2") == 0)
    w.lca("b").ended.clear()
    w.lca("b").start()
    w.wait_normal("p1", timeout=60)
    assert w.pid("p1") == pid and w.pid("p2") != dead
    assert any(row["number"] == 5064 and "p2" in row["text"] for row in w.history())
    w.expect(changes=0)


def test_fault24_a_second_controller_of_the_same_name(make_world):
    """With its certificate and an empty database, so that it believes to lead: no host hears it, and each says so with both addresses."""
    w = make_world(kind=SafetyWorld, hosts=("a", "b"), others=("twin",))
    w.pair()
    w.start()
    pids = w.pids()
    state = w.path("state-twin")
    state.mkdir(mode=0o700)
    own = {**w.scs_conf["scs"], "state-directory": state, "admin-socket": w.path("twin.sock"), "log-file": w.path("twin.log")}
    w.path("twin.conf").write_text(conf_text({**w.scs_conf, "scs": own}))
    twin = Daemon("twin", w.net.inside("twin", tree.program("scs"), "-f", w.path("twin.conf")), w.path("twin.stderr"), w.dir, w.environment())
    twin.start()
    try:
        addresses = [w.net.address["twin"], w.net.address["scs"]]
        for host in w.hosts:
            wait(lambda h=host: any("scs1" in line and all(a in line for a in addresses) for line in w.log(h).splitlines()),
                 what=f"{host} names both in a refusal")
        w.hold(1, "p1")
        w.wait_normal("p1")
    finally:
        twin.stop()
    w.assert_untouched(pids)
    w.expect(changes=0)


@pytest.fixture
def crowd(make_world):
    """A world of two hosts and of five hundred more that one process plays."""
    w = make_world(kind=SafetyWorld, hosts=("a", "b"), others=("crowd",), profile="default", tls=False)
    w.pair()
    for i in range(CROWD):
        w.scs_conf[f"host n{i}"] = {"address": w.net.address["crowd"], "port": FIRST_PORT + i}
    script = os.path.join(os.path.dirname(wire.__file__), "crowd.py")
    words = [str(x) for x in w.net.inside("crowd", sys.executable, script, "test", w.net.address["crowd"], FIRST_PORT, CROWD)]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env={**os.environ, "UNDERSTUDY_BUILD": str(tree.BUILD)})
    w.crowd = process
    try:
        assert process.stdout.readline().strip() == "ready"
        yield w.start()
    finally:
        process.kill()
        process.wait()


def lost(w):
    """The hosts that were declared lost, by the history."""
    return [row["text"] for row in w.history() if row["number"] in (8002, 8003)]


def running(w):
    return sum(h["status"] == "Running" for h in w.status()["hosts"])


def test_fault34_five_hundred_agents_reconnect_at_once(crowd):
    """All of them close, then scs itself is started again: nobody is declared dead, and the pair does not notice."""
    pids = crowd.pids()
    wait(lambda: running(crowd) == CROWD + 2, 60, "everybody is there")
    crowd.crowd.send_signal(signal.SIGUSR1)
    wait(lambda: running(crowd) < CROWD + 2, what="they are away")
    wait(lambda: running(crowd) == CROWD + 2, 60, "everybody is there again")
    crowd.scs.kill_and_return()
    wait(lambda: running(crowd) == CROWD + 2, 60, "everybody is there once more")
    assert lost(crowd) == []
    crowd.wait_normal("p1")
    crowd.assert_untouched(pids)
    crowd.expect(changes=0)


def test_fault35_an_agent_of_another_version_on_the_standbys_host(make_world):
    """It is refused with both versions named; the primary serves on, and what runs on that host runs on until an agent of the right version is back."""
    link = wire.schema("link")
    w = make_world(kind=SafetyWorld, hosts=("a", "b"), tls=False)
    w.pair()
    w.start()
    pids = w.pids()
    w.lca("b").stop()
    server = wire.socket_in(w.net.namespace("b"))
    server.setsockopt(1, 2, 1)  # SO_REUSEADDR: connections of the former one may linger
    server.bind((w.net.address["b"], LCA_PORT))
    server.listen()

    def serve():
        with contextlib.suppress(OSError):
            while True:
                with contextlib.suppress(wire.Closed, TimeoutError), wire.Speaker(server.accept()[0]) as s:
                    s.receive()
                    s.send(wire.REFUSED, link.Refused(reason=link.Refused.VERSION, text=b"versions 7 to 9 here", version_min=7, version_max=9,
                                                      peer_version_min=1, peer_version_max=1).SerializeToString())

    threading.Thread(target=serve, daemon=True).start()
    wait(lambda: all(v in w.host("b")["reason"] for v in "179"), what="both versions are in the status")
    w.hold(1, "p1")
    server.shutdown(2)
    server.close()
    w.lca("b").ended.clear()
    w.lca("b").start()
    w.wait_normal("p1", timeout=60)
    w.assert_untouched(pids)
    w.expect(changes=0)
