"""Never two primaries, and no primary lost, whatever becomes of the controllers and of what decides between them (FAULTS 29 to 33). Witnesses measure it."""
import os
import re
import shutil
import signal
import time

import pytest

import overlap
from safety import SafetyWorld
from world import boot_ns, wait

SAFE = pytest.mark.parametrize("arbiter", ["agents", "etcd"])
PROFILES = pytest.mark.parametrize("profile", ["brisk", "default"])
EVERY = pytest.mark.parametrize("arbiter", ["agents", "etcd", "pair"])


@pytest.fixture
def make_duo(make_world):
    """A function that makes and starts a world with two controllers and one pair; p1 on a acts. Pair mode: scs1 runs on c, scs2 on d."""
    def make(arbiter, scs=None, on=("a", "b"), **more):
        if arbiter == "pair":
            more = {"hosts": ("a", "b", "c", "d"), "controllers": {"scs1": "c", "scs2": "d"}, **more}
        w = make_world(kind=SafetyWorld, arbiter=arbiter, **more)
        w.scs_conf["scs"].update(scs or {})
        w.pair(on=on)
        return w.start()
    return make


SLACK_MS = 1000  # what a crowded machine takes of a program's time


def islands(w, alone):
    """Cuts these hosts and places off from all the others."""
    w.net.split(alone, [h for h in w.net.hosts if h not in alone])


def state_at(w, label, pair="p1"):
    """The pair as this controller shows it."""
    return next(p for p in w.ctl("status", at=label).json["pairs"] if p["name"] == pair)


def numbers(w):
    """Of the events in both histories."""
    return {row["number"] for label in w.controllers for row in w.ctl("history", at=label).json["rows"]}


def voters(w, label):
    """The electors whose newest answer to this controller was a vote."""
    return [e["host"] for e in w.ctl("authority", at=label).json["authority"]["electors"] if e["connected"] and e["answer"] == "voted"]


@PROFILES
@EVERY
def test_fault29_leader_killed(make_duo, arbiter, profile):
    """The other one leads; nothing restarts, no primary is lost. Then it does its work."""
    w = make_duo(arbiter, profile=profile)
    pids, dead = w.pids(), w.leader()
    if arbiter == "pair":
        w.power_off(w.place(dead))  # its link and its host's agent: what pair mode promotes itself on
    else:
        w.kill_controller(dead)
    wait(lambda: w.leaders() not in ([], [dead]), what="another one leads")
    w.wait_normal("p1")
    w.assert_untouched(pids)
    with w.gap(until="p2"):
        w.kill_app("p1")
    w.wait_normal("p2")
    if arbiter == "pair":
        w.power_on(w.place(dead))
    else:
        w.start_controller(dead)
    w.wait_normal("p2")
    w.expect(changes=1)


@EVERY
def test_fault29_leader_killed_and_back_at_once(make_duo, arbiter):
    """As systemd does it, three times."""
    w = make_duo(arbiter)
    pids = w.pids()
    for _ in range(3):
        w.kill_controller(w.leader(), back=True)
        w.hold(0.5, "p1")
        w.wait_normal("p1")
    w.assert_untouched(pids)
    w.expect(changes=0)


@SAFE
def test_fault29_follower_killed(make_duo, arbiter):
    w = make_duo(arbiter)
    pids, leader = w.pids(), w.leader()
    w.kill_controller(w.follower(), back=True)
    w.hold(0.5, "p1")
    assert w.leader() == leader
    w.assert_untouched(pids)
    w.expect(changes=0)


@pytest.mark.parametrize("slow", ["p1", "p2"])
@SAFE
def test_fault29_leader_killed_during_a_switchover(make_duo, arbiter, slow):
    """Between demotion and promotion, and between promotion and its record: finished or undone, once."""
    w = make_duo(arbiter)
    pids, leader = w.pids(), w.leader()
    w.role_mode(slow, "slow")
    with w.gap():
        assert w.ctl("switchover", "p1", "--no-wait").code == 0
        w.kill_controller(leader)
        w.role_mode(slow, "")
        w.wait_normal(timeout=60)
        w.wait_acting(w.pair_state()["primary"])
    w.start_controller(leader)
    w.wait_normal()
    w.assert_untouched(pids)
    w.expect(changes=range(2))


