"""Hosts that members leave: drained by an operator, and stopped with everything on them."""
import janitor
import tree
from world import alive, wait


def two_pairs(make_world):
    w = make_world()
    w.pair(fencing="lease")
    w.pair("q1", "q2", fencing="lease")
    w.application("alone", "a")
    return w.start()


def test_drained_host_has_no_primary_until_it_is_undrained(make_world):
    w = two_pairs(make_world)
    alone = w.pid("alone")
    done = w.ctl("drain", "a")
    assert done.code == 0 and done.json["result"]["text"] == "host a is drained: nothing is primary there", done
    for name in ("p2", "q2"):
        w.wait_primary(name, f"{name[0]}1")
    assert w.pid("alone") == alone, "what is no member of a pair goes on"
    assert next(h["leaving"] for h in w.status()["hosts"] if h["name"] == "a") == "drained"
    refused = w.ctl("switchover", "p1")
    assert refused.code == 1 and refused.json["result"]["error"] == "ApplicationHostConflict", refused
    # It is the host that remembers: neither its agent's end nor the controller's changes it.
    w.kill_agent("a")
    w.scs.kill_and_return()
    wait(lambda: [h["leaving"] for h in w.status()["hosts"]] == ["drained", ""], what="the drained host is known again")
    wait(lambda: w.pair_state()["state"] == "degraded" and w.pair_state()["primary"] == "p2", what="p2 is known as primary")
    w.kill_app("p2")
    wait(lambda: w.why("p1")["decision"]["rule"] == 2, what="p2 is restarted in place")
    w.wait_primary("p2")
    assert w.ctl("undrain", "a").code == 0
    assert w.ctl("switchover", "p1").code == 0
    w.wait_primary("p1")
    assert w.why("p1")["decision"]["rule"] == 8


def test_what_cannot_be_moved_is_named(make_world):
    w = make_world()
    w.pair(fencing="lease")
    w.start()
    assert w.ctl("stop", "p2").code == 0
    done = w.ctl("drain", "a")
    assert done.code == 1 and "p1 stays primary there" in done.json["result"]["text"], done
    assert w.ctl("start", "p2").code == 0
    w.wait_primary("p2")
    assert w.why("p1")["decision"]["rule"] == 22
    assert w.ctl("drain", "nowhere").code == 5
    w.ctl("undrain", "a")


def test_stop_all_hands_over_and_ends_every_application(make_world):
    w = two_pairs(make_world)
    w.tell("p1", "grandchild")
    pids = [w.pid(name) for name in ("p1", "q1", "alone")]
    d = w.lca("a")
    d.restart = False
    d.asked = True
    done = tree.run(*w.net.inside("a", tree.program("lca"), "-f", w.conf_file("a"), "--stop-all"), timeout=60)
    assert done.returncode == 0, done
    wait(lambda: not d.pid and not any(alive(p) for p in pids), what="applications and daemon are gone")
    wait(lambda: not janitor.pids_in(w.net.namespace("a")), what="nothing is left on the host")
    for name in ("p2", "q2"):
        w.wait_primary(name, f"{name[0]}1")
        assert w.why(name)["decision"]["rule"] == 22, "handed over, not missed"
    d.restart = True
    d.start()
    for name in ("p1", "q1", "alone"):
        wait(lambda n=name: w.ctl("start", n).code == 0, what=f"{name} is started again")
