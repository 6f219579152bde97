"""What the figures share: results against bounds, percentiles, samples on disk, marks, a world without debug logs."""
import collections
import json
import os
import pathlib
import shutil
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))
import tree  # noqa: E402
import world  # noqa: E402

# figure and bound are numbers of `unit`; `beside` is the floor, peer or control of the same run in words.
Result = collections.namedtuple("Result", "name figure bound unit beside")


def ok(result):
    return result.figure <= result.bound


def percentile(values, p):
    """Nearest rank: of 100 values the 99th is the second largest."""
    ordered = sorted(values)
    return ordered[max(0, min(len(ordered) - 1, -(-len(ordered) * p // 100) - 1))]


def median(values):
    return percentile(values, 50)


def ms(ns):
    return ns / 1e6


class Samples:
    """Raw numbers of a run, one file per figure, outside the tree."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder) if folder else None
        if self.folder:
            self.folder.mkdir(parents=True, exist_ok=True)

    def keep(self, name, values):
        if self.folder:
            (self.folder / f"{name}.json").write_text(json.dumps(values))


def default_folder():
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return pathlib.Path(cache) / "understudy-bench" / time.strftime("%Y%m%d-%H%M%S")


class BenchWorld(world.World):
    """A world with mutual TLS that logs as an ordinary site does, and whose applications are bench-mark."""

    def __init__(self, hosts):
        super().__init__(hosts=hosts, tls=True)
        for host in hosts:
            self.lca_conf[host]["lca"]["log-level"] = "info"
        self.scs_conf["scs"]["log-level"] = "info"
        self.mark = self.bin / "mark"
        shutil.copy2(tree.program("bench-mark"), self.mark)

    def marked(self, name, host, life="sleep", **options):
        """An application whose starts are in marks(name), and whose role commands' are in marks(name + ".role")."""
        self.application(name, host, command=f"{self.mark} {self.marks_file(name)} {life}", readiness="exec", restart_delay="0ms", restart_window="1s",
                         restart_limit="1000", **options)
        return self.scs_conf[f"application {name}"]

    def marks_file(self, name):
        return self.apps_dir / f"{name}.marks"

    def marks(self, name):
        """(ns, pid, what, role) per line."""
        path = self.marks_file(name)
        rows = [line.split() for line in path.read_text().splitlines()] if path.exists() else []
        return [(int(r[0]), int(r[1]), r[2], r[3]) for r in rows if len(r) == 4]

    def next_mark(self, name, since, what="start", role=None, timeout=10):
        """The first such line at or after an instant of CLOCK_MONOTONIC. Its time is in the line: how often we look is of no matter."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            for row in self.marks(name):
                if row[0] >= since and row[2] == what and (role is None or row[3].lower() == role):
                    return row
            time.sleep(0.005)
        raise AssertionError(f"{name}: no {what} {role or ''} within {timeout} s")