@SAFE
def test_fault29_leader_and_primary_killed_together(make_duo, arbiter):
    w = make_duo(arbiter)
    leader, pid = w.leader(), w.pid("p1")
    with w.gap():
        w.kill_controller(leader)
        os.kill(pid, signal.SIGKILL)
        w.wait_normal(timeout=60)
        w.wait_acting(w.pair_state()["primary"])
    w.start_controller(leader)
    w.wait_normal()
    w.expect(changes=range(2))


@EVERY
def test_fault30_controllers_cut_from_each_other(make_duo, arbiter):
    """Both see every host: one leads, before and after."""
    w = make_duo(arbiter)
    pids, leader = w.pids(), w.leader()
    places = list(w.controllers.values())
    w.net.cut(places[0], places[1])
    w.hold(2, "p1")
    assert w.leaders() == [leader]
    w.net.heal()
    w.wait_normal("p1")
    w.assert_untouched(pids)
    w.expect(changes=0)


@SAFE
def test_fault30_leader_cut_from_everybody(make_duo, arbiter):
    w = make_duo(arbiter)
    pids, leader = w.pids(), w.leader()
    w.net.cut(w.place(leader))
    wait(lambda: leader not in w.leaders() and w.leaders(), what="the other one leads")
    w.hold(0.5, "p1")
    w.net.heal()
    w.wait_normal("p1")
    w.assert_untouched(pids)
    w.expect(changes=0)


@SAFE
def test_fault30_minority_with_the_leader_and_the_primary(make_duo, arbiter):
    """{leader, a} | the rest: the minority's primary stops before the majority's acts."""
    w = make_duo(arbiter)
    leader = w.leader()
    with w.gap(until="p2"):
        islands(w, [w.place(leader), "a"])
    assert not w.acts("p1")
    assert w.leaders() != [leader]
    w.net.heal()
    w.wait_normal("p2")
    w.expect(changes=1)


@SAFE
def test_fault30_minority_with_the_leader_alone_on_the_standbys_side(make_duo, arbiter):
    """{leader, b} | the rest: nobody vouches for the primary until the other one leads, and then it is the one that is eligible."""
    w = make_duo(arbiter)
    leader = w.leader()
    with w.gap(until="p1"):
        islands(w, [w.place(leader), "b"])
        wait(lambda: w.leaders() not in ([], [leader]), what="the other one leads")
    w.hold(1, "p1")
    w.net.heal()
    w.wait_normal("p1")
    w.expect(changes=0)


@SAFE
def test_fault30_every_one_for_himself(make_duo, arbiter):
    """Nobody reaches anybody: nobody acts; and one does when it is over."""
    w = make_duo(arbiter)
    with w.gap():
        w.net.split(*[[h] for h in w.net.hosts])
        w.wait_silent("p1")
        w.hold(1)
        assert not w.acting()
        w.net.heal()
        w.wait_normal(timeout=60)
        w.wait_acting(w.pair_state()["primary"])
    w.expect(changes=range(2))


