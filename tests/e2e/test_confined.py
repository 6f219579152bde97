"""What is left to an agent once it serves (SECURITY.md 6, 10): seen from outside, in the kernel's own words."""
import os
import pathlib
import re
import signal

import tree
from world import wait


def kernel_says(pid):
    return dict(re.findall(r"^(\w+):\s+(.*)$", pathlib.Path(f"/proc/{pid}/status").read_text(), re.M))


def is_confined_build():
    return not list(tree.BUILD.glob("lca/agent/lca-agent.p/confine_none*.o"))


def check(w, host):
    said = kernel_says(w.agent_pid(host))
    assert said["NoNewPrivs"] == "1"
    assert set(said["Uid"].split()) & {"0"} == set(), "not one of its users is root"
    assert int(said["CapEff"], 16) == int(said["CapPrm"], 16) == int(said["CapInh"], 16) == 0
    if is_confined_build():
        assert said["Seccomp"] == "2"
        assert "system calls are not denied" not in w.log(host)
    else:
        assert "30009" in w.log(host), "a build that does not confine says so"


def test_the_agent_is_confined_also_after_a_reload(pair):
    for host in pair.hosts:
        check(pair, host)
    before, pids = pair.agent_pid("a"), (pair.pid("p1"), pair.pid("p2"))
    os.kill(pair.lca("a").pid, signal.SIGHUP)
    wait(lambda: pair.agent_pid("a") not in (0, before), what="another agent")
    wait(lambda: pair.host("a")["status"] == "Running")
    pair.wait_normal("p1")
    check(pair, "a")
    assert (pair.pid("p1"), pair.pid("p2")) == pids


def test_memory_with_keys_is_not_dumped(pair):
    """Not dumpable: the kernel gives such a process's /proc files to root, whoever it runs as."""
    pid = pair.agent_pid("a")
    assert os.stat(f"/proc/{pid}/environ").st_uid == 0 and kernel_says(pid)["Uid"].split()[0] != "0"
