"""How a process is set up: every option is read back from /proc of the running process; what the host does not allow is refused with the missing line."""
import grp
import os
import pathlib
import signal

import pytest

from world import alive, wait

CAP_NET_BIND = 10


@pytest.fixture
def one(make_world):
    """A function: a world of one host with one application `x`, and lines for lca.conf."""
    def make(lca=None, settle=True, **options):
        w = make_world(hosts=("a",))
        w.lca_conf["a"]["lca"].update(lca or {})
        w.application("x", "a", **options)
        return w.start(settle=settle)
    return make


def status(pid):
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line)


def limits(pid):
    rows = {}
    for line in pathlib.Path(f"/proc/{pid}/limits").read_text().splitlines()[1:]:
        rows[line[:26].strip()] = line[26:].split()[:2]
    return rows


def stat(pid):
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()


def environment(pid):
    return dict(e.split("=", 1) for e in pathlib.Path(f"/proc/{pid}/environ").read_text().split("\0") if "=" in e)


def reload(w, **options):
    """New options of x, taken over by the running controller and told to the agent."""
    w.scs_conf["application x"].update({k.replace("_", "-"): v for k, v in options.items()})
    w.write()
    assert w.ctl("config", "reload").code == 0


def reason(w):
    return wait(lambda: (w.app("x")["failed"] or w.app("x")["pid"] == 0) and w.app("x")["reason"].startswith(("cannot", "not started"))
                and w.app("x")["reason"])


def test_user_group_and_further_groups(one):
    w = one(lca={"allow-groups": "games daemon"}, user="nobody", output=None, group="games", supplementary_groups="daemon games")
    s = status(w.pid("x"))
    games, daemon = grp.getgrnam("games").gr_gid, grp.getgrnam("daemon").gr_gid
    assert s["Uid"].split() == ["65534"] * 4 and s["Gid"].split() == [str(games)] * 4
    assert {games, daemon} <= {int(g) for g in s["Groups"].split()}


def test_a_group_that_the_host_does_not_allow(one):
    w = one(settle=False, user="nobody", group="shadow")
    assert 'allow-groups = shadow' in reason(w)


def test_environment_file_wins_and_is_read_at_every_start(one, tmp_path):
    tmp_path.parent.chmod(0o755)
    w = one(settle=False, environment="FROM=conf KEPT=yes", environment_file="/nowhere/at/all")
    assert "environment file /nowhere/at/all" in reason(w)
    file = w.path("x.env")
    file.write_text("# a comment\n\nFROM=\"the file\"\nMORE='and more'\n")
    reload(w, environment_file=file)
    assert w.ctl("reset", "x").code == 0
    wait(lambda: w.ctl("start", "x").code == 0)
    e = environment(w.pid("x"))
    assert (e["FROM"], e["KEPT"], e["MORE"]) == ("the file", "yes", "and more") and "LCA_START_ID" in e
    file.write_text("FROM=later\n")
    old = w.kill_app("x")
    wait(lambda: w.pid("x") not in (0, old) and environment(w.pid("x"))["FROM"] == "later")


def test_environment_file_with_a_bad_line_names_it_without_its_text(one):
    w = one(settle=False, autostart="no")
    file = w.path("bad.env")
    file.write_text("GOOD=1\nhunter2\n")
    reload(w, environment_file=file)
    answer = w.ctl("start", "x")
    assert answer.code != 0 and "bad.env line 2" in answer.out + answer.err and "hunter2" not in answer.out + answer.err


def test_umask_nice_and_oom_score(one):
    w = one(umask="0077", nice=7, oom_score_adjust=300)
    pid = w.pid("x")
    assert int(status(pid)["Umask"], 8) == 0o077 and int(stat(pid)[16]) == 7
    assert pathlib.Path(f"/proc/{pid}/oom_score_adj").read_text().strip() == "300"