def test_fault30_site_split_in_pair_mode_is_reported_at_once(make_world):
    """{scs1, a} | {scs2, b}: two primaries until it heals, which is said as soon as there are two and for how long; and then there is one."""
    w = make_world(kind=SafetyWorld, arbiter="pair", profile="default", hosts=("a", "b"), controllers={"scs1": "a", "scs2": "b"})
    w.pair()
    w.start()
    w.net.split(["a"], ["b"])
    w.wait_acting("p2")
    wait(lambda: {10329, 20622} <= numbers(w), what="the split and its two primaries are said while it lasts")
    w.wait_acting("p1")
    w.net.heal()
    wait(lambda: {10330, 20623} <= numbers(w), 60, "the end of both is in the history")
    w.wait_normal(timeout=60)
    assert not any(" 30313 " in w.log(h) for h in w.hosts), "an agent asked its keeper for what it refused: the stale one's lease could not be ended (L4)"
    overlap_ms, began = w.witnessed().overlap_ms(), w.witnessed().overlaps()[0].start
    assert overlap_ms > 0
    said = min(row["time_us"] * 1000 for label in w.controllers for row in w.ctl("history", at=label).json["rows"] if row["number"] == 20622)
    poll = 500 * overlap.MS  # profile = default
    assert said - (time.time_ns() - boot_ns()) < began + poll + overlap.MS * SLACK_MS, "two primaries were not said within one poll"
    dual_ms = 1000 * max(state_at(w, label)["dual_primary_seconds"] for label in w.controllers)
    assert overlap_ms - SLACK_MS < dual_ms < overlap_ms + 4 * 500 + SLACK_MS, f"{dual_ms:.0f} ms counted, {overlap_ms:.0f} ms seen"
    w.expect(changes=range(1, 1_000_000), overlap_ms=None)


@pytest.mark.parametrize("arbiter", ["single", "agents", "etcd", "pair"])
def test_fault31_no_controller_at_all(make_duo, arbiter):
    """Nothing stops, and nothing restarts when they are back."""
    w = make_duo(arbiter)
    pids = w.pids()
    for label in w.controllers:
        w.kill_controller(label)
    w.hold(3, "p1")
    for label in w.controllers:
        w.start_controller(label)
    w.wait_normal("p1", timeout=60)
    w.assert_untouched(pids)
    w.expect(changes=0)


@pytest.mark.parametrize("arbiter", ["single", "agents"])
def test_fault31_primary_dies_without_a_controller(make_duo, arbiter):
    """It is restarted in place, as primary, while its peer lease holds."""
    w = make_duo(arbiter)
    dead = w.pid("p1")
    for label in w.controllers:
        w.kill_controller(label)
    w.hold(0.5, "p1")
    with w.gap(until="p1"):
        os.kill(dead, signal.SIGKILL)
    for label in w.controllers:
        w.start_controller(label)
    w.wait_normal("p1", timeout=60)
    w.expect(changes=0)


def test_fault31_hosts_cut_without_a_controller(make_duo):
    """Who is neither promised nor granted stops; nobody else starts to act."""
    w = make_duo("agents")
    for label in w.controllers:
        w.kill_controller(label)
    w.hold(0.5, "p1")
    with w.gap():
        w.net.cut("a", "b")
        w.wait_silent("p1")
        w.hold(1)
        assert not w.acting()
        w.net.heal()
        for label in w.controllers:
            w.start_controller(label)
        w.wait_normal(timeout=60)
        w.wait_acting(w.pair_state()["primary"])
    w.expect(changes=range(2))


@PROFILES
@EVERY
def test_fault32_leader_stopped_past_its_lease(make_duo, arbiter, profile):
    """Its late orders are refused by term."""
    w = make_duo(arbiter, profile=profile)
    pids, old = w.pids(), w.leader()
    os.kill(w.daemon(old).pid, signal.SIGSTOP)
    if arbiter != "pair":  # there the host's agent still says that it is alive
        other = next(c for c in w.controllers if c != old)
        wait(lambda: w.leads(other), what="the other one leads")
    w.hold(1, "p1")
    os.kill(w.daemon(old).pid, signal.SIGCONT)
    w.leader()
    w.wait_normal("p1")
    w.assert_untouched(pids)
    w.expect(changes=0)


@SAFE
def test_fault32_leader_stopped_in_the_middle_of_a_switchover(make_duo, arbiter):
    """The new leader settles it; what the old one meant to do next is refused."""
    w = make_duo(arbiter)
    pids, old = w.pids(), w.leader()
    other = next(c for c in w.controllers if c != old)
    w.role_mode("p1", "slow")
    with w.gap():
        assert w.ctl("switchover", "p1", "--no-wait").code == 0
        os.kill(w.daemon(old).pid, signal.SIGSTOP)
        w.role_mode("p1", "")
        wait(lambda: w.leads(other), what="the other one leads")
        wait(lambda: len(w.acting()) == 1)
        os.kill(w.daemon(old).pid, signal.SIGCONT)
        w.wait_normal(timeout=60)
        w.wait_acting(w.pair_state()["primary"])
    w.assert_untouched(pids)
    w.expect(changes=range(2))


