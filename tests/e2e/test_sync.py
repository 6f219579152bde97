"""Sync marks on real processes: nobody is promoted below what was acknowledged, and a planned switchover loses nothing (SAFETY sections 6, 7 and S9)."""
import threading

import pytest

from world import alive, wait


def say(w, name, position, acknowledged=None):
    """Until the controller knows it."""
    more = "" if acknowledged is None else f"|X_SYNC_ACKNOWLEDGED={acknowledged}"
    assert w.tell(name, f"notify X_SYNC_POSITION={position}{more}") == "ok"
    key = "primary_position" if w.pair_state()["primary"] == name else "backup_position"
    wait(lambda: w.pair_state()[key] == position, what=f"{name} has {position}")
    if acknowledged is not None:
        wait(lambda: w.pair_state()["sync_point"] == acknowledged, what=f"{acknowledged} is acknowledged")


@pytest.fixture
def marked(make_world):
    w = make_world()
    w.pair(sync_timeout="30s", max_lag=50, fencing="lease")
    return w.start()


def test_backup_that_has_it_all_is_promoted(marked):
    say(marked, "p1", 120, 100)
    say(marked, "p2", 100)
    assert marked.pair_state()["lag"] == 20
    text = marked.ctl("status", "pairs", json=False).out
    assert "sync marks: p1: the primary has 120, the other has 100, 20 behind; 100 is acknowledged" in text, text
    marked.kill_app("p1")
    marked.wait_normal("p2")
    assert marked.pair_state()["sync_point"] == 100  # it outlives the primary that told it


def test_backup_below_the_sync_point_is_not_promoted(marked):
    say(marked, "p2", 99)
    say(marked, "p1", 120, 100)
    dead = marked.kill_app("p1")
    wait(lambda: marked.pid("p1") not in (0, dead))
    marked.wait_normal("p1")  # restarted in place: it is the last primary
    assert {c[1] for c in marked.role_changes("p1", "p2")} == {"p1"}
    told = [r for r in marked.history() if r["number"] == 20621]
    assert told and "p2 has 99, 100 is acknowledged (S9)" in told[-1]["text"], told


def test_force_promotes_below_the_sync_point(marked):
    say(marked, "p2", 99)
    say(marked, "p1", 120, 100)
    assert marked.ctl("stop", "p2").code == 0 and marked.ctl("stop", "p1").code == 0
    assert marked.ctl("start", "p2").code == 0
    wait(lambda: marked.app("p2")["status"] == "Started")
    refused = marked.ctl("switchover", "p1", json=False)
    assert refused.code not in (0, 2) and "p2 does not say what it has, 100 is acknowledged (S9)" in refused.out + refused.err, refused
    forced = marked.ctl("switchover", "p1", "--force", "--yes")
    assert forced.code == 0, forced
    marked.wait_primary("p2")
    say(marked, "p2", 99)
    wait(lambda: marked.pair_state()["sync_point"] == 99, what="what was above is given up")
    assert marked.ctl("start", "p1").code == 0
    marked.wait_normal("p2")


def test_switchover_too_far_behind_is_refused(marked):
    pids = marked.pid("p1"), marked.pid("p2")
    say(marked, "p1", 200, 100)
    silent = marked.ctl("switchover", "p1", json=False)
    assert silent.code not in (0, 2) and "p2 does not say what it has, and p1 has 200" in silent.out + silent.err, silent
    say(marked, "p2", 120)
    behind = marked.ctl("switchover", "p1", json=False)
    assert behind.code not in (0, 2) and "p2 is 80 behind: it has 120, p1 has 200, and max-lag is 50" in behind.out + behind.err, behind
    assert {c[1] for c in marked.role_changes("p1", "p2")} == {"p1"} and (marked.pid("p1"), marked.pid("p2")) == pids


def test_switchover_waits_for_what_the_primary_ended_with(marked):
    say(marked, "p2", 100)
    say(marked, "p1", 120, 100)
    answers = []
    order = threading.Thread(target=lambda: answers.append(marked.ctl("switchover", "p1")))
    order.start()
    wait(lambda: [marked.app(n)["role"] for n in ("p1", "p2")] == ["Backup", "Backup"], what="the old primary is demoted")
    assert not answers and not any(c[1] == "p2" for c in marked.role_changes("p1", "p2"))
    assert marked.tell("p2", "notify X_SYNC_POSITION=120") == "ok"
    order.join()
    assert answers[0].code == 0, answers
    marked.wait_normal("p2")
    steps = [s["text"] for s in marked.why()["decision"]["steps"]]
    assert "await 120 from p2, which has 100" in steps, steps


def test_switchover_that_loses_something_gives_the_role_back(make_world):
    w = make_world()
    w.pair(sync_timeout="500ms")
    w.start()
    say(w, "p2", 100)
    say(w, "p1", 120, 100)
    epoch = w.pair_state()["epoch"]["n"]
    answer = w.ctl("switchover", "p1", json=False)
    assert answer.code not in (0, 2) and "p2 has 100, the last primary ended with 120; p1 is primary again" in answer.out + answer.err, answer
    w.wait_normal("p1")
    assert w.pair_state()["epoch"]["n"] > epoch and alive(w.pid("p1"))
    assert {c[1] for c in w.role_changes("p1", "p2")} == {"p1"}


def test_marks_survive_the_controller(marked):
    say(marked, "p1", 120, 100)
    say(marked, "p2", 99)
    marked.scs.kill_and_return()
    wait(lambda: marked.pair_state()["sync_point"] == 100 and marked.pair_state()["backup_position"] == 99)
    marked.wait_normal("p1")
