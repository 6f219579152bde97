"""Never two primaries, whatever becomes of agents, keepers and single hosts, with one controller (FAULTS 12 to 17). Witnesses measure it."""
import os
import signal
import subprocess

import pytest

import tree
from safety import SafetyWorld
from world import alive, wait

PROFILES = pytest.mark.parametrize("profile", ["brisk", "default"])
LINKED = pytest.mark.parametrize("linked", [True, False], ids=["linked", "unlinked"])


@pytest.fixture
def make_safe(make_world):
    """A function that makes and starts a world with one pair under leases; p1 on a acts."""
    def make(linked=True, **more):
        options = more.pop("options", {})
        w = make_world(kind=SafetyWorld, **{"hosts": ("a", "b"), **more})
        w.pair(**options)
        if not linked:
            w.unlinked("p1", "p2")
        return w.start()
    return make


@pytest.fixture
def safe(make_safe):
    return make_safe()


@pytest.mark.parametrize("host", ["a", "b"])
def test_fault12_agent_killed_three_times(safe, host):
    """Less often than what makes the keeper wait longer before each next start."""
    pids = safe.pids()
    for _ in range(3):
        dead = safe.kill_agent(host)
        wait(lambda: safe.agent_pid(host) not in (0, dead), what="another agent")
        safe.hold(1.5, "p1")
        safe.wait_normal("p1")
    safe.assert_untouched(pids)
    safe.expect(changes=0)


@PROFILES
@pytest.mark.parametrize("host", ["a", "b"])
def test_fault12_keeper_killed_three_times(make_safe, host, profile):
    safe = make_safe(profile=profile)
    pids = safe.pids()
    for _ in range(3):
        agent = safe.agent_pid(host)
        safe.lca(host).kill_and_return()
        wait(lambda: safe.agent_pid(host) not in (0, agent), what="its agent")
        safe.wait_normal("p1")
    safe.assert_untouched(pids)
    safe.expect(changes=0)


@pytest.mark.parametrize("host", ["a", "b"])
def test_fault12_keeper_and_agent_killed_together(safe, host):
    pids, agent = safe.pids(), safe.agent_pid(host)
    os.kill(safe.lca(host).pid, signal.SIGSTOP)  # so that neither sees the other's end
    safe.kill_agent(host)
    safe.lca(host).kill_and_return()
    wait(lambda: safe.agent_pid(host) not in (0, agent), what="an agent")
    safe.wait_normal("p1")
    safe.assert_untouched(pids)
    safe.expect(changes=0)


@PROFILES
@LINKED
def test_fault13_agent_stopped_past_the_lease(make_safe, linked, profile):
    """The keeper ends the lease in time, the standby is promoted, and the agent that goes on finds a backup."""
    w = make_safe(linked, profile=profile)
    agent = w.agent_pid("a")
    with w.gap(until="p2"):
        os.kill(agent, signal.SIGSTOP)
    assert not w.acts("p1")
    os.kill(agent, signal.SIGCONT)
    w.wait_normal("p2")
    w.expect(changes=1)


@PROFILES
def test_fault13_agent_and_keeper_stopped_past_the_lease(make_safe, profile):
    """Who reads the lease word stops by himself; on SIGCONT the old primary is demoted before it serves."""
    w = make_safe(profile=profile)
    stopped = [w.agent_pid("a"), w.lca("a").pid]
    with w.gap(until="p2"):
        w.signal_all(stopped, signal.SIGSTOP)
    assert not w.acts("p1")
    w.thaw(stopped)
    w.wait_normal("p2")
    w.expect(changes=1)


def test_fault13_agent_of_the_standby_stopped(safe):
    agent, pids = safe.agent_pid("b"), safe.pids()
    os.kill(agent, signal.SIGSTOP)
    safe.hold(1, "p1")
    os.kill(agent, signal.SIGCONT)
    safe.wait_normal("p1")
    safe.assert_untouched(pids)
    safe.expect(changes=0)


def test_fault13_primary_stopped_itself(make_safe):
    """A hung primary under a lease: killed and switched over, and what it does on its way out is no acting."""
    w = make_safe(options={"heartbeat_period": "500ms", "shutdown_timeout": "1s", "role_timeout": "1s"})
    with w.gap(until="p2"):
        w.kill_app("p1", signal.SIGSTOP)
    w.wait_normal("p2")
    w.expect(changes=1)


