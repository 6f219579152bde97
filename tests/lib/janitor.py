#!/usr/bin/python3
"""Removes what a world leaves behind: network namespaces named PREFIX-PID-…, the processes inside them, and the world's folder.

Two uses. `janitor.watch()` starts this file as a process of its own that waits for its parent's end, however it comes, and cleans after it.
`janitor.sweep()` cleans after owners that are gone already. Processes are found by the namespace they are in and killed by pid, never by name."""
import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

PREFIX = "ustest"
NETNS = pathlib.Path("/run/netns")
BASE = pathlib.Path("/run/understudy-tests")


def start_time(pid):
    """Start time of a process in clock ticks since boot; None when it is gone."""
    try:
        text = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return text.rpartition(")")[2].split()[19]


def is_zombie(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


def owner_alive(tag):
    """`tag` is PID.START, as worlds name their things."""
    pid, _, start = tag.partition(".")
    return pid.isdigit() and start_time(pid) == start


def tag_of(pid=None):
    pid = pid or os.getpid()
    return f"{pid}.{start_time(pid)}"


def pids_in(namespace):
    """Processes (not zombies) whose network namespace is the named one."""
    try:
        inode = os.stat(NETNS / namespace).st_ino
    except OSError:
        return []
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                if os.stat(f"/proc/{entry}/ns/net").st_ino == inode and not is_zombie(entry):
                    found.append(int(entry))
            except OSError:
                pass
    return found


def empty(namespace):
    """Kills every process in a namespace; several rounds, because one may fork while it is looked at."""
    for _ in range(200):
        pids = pids_in(namespace)
        if not pids:
            return
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                pass
        time.sleep(0.02)


def namespaces(tag=None):
    names = sorted(os.listdir(NETNS)) if NETNS.exists() else []
    return [n for n in names if n.startswith(f"{PREFIX}-{tag}-" if tag else f"{PREFIX}-")]


def remove_cgroups(run_directories):
    """The cgroups that killed keepers left behind: theirs are named us-HASH-…, after the hash (FNV-1a) of the run directory (lca/keeper/cgroup.c)."""
    prefixes = []
    for run in run_directories:
        h = 2166136261
        for byte in str(run).encode():
            h = (h ^ byte) * 16777619 & 0xFFFFFFFF
        prefixes.append(f"us-{h:08x}-")
    mounts = [line.split()[4] for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines() if " - cgroup2 " in line]
    own = [line[3:] for line in pathlib.Path("/proc/self/cgroup").read_text().splitlines() if line.startswith("0::/")]
    for base in (pathlib.Path(m + o) for m in mounts for o in own):
        for prefix in prefixes:
            for left in base.glob(prefix + "*"):
                with contextlib.suppress(OSError):
                    left.rmdir()


def unmount(folder):
    for line in pathlib.Path("/proc/mounts").read_text().splitlines():
        place = line.split()[1]
        if place.startswith(f"{folder}/"):
            subprocess.run(["umount", "-l", place], capture_output=True)


def clean(tag):
    mine = namespaces(tag)
    for namespace in mine:
        empty(namespace)
    for namespace in mine:
        subprocess.run(["ip", "netns", "del", namespace], capture_output=True)
    folder = BASE / tag
    if folder.exists():
        unmount(folder)
        shutil.rmtree(folder, ignore_errors=True)


def sweep():
    """Cleans after every owner that is gone."""
    tags = {n[len(PREFIX) + 1:].split("-")[0] for n in namespaces()}
    tags |= set(os.listdir(BASE)) if BASE.exists() else set()
    for tag in sorted(tags):
        if not owner_alive(tag) and not (BASE / tag / "keep").exists():
            clean(tag)


def watch():
    """Starts the watcher of this process. What is returned must be kept: its end of the pipe closes with us."""
    read, write = os.pipe()
    subprocess.Popen([sys.executable, __file__, tag_of()], stdin=read, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.close(read)
    return write


def main():
    tag = sys.argv[1]
    for s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(s, signal.SIG_IGN)
    sys.stdin.buffer.read()
    for _ in range(500):
        if not owner_alive(tag):
            break
        time.sleep(0.01)
    if not (BASE / tag / "keep").exists():
        clean(tag)


if __name__ == "__main__":
    main()
