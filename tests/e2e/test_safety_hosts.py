"""Never two primaries, whatever becomes of hosts and of the network between them, with one controller (FAULTS 18 to 28, 41). Witnesses measure it."""
import pytest

from safety import SafetyWorld
from world import wait

PROFILES = pytest.mark.parametrize("profile", ["brisk", "default"])
LINKED = pytest.mark.parametrize("linked", [True, False], ids=["linked", "unlinked"])


@pytest.fixture
def make_safe(make_world):
    """A function that makes and starts a world with one pair under leases; p1 on a acts. `scs`: options of [scs]."""
    def make(linked=True, scs=None, **more):
        w = make_world(kind=SafetyWorld, **{"hosts": ("a", "b"), **more})
        w.scs_conf["scs"].update(scs or {})
        w.pair()
        if not linked:
            w.unlinked("p1", "p2")
        return w.start()
    return make


@pytest.fixture
def safe(make_safe):
    return make_safe()


@PROFILES
def test_fault18_host_of_the_primary_loses_power(make_safe, profile):
    safe = make_safe(profile=profile)
    with safe.gap(until="p2"):
        safe.power_off("a")
    safe.power_on("a")
    safe.wait_normal("p2", timeout=60)
    safe.expect(changes=1)


def test_fault18_host_of_the_standby_loses_power(safe):
    pid = safe.pid("p1")
    safe.power_off("b")
    wait(lambda: safe.host("b")["status"] != "Running")
    safe.hold(0.5, "p1")
    safe.power_on("b")
    safe.wait_normal("p1", timeout=60)
    assert safe.pid("p1") == pid
    safe.expect(changes=0)


@LINKED
def test_fault19_cable_of_the_primary_pulled(make_safe, linked):
    """It fences itself before the other one is active; that it did so because of its lease is in its log."""
    w = make_safe(linked)
    with w.gap(until="p2"):
        w.net.cut("a")
    assert not w.acts("p1")
    w.net.heal("a")
    w.wait_normal("p2")
    w.expect(changes=1)


def test_fault19_cable_of_the_primary_pulled_default_profile(make_safe):
    w = make_safe(profile="default")
    with w.gap(until="p2"):
        w.net.cut("a")
    w.net.heal("a")
    w.wait_normal("p2")
    w.expect(changes=1)


def test_fault19_cable_of_the_primary_pulled_for_ever(safe):
    """Nobody acts on the far side, however long it lasts."""
    with safe.gap(until="p2"):
        safe.net.cut("a")
    safe.hold(3, "p2")
    assert not safe.acts("p1")
    safe.net.heal("a")
    safe.wait_normal("p2")
    safe.expect(changes=1)


def test_fault19_cable_of_the_standby_pulled(safe):
    pids = safe.pids()
    safe.net.cut("b")
    wait(lambda: safe.host("b")["status"] != "Running")
    safe.hold(0.5, "p1")
    safe.net.heal("b")
    safe.wait_normal("p1")
    safe.assert_untouched(pids)
    safe.expect(changes=0)


@PROFILES
def test_fault20_path_to_the_controller_cut(make_safe, profile):
    """The peer sees it: it keeps serving."""
    safe = make_safe(profile=profile)
    pids = safe.pids()
    safe.net.cut("a", "scs")
    wait(lambda: safe.host("a")["status"] != "Running")
    safe.hold(1, "p1")
    safe.net.heal("a")
    safe.wait_normal("p1")
    safe.assert_untouched(pids)
    safe.expect(changes=0)


def test_fault20_path_to_the_controller_cut_and_then_the_standby_dies(safe):
    """Nothing promotes anybody: the standby that comes back is a backup."""
    safe.net.cut("a", "scs")
    wait(lambda: safe.host("a")["status"] != "Running")
    dead = safe.kill_app("p2")
    wait(lambda: safe.pid("p2") not in (0, dead))
    safe.hold(0.5, "p1")
    safe.net.heal("a")
    safe.wait_normal("p1")
    safe.expect(changes=0)


def test_fault20_path_between_the_hosts_cut(safe):
    """The controller sees both: nothing happens."""
    pids = safe.pids()
    safe.net.cut("a", "b")
    safe.hold(1, "p1")
    safe.net.heal("a")
    safe.wait_normal("p1")
    safe.assert_untouched(pids)
    safe.expect(changes=0)


