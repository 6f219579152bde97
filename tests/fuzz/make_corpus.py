#!/usr/bin/python3
"""Writes the stored hostile inputs of tests/fuzz/corpus (the same bytes each time).

    make_corpus.py           write them
    make_corpus.py --check   exit 1 when a stored input differs from what would be written

Files named found-* are findings of the fuzzers, kept as they are. The layouts of the inputs are at the top of fuzz_*.c.
"""
import pathlib
import random
import struct
import sys

CORPUS = pathlib.Path(__file__).resolve().parent / "corpus"
PAYLOAD_MAX = 65536 - 8
HELLO, REFUSED, POLL, ANSWER, MESSAGE, BYE = range(1, 7)
FRAMES = {"hello": HELLO, "refused": REFUSED, "poll": POLL, "answer": ANSWER, "message": MESSAGE, "bye": BYE}


# ---- protobuf by hand: only so can it be wrong ----

def varint(n):
    out = bytearray()
    while n > 0x7F:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def number(field, value):
    return varint(field << 3) + varint(value)


def block(field, data):
    return varint(field << 3 | 2) + varint(len(data)) + data


def frame(kind, payload=b"", flags=0, zero=0, length=None):
    return struct.pack(">IBBH", len(payload) if length is None else length, kind, flags, zero) + payload


def hello(role=2, site=b"a", name=b"h1", low=1, high=1, addp=500, extra=b""):
    return (number(1, low) + number(2, high) + block(4, site) + number(5, role) + block(6, name) + block(7, b"corpus 1")
            + number(8, addp) + extra)


def refused(reason, text):
    return number(1, reason) + block(2, text) + number(3, 1) + number(4, 2) + number(5, 3) + number(6, 4)


# ---- sessions: modes, chunk, time step, bytes ----

ACCEPTOR, CALLER, OPEN, DEAF, TRACED = 0, 1, 2, 4, 8


def session(modes, data, chunk=0, step=0):
    return bytes([modes, chunk, step]) + data


def states():
    return {"acceptor-opening": ACCEPTOR, "caller-opening": CALLER, "acceptor-open": OPEN, "caller-open": OPEN | CALLER}


def payload_of(kind):
    return {HELLO: hello(), REFUSED: refused(2, b"no"), POLL: bytes(8), ANSWER: bytes(7) + b"\1", MESSAGE: number(1, 7),
            BYE: block(1, b"done")}[kind]


def every_frame_in_every_state():
    for state, modes in states().items():
        for name, kind in FRAMES.items():
            yield f"{state}-{name}", session(modes, frame(kind, payload_of(kind)) * 2)
            yield f"{state}-{name}-empty", session(modes, frame(kind))
            yield f"{state}-{name}-garbage", session(modes, frame(kind, b"\xff" * 9))
        yield f"{state}-type-0", session(modes, frame(0))
        yield f"{state}-type-7", session(modes, frame(7))


