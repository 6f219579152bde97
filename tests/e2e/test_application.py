"""One application's life under its host: start, readiness, stop, restart, failure; what the host allows and what it refuses."""
import os
import pathlib
import signal
import stat

import pytest

from world import alive, wait


@pytest.fixture
def one(make_world):
    """A function: a world of one host with one application `x`, settled unless told otherwise."""
    def make(settle=True, **options):
        w = make_world(hosts=("a",))
        w.application("x", "a", **options)
        return w.start(settle=settle)
    return make


def test_start_stop_start(make_world):
    w = make_world(hosts=("a",))
    w.application("x", "a", autostart="no")
    w.start()
    assert w.app("x")["pid"] == 0
    assert w.ctl("start", "x").code == 0
    assert w.app("x")["status"] == "Started"
    pid = w.pid("x")
    assert alive(pid)
    assert w.ctl("stop", "x").code == 0
    assert w.app("x")["status"] == "Stopped" and not alive(pid)
    assert [r.what for r in w.record("x")] == ["start", "ready", "stop"]
    assert w.ctl("start", "x").code == 0
    numbers = [r["number"] for r in w.history("--application", "x")]
    assert 5091 in numbers and 5064 not in numbers


def test_wanted_down_stays_down_over_restarts_of_everything(one):
    w = one()
    assert w.ctl("stop", "x").code == 0
    w.lca("a").kill_and_return()
    w.scs.kill_and_return()
    wait(lambda: w.ctl("status").code == 0)
    wait(lambda: w.host("a")["status"] == "Running")
    wait(lambda: not w.status()["controller"]["recovering"])
    assert w.app("x")["status"] == "Stopped" and len(w.starts("x")) == 1


def test_killed_application_is_restarted_and_counted(one):
    w = one()
    pid = w.kill_app("x")
    wait(lambda: w.pid("x") not in (0, pid) and w.app("x")["status"] == "Started")
    assert w.app("x")["restarts"] == 1
    row = next(r for r in w.history("--application", "x") if r["number"] == 5064)
    assert "signal 9" in row["text"]


def test_exit_zero_unasked_is_a_failure_too(one):
    w = one()
    pid = w.pid("x")
    w.tell("x", "exit 0")
    wait(lambda: w.pid("x") not in (0, pid))
    row = next(r for r in w.history("--application", "x") if r["number"] == 5064)
    assert "exit code 0" in row["text"]


def test_exit_code_is_told(one):
    w = one(auto_restart="no")
    w.tell("x", "exit 37")
    wait(lambda: w.app("x")["status"] == "Stopped")
    assert "exit code 37" in w.app("x")["reason"]


def test_intensity_limit_then_reset(one):
    """FAULTS 3: no tight loop; Failed with a reason until it is reset."""
    w = one(restart_limit=3, restart_window="60s")
    w.mode("x", "exit=3")
    w.tell("x", "exit 3")
    wait(lambda: w.app("x")["failed"], what="it counts as failed")
    state = w.app("x")
    assert "exit code 3" in state["reason"] or "restart" in state["reason"], state
    starts = len(w.starts("x"))
    assert starts == 4, f"the first start and three restarts, not {starts}"
    refused = w.ctl("start", "x", json=False)
    w.mode("x", "")
    assert w.ctl("reset", "x").code == 0
    if refused.code != 0:
        w.ctl("start", "x")
    wait(lambda: w.app("x")["status"] == "Started" and not w.app("x")["failed"])
    assert any(r["number"] == 30300 for r in w.history("--application", "x"))


def test_never_ready_is_stopped_at_its_startup_timeout(make_world):
    w = make_world(hosts=("a",))
    w.application("x", "a", autostart="no", startup_timeout="500ms", auto_restart="no")
    w.mode("x", "never-ready")
    w.start()
    answer = w.ctl("start", "x", json=False)
    assert answer.code not in (0, 2), answer
    assert "ready" in answer.out + answer.err
    wait(lambda: w.app("x")["pid"] == 0)


def test_readiness_exec_needs_no_word(one):
    w = one(readiness="exec")
    assert w.app("x")["status"] == "Started"


def test_status_text_is_shown(one):
    w = one()
    w.tell("x", "notify STATUS=serving 17 clients")
    wait(lambda: w.app("x")["status_text"] == "serving 17 clients")


