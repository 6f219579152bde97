"""lca at rest with mutual TLS: memory of keeper and agent together with one child and with 100, and processor time.

Memory is /proc/PID/smaps_rollup. The proportional set size shares libraries with every other process of the machine that maps them, the other daemons of this very world
included; "as if alone" counts each library page of the two once and whole, which is the most that it can be anywhere."""
import pathlib
import re
import time

import world
from hands import application, make_world, pair

KIB = 1024
CHILDREN = 100
SECONDS, QUICK_SECONDS = 60, 20


def rollup(pid):
    text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    return {key: int(value) * KIB for key, value in re.findall(r"^(\w+): +(\d+) kB$", text, re.M)}


def memory(pids):
    both = [rollup(p) for p in pids]
    return {"pss": sum(m["Pss"] for m in both), "dirty": sum(m["Private_Dirty"] for m in both)}


def alone(pids):
    """Private pages, and of each file's mapping the greater of the two, as if nobody else had it."""
    shared, private = {}, 0
    for pid in pids:
        key = None
        for line in pathlib.Path(f"/proc/{pid}/smaps").read_text().splitlines():
            m = re.match(r"[0-9a-f]+-[0-9a-f]+ \S+ ([0-9a-f]+) \S+ (\d+) *(.*)", line)
            if m:
                key = (m.group(2), m.group(1), m.group(3))
                here = 0
                continue
            name, _, value = line.partition(":")
            if name.startswith("Shared_"):
                here += int(value.split()[0]) * KIB
                shared[key] = max(shared.get(key, 0), here)
            elif name.startswith("Private_") and name != "Private_Hugetlb":
                private += int(value.split()[0]) * KIB
    return private + sum(shared.values())


def cpu_ns(pids):
    """On the processor so far, all threads."""
    return sum(int(t.read_text().split()[0]) for p in pids for t in pathlib.Path(f"/proc/{p}/task").glob("*/schedstat"))


def settle(w):
    """Until two looks, a second apart, see the same."""
    def still():
        first = memory(pids_of(w))
        time.sleep(1)
        return memory(pids_of(w))["dirty"] == first["dirty"]
    world.wait(still, 30, "memory is at rest")


def pids_of(w):
    return [w.lca("a").pid, w.agent_pid("a")]


def mib(n):
    return f"{n / KIB / KIB:.2f} MiB"


def measure(report, quick, rng):
    report.title("footprint", "lca, keeper and agent together, at rest (mutual TLS, a pair's member is the one child)")
    w = make_world()
    w.scs_conf["scs"].update({"addp-timeout": "1s", "addp-remote-timeout": "1s"})
    pair(w)
    w.start()
    settle(w)
    pids = pids_of(w)
    one, whole = memory(pids), alone(pids)
    seconds = QUICK_SECONDS if quick else SECONDS
    begun, used = world.boot_ns(), cpu_ns(pids)
    time.sleep(seconds)
    share = (cpu_ns(pids) - used) / (world.boot_ns() - begun)
    for i in range(CHILDREN - 1):
        application(w, f"c{i}", "a", autostart="yes")
    w.write()
    answer = w.ctl("config", "reload")
    assert answer.code == 0, answer
    w.settle()
    settle(w)
    assert pids_of(w) == pids, "lca is another process than before"
    many = memory(pids)
    w.close()
    judge(report, one, whole, many, share, seconds)


def judge(report, one, whole, many, share, seconds):
    report.samples("footprint", ("children", "pss", "private_dirty", "alone", "cpu_share"), [(1, one["pss"], one["dirty"], whole, share), (CHILDREN, many["pss"], many["dirty"], "", "")])
    each = {k: (many[k] - one[k]) / (CHILDREN - 1) for k in one}
    report.row("footprint", "PSS, one child", mib(one["pss"]), "<= 8 MB", ok=one["pss"] <= 8e6)
    report.row("footprint", "  as if alone on the machine", mib(whole), "shown")
    report.row("footprint", "private dirty, one child", mib(one["dirty"]), "<= 3 MB", ok=one["dirty"] <= 3e6)
    for key, what in (("pss", "PSS"), ("dirty", "private dirty")):
        report.row("footprint", f"{what}, each further child (of {CHILDREN})", f"{each[key] / KIB:.2f} KiB", "<= 10 KiB", ok=each[key] <= 10 * KIB)
    report.row("footprint", f"processor time over {seconds} s at 1 s ADDP", f"{share * 100:.4f} %", "<= 0.1 %", ok=share <= 0.001)