def test_scheduling_and_processors(one):
    w = one(lca={"allow-priorities": "yes"}, cpu_scheduling_policy="fifo", cpu_scheduling_priority=3, cpu_affinity="0", io_scheduling_class="idle")
    pid = w.pid("x")
    assert os.sched_getscheduler(pid) == os.SCHED_FIFO and os.sched_getparam(pid).sched_priority == 3
    assert os.sched_getaffinity(pid) == {0}


@pytest.mark.parametrize("policy,number", [("batch", os.SCHED_BATCH), ("idle", os.SCHED_IDLE)])
def test_policies_below_everybody(one, policy, number):
    assert os.sched_getscheduler(one(cpu_scheduling_policy=policy).pid("x")) == number


@pytest.mark.parametrize("options,words", [
    ({"nice": -5}, "nice below 0"), ({"cpu_scheduling_policy": "rr", "cpu_scheduling_priority": 1}, "realtime"),
    ({"oom_score_adjust": -1}, "oom-score-adjust below 0"), ({"limit_rtprio": 5}, "limit-rtprio")])
def test_raised_priorities_are_the_hosts_to_allow(one, options, words):
    why = reason(one(settle=False, **options))
    assert words in why and "allow-priorities = yes" in why


def test_resource_limits(one):
    w = one(limit_nofile="512:1024", limit_core="0", limit_nproc="4096", limit_stack="4MiB:8MiB", limit_cpu="infinity", limit_fsize="1GiB",
            limit_as="infinity", limit_memlock="64KiB", limit_msgqueue="1000", limit_sigpending="100", limit_data="2GiB", limit_rss="infinity",
            limit_locks="77", limit_nice="0", limit_rtprio="0", limit_rttime="5000000")
    rows = limits(w.pid("x"))
    assert rows["Max open files"] == ["512", "1024"] and rows["Max core file size"] == ["0", "0"]
    assert rows["Max processes"] == ["4096", "4096"] and rows["Max stack size"] == [str(4 << 20), str(8 << 20)]
    assert rows["Max cpu time"] == ["unlimited", "unlimited"] and rows["Max file size"] == [str(1 << 30)] * 2
    assert rows["Max locked memory"] == ["65536"] * 2 and rows["Max msgqueue size"] == ["1000"] * 2
    assert rows["Max pending signals"] == ["100"] * 2 and rows["Max data size"] == [str(2 << 30)] * 2
    assert rows["Max file locks"] == ["77"] * 2 and rows["Max realtime timeout"] == ["5000000"] * 2


def test_a_limit_that_the_kernel_refuses_is_a_failed_start(one):
    w = one(settle=False, user="root", limit_nofile="infinity")
    assert "resource limit nofile" in reason(w)


def test_privileges(one):
    w = one(lca={"allow-capabilities": "CAP_NET_BIND_SERVICE"}, user="nobody", output=None, no_new_privileges="yes",
            ambient_capabilities="CAP_NET_BIND_SERVICE", capability_bounding_set="CAP_NET_BIND_SERVICE CAP_KILL")
    s = status(w.pid("x"))
    only = 1 << CAP_NET_BIND
    assert int(s["CapAmb"], 16) == int(s["CapEff"], 16) == int(s["CapPrm"], 16) == only
    assert int(s["CapBnd"], 16) == only | 1 << 5 and s["NoNewPrivs"].strip() == "1"


def test_bounding_set_by_exclusion(one):
    w = one(user="root", capability_bounding_set="~CAP_SYS_ADMIN CAP_SYS_MODULE")
    bounding = int(status(w.pid("x"))["CapBnd"], 16)
    assert not bounding & (1 << 21 | 1 << 16) and bounding & 1 << 5


def test_a_capability_that_the_host_does_not_allow(one):
    why = reason(one(settle=False, user="nobody", ambient_capabilities="CAP_SYS_ADMIN"))
    assert "allow-capabilities = cap_sys_admin" in why


