#!/usr/bin/python3
"""lca-agent as a program: its keeper is this script, at the other end of the channel, and so are its controllers and peers.

    programs.py LCA-AGENT          every case, as TAP; UNDERSTUDY_BUILD and PYTHONPATH as meson sets them
    programs.py LCA-AGENT NAME     one case
"""
import os
import pathlib
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

import cases
import wire
from cases import LONG, wait

AGENT = sys.argv[1]
HELLO, START, SIGNAL, KILL_TREE, ROLE, KILL_ROLE, STORE, STORE_HOST, EXIT_SEEN, FORGET, FENCE, LEASE = range(1, 13)
WELCOME, RECORD, RESUMED, STARTED, START_FAILED, EXITED, TREE_GONE, ROLE_ENDED, FENCED, NOTIFY, REFUSED, STOP_ALL, END = range(13, 26)
HEADER = struct.Struct("=II64sQ")
ag = wire.schema("agent")
CONF = """[lca]
host = a
listen-address = 127.0.0.1
listen-port = {port}
tls = off
run-directory = {dir}
state-directory = {dir}/state
{more}log-file = {dir}/agent.log
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Agent:
    """One lca-agent, with this script as its keeper."""

    def __init__(self, resume=True, generation=1, directory=None, more=""):
        self.kept = directory is not None
        self.dir = directory or pathlib.Path(tempfile.mkdtemp(prefix="lca-agent-"))
        self.dir.chmod(0o755)
        self.port = free_port()
        (self.dir / "lca.conf").write_text(CONF.format(port=self.port, dir=self.dir, more=more))
        self.channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.process = subprocess.Popen([AGENT, "-f", self.dir / "lca.conf"], preexec_fn=lambda: os.dup2(theirs.fileno(), 3), pass_fds=[3],
                                        stderr=open(self.dir / "stderr", "w"))
        theirs.close()
        self.channel.settimeout(LONG)
        self.expect(HELLO)
        self.send(WELCOME, extra=struct.pack("=IIQ16sI", 2, generation, 99, b"b" * 16, 0))
        if resume:
            self.resume()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.channel.close()
        self.process.kill()
        self.process.wait()
        if not self.kept:
            shutil.rmtree(self.dir)

    def resume(self):
        self.send(RESUMED, extra=struct.pack("=II", 0, 0))

    def send(self, kind, app="", start=0, extra=b""):
        self.channel.send(HEADER.pack(kind, HEADER.size + len(extra), app.encode(), start) + extra)

    def exited(self, app, start, code):
        self.send(EXITED, app, start, struct.pack("=IiiBBBBq", 1, code, 0, 0, 0, 0, 0, time.clock_gettime_ns(time.CLOCK_BOOTTIME)))

    def receive(self, timeout=LONG):
        """(type, application, start id, bytes) of the next packet."""
        self.channel.settimeout(timeout)
        data = self.channel.recv(65536)
        kind, size, app, start = HEADER.unpack(data[:HEADER.size])
        assert size == len(data), (size, len(data))
        return kind, app.rstrip(b"\0").decode(), start, data

    def expect(self, *kinds):
        """The next packet that stores nothing; its type must be one of `kinds`."""
        while True:
            packet = self.receive()
            if packet[0] in kinds:
                return packet
            assert packet[0] in (STORE, STORE_HOST), packet[:3]

    def quiet(self, seconds=0.2):
        return not select.select([self.channel], [], [], seconds)[0]

    def log(self):
        return (self.dir / "agent.log").read_text()

    def ends(self):
        return self.process.wait(timeout=LONG)


class Peer(wire.Speaker):
    def __init__(self, agent, role="SCS", name="scs1", addp_ms=0):
        super().__init__(wire.connect("127.0.0.1", agent.port))
        self.name = name
        self.hello(role, name, site="default", addp_ms=addp_ms)

    def define(self, names=("one",), term=1, period=60000, leads=True):
        self.send_message(ag.Message(configure=ag.Configure(scs=self.name.encode(), term=term, poll_period_ms=period, lease_ms=2000, margin_ms=100, leads=leads)))
        for name in names:
            d = ag.Define(name=name.encode(), command=[b"/bin/app"], auto_restart=True, restart_limit=5, restart_window_ms=60000, shutdown_timeout_ms=1000)
            self.send_message(ag.Message(define=d))
        self.send_message(ag.Message(define_end=ag.DefineEnd(count=len(names))))

    def until(self, body, timeout=LONG):
        """Messages up to the first of that kind, which is the last of the list."""
        seen = []
        while not seen or seen[-1].WhichOneof("body") != body:
            seen.append(self.next_message("Message", timeout=timeout))
        return seen

    def order(self, kind, app="one", number=1, term=1):
        self.send_message(ag.Message(order=ag.Order(kind=kind, application=app.encode(), term=term, order_id=number)))


def refusal(peer):
    """Text of the refusal with which our session ends; answers no ADDP poll."""
    for kind, payload in peer.until_closed():
        if kind == wire.REFUSED:
            r = wire.schema("link").Refused()
            r.ParseFromString(payload)
            return r
    raise AssertionError("closed without a refusal")


def up(agent, app="one", number=1, peer=None):
    """Orders a start and plays the keeper's part of it; the start id."""
    peer.order(ag.Order.START, app, number)
    start = agent.expect(START)[2]
    agent.send(STARTED, app, start, struct.pack("=II", 4711, 0))
    peer.until("order_result")
    return start


