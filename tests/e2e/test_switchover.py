"""The main job on real processes: who becomes primary, when, and why (DOMAIN section 4)."""
import pytest

from world import LONG, alive, wait


def numbers(w, *words):
    return [row["number"] for row in w.history(*words)]


def test_first_start_prefers_the_configured_primary(pair):
    s = pair.status()
    assert pair.pair_state()["primary"] == "p1" and pair.pair_state()["backup"] == "p2"
    assert [pair.app(n, s)["role"] for n in ("p1", "p2")] == ["Primary", "Backup"]
    # SAFETY B6: each was started as backup, PRIMARY came afterwards as an order with an epoch.
    for name in ("p1", "p2"):
        assert [r.role for r in pair.starts(name)] == ["backup"]
    changes = pair.role_changes("p1", "p2")
    assert [c[1] for c in changes] == ["p1"] and changes[0][2][0] > 0


def test_command_environment_names_the_peer(pair):
    said = {key: pair.tell("p2", f"env {key}").removeprefix("ok ") for key in
            ("LCA_ROLE", "LCA_APPLICATION", "LCA_PEER_APPLICATION", "LCA_PEER_HOST", "LCA_PEER_ADDRESS")}
    assert said == {"LCA_ROLE": "backup", "LCA_APPLICATION": "p2", "LCA_PEER_APPLICATION": "p1", "LCA_PEER_HOST": "a",
                    "LCA_PEER_ADDRESS": pair.net.address["a"]}


def test_configured_primary_never_ready(make_world):
    w = make_world()
    w.pair(startup_timeout="1s", restart_limit=1)
    w.mode("p1", "never-ready")
    w.start(settle=False)
    w.wait_primary("p2")
    w.mode("p1", "")
    wait(lambda: w.app("p1")["failed"] or w.app("p1")["status"] == "Started")
    w.ctl("reset", "p1")
    w.ctl("start", "p1")
    w.wait_normal("p2")


@pytest.mark.parametrize("tls", [True, False])
def test_killed_primary(make_world, tls):
    w = make_world(tls=tls)
    w.pair()
    w.start()
    before = w.pair_state()
    dead = w.kill_app("p1")
    w.wait_primary("p2")
    w.wait_normal("p2")  # p1 is back, as backup
    after = w.pair_state()
    assert (after["epoch"]["term"], after["epoch"]["n"]) > (before["epoch"]["term"], before["epoch"]["n"])
    assert not alive(dead) and w.pid("p1") not in (0, dead)
    assert [r.role for r in w.starts("p1")] == ["backup", "backup"]
    history = numbers(w)
    assert 5064 in history and 5150 in history and 5091 not in history
    why = w.why()["decision"]
    assert why["from"] == "p1" and why["to"] == "p2" and why["result"].startswith("done") and why["rule"] > 0 and why["sentence"]
    assert "signal 9" in why["cause"] + str(why["facts"])
    if not tls:
        assert "tls = off" in w.log("scs") and "tls = off" in w.log("a")


def test_killed_twice_goes_forth_and_back(pair):
    pair.kill_app("p1")
    pair.wait_normal("p2")
    pair.scs_conf["scs"]["haflip-detect-timeout"] = "0s"
    pair.write()
    assert pair.ctl("config", "reload").code == 0
    pair.kill_app("p2")
    pair.wait_normal("p1")
    assert [c[1] for c in pair.role_changes("p1", "p2")] == ["p1", "p2", "p1"]


def test_killed_backup_changes_no_role(pair):
    pid = pair.pid("p1")
    dead = pair.kill_app("p2")
    wait(lambda: pair.pid("p2") not in (0, dead))
    pair.wait_normal("p1")
    assert pair.pid("p1") == pid
    assert 5064 in numbers(pair, "--application", "p2")
    assert [c[1] for c in pair.role_changes("p1", "p2")] == ["p1"]


