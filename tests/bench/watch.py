"""A look-out over one site's witnesses for as long as the site runs, however much longer that is than a ring.

It reads what is new in the rings, at the latest every few seconds and from a thread of its own, and adds up: how long two acted at once, role changes, acts on a
stale epoch, primaries lost, the longest time between two acts. What was written in the last moments is left for the next look, and each look begins a little
before the last one's end, so that an interval of acting that lies across is seen whole. Times are CLOCK_BOOTTIME in ns unless a name says ms."""
import threading

import overlap
import world

EVERY = 5.0
FRESH = 20_000_000   # not looked at yet: it may still be being written
AGAIN = 10_000_000   # looked at twice


class Reader:
    """What one ring has that was not read yet."""

    def __init__(self, path, app):
        self.path, self.app, self.begun = path, app, 0

    def new(self):
        if not self.path.exists():
            return []
        with open(self.path, "rb") as f:
            _, slots, _, count = overlap.HEADER.unpack(f.read(overlap.HEADER.size))
            assert count - self.begun <= slots, f"{self.path} went round between two looks"
            done, found = max(self.begun, 0), []
            while done < count:
                n = min(count - done, slots - done % slots)
                f.seek(overlap.HEADER.size + done % slots * overlap.SLOT.size)
                found += overlap.SLOT.iter_unpack(f.read(n * overlap.SLOT.size))
                done += n
        if found and not found[-1][0]:
            found, count = found[:-1], count - 1  # one that is being written
        self.begun = count
        return [overlap.Sample(t, self.app, pid, (term, n), acting != 0) for t, term, n, pid, acting in found if t]


class Watch:
    def __init__(self, w, members=("p1", "p2")):
        self.readers = [Reader(w.ring(m), m) for m in members]
        self.pending, self.until, self.wanted = [], 0, None
        self.last, self.highest = None, (0, 0)
        self.overlap_ms, self.stale, self.changes, self.lost, self.longest_gap_ms = 0.0, 0, 0, 0, 0.0
        self.lock, self.over = threading.Lock(), threading.Event()
        self.error = None
        self.thread = threading.Thread(target=self._keep_looking, daemon=True)
        self.thread.start()

    def _keep_looking(self):
        while not self.over.wait(EVERY):
            try:
                self.look()
            except (AssertionError, OSError) as e:
                self.error = e
                return

    def end(self):
        self.over.set()
        self.thread.join()
        if self.error:
            raise AssertionError(str(self.error))

    def _read(self):
        for r in self.readers:
            self.pending += r.new()

    def look(self):
        """Takes in everything but the last moments."""
        with self.lock:
            limit = world.boot_ns() - FRESH
            self._read()
            self.pending.sort()
            window = [s for s in self.pending if self.until - AGAIN < s.t <= limit]
            self.overlap_ms += overlap_of(window)
            for s in window:
                if s.acting and s.t > self.until:
                    self._acted(s)
            self.until = limit
            keep = limit - AGAIN if self.wanted is None else min(limit - AGAIN, self.wanted)
            self.pending = [s for s in self.pending if s.t > keep]

    def _acted(self, s):
        if self.last:
            self.longest_gap_ms = max(self.longest_gap_ms, (s.t - self.last.t) / overlap.MS)
            self.changes += s.app != self.last.app
            self.lost += (s.app, s.pid, s.epoch) != (self.last.app, self.last.pid, self.last.epoch)
        self.stale += s.epoch < self.highest
        self.highest = max(self.highest, s.epoch)
        self.last = s

    def first_act(self, app, after, timeout=30):
        """The first time that the application acted after this instant."""
        def found():
            with self.lock:
                self._read()
                return min((s.t for s in self.pending if s.app == app and s.acting and s.t > after), default=None)
        self.wanted = after
        t = world.wait(found, timeout, f"{app} acts")
        self.wanted = None
        return t


def overlap_of(samples):
    """ms in which two processes acted; what is only an instant counts as one look of a witness, 1 ms."""
    intervals = [i for app in {s.app for s in samples} for i in overlap.intervals_of([s for s in samples if s.app == app])]
    total, until = 0, 0
    for i in overlap.overlaps_of(sorted(intervals)):
        total += max(0, i.end - max(i.start, until), overlap.MS if i.end > until else 0)
        until = max(until, i.end)
    return total / overlap.MS
