"""What the figures share: worlds without debug logs, the lines that bench_stamp wrote, helpers of C that run inside a namespace."""
import collections
import os
import shutil
import signal
import subprocess
import threading
import time

import network
import tree
import world

Line = collections.namedtuple("Line", "t pid word")
LOOK = 0.005


class Stamps:
    """The file that a command's starts are written to."""

    def __init__(self, path):
        self.path = path

    def lines(self):
        text = self.path.read_text() if self.path.exists() else ""
        rows = (row.split(" ", 2) for row in text.splitlines())
        return [Line(int(t), int(pid), word) for t, pid, word in rows]

    def last(self, word):
        return next((line for line in reversed(self.lines()) if line.word == word), None)

    def after(self, t, word, timeout=world.LONG):
        """Waits for the first line of this word that is younger than `t`. The first look is late, so as not to be in the way of what is measured."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            time.sleep(LOOK)
            found = [line for line in self.lines() if line.word == word and line.t > t]
            if found:
                return found[0]
        raise AssertionError(f"nothing wrote '{word}' to {self.path} within {timeout:.0f} s")


def kill(pid):
    """SIGKILL; the instant just before it."""
    t = world.boot_ns()
    os.kill(pid, signal.SIGKILL)
    return t


def make_plain(w):
    """The product's own defaults in a world for everything that is not about where things are. What a host has in /run is on a tmpfs, as /run is."""
    for folder in (w.apps_dir, *(w.path(f"run-{h}") for h in w.hosts)):
        network.sh("mount", "-t", "tmpfs", "-o", f"mode={folder.stat().st_mode & 0o777:o}", "bench", folder)
    for section in (w.scs_conf["scs"], *(w.lca_conf[h]["lca"] for h in w.hosts)):
        section.pop("log-level", None)
    for key in ("poll-period", "addp-timeout", "addp-remote-timeout"):
        w.scs_conf["scs"].pop(key, None)


def make_world(hosts=("a", "b")):
    """A plain world with mutual TLS."""
    w = world.World(hosts=hosts, tls=True)
    make_plain(w)
    return w


def command(w, name):
    """A program of the benches, where the hosts allow commands."""
    target = w.bin / name
    if not target.exists():
        shutil.copy2(tree.program(name), target)
        target.chmod(0o755)
    return target


def stamp(w, file, word, *more):
    return [str(command(w, "bench_stamp")), str(file), word, *more]


def words(command_words):
    return " ".join(command_words)


def application(w, name, host, **options):
    """An application that writes down every start and waits to be ended. Its Stamps."""
    stamps = Stamps(w.apps_dir / f"{name}.stamps")
    w.application(name, host, **{"command": words(stamp(w, stamps.path, "start", "stay")), "readiness": "exec", "output": None, "restart_delay": "0s",
                                 "restart_limit": 1000, "restart_window": "1s", **options})
    return stamps


def pair(w, primary="p1", backup="p2", on=("a", "b"), fencing="lease", **options):
    """A pair of those; role commands write down their start too. Name → Stamps."""
    stamps = {}
    for name, host in ((primary, on[0]), (backup, on[1])):
        file = w.apps_dir / f"{name}.stamps"
        more = {"backup": backup, "redundancy_type": "warm", "fencing": fencing} if name == primary else {}
        stamps[name] = application(w, name, host, on_primary=words(stamp(w, file, "primary")), on_backup=words(stamp(w, file, "backup")), **more, **options)
    return stamps


class Helper:
    """A program of the benches running inside a host's namespace; the namespace's end is its end. In a session of its own, as the daemons: the kernel shares out
    the processors by session."""

    def __init__(self, w, host, *parts):
        self.process = subprocess.Popen(w.net.inside(host, *parts), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True)

    def line(self):
        text = self.process.stdout.readline().strip()
        if not text or text.startswith("error"):
            raise AssertionError(f"{self.process.args}: {text or 'ended'}")
        return text

    def ask(self, text):
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()
        return self.line()

    def end(self):
        """SIGTERM, and everything that it still says."""
        self.process.terminate()
        return self.process.communicate(timeout=world.LONG)[0]


class DiskControl:
    """How long this machine's disk takes by itself: a page written in place and fdatasync, fifty times a second, from a thread, until end()."""

    def __init__(self, path):
        self.over, self.taken = threading.Event(), []
        self.file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self.thread = threading.Thread(target=self._write, daemon=True)
        self.thread.start()

    def _write(self):
        while not self.over.wait(0.02):
            begun = world.boot_ns()
            os.pwrite(self.file, bytes([65 + len(self.taken) % 26]) * 4096, 0)
            os.fdatasync(self.file)
            self.taken.append(world.boot_ns() - begun)

    def end(self):
        """ns of each write."""
        self.over.set()
        self.thread.join()
        os.close(self.file)
        return self.taken


def pause(rng, low, high):
    """A random phase against every period of the product."""
    time.sleep(rng.uniform(low, high))
