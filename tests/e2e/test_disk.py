"""Full disks: under the history and under log files (FAULTS 15, 33). What runs goes on, what could not be kept is counted and said."""
import os
import subprocess

import pytest

from world import wait


@pytest.fixture
def small(make_world):
    """A world whose folder NAME is a tmpfs of SIZE."""
    def make(folder, size):
        w = make_world()
        path = w.path(folder)
        path.mkdir(mode=0o700, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "tmpfs", str(path)], check=True)
        return w, path
    return make


def fill(folder):
    path = folder / "filler"
    with open(path, "wb", buffering=0) as f:
        try:
            while True:
                f.write(b"x" * 4096)
        except OSError:
            pass
    return path


def test_full_disk_under_the_history(small):
    w, folder = small("state", "1m")
    w.pair()
    w.start()
    filler = fill(folder)
    w.kill_app("p1")
    w.wait_normal("p2")  # a switchover waits for no disk
    wait(lambda: w.status()["controller"]["history_error"], what="status says that the history cannot be written")
    assert "store-failed" in w.log("scs")
    filler.unlink()
    w.kill_app("p1")
    wait(lambda: not w.status()["controller"]["history_error"], what="the history is written again")
    assert w.status()["controller"]["history_dropped"] >= 0
    w.wait_normal("p2")
    assert any(r["number"] == 5064 for r in w.history("--application", "p1"))


def test_full_disk_under_the_logs(small):
    w, folder = small("logs", "1m")
    folder.chmod(0o777)
    w.pair()
    w.scs_conf["scs"]["log-file"] = folder / "scs.log"
    for h in w.hosts:
        w.lca_conf[h]["lca"]["log-file"] = folder / f"lca-{h}.log"
    w.start()
    filler = fill(folder)
    w.kill_app("p1")
    w.wait_normal("p2")
    assert w.ctl("switchover", "p1").code == 0
    wait(lambda: (folder / "scs.log").stat().st_size % 4096 == 0, what="the log's last page is full, and lines are lost")
    filler.unlink()
    w.wait_normal("p1")
    w.kill_app("p2")  # something to log
    wait(lambda: "log-lost" in (folder / "scs.log").read_text(), what="the lost lines are counted and said")


def test_damaged_history_is_moved_aside(pair):
    pids = pair.pid("p1"), pair.pid("p2")
    pair.scs.stop()
    pair.scs.ended.clear()
    folder = pair.path("state")
    databases = [p for p in folder.iterdir() if p.suffix in (".db", ".sqlite", ".sqlite3") or "history" in p.name]
    assert databases, sorted(os.listdir(folder))
    for path in databases:
        path.write_bytes(b"this is no database" * 500)
    pair.scs.start()
    wait(lambda: pair.ctl("status").code == 0)
    pair.wait_normal("p1")
    assert (pair.pid("p1"), pair.pid("p2")) == pids
    assert any("corrupt" in p.name for p in folder.iterdir()), sorted(os.listdir(folder))
    pair.kill_app("p2")
    pair.wait_normal("p1")
    wait(lambda: any(r["number"] == 5064 for r in pair.history()))


def test_read_only_state_directory(make_world):
    """scs goes on without a history, or refuses to start with one clear line: never silently."""
    w = make_world()
    w.pair()
    path = w.path("state")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k,ro,mode=0700", "tmpfs", str(path)], check=True)
    w.write()
    for h in w.hosts:
        w.lca(h).start()
    w.scs.restart = False
    w.scs.asked = True
    w.scs.start()
    w.scs.asked = True
    wait(lambda: "Read-only" in w.log("scs") or "read-only" in w.log("scs") or "readonly" in w.log("scs"), what="the reason is said")
    if w.scs.pid:
        wait(lambda: w.ctl("status").code == 0 or not w.scs.pid)
    w.pairs.clear()


def test_full_disk_under_the_run_directory(small):
    """FAULTS 15: what runs stays supervised."""
    w, folder = small("run-a", "256k")
    w.pair()
    w.start()
    pid = w.pid("p1")
    filler = fill(folder)
    w.kill_agent("a")
    w.wait_normal("p1")
    assert w.pid("p1") == pid
    w.kill_app("p1")
    w.wait_primary("p2")
    filler.unlink()
    wait(lambda: w.app("p1")["status"] == "Started" or w.app("p1")["failed"])
    if w.app("p1")["failed"]:
        w.ctl("reset", "p1")
        w.ctl("start", "p1")
    w.wait_normal("p2")


def test_full_disk_under_the_records_of_lca(small):
    """A keeper that dies while its directory is full leaves to the next one who is ready and who is primary: neither is killed, nor are there two primaries."""
    w, folder = small("run-a", "1m")
    w.pair("p2", "p1", on=("b", "a"), startup_timeout="2s")
    w.start()
    fill(folder)
    assert w.ctl("switchover", "p2").code == 0
    pid = w.pid("p1")
    w.lca("a").kill_and_return()
    w.wait_normal("p1", pair="p2")
    wait(lambda: w.host("a")["status"] == "Running" and w.app("p1")["status"] == "Started", what="p1 is found as what it was")
    w.kill_app("p2")
    wait(lambda: len(w.starts("p2")) == 2 and w.app("p2")["status"] == "Started", what="p2 is back")
    assert w.pid("p1") == pid and [c[1] for c in w.role_changes("p1", "p2")] == ["p2", "p1"]
