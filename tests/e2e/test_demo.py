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


def owners():
    return {n[len(janitor.PREFIX) + 1:].split("-")[0] for n in janitor.namespaces()}


def test_three_switchovers_with_evidence():
    before = owners()
    done = tree.run(*DEMO, "--json", timeout=240, env=ENVIRONMENT)
    assert done.returncode == 0, done.stdout + done.stderr
    data = json.loads(done.stdout)
    assert [s["what"] for s in data["switchovers"]] == ["kill", "cut", "planned"]
    epoch = (0, 0)
    for s in data["switchovers"]:
        assert s["evidence"] and s["rule"] > 0 and s["sentence"] and s["steps"], s
        assert s["ms"]["primary"] >= s["ms"]["decided"] and s["ms"]["writes_resumed"] > 0
        after = tuple(map(int, s["epoch_after"].split(".")))
        assert after > epoch
        epoch = after
        assert s["acknowledged_writes"] > 0
        if s["bound"] is not None:
            assert s["acknowledged_writes_lost"] <= s["bound"], s
    assert data["switchovers"][1]["two_primaries_ms"] > 0
    wait(lambda: owners() <= before, what="the demo's namespaces are gone")


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
    before = owners()
    demo = subprocess.Popen([*DEMO], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=ENVIRONMENT)
    wait(lambda: owners() - before, 60, "its namespaces are there")
    tag = (owners() - before).pop()
    inside = wait(lambda: [p for n in janitor.namespaces(tag) for p in janitor.pids_in(n)], 60)
    demo.send_signal(signal.SIGINT)
    demo.wait(60)
    wait(lambda: not janitor.namespaces(tag) and not any(p for p in inside if not janitor.is_zombie(p)), what="namespaces and processes are gone")
