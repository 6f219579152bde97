"""The daemons themselves die, one by one and again and again, and what they look after goes on (FAULTS 12, 16, 29, 31)."""
import os
import signal

import pytest

from world import alive, wait

TIMES = 20


@pytest.mark.parametrize("host", ["a", "b"])
def test_agent_killed_twenty_times(pair, host):
    pids = pair.pid("p1"), pair.pid("p2")
    for _ in range(TIMES):
        dead = pair.kill_agent(host)
        wait(lambda: pair.agent_pid(host) not in (0, dead), what="another agent")
        pair.wait_normal("p1")
    pair.assert_unchanged(pids)


@pytest.mark.parametrize("host", ["a", "b"])
def test_keeper_killed_twenty_times(pair, host):
    pids = pair.pid("p1"), pair.pid("p2")
    for _ in range(TIMES):
        agent = pair.agent_pid(host)
        pair.lca(host).kill_and_return()
        wait(lambda: pair.agent_pid(host) not in (0, agent), what="its agent")
        wait(lambda: not alive(agent), what="the former keeper's agent ends")
        pair.wait_normal("p1")
    pair.assert_unchanged(pids)


def test_scs_killed_twenty_times(pair):
    pids = pair.pid("p1"), pair.pid("p2")
    for _ in range(TIMES):
        pair.scs.kill_and_return()
        wait(lambda: pair.ctl("status").code == 0)
        pair.wait_normal("p1")
    pair.assert_unchanged(pids)


def test_all_three_in_turn(pair):
    pids = pair.pid("p1"), pair.pid("p2")
    for _ in range(5):
        pair.kill_agent("a")
        pair.scs.kill_and_return()
        pair.lca("b").kill_and_return()
        pair.lca("a").kill_and_return()
        wait(lambda: pair.ctl("status").code == 0)
        pair.wait_normal("p1")
    pair.assert_unchanged(pids)


def test_supervision_works_after_the_keeper_was_killed(pair):
    pair.lca("a").kill_and_return()
    pair.wait_normal("p1")
    adopted = pair.kill_app("p1")  # not a child of this keeper
    pair.wait_normal("p2")
    assert not alive(adopted)


def test_exit_while_the_keeper_was_away(make_world):
    w = make_world()
    w.scs_conf["scs"]["agent-return-timeout"] = "60s"
    w.pair()
    w.start()
    pid, before = w.pid("p1"), w.pair_state()["epoch"]
    w.lca("a").restart = False
    w.lca("a").kill()
    wait(lambda: not w.lca("a").pid)
    os.kill(pid, signal.SIGKILL)
    wait(lambda: not os.path.exists(f"/proc/{pid}"), what="pid 1 has reaped it: nobody can know its status any more")
    w.lca("a").restart = True
    w.lca("a").thread.join()
    w.lca("a").start()
    said = wait(lambda: [r["text"] for r in w.history("--application", "p1") if r["number"] == 5064], what="its end was reported")
    assert "unknown (adopted)" in said[-1], said
    # Who is first decides: scs, that the standby takes over; or the agent, that it goes on in place, after two poll periods in which no scs was heard.
    wait(lambda: w.pair_state()["state"] == "normal")
    in_place = "30311 restart-in-role p1" in w.log("a")
    w.wait_normal("p1" if in_place else "p2")
    assert (w.pair_state()["epoch"] == before) == in_place


def test_agent_killed_and_the_application_dies_meanwhile(pair):
    """The keeper keeps the exit record: the signal is known although no agent was there."""
    pid = pair.pid("p1")
    os.kill(pair.agent_pid("a"), signal.SIGSTOP)
    os.kill(pid, signal.SIGTERM)
    wait(lambda: not alive(pid))
    pair.kill_agent("a")
    pair.wait_normal("p2")
    said = [r["text"] for r in pair.history("--application", "p1") if r["number"] == 5064]
    assert said and "adopted" not in said[-1] and ("exit code 0" in said[-1] or "signal" in said[-1]), said


def test_planned_switchover_after_scs_restart_uses_a_higher_term(pair):
    before = pair.pair_state()["epoch"]
    pair.scs.kill_and_return()
    wait(lambda: pair.ctl("status").code == 0)
    pair.wait_normal("p1")
    adopted = pair.pair_state()["epoch"]
    assert adopted == before, "adopted with its epoch, not granted again"
    assert pair.ctl("switchover", "p1").code == 0
    after = pair.pair_state()["epoch"]
    assert after["term"] > before["term"]


def test_why_explains_the_last_role_change_also_after_scs_restarted(pair):
    """The adoption that a restart brings is in the history; it changed no role, so it hides no evidence of the decision that did."""
    assert pair.ctl("switchover", "p1").code == 0
    pair.wait_normal("p2")
    before = wait(lambda: (lambda d: d if d["result"].startswith("done") else None)(pair.why()["decision"]), what="the switchover is done")
    assert before["rule"] == 8 and before["steps"]
    pair.scs.kill_and_return()
    wait(lambda: pair.ctl("status").code == 0)
    pair.wait_normal("p2")
    assert any("rule 15 adopted" in r["text"] for r in pair.history("--application", "p1")), "the restart adopted the primary"
    after = pair.why()["decision"]
    walls = {"time_us", "evidence_us"}
    for key in walls:
        assert abs(after[key] - before[key]) < 1_000_000, "wall time is made of the time since boot at each asking"
    assert {k: v for k, v in after.items() if k not in walls | {"time"}} == {k: v for k, v in before.items() if k not in walls | {"time"}}