def test_limits_without_controllers_are_said_once(one):
    """This kernel's cgroup v2 has no memory controller: the start goes on, the log says what is missing, once."""
    w = one(memory_max="256MiB", tasks_max=100)
    pid = w.pid("x")
    if b"memory" in pathlib.Path("/sys/fs/cgroup/cgroup.controllers").read_bytes() if pathlib.Path("/sys/fs/cgroup/cgroup.controllers").exists() else False:
        pytest.skip("the controllers are there")
    old = w.kill_app("x")
    wait(lambda: w.pid("x") not in (0, old))
    assert pid != w.pid("x") and w.log("a").count("limits of x are not in effect") == 1
    assert "memory-max" in w.log("a")


def test_output_is_kept_at_its_size(one):
    """Lines stay whole, the newest are there, no file is larger than asked and no more of them are kept."""
    w = one(readiness="exec")
    out = w.apps_dir / "bounded"
    program = w.bin / "chatter"
    program.write_text("#!/bin/sh\ni=0\nwhile [ $i -lt 2000 ]; do echo line $i of the output; i=$((i + 1)); done\nexec sleep 1000\n")
    program.chmod(0o755)
    assert w.ctl("stop", "x").code == 0
    reload(w, user="nobody", output=out, output_max_size="8KiB", output_keep=2, command=program)
    assert w.ctl("start", "x").code == 0
    wait(lambda: "line 1999 of" in out.read_text())
    files = sorted(out.parent.glob("bounded*"))
    assert [f.name for f in files] == ["bounded", "bounded.1", "bounded.2"]
    assert all(f.stat().st_size <= 8192 and f.stat().st_uid == 65534 for f in files)
    lines = [line for f in reversed(files) for line in f.read_text().splitlines()]
    numbers = [int(line.split()[1]) for line in lines]
    assert numbers == list(range(numbers[0], 2000))
    assert w.ctl("stop", "x").code == 0


def test_output_goes_on_over_the_death_of_keeper_and_application(one):
    w = one(output_max_size="4KiB")
    old = w.pid("x")
    w.lca("a").kill_and_return()
    wait(lambda: w.host("a")["status"] == "Running" and w.app("x")["pid"] == old)
    w.kill_app("x")
    wait(lambda: w.pid("x") not in (0, old) and w.app("x")["status"] == "Started")


def test_stop_signal_and_the_whole_group(one):
    w = one(settle=True, kill_signal="SIGUSR1", kill_mode="control-group", readiness="exec", shutdown_timeout="20s")
    program = w.bin / "signals"
    log = w.apps_dir / "signals.log"
    program.write_text(f"#!/bin/sh\ntrap 'echo main >> {log}; wait; exit 0' USR1\n"
                       f"setsid sh -c 'trap \"echo far >> {log}; exit 0\" USR1; echo up >> {log}; while :; do sleep 0.1; done' &\nwait\nwait\n")
    program.chmod(0o755)
    assert w.ctl("stop", "x").code == 0
    reload(w, command=program)
    assert w.ctl("start", "x").code == 0
    wait(lambda: "up" in log.read_text())
    assert w.ctl("stop", "x").code == 0
    assert sorted(log.read_text().split()) == ["far", "main", "up"]


@pytest.mark.audit(False)
@pytest.mark.parametrize("option,value,expected", [
    ("limit-nofile", "lots", "found 'lots', expected a number"), ("limit-nofile", "10:5", "soft limit above the hard one"),
    ("umask", "0999", "found '0999', expected octal digits"), ("cpu-affinity", "0-", "numbers and ranges"),
    ("ambient-capabilities", "CAP_MAGIC", "found 'CAP_MAGIC', expected names"), ("kill-signal", "SIGSTOP", "found 'SIGSTOP'"),
    ("nice", "30", "found '30'"), ("output", "relative", "an absolute path or journal"), ("output-max-size", "1KiB", "output-max-size: found 1024"),
    ("cpu-scheduling-priority", "5", "cpu-scheduling-priority: found 5"), ("pid-file", "/run/x.pid", "without type = third-party"),
    ("pre-start", "relative", "not an absolute path")])