def test_planned_switchover(pair):
    pids = pair.pid("p1"), pair.pid("p2")
    answer = pair.ctl("switchover", "p1")
    assert answer.code == 0, answer
    assert pair.pair_state()["primary"] == "p2"  # the command waited for its result
    pair.wait_normal("p2")
    assert (pair.pid("p1"), pair.pid("p2")) == pids
    # The old primary was demoted before the other was promoted.
    demoted = max(r.t for r in pair.record("p1") if r.what == "role" and r.role == "backup")
    promoted = max(r.t for r in pair.record("p2") if r.what == "role" and r.role == "primary")
    assert demoted < promoted
    back = pair.ctl("switchover", "p2")  # either member names the pair
    assert back.code == 0, back
    pair.wait_normal("p1")


def test_switchover_without_a_backup_is_refused_by_name(pair):
    assert pair.ctl("stop", "p2").code == 0
    answer = pair.ctl("switchover", "p1", json=False)
    assert answer.code not in (0, 2)
    assert "ApplicationNotStarted" in answer.out + answer.err or "ApplicationNotReady" in answer.out + answer.err, answer
    assert pair.ctl("start", "p2").code == 0
    pair.wait_normal("p1")


def test_no_licence_no_switchover(make_world):
    w = make_world()
    w.pair()
    w.scs_conf["license"]["ha"] = "no"
    w.start()
    assert w.status()["controller"]["licence"] is False
    dead = w.kill_app("p1")
    wait(lambda: w.pid("p1") not in (0, dead))
    w.wait_normal("p1")  # restarted in place, as primary again
    assert 7100 in numbers(w)
    refused = w.ctl("switchover", "p1")
    assert refused.code not in (0, 2)
    assert {c[1] for c in w.role_changes("p1", "p2")} == {"p1"}


def test_service_unavailable(pair):
    pid = pair.pid("p1")
    assert pair.tell("p1", "notify X_STATUS=ServiceUnavailable") == "ok"
    pair.wait_primary("p2")
    assert pair.pid("p1") == pid, "the old primary stays running"
    wait(lambda: pair.app("p1")["role"] == "Backup")
    assert pair.tell("p1", "notify X_STATUS=Started") == "ok"
    pair.wait_normal("p2")  # and stays backup when it recovers
    assert 5094 in numbers(pair)


def test_both_unavailable_the_backup_recovers_first(pair):
    pair.tell("p2", "notify X_STATUS=ServiceUnavailable")
    wait(lambda: pair.app("p2")["status"] == "ServiceUnavailable")
    pair.tell("p1", "notify X_STATUS=ServiceUnavailable")
    wait(lambda: pair.app("p1")["status"] == "ServiceUnavailable")
    assert pair.pair_state()["primary"] == "p1"  # no target
    pair.tell("p2", "notify X_STATUS=Started")
    pair.wait_primary("p2")
    pair.tell("p1", "notify X_STATUS=Started")
    pair.wait_normal("p2")


@pytest.mark.parametrize("restart", ["yes", "no"])
def test_hang(make_world, restart):
    w = make_world()
    w.pair(heartbeat_period="500ms", hangup_restart=restart)
    w.start()
    pid = w.pid("p1")
    w.tell("p1", "watchdog off")
    wait(lambda: 5160 in numbers(w), what="the hang is reported")
    if restart == "yes":
        w.wait_normal("p2")
        assert w.pid("p1") != pid
    else:
        assert w.pid("p1") == pid and w.pair_state()["primary"] == "p1"
        w.tell("p1", "watchdog on")
        wait(lambda: 5161 in numbers(w), what="the end of the hang is reported")


def test_stopped_process_is_a_hang(make_world):
    w = make_world()
    w.pair(heartbeat_period="500ms", shutdown_timeout="1s")
    w.start()
    import signal
    w.kill_app("p1", signal.SIGSTOP)
    w.wait_normal("p2")