def test_fault20_paths_cut_one_after_the_other(safe):
    """First to the controller, then to the peer: the second cut is what ends its lease."""
    safe.net.cut("a", "scs")
    wait(lambda: safe.host("a")["status"] != "Running")
    safe.hold(0.5, "p1")
    with safe.gap(until="p2"):
        safe.net.cut("a")
    safe.net.heal("a")
    safe.wait_normal("p2")
    safe.expect(changes=1)


@pytest.mark.parametrize("way", ["deafen", "silence"])
@pytest.mark.parametrize("other", ["scs", "b"])
def test_fault21_one_way_loss(safe, way, other):
    """Another path proves life: no failover, and no double primary."""
    pids = safe.pids()
    getattr(safe.net, way)("a", other)
    safe.hold(1.5, "p1")
    safe.net.heal("a")
    safe.wait_normal("p1")
    safe.assert_untouched(pids)
    safe.expect(changes=0)


@pytest.mark.parametrize("way", ["deafen", "silence"])
def test_fault21_one_way_loss_to_everybody(safe, way):
    """Whoever hears nobody, or whom nobody hears, is replaced, and stops before."""
    with safe.gap(until="p2"):
        getattr(safe.net, way)("a")
    safe.net.heal("a")
    safe.wait_normal("p2")
    safe.expect(changes=1)


def test_fault22_five_percent_loss_and_jitter_default_profile(make_safe):
    """No false failover with the default times."""
    w = make_safe(profile="default")
    pids = w.pids()
    for host in w.hosts:
        w.net.sluggish(host, out=(1, 30, 5, 2), into=(1, 30, 5, 2), seed=7)
    w.hold(10, "p1")
    for host in w.hosts:
        w.net.sluggish(host)
    w.wait_normal("p1")
    w.assert_untouched(pids)
    w.expect(changes=0)


@pytest.mark.parametrize("percent", [20, 40])
def test_fault22_heavy_loss_with_long_times(make_safe, percent):
    """ADDP 9 s, L 20 s: no failover at all."""
    w = make_safe(profile="default", scs={"addp-timeout": "9s", "addp-remote-timeout": "9s", "lease": "20s"})
    pids = w.pids()
    for host in w.hosts:
        w.net.sluggish(host, out=(0, 10, percent, 0), into=(0, 10, 0, 0), seed=percent)
    w.hold(8, "p1")
    for host in w.hosts:
        w.net.sluggish(host)
    w.wait_normal("p1")
    w.assert_untouched(pids)
    w.expect(changes=0)


@pytest.mark.parametrize("percent", [20, 40])
def test_fault22_heavy_loss_is_never_two_primaries(make_safe, percent):
    """Below those times failovers are counted, not forbidden."""
    w = make_safe()
    with w.gap():
        for host in w.hosts:
            w.net.sluggish(host, out=(1, 300, percent, 10), into=(0, 0, 0, 0), seed=percent)
        w.hold(6)
        for host in w.hosts:
            w.net.sluggish(host)
        w.wait_normal(timeout=60)
        w.wait_acting(w.pair_state()["primary"])
    w.expect(changes=range(100))


def test_fault23_large_packets_vanish(safe):
    """What keeps the lease is small: the primary stays, also over a change of agents."""
    pids = safe.pids()
    safe.net.only_small("a", 700)
    safe.hold(1.5, "p1")
    safe.net.heal("a")
    safe.wait_normal("p1")
    safe.assert_untouched(pids)
    safe.expect(changes=0)


def test_fault25_cable_flaps_ten_times(make_safe):
    """At most one switchover; damping is visible where there were more attempts."""
    w = make_safe(scs={"haflip-detect-timeout": "10s"})
    with w.gap():
        for _ in range(10):
            w.net.cut("a")
            w.hold(0.5)
            w.net.heal("a")
            w.hold(0.5)
        w.wait_normal(timeout=60)
        w.wait_acting(w.pair_state()["primary"])
    w.expect(changes=range(2))


def test_fault25_controllers_cable_flaps_ten_times(safe):
    """The peers see each other: nothing changes."""
    pids = safe.pids()
    for _ in range(10):
        safe.net.cut("scs")
        safe.hold(0.25, "p1")
        safe.net.heal("scs")
        safe.hold(0.25, "p1")
    safe.wait_normal("p1")
    safe.assert_untouched(pids)
    safe.expect(changes=0)


