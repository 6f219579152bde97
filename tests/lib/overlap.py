"""What witnesses wrote down (tests/apps/ring.h), and what it says: who acted when, whether two acted at once, and when nobody did.

All hosts of a world share the kernel's CLOCK_BOOTTIME, so samples of different applications are compared as they are. A witness samples every millisecond while
it believes that it is primary; consecutive samples of one process and epoch at most JOINT_NS apart are one interval of acting. Overlap is the time that lies in
the intervals of two processes. A sample of a lower epoch after one of a higher is reported as stale, also where the intervals only interleave. Times are in ns
unless a name says ms."""
import collections
import pathlib
import struct

MAGIC = 0x53534e5449575355
HEADER = struct.Struct("=QQQQ")
SLOT = struct.Struct("=QQQII")
JOINT_NS = 5_000_000
MS = 1_000_000

Sample = collections.namedtuple("Sample", "t app pid epoch acting")
Interval = collections.namedtuple("Interval", "start end app pid epoch")
Overlap = collections.namedtuple("Overlap", "start end first second")
Gap = collections.namedtuple("Gap", "start end before after")
Change = collections.namedtuple("Change", "t app epoch")


def read_ring(path, app):
    """The samples of one ring file in order of time; none where no witness ever ran."""
    path = pathlib.Path(path)
    if not path.exists():
        return []
    with open(path, "rb") as f:
        magic, slots, _, count = HEADER.unpack(f.read(HEADER.size))
        assert magic == MAGIC, f"{path} is no ring"
        data = f.read(min(count, slots) * SLOT.size)
    found = [Sample(t, app, pid, (term, n), acting != 0) for t, term, n, pid, acting in SLOT.iter_unpack(data) if t]
    return sorted(found)


def last_acting(path):
    """The time of the newest sample of acting in a ring; 0 when there is none. Reads only the ring's end."""
    path = pathlib.Path(path)
    if not path.exists():
        return 0
    with open(path, "rb") as f:
        _, slots, _, count = HEADER.unpack(f.read(HEADER.size))
        for back in range(1, min(count, slots) + 1):
            f.seek(HEADER.size + (count - back) % slots * SLOT.size)
            t, _, _, _, acting = SLOT.unpack(f.read(SLOT.size))
            if t and acting:
                return t
            if back > 2000:
                break
    return 0


def intervals_of(samples):
    """Intervals of acting, of one application's samples in order of time. Several processes at once have intervals of their own."""
    current, done = {}, []
    for s in samples:
        key = (s.pid, s.epoch)
        if not s.acting:
            if s.pid in {p for p, _ in current}:
                done += [current.pop(k) for k in list(current) if k[0] == s.pid]
            continue
        last = current.get(key)
        if last and s.t - last.end <= JOINT_NS:
            current[key] = last._replace(end=s.t)
        else:
            if last:
                done.append(last)
            current[key] = Interval(s.t, s.t, s.app, s.pid, s.epoch)
    return sorted(done + list(current.values()))


def overlaps_of(intervals):
    """Every stretch in which two processes acted, of intervals in order of time. A single instant counts, with length 0."""
    found, open_ones = [], []
    for i in intervals:
        open_ones = [o for o in open_ones if o.end >= i.start]
        found += [Overlap(i.start, min(o.end, i.end), o, i) for o in open_ones if o.pid != i.pid]
        open_ones.append(i)
    return found


class Witnessed:
    """Of the members of one pair. `rings`: {application: path}."""

    def __init__(self, rings):
        self.samples = sorted(s for app, path in rings.items() for s in read_ring(path, app))
        self.acting = [s for s in self.samples if s.acting]
        self.intervals = sorted(i for app in rings for i in intervals_of([s for s in self.samples if s.app == app]))

    def overlaps(self):
        """Every stretch in which two processes acted. A single instant counts, with length 0."""
        return overlaps_of(self.intervals)

    def overlap_ms(self):
        """Time that lies in two intervals or more, each instant counted once."""
        total, until = 0, 0
        for o in sorted(self.overlaps()):
            total += max(0, o.end - max(o.start, until))
            until = max(until, o.end)
        return total / MS

    def stale(self):
        """Samples of acting with an epoch below one that was acted on before."""
        found, highest = [], (0, 0)
        for s in self.acting:
            if s.epoch < highest:
                found.append(s)
            highest = max(highest, s.epoch)
        return found

    def shared_epochs(self):
        """Epochs on which more than one application acted."""
        by_epoch = collections.defaultdict(set)
        for s in self.acting:
            by_epoch[s.epoch].add(s.app)
        return sorted(e for e, apps in by_epoch.items() if len(apps) > 1)

    def gaps(self, longer_than_ms):
        """Stretches between two samples of acting, of whomever, that are longer."""
        pairs = zip(self.acting, self.acting[1:])
        return [Gap(x.t, y.t, x, y) for x, y in pairs if y.t - x.t > longer_than_ms * MS]

    def longest_gap_ms(self):
        return max((y.t - x.t for x, y in zip(self.acting, self.acting[1:])), default=0) / MS

    def holders(self):
        """Who acted, in order of time: one row for each epoch begun."""
        rows = []
        for s in self.acting:
            if not rows or rows[-1].app != s.app or rows[-1].epoch != s.epoch:
                rows.append(Change(s.t, s.app, s.epoch))
        return rows

    def changes(self):
        """How often another application than before acted."""
        rows = self.holders()
        return sum(x.app != y.app for x, y in zip(rows, rows[1:]))

    def expect(self, changes, gaps=(), overlap_ms=0, tolerance_ms=1000, until=None):
        """Asserts what a scenario has to show. `changes`: a number, or a container of allowed ones. `gaps`: (from, to) in which nobody needs to act. `overlap_ms`:
        0, or None where two may act. `tolerance_ms` is how long the machine itself may keep a witness waiting. `until`: somebody acts until then."""
        assert self.acting, "nobody acted at all"
        if overlap_ms is not None:
            overlaps = self.overlaps()
            assert not overlaps and self.overlap_ms() <= overlap_ms, f"two acted at once, for {self.overlap_ms():.1f} ms: {overlaps[:3]}"
            assert not self.stale(), f"acted on a lower epoch after a higher, {len(self.stale())} times, first: {self.stale()[0]}"
            assert not self.shared_epochs(), f"two applications acted on one epoch: {self.shared_epochs()}"
        done = self.changes()
        allowed = (changes,) if isinstance(changes, int) else changes
        assert done in allowed, f"{done} role changes, expected {changes}: {self.holders()}"
        slack = tolerance_ms * MS
        ends = [self.acting[-1]._replace(t=until)] if until else []
        for x, y in zip(self.acting, self.acting[1:] + ends):
            if y.t - x.t > slack:
                covered = any(x.t >= start - slack and y.t <= end + slack for start, end in gaps)
                assert covered, f"nobody acted for {(y.t - x.t) / MS:.0f} ms after {x}, and nothing allows it"