def fast(w):
    w.scs_conf["scs"].update({"addp-timeout": "300ms", "addp-remote-timeout": "300ms", "poll-period": "100ms", "haflip-detect-timeout": "0s"})


def test_cut_host_and_heal(make_world):
    """fencing = none: two primaries while the cut lasts, and the older one is demoted when it heals (DOMAIN row 16)."""
    w = make_world()
    fast(w)
    w.pair(fencing="none")
    w.start()
    pids = w.pid("p1"), w.pid("p2")
    w.net.cut("a")
    w.wait_primary("p2")
    assert w.host("a")["status"] in ("Unavailable", "Unreachable")
    assert alive(pids[0]), "nobody stopped it: that is what fencing = none means"
    assert [r for r in w.record("p1") if r.what == "role"][-1].role == "primary", "two primaries now"
    w.net.heal("a")
    w.wait_normal("p2")
    wait(lambda: [r for r in w.record("p1") if r.what == "role"][-1].role == "backup")
    assert (w.pid("p1"), w.pid("p2")) == pids, "no process was restarted"
    history = numbers(w)
    assert 20622 in history and 20623 in history, "two primaries were reported, and their end"
    assert [c[1] for c in w.role_changes("p1", "p2")] == ["p1", "p2"]


def test_disconnect_switchover_timeout_forgives_a_short_cut(make_world):
    w = make_world()
    fast(w)
    w.scs_conf["scs"]["disconnect-switchover-timeout"] = "60s"
    w.pair()
    w.start()
    pids = w.pid("p1"), w.pid("p2")
    w.net.cut("a")
    wait(lambda: w.host("a")["status"] != "Running")
    w.net.heal("a")
    w.wait_normal("p1")
    w.assert_unchanged(pids)


def test_cut_backup_host_changes_nothing(make_world):
    w = make_world()
    fast(w)
    w.pair()
    w.start()
    pids = w.pid("p1"), w.pid("p2")
    w.net.cut("b")
    wait(lambda: w.host("b")["status"] != "Running")
    w.net.heal("b")
    w.wait_normal("p1")
    w.assert_unchanged(pids)


def test_path_to_scs_cut_and_the_peer_sees_it(make_world):
    """FAULTS 20: scs has lost a, b still sees it: the primary keeps serving."""
    w = make_world()
    fast(w)
    w.pair()
    w.start()
    w.net.cut("a", "scs")
    wait(lambda: w.host("a")["seen_by"] == "b", what="b's view is known")
    why = wait(lambda: (lambda y: y["name"] == "seen-by-peer" and y)(w.why()["standing"]), what="why says that the peer sees it")
    assert "switchover" in why["sentence"] and w.pair_state()["primary"] != "p2"
    assert 30208 in numbers(w)
    w.net.heal("a")
    w.wait_normal("p1")
    assert [c[1] for c in w.role_changes("p1", "p2")] == ["p1"]


def test_host_loss_controller_does_not_ask_the_peer(make_world):
    w = make_world()
    fast(w)
    w.scs_conf["scs"]["host-loss"] = "controller"
    w.pair()
    w.start()
    w.net.cut("a", "scs")
    w.wait_primary("p2")
    w.net.heal("a")
    w.wait_normal("p2")


@pytest.mark.parametrize("way", ["deafen", "silence"])
def test_one_way_loss(make_world, way):
    """FAULTS 21: with another path that proves life, no failover; never two primaries inside one island."""
    w = make_world()
    fast(w)
    w.pair()
    w.start()
    getattr(w.net, way)("a", "scs")
    wait(lambda: w.host("a")["status"] != "Running")
    wait(lambda: w.host("a")["seen_by"] == "b")
    assert w.why()["standing"]["name"] == "seen-by-peer" and w.pair_state()["primary"] != "p2"
    w.net.heal("a")
    w.wait_normal("p1")
    assert [c[1] for c in w.role_changes("p1", "p2")] == ["p1"]