def test_complaints(make_world, option, value, expected):
    import tree
    w = make_world(hosts=("a",))
    w.application("x", "a", **{option: value})
    w.write()
    done = tree.run(tree.program("scs"), "-t", "-f", w.conf_file("scs"))
    assert done.returncode == 1 and expected in done.stderr and f"{w.conf_file('scs')}:" in done.stderr, done.stderr


def test_death_for_want_of_memory_is_told(one):
    """Killed by the kernel's own choice within a memory cgroup of version 1: reason and history say so."""
    folder = pathlib.Path("/sys/fs/cgroup/memory") / f"us-test-{os.getpid()}"
    try:
        folder.mkdir()
    except OSError as e:
        pytest.skip(f"no memory cgroup: {e}")
    w = one(auto_restart="no")
    try:
        (folder / "memory.limit_in_bytes").write_text(str(32 << 20))
        program = w.bin / "greedy"
        program.write_text("#!/bin/sh\nexec /usr/bin/python3 -c \"import os\n"
                           f"open('{folder}/cgroup.procs', 'w').write(str(os.getpid()))\nb = []\nwhile True: b.append(bytearray(1 << 20))\"\n")
        program.chmod(0o755)
        w.ctl("stop", "x")
        reload(w, command=program, readiness="exec")
        w.ctl("start", "x")
        wait(lambda: "out of memory" in w.app("x")["reason"])
        assert any("signal 9 (SIGKILL), out of memory" in r["text"] for r in w.history("--application", "x"))
    finally:
        wait(lambda: not (folder / "cgroup.procs").read_text())
        wait(lambda: not folder.rmdir())


def test_core_is_told(one):
    w = one(auto_restart="no", limit_core="infinity", working_directory="/tmp")
    os.kill(w.pid("x"), signal.SIGQUIT)
    w.kills += 1
    wait(lambda: "signal 3 (SIGQUIT)" in w.app("x")["reason"])


def script(w, name, text):
    program = w.bin / name
    program.write_text("#!/bin/sh\n" + text)
    program.chmod(0o755)
    return program


def test_pre_start_and_post_stop(one):
    """Before every start and behind every end; a failing pre-start is a failed start with its exit code; post-stop knows how it ended."""
    w = one(autostart="no")
    log = w.apps_dir / "hooks"
    before, behind = script(w, "before", f"echo before $LCA_APPLICATION >> {log}\n"), script(w, "behind", f"echo behind $EXIT_CODE $EXIT_STATUS >> {log}\n")
    reload(w, pre_start=before, post_stop=behind)
    assert w.ctl("start", "x").code == 0
    old = w.kill_app("x")
    wait(lambda: w.pid("x") not in (0, old) and w.app("x")["status"] == "Started")
    assert w.ctl("stop", "x").code == 0
    lines = log.read_text().splitlines()
    assert lines[:3] == ["before x", "behind killed 9", "before x"] and lines[3].startswith("behind ") and len(lines) == 4
    before.write_text("#!/bin/sh\nexit 7\n")
    answer = w.ctl("start", "x")
    assert answer.code != 0 and "pre-start: exit code 7" in answer.out + answer.err
    wait(lambda: w.ctl("stop", "x").code == 0)


def test_pre_start_is_bounded_by_the_start(one):
    w = one(autostart="no")
    log = w.apps_dir / "slow"
    slow = script(w, "slow", f"echo $$ > {log}\nexec sleep 1000\n")
    reload(w, pre_start=slow, startup_timeout="1s", auto_restart="no")
    assert w.ctl("start", "x").code != 0
    wait(lambda: not alive(int(log.read_text())) and w.app("x")["status"] == "Stopped")
    assert w.starts("x") == []


