"""Dead process → its replacement has begun; against a bare loop of pidfd and fork/exec. Once after a long life, once when it dies again at once."""
import os
import signal
import subprocess
import time

from measure import BenchWorld, Result, median, ms, percentile, tree
import world

RATIO = 1.5
SHORT_LIFE_MS = 20
BURST = 20  # restarts in a row, up to the intensity limit


def kill_and_wait(w, name):
    pid = w.marks(name)[-1][1]
    since = time.monotonic_ns()
    os.kill(pid, signal.SIGKILL)
    took = w.next_mark(name, since)[0] - since
    time.sleep(0.02)
    return took


def floor_loop(w, name, *life):
    return subprocess.Popen(w.net.inside("a", tree.program("bench-respawn"), w.mark, w.marks_file(name), *life), stdout=subprocess.DEVNULL)


def gaps(rows):
    """From each end to the start that follows."""
    ends = [r[0] for r in rows if r[2] == "end"]
    starts = [r[0] for r in rows if r[2] == "start"]
    return [min(s for s in starts if s > e) - e for e in ends if any(s > e for s in starts)]


def long_lives(w, n):
    floor = floor_loop(w, "floor", "sleep")
    w.next_mark("floor", 0)
    ours, bare = [], []
    for _ in range(n):
        bare.append(kill_and_wait(w, "floor"))
        ours.append(kill_and_wait(w, "single"))
    floor.kill()
    floor.wait()
    return ours, bare


def short_lives(w, rounds):
    """Each round dies BURST times within 50 ms of its start, until the limit says Failed; then it is reset."""
    for _ in range(rounds):
        w.ctl("reset", "short")
        w.ctl("start", "short", "--no-wait")
        world.wait(lambda: w.app("short")["failed"], 30, "short has failed at its limit")
    floor = floor_loop(w, "shortfloor", str(SHORT_LIFE_MS))
    world.wait(lambda: len(gaps(w.marks("shortfloor"))) >= rounds * BURST, 60)
    floor.kill()
    floor.wait()
    ours = [g for g in gaps(w.marks("short")) if g < 10**9]  # not the pause between two rounds
    assert len(ours) >= rounds * (BURST - 1), f"{len(ours)} restarts in {rounds} rounds of {BURST}"
    return ours, gaps(w.marks("shortfloor"))[:len(ours)]


def result(name, ours, bare):
    beside = (f"ours {ms(median(ours)):.2f} ms (p99 {ms(percentile(ours, 99)):.2f}), floor {ms(median(bare)):.2f} ms (p99 {ms(percentile(bare, 99)):.2f}), "
              f"{len(ours)} deaths")
    return Result(name, median(ours) / median(bare), RATIO, "x floor", beside)


def run(quick, samples):
    with BenchWorld(("a",)) as w:
        w.marked("single", "a")
        w.marked("short", "a", life=SHORT_LIFE_MS, autostart="no")
        w.scs_conf["application short"].update({"restart-limit": str(BURST), "restart-window": "60s"})
        w.start()
        w.next_mark("single", 0)
        long_ours, long_bare = long_lives(w, 40 if quick else 200)
        short_ours, short_bare = short_lives(w, 2 if quick else 10)
    samples.keep("restart", {"ours_ns": long_ours, "floor_ns": long_bare, "short_ours_ns": short_ours, "short_floor_ns": short_bare})
    return [result("restart of a dead process, median", long_ours, long_bare),
            result(f"restart of one that lived {SHORT_LIFE_MS} ms, median", short_ours, short_bare)]