def test_agent_gone_is_not_a_lost_host(make_world):
    """FAULTS 28: refused connections on a living host are given agent-return-timeout."""
    w = make_world()
    w.scs_conf["scs"]["agent-return-timeout"] = "60s"
    w.pair()
    w.start()
    pids = w.pid("p1"), w.pid("p2")
    w.lca("a").stop(9)
    wait(lambda: w.host("a")["status"] == "Disconnected")
    w.lca("a").ended.clear()
    w.lca("a").start()
    w.wait_normal("p1")
    assert (w.pid("p1"), w.pid("p2")) == pids


def test_planned_stop_of_the_primary(pair):
    """DOMAIN row 14: the backup is promoted first, then the old primary is stopped, as planned."""
    old = pair.pid("p1")
    answer = pair.ctl("stop", "p1")
    assert answer.code == 0, answer
    assert pair.app("p1")["status"] == "Stopped" and not alive(old)
    assert pair.pair_state()["primary"] == "p2"
    promoted = max(r.t for r in pair.record("p2") if r.what == "role" and r.role == "primary")
    stopped = max(r.t for r in pair.record("p1") if r.what == "stop")
    assert promoted < stopped
    history = numbers(pair)
    assert 5091 in history and 5064 not in history
    assert pair.ctl("start", "p1").code == 0
    pair.wait_normal("p2")


def test_declined_role(pair):
    """FAULTS 40: the application says no; roles stay as they were."""
    pair.role_mode("p2", "decline")
    answer = pair.ctl("switchover", "p1")
    assert answer.code not in (0, 2), answer
    pair.wait_normal("p1")
    assert 30204 in numbers(pair)
    pair.role_mode("p2", "")
    wait(lambda: pair.ctl("switchover", "p1").code == 0)
    pair.wait_normal("p2")


def test_role_command_that_never_answers(make_world):
    """DOMAIN row 17: treated as failed, never as obedient: it is killed and another is primary."""
    w = make_world()
    w.pair(role_timeout="500ms")
    w.start()
    old = w.pid("p1")
    w.role_mode("p1", "hang")
    w.ctl("switchover", "p1")
    w.wait_primary("p2")
    assert not alive(old)
    w.role_mode("p1", "")
    w.wait_normal("p2", timeout=LONG * 2)


def test_pair_on_one_host_is_said_and_works(make_world):
    w = make_world(hosts=("a",))
    w.pair(on=("a", "a"))
    w.start()
    assert 30209 in numbers(w) or "30209" in w.log("scs")
    w.kill_app("p1")
    w.wait_normal("p2")


def test_flapping_holds_the_pair(make_world):
    """DOMAIN row 18: forth and back within haflip-detect-timeout: held until it is quiet."""
    w = make_world()
    w.scs_conf["scs"]["haflip-detect-timeout"] = "3s"
    w.pair()
    w.start()
    for turn in range(8):
        primary = w.pair_state()["primary"]
        w.kill_app(primary)
        wait(lambda: w.pair_state()["primary"] and all(alive(w.pid(n)) for n in ("p1", "p2")), 30)
        if 10327 in numbers(w):
            break
        w.wait_normal()
    assert 10327 in numbers(w)
    wait(lambda: 10328 in numbers(w), 60, "quiet again")
    w.wait_normal(timeout=60)


def test_standby_dies_during_the_switchover(make_world):
    """FAULTS 39: the old primary gets its role back, with a higher epoch."""
    w = make_world()
    w.pair(role_timeout="20s")
    w.start()
    pid, before = w.pid("p1"), w.pair_state()["epoch"]
    w.role_mode("p2", "hang")
    assert w.ctl("switchover", "p1", "--no-wait").code == 0
    wait(lambda: any(r.what == "role" and r.role == "backup" and r.t > w.role_changes("p1")[-1][0] for r in w.record("p1")), what="p1 is demoted, p2 is being promoted")
    w.kill_app("p2")
    w.role_mode("p2", "")
    w.wait_normal("p1", timeout=60)
    after = w.pair_state()["epoch"]
    assert w.pid("p1") == pid and (after["term"], after["n"]) > (before["term"], before["n"])