def test_fault15_full_state_directory(make_world):
    """The durable record is written in place: a full disk on either host stops no switchover."""
    w = make_world(kind=SafetyWorld, hosts=("a", "b"))
    w.pair()
    folders = [w.lca_conf[h]["lca"]["state-directory"] for h in w.hosts]
    for folder in folders:
        w.small_disk(folder)
    w.start()
    for folder in folders:
        with open(folder / "filler", "wb") as f, pytest.raises(OSError):
            while True:
                f.write(bytes(65536))
                f.flush()
    with w.gap(until="p2"):
        w.kill_app("p1")
    w.wait_normal("p2")
    w.expect(changes=1)


def test_fault16_second_lca_is_refused_and_nothing_stops(safe):
    pids = safe.pids()
    words = safe.net.inside("a", tree.program("lca"), "-f", safe.conf_file("a"))
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert done.returncode != 0
    safe.hold(0.5, "p1")
    safe.assert_untouched(pids)
    safe.expect(changes=0)


def test_fault17_reload_stops_nobody(safe):
    pids = safe.pids()
    safe.application("more", "a")
    safe.write()
    assert safe.ctl("config", "reload").code == 0
    wait(lambda: safe.app("more")["status"] == "Started")
    safe.kill_agent("a")  # and what was told by the reload is resumed with the rest
    safe.wait_normal("p1")
    safe.assert_untouched(pids)
    safe.expect(changes=0)


def test_fault17_fencing_is_not_changed_while_it_runs(make_safe):
    """From none to lease: what was started without a lease word could not be fenced, so the reload is refused and says what to do."""
    w = make_safe(fencing="none")
    pids = w.pids()
    for name in ("p1", "p2"):
        w.scs_conf[f"application {name}"]["fencing"] = "lease"
    w.write()
    answer = w.ctl("config", "reload")
    assert answer.code not in (0, 2) and "stop it first" in answer.out, answer
    w.hold(0.5, "p1")
    w.wait_normal("p1")
    w.assert_untouched(pids)
    w.expect(changes=0)


@pytest.mark.parametrize("victim", ["p1", "p2"])
def test_fault01_killed_under_a_lease(safe, victim):
    """Certain evidence waits for no lease (SAFETY B5)."""
    dead = safe.pid(victim)
    with safe.gap(until="p2" if victim == "p1" else "p1"):
        safe.kill_app(victim)
    wait(lambda: safe.pid(victim) not in (0, dead) and alive(safe.pid(victim)))
    safe.wait_normal("p2" if victim == "p1" else "p1")
    safe.expect(changes=1 if victim == "p1" else 0)


@LINKED
def test_fault37_planned_switchover_forth_and_back(make_safe, linked):
    w = make_safe(linked)
    pids = w.pids()
    for old, new in (("p1", "p2"), ("p2", "p1"), ("p1", "p2")):
        with w.gap(until=new):
            answer = w.ctl("switchover", old)
            assert answer.code == 0, answer
        w.wait_normal(new)
    w.assert_untouched(pids)
    w.expect(changes=3)


def test_fault39_standby_dies_during_the_switchover(make_safe):
    """It gets its role back, with the epoch after."""
    w = make_safe(options={"role_timeout": "20s"})
    before = w.witnessed().holders()[-1].epoch
    w.role_mode("p2", "hang")
    with w.gap(until="p1"):
        assert w.ctl("switchover", "p1", "--no-wait").code == 0
        w.wait_silent("p1")
        w.kill_app("p2")
        w.role_mode("p2", "")
    w.wait_normal("p1", timeout=60)
    assert w.witnessed().holders()[-1].epoch > before
    w.expect(changes=0)


@LINKED
def test_fault39_demotion_is_not_answered(make_safe, linked):
    """It is killed, then the standby is promoted."""
    w = make_safe(linked, options={"role_timeout": "500ms"})
    old = w.pid("p1")
    w.role_mode("p1", "hang")
    with w.gap(until="p2"):
        w.ctl("switchover", "p1")
    assert not alive(old)
    w.role_mode("p1", "")
    w.wait_normal("p2", timeout=60)
    w.expect(changes=1)


def test_fault40_declined(safe):
    """The application says no: roles stay as they were."""
    safe.role_mode("p2", "decline")
    with safe.gap(until="p1"):
        answer = safe.ctl("switchover", "p1")
        assert answer.code not in (0, 2), answer
    safe.wait_normal("p1")
    safe.role_mode("p2", "")
    safe.expect(changes=0)
