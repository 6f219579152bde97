"""lca idle with mutual TLS: memory of keeper and agent together with one child, for each further one, and CPU."""
import pathlib
import time

from measure import BenchWorld, Result
import world

MORE = 100
PSS_KB, DIRTY_KB, EACH_KB, CPU_PERCENT = 8 * 1024, 3 * 1024, 10, 0.1


def memory(pids):
    """(PSS, private dirty) in KiB of these processes together."""
    pss = dirty = 0
    for pid in pids:
        for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                pss += int(line.split()[1])
            elif line.startswith("Private_Dirty:"):
                dirty += int(line.split()[1])
    return pss, dirty


def cpu_ns(pids):
    return sum(int((task / "schedstat").read_text().split()[0]) for pid in pids for task in pathlib.Path(f"/proc/{pid}/task").iterdir())


def cpu_percent(pids, seconds):
    before, began = cpu_ns(pids), time.monotonic_ns()
    time.sleep(seconds)
    return (cpu_ns(pids) - before) / (time.monotonic_ns() - began) * 100


def add(w, n):
    for i in range(n):
        w.marked(f"more{i}", "a")
    w.write()
    answer = w.ctl("config", "reload")
    assert answer.code == 0, answer
    world.wait(lambda: sum(a["status"] == "Started" for a in w.status()["applications"]) == n + 1, 60, f"{n} more are Started")
    time.sleep(2)


def run(quick, samples):
    seconds = 20 if quick else 60
    with BenchWorld(("a",)) as w:
        w.scs_conf["scs"]["poll-period"] = "500ms"
        w.marked("single", "a")
        w.start()
        time.sleep(2)
        pids = [w.lca("a").pid, w.agent_pid("a")]
        one, cpu_one = memory(pids), cpu_percent(pids, seconds)
        add(w, MORE)
        many, cpu_many = memory(pids), cpu_percent(pids, seconds / 4)
        assert pids == [w.lca("a").pid, w.agent_pid("a")]
    samples.keep("idle", {"one_kb": one, "many_kb": many, "more": MORE, "cpu_one_percent": cpu_one, "cpu_many_percent": cpu_many})
    both = "keeper and agent together"
    return [Result("lca with one child, PSS", one[0] / 1024, PSS_KB / 1024, "MiB", both),
            Result("lca with one child, private dirty", one[1] / 1024, DIRTY_KB / 1024, "MiB", both),
            Result("lca, each further child, private dirty", (many[1] - one[1]) / MORE, EACH_KB, "KiB",
                   f"{MORE} more: PSS {many[0] / 1024:.2f} MiB, private dirty {many[1] / 1024:.2f} MiB"),
            Result("lca idle, CPU", cpu_one, CPU_PERCENT, "%", f"ADDP 1 s, polls every 500 ms, {seconds} s; with {MORE + 1} children {cpu_many:.3f} %")]