@pytest.mark.parametrize("slow", ["p1", "p2"])
def test_scs_killed_in_the_middle_of_a_switchover(make_world, slow):
    """FAULTS 29: killed between demotion and promotion, and between promotion and its record: finished or undone, once."""
    w = make_world()
    w.pair()
    w.start()
    pids = w.pid("p1"), w.pid("p2")
    w.role_mode(slow, "slow")
    assert w.ctl("switchover", "p1", "--no-wait").code == 0
    w.scs.kill_and_return()
    w.role_mode(slow, "")
    wait(lambda: w.ctl("status").code == 0)
    w.wait_normal(timeout=60)
    assert (w.pid("p1"), w.pid("p2")) == pids
    assert len(w.role_changes("p1", "p2")) <= 3


def test_network_that_flaps_ten_times(make_world):
    """FAULTS 25: at most one switchover."""
    w = make_world()
    fast(w)
    w.scs_conf["scs"]["haflip-detect-timeout"] = "10s"
    w.pair()
    w.start()
    pids = w.pid("p1"), w.pid("p2")
    for _ in range(10):
        w.net.cut("a")
        wait(lambda: w.host("a")["status"] != "Running")
        w.net.heal("a")
        wait(lambda: w.host("a")["status"] == "Running")
    w.wait_normal(timeout=60)
    assert (w.pid("p1"), w.pid("p2")) == pids
    assert len(w.role_changes("p1", "p2")) <= 2, w.role_changes("p1", "p2")


def test_both_hosts_lost_and_back(make_world):
    """FAULTS 41 without leases: nobody is restarted, the one primary stays the one."""
    w = make_world()
    fast(w)
    w.pair()
    w.start()
    pids = w.pid("p1"), w.pid("p2")
    w.net.cut("scs")
    wait(lambda: all(h["status"] != "Running" for h in w.status()["hosts"]))
    w.net.heal("scs")
    w.wait_normal("p1", timeout=60)
    w.assert_unchanged(pids)


def test_addp_is_traced_on_either_side(make_world):
    w = make_world()
    fast(w)
    w.scs_conf["scs"]["addp-trace"] = "both"
    w.scs_conf["scs"]["poll-period"] = "20s"  # so that the connection is idle and ADDP has to poll
    w.pair(fencing="none")  # a lease is polled for
    w.start()
    wait(lambda: "addp-trace" in w.log("scs") and "addp-trace" in w.log("a"), what="polls in both logs")
    w.wait_normal("p1")


def test_five_percent_loss_is_no_lost_host(make_world):
    """FAULTS 22, with the default times, for as long as two hundred requests take."""
    w = make_world()
    w.pair()
    w.start()
    pids = w.pid("p1"), w.pid("p2")
    for host in ("a", "b"):
        w.net.lossy(host, 5)
    for i in range(200):
        w.tell("p1", f"notify STATUS={i}")
        wait(lambda: w.app("p1")["status_text"] == str(i))
    for host in ("a", "b"):
        w.net.heal(host)
    w.wait_normal("p1")
    w.assert_unchanged(pids)


def test_sluggish_network_is_no_lost_host(make_world):
    """A stall shorter than T never causes a loss (DOMAIN section 3)."""
    w = make_world()
    w.scs_conf["scs"].update({"addp-timeout": "5s", "addp-remote-timeout": "5s"})
    w.pair()
    w.start()
    polls = len(w.log("a"))
    for _ in range(3):
        w.net.cut("a")
        w.net.heal("a")
    w.wait_normal("p1")
    assert len(w.log("a")) >= polls and 8002 not in numbers(w)
