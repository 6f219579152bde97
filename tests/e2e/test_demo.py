"""tests/demo itself: its figures as data, its bounds, and that nothing stays behind."""
import json
import os
import signal
import subprocess

import janitor
import tree
from world import wait

DEMO = [str(tree.SOURCE / "tests/demo")]
ENVIRONMENT = {**os.environ, "UNDERSTUDY_BUILD": str(tree.BUILD)}


def start_demo(*words):
    """The demo as a process, and the tag of what it makes: the shell becomes the program that makes it."""
    demo = subprocess.Popen([*DEMO, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)
    return demo, janitor.tag_of(demo.pid)


def test_three_switchovers_with_evidence():
    demo, tag = start_demo("--json")
    out, err = demo.communicate(timeout=240)
    assert demo.returncode == 0, out + err
    data = json.loads(out)
    assert [s["what"] for s in data["switchovers"]] == ["kill", "cut", "planned"]
    epoch = (0, 0)
    for s in data["switchovers"]:
        assert s["evidence"] and s["rule"] > 0 and s["sentence"] and s["steps"], s
        assert s["ms"]["primary"] >= s["ms"]["decided"] and s["ms"]["writes_resumed"] > 0
        after = tuple(map(int, s["epoch_after"].split(".")))
        assert after > epoch
        epoch = after
        assert s["acknowledged_writes"] > 0
        assert s["acknowledged_writes_lost"] == 0 and s["two_primaries_ms"] == 0, s
    wait(lambda: not janitor.namespaces(tag) and not (janitor.BASE / tag).exists(), what="the demo's namespaces and folder are gone")


def test_keep_and_end():
    done = tree.run(*DEMO, "--keep", timeout=240, env=ENVIRONMENT)
    try:
        assert done.returncode == 0, done.stdout + done.stderr
        command = next(line.strip() for line in done.stdout.splitlines() if line.strip().endswith(" status"))
        status = tree.run("sh", "-c", command)
        assert status.returncode == 0 and "redis1" in status.stdout, status
    finally:
        ended = tree.run(*DEMO, "--end", timeout=120, env=ENVIRONMENT)
    assert ended.returncode == 0 and "ended" in ended.stdout, ended
    assert tree.run("sh", "-c", command).returncode != 0


def test_interrupted_demo_cleans_up():
    demo, tag = start_demo()
    inside = wait(lambda: [p for n in janitor.namespaces(tag) for p in janitor.pids_in(n)], 60)
    demo.send_signal(signal.SIGINT)
    demo.wait(60)
    wait(lambda: not janitor.namespaces(tag) and not any(p for p in inside if not janitor.is_zombie(p)), what="namespaces and processes are gone")