def test_controllers_wait_for_the_records():
    with Agent(resume=False) as a, Peer(a) as p:
        p.define()
        assert not select.select([p.sock], [], [], 0.3)[0], "said before the records were complete"
        a.resume()
        p.until("report_end")


def test_a_replacement_starts_at_once_and_its_predecessor_is_told():
    with Agent() as a, Peer(a) as p:
        p.define()
        p.until("report_end")
        first = up(a, peer=p)
        a.exited("one", first, 3)
        a.send(TREE_GONE, "one", first)
        second = a.expect(START)[2]
        assert second not in (0, first)
        assert a.expect(EXIT_SEEN)[2] == first
        said = []
        while not any(m.event.number == 5064 for m in said) or not any(m.report.last_exit.code == 3 for m in said):
            said.append(p.next_message("Message", timeout=LONG))
        assert "exit code 3" in a.log()


def test_a_start_of_before_is_not_ours():
    with Agent() as a, Peer(a) as p:
        p.define()
        p.until("report_end")
        start = up(a, peer=p)
        a.exited("one", start + 1, 9)
        assert a.expect(EXIT_SEEN)[2] == start + 1
        a.send(TREE_GONE, "one", start + 1)
        p.order(ag.Order.STOP, number=2)
        assert a.expect(SIGNAL)[2] == start


def test_what_happened_in_between_is_told_with_its_age():
    with Agent() as a:
        with Peer(a) as p:
            p.define()
            p.until("report_end")
            start = up(a, peer=p)
        wait(lambda: "uncontrolled" in a.log(), "the lost controller")
        a.exited("one", start, 7)
        a.send(TREE_GONE, "one", start)
        a.expect(START)
        time.sleep(0.05)
        with Peer(a) as p:
            p.define()
            before = p.until("report_end")
            assert not [m for m in before if m.HasField("event")], "events belong behind the snapshot"
            events = []
            while 5064 not in [m.event.number for m in events]:
                events += p.until("event")
            died = next(m.event for m in events if m.event.number == 5064)
            assert died.age_us >= 50000 and any(f.value == b"exit code 7" for f in died.fields)


def test_a_living_session_is_not_replaced():
    with Agent() as a, Peer(a) as first:
        first.define()
        first.until("report_end")
        with Peer(a) as second:
            kind, payload = first.receive()
            while kind != wire.POLL:
                kind, payload = first.receive()
            first.send(wire.ANSWER, payload)
            r = refusal(second)
            assert r.reason == 3 and b"scs1" in r.text and r.text.count(b"127.0.0.1") == 2, r
        first.order(ag.Order.RESET)
        first.until("order_result")


def test_a_silent_session_is_replaced_and_early_words_count():
    with Agent() as a, Peer(a) as first:
        first.define()
        first.until("report_end")
        with Peer(a) as second:
            second.define(("one", "two"))
            seen = second.until("report_end")
            assert {m.report.application for m in seen if m.HasField("report")} == {b"one", b"two"}
        assert any(kind == wire.BYE for kind, _ in first.until_closed())


def test_a_third_controller_and_our_own_name():
    with Agent() as a, Peer(a, name="scs1") as one, Peer(a, name="scs2") as two:
        one.greeted(), two.greeted()
        wait(lambda: a.log().count("link-up") == 2, "both controllers")
        with Peer(a, name="scs3") as three:
            assert refusal(three).reason == 4
        with Peer(a, role="LCA", name="a") as ourselves:
            assert refusal(ourselves).reason == 2


def test_a_peer_agent_may_not_speak_like_a_controller():
    with Agent() as a, Peer(a, role="LCA", name="b") as b:
        b.greeted()
        b.order(ag.Order.KILL)
        assert refusal(b).reason == 5
        assert a.quiet()


def test_a_controller_may_not_speak_like_an_agent():
    with Agent() as a, Peer(a) as p:
        p.greeted()
        p.send_message(ag.Message(report_end=ag.ReportEnd(count=1)))
        r = refusal(p)
        assert r.reason == 5 and b"only an agent" in r.text


def test_a_snapshot_waits_for_a_slow_reader():
    names = [f"application-with-a-rather-long-name-{i:04}" for i in range(1024)]
    with Agent() as a, Peer(a) as p:
        p.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        p.define(names)
        time.sleep(0.5)
        seen = p.until("report_end")
        assert len({m.report.application for m in seen if m.HasField("report")}) == 1024


def test_ends():
    with Agent() as a:
        a.send(END)
        assert a.ends() == 0
    with Agent() as a:
        a.process.send_signal(signal.SIGTERM)
        assert a.ends() == 0
    with Agent() as a:
        a.channel.close()
        assert a.ends() == 1
    with Agent() as a:
        a.channel.send(b"short")
        assert a.ends() == 1
        assert "could not be understood" in a.log()


def test_stop_all():
    with Agent() as a, Peer(a) as p:
        p.define()
        p.until("report_end")
        start = up(a, peer=p)
        a.send(STOP_ALL)
        assert a.expect(SIGNAL)[2] == start
        a.exited("one", start, 0)
        a.send(TREE_GONE, "one", start)
        a.expect(EXIT_SEEN)
        assert a.ends() == 10


def test_not_started_by_hand():
    with Agent() as a:
        conf = a.dir / "other.conf"
        conf.write_text(CONF.format(port=free_port(), dir=a.dir, more=""))
        r = subprocess.run([AGENT, "-f", conf], capture_output=True, text=True, timeout=LONG, stdin=subprocess.DEVNULL, close_fds=True)
        assert r.returncode == 1 and "started by lca" in r.stderr, r


sys.exit(cases.run(globals(), 1))