def test_reloading_before_the_first_ready_and_unknown_words(one):
    """TOOLS: notifications in the wild."""
    w = one()
    for text in ("RELOADING=1|MONOTONIC_USEC=1", "READY=1", "EXTEND_TIMEOUT_USEC=1000", "MAINPID=1", "NONSENSE", "=", "X_STATUS=Whatever", "STATUS=" + "x" * 1500):
        assert w.tell("x", "notify " + text) == "ok"
    w.tell("x", "notify STATUS=still here")
    wait(lambda: w.app("x")["status_text"] == "still here")
    assert w.app("x")["status"] == "Started"


def test_notification_from_another_user_is_refused(one):
    """FAULTS 47: who is neither root nor the application's user is kept out by the socket's mode, or refused by what the kernel says of the sender."""
    import tree
    w = one()
    path = w.tell("x", "env NOTIFY_SOCKET").removeprefix("ok ")
    assert path != "-"
    send = ("import socket, sys\ns = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
            "s.sendto(b'STATUS=from somebody else', sys.argv[1].replace('@', '\\0', 1))")
    words = ["setpriv", "--reuid=daemon", "--regid=daemon", "--clear-groups", "/usr/bin/python3", "-c", send, path]
    done = tree.run(*w.net.inside("a", *words))
    assert "PermissionError" in done.stderr or wait(lambda: "notify-refused" in w.log("a"), what="the refusal in the log"), done
    w.tell("x", "notify STATUS=from itself")
    wait(lambda: w.app("x")["status_text"] == "from itself")


def test_stop_ignoring_term_with_a_far_grandchild(one):
    """FAULTS 5: KILL after the timeout, and the whole tree with it."""
    w = one(shutdown_timeout="500ms")
    w.tell("x", "ignore-term")
    near, far = (int(w.tell("x", word).split()[1]) for word in ("child", "grandchild"))
    pid = w.pid("x")
    answer = w.ctl("stop", "x")
    assert answer.code == 0, answer
    wait(lambda: not any(alive(p) for p in (pid, near, far)), what="the whole tree is gone")
    assert 30306 in [r["number"] for r in w.history("--application", "x")]


def test_death_takes_the_tree_along(one):
    w = one()
    far = int(w.tell("x", "grandchild").split()[1])
    pid = w.kill_app("x")
    wait(lambda: w.pid("x") not in (0, pid))
    wait(lambda: not alive(far), what="what it left is killed before it starts again")


def test_child_of_an_application_may_die(one):
    """FAULTS 4: the death of a child is nothing to us."""
    w = one()
    pid, child = w.pid("x"), int(w.tell("x", "child").split()[1])
    os.kill(child, signal.SIGKILL)
    wait(lambda: not alive(child))
    assert w.pid("x") == pid and w.app("x")["status"] == "Started"


def test_output_goes_to_its_file(one):
    w = one()
    w.tell("x", "say something to remember")
    wait(lambda: "something to remember" in w.path("x.out").read_text())


def test_environment_directory_and_user(make_world):
    w = make_world(hosts=("a",))
    folder = w.path("home")
    folder.mkdir(mode=0o755)
    w.application("x", "a", user="nobody", working_directory=folder, environment="COLOUR=blue 'WITH BLANK=a b'", output=None)
    w.start()
    pid = w.pid("x")
    assert w.tell("x", "env COLOUR") == "ok blue"
    assert w.tell("x", "env HOME_OF_ROOT") == "ok -"
    assert os.readlink(f"/proc/{pid}/cwd") == str(folder)
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    import pwd
    assert f"\nUid:\t{pwd.getpwnam('nobody').pw_uid}\t" in status
    assert "\nCapEff:\t0000000000000000" in status
    groups = next(line for line in status.splitlines() if line.startswith("Groups:")).split()[1:]
    assert "0" not in groups
    # Nothing of ours is left open in it.
    for fd in os.listdir(f"/proc/{pid}/fd"):
        if int(fd) > 2:
            target = os.readlink(f"/proc/{pid}/fd/{fd}")
            assert target.startswith("socket:"), f"descriptor {fd} -> {target}"
    assert os.getsid(pid) == pid and os.getpgid(pid) == pid