@pytest.mark.parametrize("arbiter", ["single", "agents", "etcd"])
def test_fault33_database_lost(make_duo, arbiter):
    """It learns the truth from the agents before it acts, and no epoch is used twice."""
    w = make_duo(arbiter)
    pids = w.pids()
    epochs = {h.epoch for h in w.witnessed().holders()}
    for label in w.controllers:
        w.kill_controller(label)
    for state in w.dir.glob("state*"):
        if state.name in ("state", "state-scs1", "state-scs2"):
            shutil.rmtree(state)
            state.mkdir(mode=0o700)
    for label in w.controllers:
        w.start_controller(label)
    w.wait_normal("p1", timeout=60)
    w.assert_untouched(pids)
    with w.gap(until="p2"):
        assert w.ctl("switchover", "p1").code == 0
    w.wait_normal("p2")
    assert w.witnessed().holders()[-1].epoch > max(epochs)
    w.expect(changes=1)


@pytest.mark.parametrize("how", ["killed", "cut"])
def test_one_elector_gone(make_duo, how):
    """Two of three go on."""
    w = make_duo("agents")
    pids = w.pids()
    if how == "killed":
        w.power_off("c")
    else:
        w.net.cut("c")
    w.hold(2, "p1")
    assert w.leader()
    with w.gap(until="p2"):
        assert w.ctl("switchover", "p1").code == 0
    if how == "killed":
        w.power_on("c")
    w.net.heal("c")
    w.wait_normal("p2", timeout=60)
    w.assert_untouched(pids)
    w.expect(changes=1)


def test_no_majority_of_electors(make_duo):
    """Nobody leads, and no primary is lost for that (L6)."""
    w = make_duo("agents", hosts=("a", "b", "c", "d", "e"))
    pids = w.pids()
    for host in ("c", "d", "e"):
        w.net.cut(host)
    wait(lambda: w.leaders() == [], what="nobody leads")
    w.hold(2, "p1")
    w.net.heal()
    w.wait_normal("p1", timeout=60)
    w.assert_untouched(pids)
    w.expect(changes=0)


def test_electors_record_lost(make_duo):
    """It asks the others what it may have voted for before it votes again (V6)."""
    w = make_duo("agents", hosts=("a", "b", "c", "d", "e"), scs={"electors": "a b c"}, on=("d", "e"))
    leader = w.leader()
    w.power_off("c")
    wait(lambda: "c" not in voters(w, leader), what="c is gone")
    state = w.lca_conf["c"]["lca"]["state-directory"]
    shutil.rmtree(state)
    state.mkdir(mode=0o700)
    w.power_on("c")
    wait(lambda: "c" in voters(w, leader), what="c votes again")
    w.power_off("b")  # from here on the one without a record is needed for a majority
    w.kill_controller(leader)
    wait(lambda: w.leaders() and leader not in w.leaders(), 60, "the other one leads, by the votes of a and c")
    w.start_controller(leader)
    w.power_on("b")
    w.wait_normal("p1", timeout=60)
    w.expect(changes=0)