def test_fault26_host_reboots_faster_than_detection(safe):
    """Its roles are not resumed silently: whoever is primary afterwards got a grant for it."""
    before = safe.witnessed().holders()[-1].epoch
    with safe.gap():
        safe.power_off("a")
        safe.power_on("a")
        safe.wait_normal(timeout=60)
        safe.wait_acting(safe.pair_state()["primary"])
    assert safe.witnessed().holders()[-1].epoch > before
    safe.expect(changes=range(2))


def test_fault27_host_paused_below_the_lease(make_safe):
    w = make_safe(profile="default")
    pids = w.pids()
    for _ in range(5):
        stopped = w.freeze("a")
        w.hold(0.2)
        w.thaw(stopped)
        w.hold(1)
    w.wait_normal("p1")
    w.assert_untouched(pids)
    w.expect(changes=0)


@pytest.mark.parametrize("seconds", [1, 5])
def test_fault27_host_paused_above_the_lease(safe, seconds):
    """Fenced before it serves."""
    with safe.gap(until="p2"):
        stopped = safe.freeze("a")
    safe.hold(seconds, "p2")
    safe.thaw(stopped)
    safe.wait_normal("p2")
    safe.expect(changes=1)


def test_fault27_host_of_the_standby_paused(safe):
    pids = safe.pids()
    stopped = safe.freeze("b")
    safe.hold(2, "p1")
    safe.thaw(stopped)
    safe.wait_normal("p1")
    safe.assert_untouched(pids)
    safe.expect(changes=0)


def test_fault27_both_hosts_paused(safe):
    """Both leases are over when they go on; one of them is primary then."""
    with safe.gap():
        stopped = safe.freeze("a", "b")
        safe.hold(2)
        safe.thaw(stopped)
        safe.wait_normal(timeout=60)
        safe.wait_acting(safe.pair_state()["primary"])
    safe.expect(changes=range(2))


def test_fault28_agent_gone_for_a_moment(make_safe):
    """A refused connection is no lost host: within agent-return-timeout nothing is switched over."""
    w = make_safe(profile="default", scs={"agent-return-timeout": "60s"})
    pids = w.pids()
    w.lca("a").kill_and_return()
    w.wait_normal("p1")
    w.assert_untouched(pids)
    w.expect(changes=0)


def test_fault28_agent_gone_for_good(make_safe):
    """A linked application stops by itself when nobody renews its lease; after agent-return-timeout the other one acts."""
    w = make_safe(scs={"agent-return-timeout": "1s"})
    with w.gap(until="p2"):
        w.lca("a").stop(9)
    assert not w.acts("p1")
    w.lca("a").ended.clear()
    w.lca("a").start()
    w.wait_normal("p2", timeout=60)
    w.expect(changes=1)


@pytest.mark.parametrize("fault", ["path", "refused"])
def test_fault28_host_loss_controller(make_safe, fault):
    """The seed's way: the controller's view alone decides, and still there are never two."""
    w = make_safe(scs={"host-loss": "controller", "agent-return-timeout": "60s"})
    with w.gap(until="p2"):
        if fault == "path":
            w.net.cut("a", "scs")
        else:
            w.lca("a").stop(9)
    w.net.heal("a")
    if fault == "refused":
        w.lca("a").ended.clear()
        w.lca("a").start()
    w.wait_normal("p2", timeout=60)
    w.expect(changes=1)


def test_fault41_both_hosts_lost_and_the_stale_one_returns_alone(safe):
    """p2 was primary last: p1's host, which returns first, is not promoted by itself while that is known."""
    with safe.gap(until="p2"):
        safe.net.cut("a")
    newest = safe.witnessed().holders()[-1].epoch
    with safe.gap():
        safe.net.cut("b")
        safe.wait_silent("p2")
        safe.net.heal("a")
        wait(lambda: safe.host("a")["status"] == "Running")
        safe.hold(1)
        safe.net.heal("b")
        safe.wait_normal(timeout=60)
        safe.wait_acting(safe.pair_state()["primary"])
    assert safe.witnessed().holders()[-1].epoch > newest
    safe.expect(changes=range(1, 3))