REFUSALS = {
    "command": ({"command": "/bin/sleep 100"}, "allow-commands"),
    "user": ({"user": "daemon"}, "allow-users"),
    "missing": ({"command": "{bin}/absent"}, "No such file"),
    "not executable": ({"command": "{bin}/plain"}, "Permission denied"),
    "unknown user": ({"user": "nosuchuser"}, "nosuchuser"),
    "directory": ({"working-directory": "/nonexistent/place"}, "/nonexistent/place"),
}


@pytest.mark.parametrize("what", REFUSALS)
def test_refused_start_says_the_missing_line(make_world, what):
    """FAULTS 8: one clear error, no flapping."""
    options, expected = REFUSALS[what]
    w = make_world(hosts=("a",))
    section = w.application("x", "a", autostart="no")
    section.update({k: v.format(bin=w.bin) for k, v in options.items()})
    (w.bin / "plain").write_text("not a program\n")
    (w.bin / "plain").chmod(0o644)
    w.lca_conf["a"]["lca"]["allow-users"] = "root nobody nosuchuser"
    w.start()
    answer = w.ctl("start", "x", json=False)
    assert answer.code not in (0, 2)
    said = answer.out + answer.err + w.app("x")["reason"]
    assert expected in said, said
    assert not w.record("x")


def test_symbolic_link_out_of_the_allowed_directory_is_refused(make_world):
    """SECURITY 6: what the allow-list matches is where the link leads."""
    w = make_world(hosts=("a",))
    (w.bin / "innocent").symlink_to("/bin/sleep")
    w.application("x", "a", autostart="no", command=f"{w.bin}/innocent 100", readiness="exec")
    w.start()
    answer = w.ctl("start", "x", json=False)
    assert answer.code not in (0, 2) and "allow-commands" in answer.out + answer.err + w.app("x")["reason"], answer


def test_world_writable_command_is_refused(make_world):
    w = make_world(hosts=("a",))
    w.application("x", "a", autostart="no")
    program = w.testapp()
    program.chmod(program.stat().st_mode | stat.S_IWOTH)
    w.start()
    answer = w.ctl("start", "x", json=False)
    assert answer.code not in (0, 2) and "writ" in answer.out + answer.err + w.app("x")["reason"], answer


def test_allow_lists_are_empty_by_default(make_world):
    w = make_world(hosts=("a",))
    w.application("x", "a", autostart="no")
    w.lca_conf["a"]["lca"]["allow-users"] = w.lca_conf["a"]["lca"]["allow-commands"] = None
    w.start()
    answer = w.ctl("start", "x", json=False)
    assert answer.code not in (0, 2) and "allow-" in answer.out + answer.err + w.app("x")["reason"], answer


def test_words_are_never_given_to_a_shell(make_world):
    w = make_world(hosts=("a",))
    bad = w.path("shell-was-here")
    w.application("x", "a", command=f"{w.testapp()} run {w.apps_dir} '; touch {bad}'", autostart="no", auto_restart="no")
    w.start()
    w.ctl("start", "x")  # the application refuses its fourth word; what matters is who saw it
    assert not bad.exists()


def test_unknown_objects_are_named(one):
    w = one()
    for words in (("start", "nosuch"), ("switchover", "nosuch"), ("why", "nosuch"), ("switchover", "x")):
        answer = w.ctl(*words, json=False)
        assert answer.code not in (0, 2) and words[1] in answer.out + answer.err, answer
    assert "ObjectNotFound" in str(w.ctl("start", "nosuch"))


def test_no_wait_returns_before_the_result(make_world):
    w = make_world(hosts=("a",))
    w.application("x", "a", autostart="no")
    w.mode("x", "ready-after=1500")
    w.start()
    assert w.ctl("start", "x", "--no-wait").code == 0
    assert w.app("x")["status"] != "Started"
    wait(lambda: w.app("x")["status"] == "Started")


def test_hundred_applications_on_one_host(make_world):
    w = make_world(hosts=("a",))
    names = [f"n{i:03d}" for i in range(100)]
    for name in names:
        w.application(name, "a", readiness="exec", command=f"{w.testapp()} run {w.apps_dir}")
    w.start()
    pids = {n: w.pid(n) for n in names}
    assert len(set(pids.values())) == 100 and all(alive(p) for p in pids.values())
    w.kill_agent("a")
    w.lca("a").kill_and_return()
    w.settle()
    assert {n: w.pid(n) for n in names} == pids