def test_scs_away_the_primary_dies_and_is_restarted_in_place(make_world):
    """DOMAIN row 15: nothing switches while there is no SCS."""
    w = make_world()
    w.pair()
    w.start()
    w.scs.stop()
    w.scs.ended.clear()
    wait(lambda: "8005" in w.log("a"), what="the agent says that nobody controls the host")
    pid = int(w.starts("p1")[-1].pid)
    os.kill(pid, signal.SIGKILL)
    wait(lambda: len(w.starts("p1")) == 2, what="restarted by its agent")
    wait(lambda: any(r.what == "ready" and r.pid == w.starts("p1")[-1].pid for r in w.record("p1")))
    w.scs.start()
    wait(lambda: w.ctl("status").code == 0)
    w.wait_normal()


def test_scs_database_lost(pair):
    """FAULTS 33: it learns the truth from the agents; no epoch is reused."""
    pids = pair.pid("p1"), pair.pid("p2")
    before = pair.pair_state()["epoch"]
    pair.scs.stop(signal.SIGKILL)
    pair.scs.ended.clear()
    for path in pair.path("state").iterdir():
        path.unlink()
    pair.scs.start()
    wait(lambda: pair.ctl("status").code == 0)
    pair.wait_normal("p1")
    pair.assert_unchanged(pids)
    assert pair.ctl("switchover", "p1").code == 0
    after = pair.pair_state()["epoch"]
    assert (after["term"], after["n"]) > (before["term"], before["n"])


def test_sigterm_of_lca_leaves_applications(pair):
    pids = pair.pid("p1"), pair.pid("p2")
    keeper, agent = pair.lca("a").pid, pair.agent_pid("a")
    assert pair.lca("a").stop() == 0
    wait(lambda: not alive(agent) and not alive(keeper))
    assert alive(pids[0])
    pair.lca("a").start()
    pair.wait_normal("p1")
    pair.assert_unchanged(pids)


def test_second_lca_is_refused(pair):
    import tree
    done = tree.run(*pair.net.inside("a", tree.program("lca"), "-f", pair.conf_file("a")), timeout=30)
    assert done.returncode not in (0, 2)
    said = done.stdout + done.stderr + pair.log("a")
    assert any(word in said for word in ("another lca", "already runs", "is running", "second lca", "lock")), said
    pair.wait_normal("p1")


def test_second_scs_of_the_same_name_is_refused(pair):
    import tree
    other = dict(pair.scs_conf["scs"])
    other["log-file"] = pair.path("scs-second.log")
    conf = pair.path("scs-second.conf")
    from world import conf_text
    conf.write_text(conf_text({**pair.scs_conf, "scs": other}))
    done = tree.run(*pair.net.inside("scs", tree.program("scs"), "-f", conf), timeout=30)
    assert done.returncode != 0, "the admin socket is listened on already"
    pair.wait_normal("p1")


def test_paused_agent_is_not_a_lost_primary_when_it_returns(make_world):
    """FAULTS 13 without leases: the agent is stopped for a while and continued."""
    w = make_world()
    w.scs_conf["scs"]["disconnect-switchover-timeout"] = "60s"
    w.pair(fencing="none")
    w.start()
    pids = w.pid("p1"), w.pid("p2")
    agent = w.agent_pid("a")
    os.kill(agent, signal.SIGSTOP)
    wait(lambda: w.host("a")["status"] != "Running")
    os.kill(agent, signal.SIGCONT)
    w.wait_normal("p1")
    w.assert_unchanged(pids)


def test_paused_keeper_is_harmless(pair):
    pids = pair.pid("p1"), pair.pid("p2")
    keeper = pair.lca("a").pid
    os.kill(keeper, signal.SIGSTOP)
    assert pair.ctl("status").code == 0
    os.kill(keeper, signal.SIGCONT)
    pair.wait_normal("p1")
    pair.assert_unchanged(pids)


def test_paused_scs_is_harmless(pair):
    pids = pair.pid("p1"), pair.pid("p2")
    os.kill(pair.scs.pid, signal.SIGSTOP)
    wait(lambda: "8005" in pair.log("a") and "8005" in pair.log("b"), what="the agents miss it")
    os.kill(pair.scs.pid, signal.SIGCONT)
    wait(lambda: pair.ctl("status").code == 0)
    pair.wait_normal("p1")
    pair.assert_unchanged(pids)


def test_daemons_started_with_closed_standard_descriptors(make_world):
    """`2>&-` in a start script: no lock file, timer or socket may become the standard error of a daemon."""
    w = make_world()
    w.pair()
    for which in ("a", "b", "scs"):
        d = w.daemon(which)
        d.words = ["/bin/bash", "-c", 'exec "$@" <&- >&- 2>&-', "bash", *d.words]
    w.start()
    for label, pid in w.daemon_pids().items():
        assert [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in range(3)] == ["/dev/null"] * 3, label
