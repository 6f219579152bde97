#!/usr/bin/python3
"""A real lca and a real process: granted by a scripted controller, extended, then left in silence.

    leases.py LCA          every case, as TAP; UNDERSTUDY_BUILD and PYTHONPATH as meson sets them
    leases.py LCA NAME     one case
"""
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

import cases
import wire
from cases import LONG, wait

LCA = sys.argv[1]
ag = wire.schema("agent")
LEASE_MS, MARGIN_MS, FENCING_MS = 600, 60, 300
CONF = """[lca]
host = a
listen-address = 127.0.0.1
listen-port = {port}
tls = off
run-directory = {dir}/run
state-directory = {dir}/state
log-file = {dir}/lca.log
default-user = root
allow-users = root
allow-commands = /bin/sh
"""
APP = "trap 'echo term >> {dir}/told' TERM; echo $LCA_LEASE_WORD > {dir}/word; while :; do sleep 0.02; done"


class Lca:
    """One lca, with its keeper and agent, and a controller that leads."""

    def __init__(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="lca-leases-"))
        self.dir.chmod(0o755)
        (self.dir / "run").mkdir()
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        (self.dir / "lca.conf").write_text(CONF.format(port=self.port, dir=self.dir))
        self.start()

    def start(self):
        self.process = subprocess.Popen([LCA, "-f", self.dir / "lca.conf"], stderr=subprocess.STDOUT, stdout=open(self.dir / "stderr", "a"))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGCONT)
        subprocess.run([LCA, "-f", self.dir / "lca.conf", "--stop-all"], timeout=LONG, capture_output=True)
        self.process.wait(timeout=LONG)
        shutil.rmtree(self.dir)

    def log(self):
        path = self.dir / "lca.log"
        return path.read_text() if path.exists() else ""

    def agent_pid(self):
        path = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        for pid in path.read_text().split():
            if pathlib.Path(f"/proc/{pid}/comm").read_text().strip() == "lca-agent":
                return int(pid)
        return 0


class Controller(wire.Speaker):
    """Answers every poll, with leases while `extends`; its thread ends with the connection."""

    def __init__(self, lca, agents=1):
        wait(lambda: lca.log().count("program-started lca-agent") == agents, "the agent")
        super().__init__(self.connected(lca.port))
        self.hello("SCS", "scs1", site="default", addp_ms=0)
        self.poll, self.answer, self.reports, self.results, self.member = None, 0, {}, [], None
        self.extends, self.epoch = False, ag.Epoch(term=5, n=1)
        self.send_message(ag.Message(configure=ag.Configure(scs=b"scs1", term=5, poll_period_ms=100, leads=True, lease_ms=LEASE_MS,
                                                            margin_ms=MARGIN_MS)))
        pair = ag.PairMember(pair=b"one", peer_application=b"two", peer_host=b"b", peer_address=b"127.0.0.1", fencing=True,
                             fencing_timeout_ms=FENCING_MS, k_ms=FENCING_MS + MARGIN_MS, role_timeout_ms=5000,
                             on_backup=[b"/bin/sh", b"-c", b"echo $LCA_ROLE >> %s/fence" % str(lca.dir).encode()])
        self.send_message(ag.Message(define=ag.Define(name=b"one", command=[b"/bin/sh", b"-c", APP.format(dir=lca.dir).encode()],
                                                      shutdown_timeout_ms=1000, pair=pair)))
        self.send_message(ag.Message(define_end=ag.DefineEnd(count=1)))
        threading.Thread(target=self.listen, daemon=True).start()

    @staticmethod
    def connected(port):
        end = time.monotonic() + LONG
        while True:
            try:
                return wire.connect("127.0.0.1", port)
            except OSError:
                assert time.monotonic() < end
                time.sleep(0.02)

    def listen(self):
        try:
            while True:
                self.take(self.next_message("Message", timeout=LONG))
        except (OSError, AssertionError, wire.Closed):
            pass

    def take(self, m):
        if m.HasField("poll"):
            self.poll = m.poll
            self.answer += 1
            leases = [ag.Lease(application=b"one", epoch=self.epoch, lease_ms=LEASE_MS)] if self.extends else []
            for member in m.poll.members:
                self.member = member
            self.send_message(ag.Message(poll_answer=ag.PollAnswer(answer=self.answer, poll_seq=m.poll.poll_seq, term=5, leads=True, leases=leases)))
        elif m.HasField("report"):
            self.reports[m.report.application] = m.report
        elif m.HasField("order_result"):
            self.results.append(m.order_result)

    def status(self):
        return self.reports[b"one"].status if b"one" in self.reports else None

    def primary(self, lca):
        """Starts the application and makes it primary; its pid."""
        wait(lambda: b"one" in self.reports, "the report")
        self.send_message(ag.Message(order=ag.Order(kind=ag.Order.START, application=b"one", term=5, order_id=1)))
        wait(lambda: self.status() == ag.STARTED, "the start")
        wait(lambda: self.member is not None and self.member.quarantine_ms == 0, "the end of the quarantine")
        self.extends = True
        self.send_message(ag.Message(grant=ag.Grant(application=b"one", epoch=self.epoch, incarnation=self.poll.incarnation, lease_ms=LEASE_MS,
                                                    poll_seq=self.poll.poll_seq, order_id=2, deadline_ms=5000)))
        wait(lambda: self.member.role == ag.PRIMARY, "the role")
        return self.reports[b"one"].pid


def alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def lasts(pid):
    """It outlives its lease several times over while that is extended."""
    time.sleep(4 * LEASE_MS / 1000)
    return alive(pid)


def test_silence_ends_the_primary():
    with Lca() as lca:
        c = Controller(lca)
        pid = c.primary(lca)
        assert lasts(pid)
        c.extends = False
        wait(lambda: not alive(pid), "its end")
        assert "lease-ended" in lca.log()
        wait(lambda: (lca.dir / "fence").read_text() == "backup\n" and "term" in (lca.dir / "told").read_text(), "command and SIGTERM")
        wait(lambda: c.member.HasField("released") and c.member.role != ag.PRIMARY, "its release")


def test_a_frozen_agent_does_not_keep_it():
    with Lca() as lca:
        c = Controller(lca)
        pid = c.primary(lca)
        assert lasts(pid)
        os.kill(lca.agent_pid(), signal.SIGSTOP)
        wait(lambda: not alive(pid), "its end")
        os.kill(lca.agent_pid(), signal.SIGCONT)


def test_a_killed_agent_loses_nothing():
    with Lca() as lca:
        c = Controller(lca)
        pid = c.primary(lca)
        os.kill(lca.agent_pid(), signal.SIGKILL)
        c = Controller(lca, agents=2)
        c.extends = True
        wait(lambda: c.member is not None and c.member.role == ag.PRIMARY, "its role")
        assert lasts(pid)


sys.exit(cases.run(globals(), 1))
