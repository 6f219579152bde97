"""The journal of a real scs, replayed: every world's audit does it; here is what an operator sees of it."""
import json
import pathlib
import re

import tree
from world import wait


def replay(*words):
    return tree.run(tree.program("scsctl"), "replay", *words, timeout=120)


def journal(w, name="journal"):
    return pathlib.Path(w.scs_conf["scs"]["state-directory"]) / name


def counter(w, name):
    return next(c for c in w.status()["controller"]["counters"] if c["name"] == name)


def test_the_decisions_are_those_of_why(pair):
    assert pair.ctl("switchover", "p1", timeout=60).code == 0
    pair.wait_normal("p2")
    pair.kill_app("p2")
    pair.wait_normal("p1")
    told = pair.why()["decision"]
    replayed = wait(lambda: (lambda d: d if d["decisions"][-1]["result"].startswith("done") else None)(json.loads(replay("--json", journal(pair)).stdout)),
                    what="the journal has the last decision")
    mine = [d for d in replayed["decisions"] if d["epoch"] == told["epoch"]][-1]
    assert mine["pair"] == "p1"
    for member in ("rule", "name", "sentence", "cause", "ordered_by", "from", "to", "facts", "steps", "result"):
        assert mine[member] == told[member], member
    assert abs(mine["time_us"] - told["time_us"]) < 1_000_000  # wall time is added when it is shown
    assert replayed["journal"]["same"] and replayed["journal"]["steps"] > 20
    manual = [d for d in replayed["decisions"] if d["ordered_by"]]
    assert [d["name"] for d in manual] == ["manual-switchover"]
    text = replay(journal(pair))
    assert text.returncode == 0
    assert f"rule {told['rule']} {told['name']}: {told['sentence']}" in text.stdout
    assert re.fullmatch(r"\d+ steps, \d+ actions, \d+ decisions: the same; it ends: .*", text.stdout.splitlines()[-1])


def test_a_killed_run_is_kept_and_replayed(pair):
    pair.kill_app("p1")
    pair.wait_normal("p2")
    told = pair.why()["decision"]
    pair.scs.kill_and_return()
    wait(lambda: pair.ctl("status").code == 0)
    pair.wait_normal("p2")
    former = replay(journal(pair, "journal.1"))
    assert former.returncode == 0, former.stderr
    assert f"rule {told['rule']} {told['name']}: {told['sentence']}" in former.stdout
    assert "the same; it ends: " in former.stdout and "killed" in former.stdout


def test_a_full_journal_ends_and_the_controller_goes_on(make_world):
    w = make_world()
    w.pair()
    w.scs_conf["scs"]["journal-size"] = "64KiB"
    w.scs_conf["scs"]["poll-period"] = "20ms"
    w.start()
    wait(lambda: w.status()["controller"]["journal_error"], 120, "the journal is full")
    assert w.status()["controller"]["journal_error"] == "its size is reached"
    assert counter(w, "journal-bytes")["value"] <= counter(w, "journal-bytes")["limit"] == 65536
    assert "journal: has ended: its size is reached" in w.ctl("status", json=False).out
    assert w.log("scs").count(" journal-ended ") == 1
    w.kill_app("p1")
    w.wait_normal("p2")
    out = replay(journal(w))
    assert out.returncode == 0 and "it ends: its size is reached" in out.stdout


def test_what_is_no_journal_is_refused(tmp_path):
    other = tmp_path / "file"
    other.write_text("[scs]\nname = scs1\n")
    out = replay(other)
    assert out.returncode == 1 and "no journal" in out.stderr
    assert replay(tmp_path / "nothing").returncode == 1
    assert tree.run(tree.program("scsctl"), "replay").returncode == 2