def test_post_stop_is_bounded_by_the_stop(one):
    w = one(shutdown_timeout="1s")
    log = w.apps_dir / "endless"
    reload(w, post_stop=script(w, "endless", f"echo $$ > {log}\nexec sleep 1000\n"))
    assert w.ctl("stop", "x").code == 0
    assert not alive(int(log.read_text())) and "post-stop of x" in w.log("a")


@pytest.mark.parametrize("how", ["pid-file", "match-command"])
def test_started_by_hand(make_world, how):
    """Found, shown, not restarted; found again when it is started again; stopped by an order, and only itself."""
    import subprocess
    w = make_world(hosts=("a",))
    pid_file = w.path("hand.pid")
    options = {"pid_file": pid_file} if how == "pid-file" else {"match_command": "yes"}
    program = script(w, "foreign", "while :; do sleep 0.2; done\n")
    w.application("x", "a", command=f"{program} --serve", type="third-party", readiness="exec", autostart="no", user="nobody", output=None, **options)
    w.start()

    def by_hand(*arguments):
        p = subprocess.Popen(w.net.inside("a", "setpriv", "--reuid=nobody", "--clear-groups", str(program), *arguments), start_new_session=True)
        pid_file.write_text(f"{p.pid}\n")
        return p
    other = by_hand("--other") if how == "match-command" else None
    p = by_hand("--serve")
    try:
        wait(lambda: w.app("x")["pid"] == p.pid and w.app("x")["status"] == "Started")
        assert w.app("x")["reason"] == "not started by lca"
        w.lca("a").kill_and_return()
        wait(lambda: w.host("a")["status"] == "Running" and w.app("x")["pid"] == p.pid)
        p.kill()
        p.wait()
        wait(lambda: w.app("x")["status"] == "Stopped")
        assert w.app("x")["pid"] == 0
        p = by_hand("--serve")
        wait(lambda: w.app("x")["pid"] == p.pid)
        assert w.ctl("stop", "x").code == 0
        assert p.wait(timeout=30) < 0 and w.app("x")["pid"] == 0
        assert other is None or other.poll() is None
    finally:
        for one in filter(None, (p, other)):
            if one.poll() is None:
                one.kill()
                one.wait()


def test_a_pid_file_that_names_a_stranger_is_not_believed(make_world):
    """Another program, or another user's: neither watched nor stopped; a start by order starts a process of its own."""
    import subprocess
    w = make_world(hosts=("a",))
    pid_file = w.path("hand.pid")
    program = script(w, "foreign", "while :; do sleep 0.2; done\n")
    stranger = subprocess.Popen(w.net.inside("a", "sleep", "1000"), start_new_session=True)
    wrong_user = subprocess.Popen(w.net.inside("a", str(program)), start_new_session=True)
    try:
        pid_file.write_text(str(stranger.pid))
        w.application("x", "a", command=program, type="third-party", readiness="exec", autostart="no", user="nobody", output=None, pid_file=pid_file)
        w.start()
        for p in (stranger, wrong_user):
            pid_file.write_text(str(p.pid))
            assert w.ctl("start", "x").code == 0
            assert w.pid("x") not in (0, p.pid)
            assert w.ctl("stop", "x").code == 0 and p.poll() is None
    finally:
        for p in (stranger, wrong_user):
            p.kill()
            p.wait()


@pytest.mark.audit(False)
def test_third_party_in_a_pair_needs_role_commands(make_world):
    import tree
    w = make_world()
    w.pair(type="third-party", readiness="exec")
    for name in ("p1", "p2"):
        w.scs_conf[f"application {name}"].pop("on-primary")
    w.write()
    done = tree.run(tree.program("scs"), "-t", "-f", w.conf_file("scs"))
    assert done.returncode == 1 and done.stderr.count("is not switched over") == 2, done.stderr