@pytest.mark.parametrize("fault", ["leader-killed", "one-cut", "all-paused", "restarted"])
def test_etcd_fails(make_duo, fault):
    """The register is away for a while, in part or wholly: no primary is lost, and authority is there again."""
    w = make_duo("etcd")
    pids = w.pids()
    member = w.etcd.leader() if fault == "leader-killed" else "e1"
    if fault == "leader-killed":
        w.etcd.stop(member)
    elif fault == "one-cut":
        w.net.cut(member)
    elif fault == "all-paused":
        w.etcd.pause()
        wait(lambda: w.leaders() == [], what="nobody leads")
    else:
        for m in w.etcd.places:
            w.etcd.stop(m)
        wait(lambda: w.leaders() == [], what="nobody leads")
    w.hold(2, "p1")
    if fault == "leader-killed":
        w.etcd.start(member)
    elif fault == "one-cut":
        w.net.heal(member)
    elif fault == "all-paused":
        w.etcd.resume()
    else:
        w.etcd.start()
    w.leader()
    w.wait_normal("p1", timeout=60)
    with w.gap(until="p2"):
        assert w.ctl("switchover", "p1").code == 0
    w.wait_normal("p2")
    w.assert_untouched(pids)
    w.expect(changes=1)


def test_etcd_with_tls_user_and_password(make_world):
    w = make_world(kind=SafetyWorld, arbiter="etcd", etcd_tls=True)
    secret = w.path("etcd.password")
    secret.write_text("correct horse\n")
    secret.chmod(0o600)
    w.scs_conf["scs"].update({"etcd-user": "understudy", "etcd-password-file": secret})
    w.pair()
    w.etcd.start()
    w.etcd.authenticate("understudy", "correct horse")
    w.start()
    dead = w.leader()
    w.kill_controller(dead)
    wait(lambda: w.leaders() not in ([], [dead]), what="the other one leads")
    w.start_controller(dead)
    w.wait_normal("p1")
    w.expect(changes=0)


@EVERY
def test_authority_is_moved(make_duo, arbiter):
    """By an operator: the other one leads, and no primary is lost."""
    w = make_duo(arbiter)
    pids, old = w.pids(), w.leader()
    answer = w.ctl("authority", "move", "--yes", at=old)
    assert answer.code == 0, answer
    wait(lambda: w.leaders() not in ([], [old]), what="the other one leads")
    w.hold(0.5, "p1")
    w.wait_normal("p1")
    w.assert_untouched(pids)
    w.expect(changes=0)


@SAFE
def test_differing_configuration_does_not_lead(make_duo, arbiter):
    """It is shown by name and hash; when the other one dies nobody leads, until the two agree."""
    w = make_duo(arbiter)
    pids, old = w.pids(), w.leader()
    other = w.follower()
    text = w.conf_file(other).read_text()
    w.conf_file(other).write_text(text.replace("shutdown-timeout = 5s", "shutdown-timeout = 6s", 1))
    w.kill_controller(other, back=True)
    wait(lambda: w.ctl("authority", at=other).code == 0)
    w.hold(0.5, "p1")
    w.kill_controller(old)
    w.hold(2, "p1")
    assert w.leaders() == []
    w.conf_file(other).write_text(text)
    w.kill_controller(other, back=True)
    wait(lambda: w.leaders() == [other], what="it leads once it agrees with what led last")
    w.start_controller(old)
    w.wait_normal("p1")
    w.assert_untouched(pids)
    w.expect(changes=0)


def change_electors(w, electors, at=None):
    """As scs.conf(5) says: both files, both controllers one after the other, the order."""
    for label in list(w.controllers):
        name_electors(w, label, electors)
        w.kill_controller(label, back=True)
    return order_change(w, at or next(iter(w.controllers)))


def name_electors(w, label, electors):
    path = w.conf_file(label)
    path.write_text(re.sub(r"(?m)^electors = .*$", f"electors = {electors}", path.read_text()))


def order_change(w, at):
    for label in w.baseline:  # an elector's agent keeps a connection to every other elector's
        w.baseline[label] += len(w.hosts)
    wait(lambda: w.ctl("authority", at=at).code == 0, what=f"{at} answers")
    return w.ctl("elector", "change", at=at)


def records(w, label):
    """What each elector's record is of, as this controller knows it."""
    return {e["host"]: e["record"] for e in w.ctl("authority", at=label).json["authority"]["electors"]}