def bad_headers():
    yield "flags", session(OPEN, frame(MESSAGE, flags=1))
    yield "zero", session(OPEN, frame(MESSAGE, zero=1))
    yield "oversized", session(OPEN, frame(MESSAGE, b"x", length=PAYLOAD_MAX + 1))
    yield "oversized-4g", session(OPEN, frame(MESSAGE, b"x", length=0xFFFFFFFF))
    yield "promised-64k", session(OPEN, frame(MESSAGE, b"x", length=PAYLOAD_MAX))
    yield "http", session(ACCEPTOR, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    yield "tls", session(ACCEPTOR, bytes.fromhex("160301020001000001fc0303") + bytes(40))


def hellos():
    cases = {
        "version-2": hello(low=2, high=3), "version-0": hello(low=0, high=0), "version-backwards": hello(low=4, high=2),
        "version-huge": hello(low=1, high=2**32 - 1), "site-b": hello(site=b"b"), "role-0": hello(role=0), "role-99": hello(role=99),
        "role-negative": hello(role=2**64 - 1), "role-operator": hello(role=3), "name-nul": hello(name=b"h1\0x"),
        "name-utf8": hello(name=b"h\xc3\xa9"), "name-bad-utf8": hello(name=b"h\xc3"), "name-empty": hello(name=b""),
        "name-long": hello(name=b"h" * 64), "name-huge": hello(name=b"h" * 5000), "name-dots": hello(name=b"../../etc/passwd"),
        "addp-0": hello(addp=0), "addp-hour": hello(addp=3600000), "addp-more": hello(addp=3600001), "addp-huge": hello(addp=2**32 - 1),
        "later-fields": hello(extra=block(99, b"later") + number(100, 1)), "many-fields": hello(extra=number(99, 1) * 1000),
        "twice-every-field": hello() + hello(name=b"h2"), "wrong-types": block(1, b"x") + number(4, 1),
    }
    for name, payload in cases.items():
        yield f"hello-{name}", session(ACCEPTOR, frame(HELLO, payload))
        yield f"hello-{name}-answer", session(CALLER, frame(HELLO, payload))


def goodbyes():
    for reason in (0, 1, 2, 3, 4, 5, 6, 2**31, 2**64 - 1):
        yield f"refused-{reason}", session(CALLER, frame(REFUSED, refused(reason, b"because")))
    for name, text in {"control": b"\x1b[2J\n\0", "bad-utf8": b"\xff\xc0\xaf", "long": b"x" * 4000, "too-long": b"x" * 5000}.items():
        yield f"refused-text-{name}", session(CALLER | OPEN, frame(REFUSED, refused(4, text)))
        yield f"bye-text-{name}", session(OPEN, frame(BYE, block(1, text)))


def times():
    whole = frame(HELLO, hello()) + frame(MESSAGE, b"x" * 30) + frame(POLL, bytes(8)) + frame(BYE)
    for step in (0, 1, 4, 20, 40, 255):
        yield f"slow-bytes-{step}", session(ACCEPTOR | TRACED, whole, chunk=1, step=step)
        yield f"slow-frames-{step}", session(OPEN | TRACED, frame(POLL, b"pollpoll") * 12, chunk=16, step=step)
    yield "poll-flood", session(OPEN | DEAF | TRACED, frame(POLL, b"pollpoll") * 4000)
    yield "poll-flood-slow", session(OPEN | DEAF, frame(POLL, b"pollpoll") * 1500, chunk=255)
    yield "largest-frame", session(OPEN, frame(MESSAGE, b"m" * PAYLOAD_MAX) + frame(MESSAGE, b"n" * 100), chunk=0)
    yield "largest-frame-odd-chunks", session(OPEN, frame(MESSAGE, b"m" * PAYLOAD_MAX) + frame(MESSAGE, b"n" * 100), chunk=251)
    yield "behind-bye", session(OPEN, frame(BYE) + frame(MESSAGE, b"x") + b"\xff" * 50)


def random_sessions(rng):
    for i in range(12):
        yield f"random-{i}", session(rng.randrange(16), rng.randbytes(rng.randrange(4, 200)), rng.randrange(20), rng.randrange(60))
    for i in range(12):
        stream = b"".join(frame(rng.randrange(1, 7), rng.randbytes(rng.randrange(30))) for _ in range(8))
        yield f"random-frames-{i}", session(rng.randrange(16), stream, rng.randrange(20), rng.randrange(60))


def sessions(rng):
    yield from every_frame_in_every_state()
    yield from bad_headers()
    yield from hellos()
    yield from goodbyes()
    yield from times()
    yield from random_sessions(rng)


# ---- payloads: message, arena, bytes ----

AGENT, REQUEST, REPLY, LINK_HELLO, LINK_REFUSED, LINK_BYE = range(6)


def wire(message, payload, arena=0):
    return bytes([message, arena]) + payload


def good_messages():
    epoch = number(1, 2**40) + number(2, 7)
    pair = block(1, b"db1") + block(2, b"db2") + block(3, b"h2") + block(5, b"/bin/promote") + block(6, b"/bin/demote") + number(7, 10000)
    define = block(1, b"db1") + block(2, b"/bin/db") + block(2, b"--port=1") + block(4, b"db") + number(7, 1) + block(18, pair)
    member = block(1, b"db1") + number(2, 2) + block(3, epoch) + block(5, block(1, b"db1") + block(3, epoch) + number(4, 9))
    poll = b"\x09" + bytes(8) + block(2, bytes(16)) + number(3, 5) + block(6, member) * 3
    exit_info = number(1, 2) + number(3, 9) + number(4, 1)
    report = block(1, b"db1") + number(2, 6) + number(3, 2) + block(4, epoch) + number(5, 4711) + block(10, exit_info)
    peer = block(1, b"h2") + block(2, b"192.0.2.2") + number(3, 4999) + number(4, 1)
    bodies = {"configure": (2, block(1, b"scs1") + number(2, 5) + block(5, peer)), "define": (3, define), "define-end": (4, number(1, 3)),
              "poll-answer": (5, number(1, 1) + number(2, 5)), "grant": (6, block(1, b"db1") + block(2, epoch) + b"\x19" + bytes(8)),
              "demote": (7, block(1, b"db1") + block(2, epoch)), "order": (8, number(1, 1) + block(2, b"db1")), "report": (16, report),
              "report-end": (17, number(1, 3)), "poll": (18, poll), "released": (19, block(1, b"db1")),
              "order-result": (20, number(1, 1) + number(3, 6) + block(4, b"ApplicationNotStarted")),
              "event": (21, number(1, 5064) + block(2, block(1, b"how") + block(2, b"killed"))), "peer-view": (22, block(1, b"h2") + number(2, 1))}
    for name, (field, body) in bodies.items():
        yield f"agent-{name}", wire(AGENT, number(1, 1) + block(field, body))
    yield "agent-every-body", wire(AGENT, b"".join(block(field, body) for field, body in bodies.values()))
    yield "agent-body-twice", wire(AGENT, block(3, define) + block(3, define))
    yield "agent-poll-merged", wire(AGENT, block(18, poll) + block(18, block(6, member)))
    for verb in range(11):
        yield f"request-{verb}", wire(REQUEST, number(1, 1) + number(2, verb) + block(3, b"db1") + number(4, 1))
    for field in list(range(2, 10)) + [15]:
        yield f"reply-{field}", wire(REPLY, number(1, 1) + block(field, block(1, b"x") if field in (4, 5, 6) else number(1, 1)))
    yield "hello", wire(LINK_HELLO, hello())
    yield "refused", wire(LINK_REFUSED, refused(1, b"no"))
    yield "bye", wire(LINK_BYE, block(1, b"done"))


def tiny_elements():
    inner = (PAYLOAD_MAX - 5) // 2
    for name, outer, field in (("members", 18, 6), ("peers", 2, 5), ("fields", 21, 2), ("words", 3, 2)):
        yield f"tiny-{name}-64k", wire(AGENT, block(outer, block(field, b"") * inner))
        yield f"tiny-{name}-4095", wire(AGENT, block(outer, block(field, b"") * 4095))
        yield f"tiny-{name}-4096", wire(AGENT, block(outer, block(field, b"") * 4096))
        yield f"tiny-{name}-small-arena", wire(AGENT, block(outer, block(field, b"") * 2000), arena=4)
    yield "tiny-unknown-64k", wire(AGENT, number(99, 0) * (PAYLOAD_MAX // 3))
    yield "tiny-unknown-4096", wire(AGENT, number(99, 0) * 4096)
    yield "tiny-unknown-small-arena", wire(AGENT, number(99, 0) * 3000, arena=1)


def nested():
    for message, outer in ((AGENT, 18), (AGENT, 2), (REPLY, 5)):
        data = b""
        while len(data) < PAYLOAD_MAX - 20:
            data = block(outer, data)
        yield f"nested-{message}-{outer}", wire(message, data)
    data = b""
    for _ in range(20):
        data = block(6, data)
    yield "nested-members", wire(AGENT, block(18, data))
    yield "groups", wire(AGENT, b"\x9b\x06" * 20000)


def broken_encodings():
    cases = {
        "field-0": b"\0\0", "group": b"\x0b\x0c", "wire-type-6": b"\x0e", "wire-type-7": b"\x0f", "tag-long": b"\x80" * 5 + b"\1",
        "tag-endless": b"\xff" * 30, "number-long": b"\x08" + b"\xff" * 10 + b"\1", "number-endless": b"\x08" + b"\x80" * 100,
        "length-past-end": b"\x7a\x02\0", "length-4g": b"\x7a\xff\xff\xff\xff\x0f", "length-64-bit": b"\x7a" + b"\xff" * 9 + b"\1",
        "length-negative": b"\x7a\xff\xff\xff\xff\xff\xff\xff\xff\xff\1", "fixed64-short": b"\x09\0\0", "fixed32-short": b"\x0d\0",
        "id-as-bytes": b"\x0a\0", "body-as-number": b"\x10\1", "body-as-fixed": b"\x15\0\0\0\0", "inner-short": b"\x12\2\x0a\5",
        "inner-longer-than-outer": b"\x12\3\x0a\x7f\0", "bytes-overlong-length": b"\x12\4\x0a\x81\x80\0", "length-zero-padded": b"\x12\x80\x80\x80\x80\0",
        "words-nul": block(3, block(1, b"a\0b") + block(2, b"\0\0")), "words-bad-utf8": block(3, block(1, b"\xc3\x28\xff")),
    }
    for name, payload in cases.items():
        yield f"broken-{name}", wire(AGENT, payload)


def random_payloads(rng):
    good = [data for _, data in good_messages()]
    for i in range(20):
        yield f"random-{i}", wire(rng.randrange(6), rng.randbytes(rng.randrange(2, 120)))
    for i in range(30):
        data = bytearray(rng.choice(good))
        for _ in range(rng.randrange(1, 5)):
            data[rng.randrange(2, len(data))] = rng.randrange(256)
        yield f"flipped-{i}", bytes(data)


def wires(rng):
    yield from good_messages()
    yield from tiny_elements()
    yield from nested()
    yield from broken_encodings()
    yield from random_payloads(rng)


# ---- values of options: row, text ----

def options(rng):
    rows = {
        0: [b"yes", b"no", b"TRUE", b"2", b""],
        1: [b"0", b"-0", b"007", b"9223372036854775807", b"9223372036854775808", b"-9223372036854775808", b"1 ", b"0x1", b"1e3"],
        2: [b"64KiB", b"1GiB", b"9223372036854775807GiB", b"8589934592GiB", b"-1", b"1kb", b"KiB"],
        3: [b"90", b"250ms", b"1.5h", b"0.000001ms", b"1.1234567s", b"2562047h", b"2562048h", b".5", b"5.", b"1us", b"9223372036854.775807ms"],
        4: [b"1ms", b"1h", b"0", b"3600.000001s", b"0.9ms"],
        5: [b"warm", b"hot", b"Hot", b"warm\0hot"],
        6: [b"text", b"caf\xc3\xa9", b"\xff", b"a\tb", b"\xc2\x85", b"x" * 19, b"x" * 20, b"x" * 5000],
        7: [b"db-1", b".x", b"-x", b"a/b", b"x" * 63, b"x" * 64],
        8: [b"/a/b", b"a/b", b"/" + b"x" * 300, b"/a\nb"],
        9: [b"/bin/x 'a b' \"c\\\"d\" e\\ f", b"'", b'"', b"\\", b"a\\", b"''''", b'""', b";x #y", b"x " * 1100, b"x" * 2044, b"x" * 2043,
            b"'" + b" " * 2043 + b"'", b"\\;" * 1000, b'"' * 2000, b"a\x01b", b"a\xc3"],
        10: [b"understudy://a/lca/h1", b"understudy://a/none/h1", b"understudy://a/lca/h1/x", b"understudy:///lca/h1", b"understudy://a/lca/h\0x",
             b"understudy://a/lca/" + b"h" * 64],
    }
    for row, texts in rows.items():
        for i, text in enumerate(texts):
            yield f"row-{row}-{i}", bytes([row]) + text
    for i in range(20):
        letters = b"0123456789.msh '\"\\;#KMGiB/-"
        yield f"random-{i}", bytes([rng.randrange(11)]) + bytes(rng.choice(letters) for _ in range(rng.randrange(30)))


# ---- operations into the cores: kind, argument, payload (ops.h) ----

def flipped_stories(rng, stories):
    for i in range(16):
        story = bytearray(rng.choice(stories))
        for _ in range(rng.randrange(1, 6)):
            story[rng.randrange(len(story))] = rng.randrange(256)
        yield f"flipped-{i}", bytes(story)


def op(kind, arg=0, payload=b""):
    return struct.pack(">BBH", kind, arg, len(payload)) + payload


def message(field, body, sender=0):
    return op(sender, 0, number(1, 1) + block(field, body))


def fixed64(field, value):
    return varint(field << 3 | 1) + struct.pack("<Q", value)


def epoch_of(term, n):
    return number(1, term) + number(2, n)


MS_0, MS_1, MS_20, MS_200, S_1, S_5, S_30, S_600 = (op(2, i) for i in range(8))


def configured(term=5, names=(b"db1",), member=True, sender=0, extra=b""):
    """Configure, one Define each, DefineEnd."""
    peer = block(1, b"h2") + block(2, b"192.0.2.2") + number(3, 4999) + number(4, 1)
    pair = block(18, block(1, b"db1") + block(2, b"db2") + block(3, b"h2") + block(5, b"/bin/up") + block(6, b"/bin/down") + number(7, 10000) + number(8, 75))
    defines = b"".join(message(3, block(1, n) + block(2, b"/bin/db") + block(2, b"--port=1") + block(5, b"A=b") + number(7, 1) + number(8, 5000)
                               + number(9, 1000) + number(10, 1) + number(11, 100) + number(12, 1000) + number(13, 3) + number(14, 60000)
                               + (pair if member else b"") + extra, sender) for n in names)
    return message(2, block(1, b"scs%d" % (sender + 1)) + number(2, term) + number(4, 200) + block(5, peer), sender) + defines + message(
        4, number(1, len(names)), sender)


def order(kind, name=b"db1", order_id=7, term=5, deadline=5000, sender=0):
    return message(8, number(1, kind) + block(2, name) + number(3, term) + number(4, order_id) + number(5, deadline) + block(6, b"why"), sender)


def grant(n=1, order_id=8, seq=1, term=5, incarnation=7):
    return message(6, block(1, b"db1") + block(2, epoch_of(term, n)) + fixed64(3, incarnation) + number(4, seq) + number(6, order_id) + number(7, 9000))


def demote(n=1, order_id=9, term=5):
    return message(7, block(1, b"db1") + block(2, epoch_of(term, n)) + number(3, term) + number(4, order_id) + number(5, 9000))


def ready(text=b"READY=1\nSTATUS=up"):
    return op(4, 0, text)


def probe(kind=1, path=b"/health", port=80):
    return (number(1, kind) + block(2, b"127.0.0.1") + number(3, port) + block(4, b"h") + block(5, path) + number(6, 200) + block(7, b"/bin/true")
            + number(8, 1000) + number(9, 500) + number(10, 2) + number(11, 1))


def lcas(rng):
    up = configured() + order(1) + ready()
    primary = up + MS_200 + grant(seq=1) + grant(seq=2, order_id=10) + op(6, 0)
    end = op(5, 1)
    stories = {
        "started": up, "primary": primary, "demoted": primary + demote() + op(6, 0), "declined": up + MS_200 + grant() + op(6, 75),
        "role-fails": up + MS_200 + grant() + op(6, 1), "role-hangs": up + MS_200 + grant() + S_30, "primary-dies": primary + end + S_5,
        "flaps": up + (end + S_1) * 8 + order(3) + S_5, "not-ready": configured() + order(1) + S_30, "stopped": primary + order(2) + S_5,
        "killed": primary + order(4) + S_5, "stop-while-starting": configured() + order(1) + order(2, order_id=8) + S_5,
        "stale": primary + order(2, term=4) + demote(term=4) + grant(n=9, term=4), "expired": configured() + order(1, deadline=1) + S_5,
        "unknown": configured() + order(1, name=b"nobody"), "twice": up + order(1) + order(1), "unavailable": primary + ready(b"X_STATUS=ServiceUnavailable"),
        "controller-leaves": primary + op(3, 0) + end + S_600, "two-controllers": up + configured(term=6, sender=1) + order(2, term=5),
        "redefined": primary + configured(names=(b"db3",)) + configured(), "many": configured(names=[b"a%d" % i for i in range(70)], member=False),
        "not-a-member": configured(member=False) + order(1) + grant() + demote(), "huge-numbers": configured(term=2**64 - 1) + order(1, term=2**64 - 1, order_id=2**64 - 1),
        "highest-epoch": configured(term=2**40 - 1) + order(1, term=2**40 - 1) + ready() + MS_200 + grant(n=2**40 - 1, term=2**40 - 1) + op(6, 0) + S_5, "no-define": order(1),
        "environment-of-ours": configured(extra=block(5, b"NOTIFY_SOCKET=/x")) + order(1), "environment-odd": configured(extra=block(5, b"=") + block(5, b"x")) + order(1),
        "long-words": configured(extra=block(2, b"w" * 4000)) + order(1), "many-words": configured(extra=block(2, b"w") * 1200) + order(1),
        "define-again-after-end": configured() + message(3, block(1, b"db1")), "zeros": configured(extra=b"".join(number(f, 0) for f in range(8, 18))) + order(1) + ready() + end + S_5,
        "hugest-times": configured(extra=b"".join(number(f, 2**32 - 1) for f in (8, 9, 11, 12, 13, 14, 15, 17))) + order(1, deadline=2**32 - 1) + ready() + S_600 + end + S_600,
        "poll-answers": configured() + b"".join(message(5, number(1, i) + number(2, i) + number(3, 2**63)) for i in (0, 1, 2**64 - 1)) + S_5,
        "heartbeat": configured(extra=number(15, 1000)) + order(1) + ready(b"READY=1\nWATCHDOG=1") + S_5, "agents-message": message(16, block(1, b"db1")),
        "thread-classes": configured(extra=block(40, varint(1000) + varint(0) + varint(500))) + order(1) + ready(b"READY=1\nX_HEARTBEAT_CLASS=3") + S_5,
        "ten-classes": configured(extra=block(40, varint(1000) * 10)) + order(1), "trigger": configured(extra=number(16, 0)) + order(1) + ready(b"READY=1\nWATCHDOG=trigger") + S_1 + ready(b"WATCHDOG=1"),
        "stops-itself": up + ready(b"STOPPING=1\nERRNO=5\nEXTEND_TIMEOUT_USEC=9000000") + S_5 + S_30, "reloads": up + ready(b"RELOADING=1\nMONOTONIC_USEC=7") + ready(),
        "own-period": up + ready(b"WATCHDOG_USEC=100000") + S_5 + ready(b"WATCHDOG_USEC=0"),
        "probe-tcp": configured(extra=block(41, probe())) + order(1) + ready() + S_30, "probe-http": configured(extra=block(41, probe(2))) + order(1) + ready() + S_30 + S_30,
        "probe-exec": configured(extra=block(41, probe(3))) + order(1) + ready() + S_30 + order(2, order_id=8), "probe-ready": configured(extra=number(7, 2) + block(42, probe())) + order(1) + S_5,
        "probe-none": configured(extra=number(7, 2)) + order(1), "probe-odd": configured(extra=block(41, probe(9))) + order(1),
        "probe-request": configured(extra=block(41, probe(2, path=b"/ HTTP/1.1\r\nX:"))) + order(1), "probe-port-0": configured(extra=block(41, probe(port=0))) + order(1),
    }
    yield from stories.items()
    yield from flipped_stories(rng, list(stories.values()))


def report(name, status, role, host, epoch=(100, 1), **more):
    return message(16, block(1, name) + number(2, status) + number(3, role) + block(4, epoch_of(*epoch)) + number(5, 4711) + number(8, 1)
                   + number(13, more.get("start", 1)) + more.get("extra", b""), host)


def scss(rng):
    def poll(host, *members):
        return op(5, host, bytes(b for m in members for b in m))

    def result(host, outcome):
        return op(6, host | (outcome - 1) << 1)

    def ask(verb, name, force=0):
        return op(4, 0, number(1, 1) + number(2, verb) + block(3, name) + number(4, force))

    def told(host, *reports):
        return b"".join(reports) + message(17, number(1, len(reports)), host) + poll(host, (1, 0)) * 3

    down, backup, started = 1, 1, 6
    both = told(0, report(b"a1", started, backup, 0), report(b"c1", 1, 0, 0)) + told(1, report(b"b1", started, backup, 1))
    normal = both + poll(0, (1, 0)) + result(0, 2) + report(b"a1", started, 2, 0) + poll(0, (2, 0)) + result(0, 1) + poll(0, (2, 0)) + poll(1, (1, 0))
    died = report(b"a1", down, backup, 0, start=2, extra=block(10, number(1, 2) + number(3, 9))) + poll(0, (1, 1))
    stories = {
        "learned": both, "normal": normal, "primary-died": normal + died + poll(1, (1, 0)) + result(1, 1) + report(b"b1", started, 2, 1), "host-lost": normal + op(3, 16) + S_30,
        "host-lost-and-back": normal + op(3, 16) + poll(1, (1, 0)) + result(1, 1) + report(b"b1", started, 2, 1) + S_5 + told(0, report(b"a1", started, 2, 0)),
        "both-lost": normal + op(3, 16) + op(3, 17) + S_600, "switchover": normal + ask(5, b"a1") + result(0, 2) + report(b"a1", started, backup, 0) + poll(0, (1, 1)) + result(0, 1)
        + poll(1, (1, 0)) + result(1, 1) + report(b"b1", started, 2, 1), "switchover-refused": normal + ask(5, b"b1") + result(0, 5) + S_30,
        "forced": normal + op(3, 17) + ask(5, b"a1", 1) + S_30, "two-orders": normal + ask(3, b"a1") + ask(2, b"a1") + S_600, "stop-start": normal + ask(3, b"c1") + result(0, 1) + ask(2, b"c1")
        + result(0, 7) + ask(4, b"c1"), "nobody": normal + ask(2, b"nobody") + ask(7, b"a1") + ask(0, b""), "two-primaries": told(0, report(b"a1", started, 2, 0, (90, 1)))
        + told(1, report(b"b1", started, 2, 1, (90, 2))) + poll(0, (2, 0)) + result(0, 1) + poll(0, (1, 1)), "unavailable": normal + report(b"a1", 8, 2, 0) + S_5,
        "declined": both + result(0, 3) + S_30, "stale": both + result(0, 4) + S_30, "failed": both + result(0, 6) + S_30, "timed-out": both + result(0, 7) + S_30,
        "high-term": both + message(18, fixed64(1, 1) + block(2, bytes(16)) + number(3, 99) + number(5, 2**40 - 1)), "higher-term": message(
            18, fixed64(1, 1) + block(2, bytes(16)) + number(3, 1) + number(5, 2**40)), "top-epoch": told(0, report(b"a1", started, 2, 0, (2**40 - 1, 2**40 - 1))),
        "views": normal + message(22, block(1, b"a") + number(2, 1), 1) + op(3, 16) + S_30, "events": normal + message(
            21, number(1, 5064) + block(2, block(1, b"application") + block(2, b"a1")) * 8), "controllers-message": message(8, number(1, 1)),
        "request-garbage": op(4, 0, b"\xff" * 20), "request-bad-name": op(4, 0, number(2, 2) + block(3, b"../x\0")), "released": normal + message(
            19, block(1, b"a1") + fixed64(2, 1) + block(3, epoch_of(100, 1)) + number(4, 2**63)), "poll-backwards": normal + message(
                18, fixed64(1, 1) + block(2, bytes(16)) + number(3, 1)), "keeper-again": normal + message(18, fixed64(1, 2) + block(2, bytes(16)) + number(3, 1)),
        "flapping": normal + (died + report(b"a1", started, backup, 0) + S_1) * 6, "boots-again": normal + op(3, 0) + S_5 + told(0, report(b"a1", down, backup, 0)),
    }
    yield from stories.items()
    yield from flipped_stories(rng, list(stories.values()))


# ---- the keeper's packets: modes, packet as it lies in memory (message.h) ----

KM_HELLO, KM_START, KM_SIGNAL, KM_KILL_TREE, KM_ROLE, KM_KILL_ROLE, KM_STORE, KM_STORE_HOST, KM_EXIT_SEEN, KM_FORGET = range(1, 11)
KM_FIND = 80
KM_LOOK, KM_NOTIFY_SEEN, KM_PROBE, KM_KILL_PROBE = range(64, 68)


def packet(kind, body=b"", app=b"db1", start=5, size=None, modes=0):
    length = 80 + len(body)
    return bytes([modes]) + struct.pack("=II64sQ", kind, length if size is None else size, app, start) + body


SETUP = 472  # bytes of struct exec_setup


def start_body(argv=(b"/bin/db", b"-x"), env=(b"A=b",), rest=(b"/", b"root", b""), argc=None, envc=None, text_len=None, more=0, signal=0, find=0, setup=b""):
    text = b"".join(t + b"\0" for t in (*argv, *env, *rest))
    return struct.pack("=HHBBBBBBBBI", len(argv) if argc is None else argc, len(env) if envc is None else envc, 1, 0, more, signal, find, 0, 0, 0,
                       len(text) if text_len is None else text_len) + setup.ljust(SETUP, b"\0") + text


MORE = (b"/", b"nobody", b"/tmp/out", b"games", b"daemon audio", b"/etc/db.env", b"/run/db.pid")


def setup(limits=(), bits=0, cpus=b"", bounding=0, ambient=0, memory=(0, 0, 0), size=0, weights=(0, 0, 0), keep=0, umask=0o22, nice=0, oom=0, small=(0,) * 6):
    """struct exec_setup as it lies in memory."""
    rows = b"".join(struct.pack("=QQ", *row) for row in limits).ljust(256, b"\0")
    return (rows + cpus.ljust(128, b"\0") + struct.pack("=QQQQQQ", bounding, ambient, *memory, size)
            + struct.pack("=IIIIIIii", bits, *weights, keep, umask, nice, oom) + bytes(small) + bytes(2))


def setups():
    """Good and bad ones: every bound from both sides."""
    def start(**options):
        return packet(KM_START, start_body(rest=MORE, more=1, setup=setup(**options)))
    good = {"plain": {}, "limits": {"limits": [(1, 2)] * 16, "bits": 0xffff}, "infinite": {"limits": [(2**64 - 1,) * 2] * 16, "bits": 0xffff},
            "cpus": {"cpus": b"\xff" * 128}, "capabilities": {"bounding": 3, "ambient": 1, "small": (0, 0, 0, 0, 1, 1)},
            "group": {"memory": (1, 2, 3), "weights": (10000, 10000, 102400)}, "realtime": {"small": (3, 99, 1, 7, 0, 0), "nice": -20, "oom": -1000},
            "output": {"size": 4096, "keep": 100}}
    bad = {"limit-order": {"limits": [(2, 1)], "bits": 1}, "limit-kind": {"bits": 1 << 16}, "policy": {"small": (5, 0, 0, 0, 0, 0)}, "priority": {"small": (3, 100, 0, 0, 0, 0)},
           "priority-none": {"small": (3, 0, 0, 0, 0, 0)}, "priority-odd": {"small": (0, 1, 0, 0, 0, 0)}, "class": {"small": (0, 0, 4, 0, 0, 0)},
           "level": {"small": (0, 0, 1, 8, 0, 0)}, "flags": {"small": (0, 0, 0, 0, 2, 0)}, "nice": {"nice": -21}, "oom": {"oom": 1001}, "weight": {"weights": (10001, 0, 0)},
           "umask": {"umask": 0o1000}, "capability": {"ambient": 1 << 41}, "ambient": {"ambient": 2, "bounding": 1, "small": (0, 0, 0, 0, 0, 1)}, "small": {"size": 4095}, "keep": {"keep": 101}}
    for name, options in {**good, **bad}.items():
        yield f"setup-{name}", start(**options)
    yield "setup-texts-few", packet(KM_START, start_body(rest=MORE[:3], more=1))
    yield "setup-texts-many", packet(KM_START, start_body(rest=MORE))
    yield "setup-signal", packet(KM_START, start_body(rest=MORE, more=1, signal=19, setup=setup()))
    yield "find", packet(KM_FIND, start_body(rest=MORE, more=1, find=3, setup=setup()))
    yield "find-odd", packet(KM_FIND, start_body(rest=MORE, more=1, find=4, setup=setup()))
    yield "find-plain", packet(KM_FIND, start_body(find=1))


def packets(rng):
    good = {
        "hello": packet(KM_HELLO, struct.pack("=IxxxxI", 1, 0)[:8], app=b"", start=0), "hello-exact": packet(KM_HELLO, struct.pack("=II", 1, 0), app=b"", start=0),
        "start": packet(KM_START, start_body()), "role": packet(KM_ROLE, start_body()), "signal": packet(KM_SIGNAL, struct.pack("=II", 15, 0)),
        "store": packet(KM_STORE, struct.pack("=I", 3) + b"abc"), "store-host": packet(KM_STORE_HOST, struct.pack("=I", 3) + b"abc", app=b"", start=0),
        **{f"ref-{kind}": packet(kind) for kind in (KM_KILL_TREE, KM_KILL_ROLE, KM_EXIT_SEEN, KM_FORGET)},
    }
    yield from good.items()
    yield from setups()
    bad = {
        **{f"ref-{kind}": packet(kind) for kind in (KM_LOOK, KM_KILL_PROBE)}, "seen": packet(KM_NOTIFY_SEEN, struct.pack("=Q", 7)),
        "seen-short": packet(KM_NOTIFY_SEEN, b"1234"), "probe": packet(KM_PROBE, start_body()), "probe-argc-0": packet(KM_PROBE, start_body(argc=0)),
        "start-watchdog": packet(KM_START, start_body(env=(b"WATCHDOG_PID=1",))),
        "type-0": packet(0), "type-11": packet(11), "type-huge": packet(2**32 - 1), "size-less": packet(KM_FORGET, size=79), "size-more": packet(KM_FORGET, size=81),
        "header-only-start": packet(KM_START), "name-unterminated": packet(KM_FORGET, app=b"x" * 64), "name-path": packet(KM_FORGET, app=b"../x"), "name-empty": packet(KM_FORGET, app=b""),
        "no-start-id": packet(KM_KILL_TREE, start=0), "signal-odd": packet(KM_SIGNAL, struct.pack("=II", 19, 0)), "start-argc-0": packet(KM_START, start_body(argc=0)),
        "start-argc-65535": packet(KM_START, start_body(argc=65535, envc=65535)), "start-text-long": packet(KM_START, start_body(text_len=2**32 - 1)),
        "start-text-short": packet(KM_START, start_body(text_len=1)), "start-count-wrong": packet(KM_START, start_body(argc=3)), "start-no-nul": packet(KM_START, start_body()[:-1], modes=0x80),
        "start-environment": packet(KM_START, start_body(env=(b"NOTIFY_SOCKET=/x",))), "start-environment-odd": packet(KM_START, start_body(env=(b"=x",))),
        "start-all-empty": packet(KM_START, start_body(argv=(b"",), env=(), rest=(b"", b"", b""))), "start-8192": packet(KM_START, start_body(argv=(b"x" * 8000,))),
        "start-more": packet(KM_START, start_body(argv=(b"x" * 9000,)), modes=0x80), "store-long": packet(KM_STORE, struct.pack("=I", 2**32 - 1) + b"abc"),
        "store-6145": packet(KM_STORE, struct.pack("=I", 6145) + b"x" * 6145),
    }
    yield from bad.items()
    for i in range(20):
        data = bytearray(rng.choice(list(good.values())))
        for _ in range(rng.randrange(1, 5)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        data[0] |= 0x80 if rng.randrange(2) else 0
        yield f"flipped-{i}", bytes(data)


# ---- datagrams of applications ----

def notifies(rng):
    texts = [b"READY=1", b"READY=1\nSTATUS=caf\xc3\xa9\n", b"WATCHDOG=1\nSTOPPING=1\nRELOADING=1", b"X_STATUS=Started", b"X_STATUS=ServiceUnavailable\n", b"X_STATUS=else",
             b"STATUS=" + b"x" * 127, b"STATUS=" + b"x" * 126 + b"\xc3\xa9", b"STATUS=" + b"x" * 125 + b"\xe2\x82\xac", b"STATUS=" + b"\xf0\x9f\x98\x80" * 40, b"STATUS=", b"=",
             b"READY", b"=1", b"\n\n\n", b"STATUS=a\0b\nREADY=1", b"STATUS=\xff", b"STATUS=\x1b[2J", b"STATUS=a\tb", b"STATUS=\xc3", b"A" * 4096, b"A=" * 2048, b"\n" * 4096,
             b"STATUS=a\nSTATUS=b", b"READY=0\nREADY=1", b"MAINPID=1\nEXTEND_TIMEOUT_USEC=5", b"STATUS=" + b"\x80" * 300, b"",
             b"WATCHDOG=trigger\nWATCHDOG_USEC=1000000\nX_HEARTBEAT_CLASS=9", b"X_HEARTBEAT_CLASS=0\nX_HEARTBEAT_CLASS=10", b"ERRNO=4095\nERRNO=4096",
             b"RELOADING=1\nMONOTONIC_USEC=18446744073709551615", b"EXTEND_TIMEOUT_USEC=18446744073709551616", b"WATCHDOG_USEC=-1",
             b"HTTP/1.1 200 OK\r\n", b"HTTP/1.0 503\n", b"HTTP/1.1 099 \r\n", b"HTTP/1.1 2000 OK"]
    for i, text in enumerate(texts):
        yield f"text-{i}", text
    for i in range(12):
        data = bytearray(rng.choice([t for t in texts if t]))
        data[rng.randrange(len(data))] = rng.randrange(256)
        yield f"flipped-{i}", bytes(data)


def apps(rng):
    """Packets of an application and of its agent (proto/app.proto), right and wrong."""
    def body(field, *parts):
        return block(field, b"".join(parts))

    register = (block(1, b"db1"), fixed64(2, 0x1234), number(3, 1), number(4, 1), number(7, 6), block(8, b"serving"), number(9, 10), number(10, 9))
    good = {
        "register": body(1, *register), "status": body(2, number(1, 8), block(2, b"disk full")), "beat": body(3, number(1, 0x3FF)),
        "answer": body(4, number(1, 1 << 63), number(2, 3), block(3, b"busy")), "mark": body(5, number(1, 1 << 63), number(2, 5)),
        "reply": body(6, number(1, 4), number(2, 3), block(3, b"no")), "registered": body(16, number(1, 2), number(2, 5), number(3, 1), number(4, 1), number(5, 333)),
        "refused": body(17, block(1, b"pid 7 is no process of it")), "role": body(18, number(1, 77), number(2, 2), number(3, 5), number(4, 1), number(5, 1000), block(6, b"why")),
        "suspend": body(19, number(1, 10000), block(2, b"stop")), "control": body(20, number(1, 1)),
        "command": body(21, number(1, 9), block(2, b"flush"), block(2, b""), block(2, b"all"), number(3, 30000)),
    }
    yield from ((f"good-{name}", data) for name, data in good.items())
    yield "empty", b""
    yield "later-body", body(40, number(1, 1))
    yield "later-field", body(20, number(1, 1), number(9, 5), block(10, b"x"), fixed64(11, 1))
    yield "two-bodies", good["register"] + good["status"]
    yield "no-name", body(1, fixed64(2, 1), number(7, 6))
    yield "bad-name", body(1, block(1, b"../etc"), fixed64(2, 1), number(7, 6))
    yield "no-start", body(1, block(1, b"db1"), number(7, 6))
    yield "bad-role", body(1, block(1, b"db1"), fixed64(2, 1), number(4, 3), number(7, 6))
    yield "bad-term", body(1, block(1, b"db1"), fixed64(2, 1), number(5, 1 << 40), number(7, 6))
    yield "bad-status", body(2, number(1, 1))
    yield "status-nul", body(2, number(1, 6), block(2, b"a\0b"))
    yield "status-not-utf8", body(2, number(1, 6), block(2, b"\xff\xfe"))
    yield "status-long", body(2, number(1, 6), block(2, b"x" * 128))
    yield "reply-long", body(6, number(1, 1), block(3, b"x" * 4001))
    yield "reply-longest", body(6, number(1, 1), block(3, b"x" * 4000))
    yield "reason-long", body(17, block(1, "\u00e4".encode() * 200))
    yield "words-many", body(21, number(1, 1), *(block(2, b"w") for _ in range(33)))
    yield "words-long", body(21, number(1, 1), block(2, b"w" * 8000))
    yield "words-nul", body(21, number(1, 1), block(2, b"a\0b"))
    yield "wrong-type", body(18, block(1, b"x"))
    yield "body-a-number", number(18, 5)
    yield "varint-endless", b"\xff" * 20
    yield "length-beyond", b"\x82\x01\x7f\x08"
    yield "group", b"\x0b\x0c"
    for i in range(12):
        data = bytearray(rng.choice(list(good.values())))
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        yield f"flipped-{i}", bytes(data)


def inputs():
    """Each stored input: (path below the corpus, bytes)."""
    for target, make in (("session", sessions), ("wire", wires), ("option", options), ("lca", lcas), ("scs", scss), ("packet", packets),
                         ("notify", notifies), ("app", apps)):
        for name, data in make(random.Random(4999)):
            yield f"{target}/{name}", data


def check(wanted):
    stored = {str(p.relative_to(CORPUS)): p.read_bytes() for p in CORPUS.glob("*/*") if not p.name.startswith("found-")}
    wrong = sorted(name for name in wanted.keys() | stored.keys() if wanted.get(name) != stored.get(name))
    for name in wrong:
        print(f"{name}: {'missing' if name not in stored else 'differs' if name in wanted else 'is not made by this script'}")
    return 1 if wrong else 0


def main():
    wanted = {}
    for name, data in inputs():
        assert name not in wanted, name
        wanted[name] = data
    if sys.argv[1:] == ["--check"]:
        sys.exit(check(wanted))
    if sys.argv[1:]:
        sys.exit(__doc__)
    for old in CORPUS.glob("*/*"):
        if not old.name.startswith("found-"):
            old.unlink()
    for name, data in wanted.items():
        (CORPUS / name).parent.mkdir(parents=True, exist_ok=True)
        (CORPUS / name).write_bytes(data)
    print(f"{len(wanted)} inputs")


main()
