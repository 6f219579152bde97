"""The checker of overlaps, on rings written by hand: what it must find, and what it must not."""
import pytest

import overlap
from overlap import MS, Witnessed

A, B = (7, 1), (7, 2)


def write_ring(path, rows, slots=100_000):
    """rows: (ms, epoch, pid, acting)."""
    data = bytearray(overlap.HEADER.pack(overlap.MAGIC, slots, MS, len(rows)))
    data += b"".join(overlap.SLOT.pack(int(ms * MS), *epoch, pid, acting) for ms, epoch, pid, acting in rows)
    path.write_bytes(bytes(data))


def acts(start_ms, end_ms, epoch, pid, acting=1):
    return [(ms, epoch, pid, acting) for ms in range(start_ms, end_ms + 1)]


@pytest.fixture
def testify(tmp_path):
    def make(p1=(), p2=()):
        write_ring(tmp_path / "p1.ring", list(p1))
        write_ring(tmp_path / "p2.ring", list(p2))
        return Witnessed({"p1": tmp_path / "p1.ring", "p2": tmp_path / "p2.ring", "p3": tmp_path / "p3.ring"})
    return make


def test_one_after_the_other(testify):
    t = testify(acts(1000, 2000, A, 10), acts(2300, 3300, B, 20))
    assert t.overlap_ms() == 0 and t.overlaps() == [] and t.stale() == []
    assert t.longest_gap_ms() == 300 and t.changes() == 1
    assert [(g.start, g.end) for g in t.gaps(100)] == [(2000 * MS, 2300 * MS)]
    assert [(c.app, c.epoch) for c in t.holders()] == [("p1", A), ("p2", B)]
    t.expect(changes=1, gaps=[(2000 * MS, 2300 * MS)], tolerance_ms=10, until=3300 * MS)
    t.expect(changes=range(3), gaps=[(1995 * MS, 2305 * MS)], tolerance_ms=10)


def test_overlap_to_the_millisecond(testify):
    t = testify(acts(1000, 2000, A, 10), acts(1963, 3000, B, 20))
    assert t.overlap_ms() == 37
    assert len(t.stale()) == 37, "what p1 did after p2 had begun"
    with pytest.raises(AssertionError, match="two acted at once, for 37.0 ms"):
        t.expect(changes=1)
    t.expect(changes=range(100), overlap_ms=None)


def test_overlap_of_a_single_instant(testify):
    t = testify(acts(1000, 2000, A, 10), acts(2000, 3000, B, 20))
    assert t.overlap_ms() == 0 and len(t.overlaps()) == 1
    with pytest.raises(AssertionError, match="two acted at once"):
        t.expect(changes=1)


def test_three_at_once_are_counted_once(testify):
    t = testify(acts(1000, 2000, A, 10) + acts(1500, 2000, B, 11), acts(1600, 1800, (7, 3), 20))
    assert t.overlap_ms() == 500


def test_two_processes_of_one_application_overlap(testify):
    t = testify(acts(1000, 2000, A, 10) + acts(1900, 2500, B, 11))
    assert t.overlap_ms() == 100


def test_interleaved_without_common_time_is_stale(testify):
    t = testify(acts(1000, 1100, A, 10) + acts(1300, 1400, A, 10), acts(1150, 1250, B, 20))
    assert t.overlap_ms() == 0 and len(t.stale()) == 101
    with pytest.raises(AssertionError, match="lower epoch after a higher"):
        t.expect(changes=2, tolerance_ms=1000)


def test_one_epoch_for_two(testify):
    t = testify(acts(1000, 1100, A, 10), acts(1200, 1300, A, 20))
    assert t.shared_epochs() == [A]
    with pytest.raises(AssertionError, match="one epoch"):
        t.expect(changes=1)


def test_a_few_milliseconds_between_samples_are_one_interval(testify):
    t = testify([(ms, A, 10, 1) for ms in (1000, 1004, 1009, 1015, 1016)])
    assert [(i.start // MS, i.end // MS) for i in t.intervals] == [(1000, 1009), (1015, 1016)]


def test_what_the_lease_word_held_back_is_no_acting(testify):
    t = testify(acts(1000, 1100, A, 10) + acts(1101, 1300, A, 10, acting=0), acts(1200, 1300, B, 20))
    assert t.overlap_ms() == 0 and t.stale() == [] and t.changes() == 1
    inside = testify(acts(1000, 1002, A, 10) + acts(1003, 1003, A, 10, acting=0) + acts(1004, 1006, A, 10))
    assert len(inside.intervals) == 2, "an interval ends where the word says so, however short"


def test_nobody_acted(testify):
    with pytest.raises(AssertionError, match="nobody acted at all"):
        testify().expect(changes=0)
    with pytest.raises(AssertionError, match="nobody acted at all"):
        testify(acts(1000, 1100, A, 10, acting=0)).expect(changes=0)


def test_a_gap_that_nothing_allows(testify):
    t = testify(acts(1000, 2000, A, 10) + acts(3500, 4000, B, 11))
    with pytest.raises(AssertionError, match="nobody acted for 1500 ms"):
        t.expect(changes=0, gaps=[(5000 * MS, 9000 * MS)])
    with pytest.raises(AssertionError, match="nobody acted for 6000 ms"):
        t.expect(changes=0, gaps=[(2000 * MS, 3500 * MS)], until=10_000 * MS)


def test_the_wrong_number_of_changes(testify):
    t = testify(acts(1000, 2000, A, 10), acts(2100, 3000, B, 20))
    with pytest.raises(AssertionError, match="1 role changes, expected 0"):
        t.expect(changes=0)
    again = testify(acts(1000, 2000, A, 10) + acts(2100, 3000, B, 10))
    assert again.changes() == 0 and len(again.holders()) == 2, "the same one on a new epoch is no change of role"


def test_a_ring_that_went_round(tmp_path):
    rows = acts(1000, 1999, A, 10)
    path = tmp_path / "p1.ring"
    write_ring(path, rows[600:] + rows[200:600], slots=800)
    header = overlap.HEADER.pack(overlap.MAGIC, 800, MS, 1000)
    path.write_bytes(header + path.read_bytes()[overlap.HEADER.size:])
    t = Witnessed({"p1": path})
    assert len(t.samples) == 800 and t.longest_gap_ms() == 1