@pytest.mark.parametrize("hosts, before, after", [
    pytest.param("abcd", "a b c", "b c d", id="one-exchanged"),
    pytest.param("abcde", "a b c", "a b c d e", id="three-to-five"),
    pytest.param("abcdef", "a b c", "d e f", id="disjoint"),
])
def test_set_of_electors_is_changed(make_duo, hosts, before, after):
    """Nobody leads meanwhile, no primary is lost, and the new majority decides from there on, without the former one."""
    w = make_duo("agents", hosts=tuple(hosts), scs={"electors": before})
    pids = w.pids()
    answer = change_electors(w, after)
    assert answer.code == 0, answer
    wait(lambda: w.leaders(), 60, "one leads by the new set")
    leader = w.leader()
    wait(lambda: set(records(w, leader).values()) == {"this set"}, 60, "all of the new set vote in it")
    w.wait_normal("p1", timeout=60)
    w.assert_untouched(pids)
    w.expect(changes=0)


def test_set_of_electors_in_one_controller_only(make_duo):
    """The wrong order: that one does not lead, and says what to do; the other one goes on."""
    w = make_duo("agents", hosts=("a", "b", "c", "d"), scs={"electors": "a b c"})
    pids, leader, other = w.pids(), w.leader(), w.follower()
    name_electors(w, other, "b c d")
    w.kill_controller(other, back=True)
    wait(lambda: w.ctl("authority", at=other).code == 0)
    wait(lambda: records(w, other).get("b") == "another set", what="it knows what the electors' records are of")
    assert "scsctl elector change" in w.ctl("authority", at=other, json=False).out
    answer = w.ctl("elector", "install", "d", at=other)
    assert answer.code != 0 and "elector change" in answer.json["result"]["text"], answer
    w.hold(2, "p1")
    assert w.leaders() == [leader]
    w.kill_controller(leader)  # nobody leads: the other one has no votes
    w.hold(2, "p1")
    assert w.leaders() == []
    name_electors(w, leader, "b c d")
    w.start_controller(leader)
    assert order_change(w, other).code == 0
    wait(lambda: w.leaders(), 60, "one leads by the new set")
    w.wait_normal("p1", timeout=60)
    w.assert_untouched(pids)
    w.expect(changes=0)


def test_elector_that_was_away_joins_the_new_set(make_duo):
    """b is cut off during the change: c, d and e, with a record each, are a majority of both sets; f, without one, waits for them."""
    w = make_duo("agents", hosts=("a", "b", "c", "d", "e", "f"), scs={"electors": "a b c d e"}, on=("e", "f"))
    pids = w.pids()
    w.net.cut("b")
    answer = change_electors(w, "b c d e f")
    assert answer.code == 0, answer
    wait(lambda: w.leaders(), 60, "one leads by the votes of c, d and e")
    wait(lambda: records(w, w.leader())["f"] == "this set", 60, "f has learned from them")
    w.net.heal("b")
    wait(lambda: records(w, w.leader()) == dict.fromkeys("bcdef", "this set"), 60, "b votes in the new set")
    w.wait_normal("p1", timeout=60)
    w.assert_untouched(pids)
    w.expect(changes=0)


def test_former_majority_is_gone_for_good(make_duo):
    """One of three is not enough for a change, and the result says so; an operator who knows more installs by force."""
    w = make_duo("agents", hosts=("a", "b", "c", "d", "e", "f"), scs={"electors": "a b c"}, on=("e", "f"))
    pids = w.pids()
    w.net.cut("a")
    w.net.cut("b")
    answer = change_electors(w, "c d e")
    assert answer.code != 0 and "2 of 3 electors of the former set are needed, 1 have left it" in answer.json["result"]["text"], answer
    w.hold(2, "p1")
    assert w.leaders() == []
    at = next(iter(w.controllers))
    for host in ("c", "d"):
        assert w.ctl("elector", "install", host, "--force", "--yes", at=at).code == 0
    wait(lambda: w.leaders(), 60, "one leads by the votes of c and d")
    w.net.heal()
    w.wait_normal("p1", timeout=60)
    w.assert_untouched(pids)
    w.expect(changes=0)
