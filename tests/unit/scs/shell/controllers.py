#!/usr/bin/python3
"""Two scs on loopback that know each other, without agents: who leads, what the other one answers, what scsctl finds; by pair and by a real etcd.

    controllers.py SCS SCSCTL          every case, as TAP; UNDERSTUDY_BUILD and PYTHONPATH as meson sets them
    controllers.py SCS SCSCTL NAME     one case
"""
import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile

import cases
import wire
from cases import LONG, wait

SCS, SCSCTL = sys.argv[1:3]
link = wire.schema("link")
CONF = """[scs]
name = {name}
site = here
tls = off
admin-socket = {dir}/admin.sock
admin-address = 127.0.0.1
admin-port = {port}
state-directory = {dir}/state
log-file = {dir}/scs.log
peer = {peer}
peer-address = 127.0.0.1
peer-port = {peer_port}
peer-host = {peer_host}
{more}
[host alpha]
address = 127.0.0.1
port = {nobody}
[host beta]
address = 127.0.0.1
port = {nobody2}
[application one]
host = alpha
command = /bin/true
{app}
"""


def held_port():
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("127.0.0.1", 0))
    return s, s.getsockname()[1]


class Two:
    """scs1 and scs2; ended and cleaned up at the end of the with."""

    def __init__(self, more="", start=("scs1", "scs2")):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="understudy-two-"))
        self.held, self.free = zip(*(held_port() for _ in range(4)))
        self.held[2].close(), self.held[3].close()
        self.admin = dict(zip(("scs1", "scs2"), self.free[2:]))
        self.more, self.first, self.process = more, start, {}
        for name in self.admin:
            (self.dir / name).mkdir()
            self.write(name)

    def write(self, name, app="", more=None):
        peer, host = ("scs2", "beta") if name == "scs1" else ("scs1", "alpha")
        (self.dir / name / "scs.conf").write_text(CONF.format(
            name=name, dir=self.dir / name, port=self.admin[name], peer=peer, peer_port=self.admin[peer], peer_host=host, nobody=self.free[0],
            nobody2=self.free[1], more=self.more if more is None else more, app=app))

    def start(self, name):
        self.process[name] = subprocess.Popen([SCS, "-f", self.dir / name / "scs.conf"], stderr=subprocess.PIPE, text=True)
        wait(lambda: self.ctl(name, "status").returncode == 0 or self.process[name].poll() is not None, f"{name} answers")
        assert self.process[name].poll() is None, self.process[name].stderr.read()

    def end(self, name, how=signal.SIGKILL):
        self.process[name].send_signal(how)
        self.process[name].wait(LONG)
        self.process[name].stderr.close()
        del self.process[name]

    def ctl(self, name, *words):
        return subprocess.run([SCSCTL, "--socket", self.dir / name / "admin.sock", *words], capture_output=True, text=True, timeout=3 * LONG)

    def both(self, *words, order=("scs1", "scs2")):
        where = ",".join(f"127.0.0.1:{self.admin[n]}" for n in order)
        return subprocess.run([SCSCTL, "--connect", where, "--site", "here", "--no-tls", *words], capture_output=True, text=True, timeout=3 * LONG)

    def authority(self, name):
        done = self.ctl(name, "--json", "authority")
        assert done.returncode == 0, done
        return json.loads(done.stdout)["authority"]

    def leads(self, name):
        return name in self.process and self.authority(name)["leads"]

    def log(self, name):
        return (self.dir / name / "scs.log").read_text()

    def __enter__(self):
        for name in self.first:
            self.start(name)
        return self

    def __exit__(self, kind, *_):
        for name in list(self.process):
            self.end(name)
        if kind:
            for name in self.admin:
                print(f"# {name}: " + self.log(name).replace("\n", f"\n# {name}: "))
        self.held[0].close(), self.held[1].close()
        shutil.rmtree(self.dir)


def test_first_leads_and_second_observes():
    with Two() as t:
        wait(lambda: t.leads("scs1"), "scs1 leads")
        wait(lambda: t.authority("scs2")["leader"] == "scs1", "scs2 knows it")
        a, b = t.authority("scs1"), t.authority("scs2")
        assert not b["leads"] and b["peer_up"] and b["peer_leads"] and a["peer_up"], (a, b)
        assert a["config_hash"] == b["config_hash"] == a["peer_hash"] and a["arbiter"] == "pair", (a, b)
        assert a["term"] % 4 == 0 and a["left_ms"] is None, a
        assert "both lead until it heals" in t.log("scs1") and "two that lead" in t.ctl("scs1", "status").stdout
        refused = t.ctl("scs2", "start", "one")
        assert refused.returncode == 1 and "scs1 leads" in refused.stderr, refused
        found = t.both("--json", "start", "one", order=("scs2", "scs1"))
        assert json.loads(found.stdout)["result"]["error"] == "ApplicationHostConflict", found
        assert t.both("authority", order=("scs2", "scs1")).stdout.startswith("scs1 leads\n")
        shown = json.loads(t.both("--json", "status", order=("scs2", "scs1")).stdout)
        assert shown["controller"]["name"] == "scs1" and shown["controller"]["leads"]
        assert json.loads(t.ctl("scs2", "--json", "status").stdout)["controller"]["leader"] == "scs1"


def test_killed_leader_is_followed_and_comes_back_as_observer():
    with Two() as t:
        wait(lambda: t.leads("scs1"), "scs1 leads")
        wait(lambda: t.authority("scs2")["peer_leads"], "scs2 knows it")
        first = t.authority("scs1")["term"]
        t.end("scs1")
        wait(lambda: t.leads("scs2"), "scs2 leads")
        second = t.authority("scs2")
        assert second["term"] > first and second["term"] % 4 == 1, second
        log = t.log("scs2")
        assert " 10329 " in log and " 10331 " in log, log
        assert t.both("authority").stdout.startswith("scs2 leads\n")
        t.start("scs1")
        wait(lambda: t.authority("scs1")["peer_leads"], "scs1 hears it")
        assert not t.leads("scs1")
        wait(lambda: " 10330 " in t.log("scs2"), "split brain over")


def test_move_and_back():
    with Two() as t:
        wait(lambda: t.leads("scs1") and t.authority("scs2")["peer_leads"], "scs1 leads")
        done = t.both("authority", "move", order=("scs2", "scs1"))
        assert done.returncode == 0 and "scs2 leads" in done.stdout, done
        assert t.leads("scs2") and not t.leads("scs1")
        assert "authority move: scs2 leads" in t.log("scs1")
        wait(lambda: t.authority("scs1")["peer_leads"], "scs1 knows it")
        assert t.both("authority", "move").returncode == 0
        assert t.leads("scs1")
        t.end("scs2")
        wait(lambda: not t.authority("scs1")["peer_up"], "scs2 is gone")
        refused = t.ctl("scs1", "authority", "move")
        assert refused.returncode == 1 and "HotBackupLimitations" in refused.stderr, refused


def test_differing_configurations():
    with Two() as t:
        wait(lambda: t.leads("scs1") and t.authority("scs2")["peer_leads"], "scs1 leads")
        t.write("scs2", app="autostart = yes")
        assert t.ctl("scs2", "config", "reload").returncode == 0
        wait(lambda: not t.authority("scs2")["may_lead"], "scs2 knows that it differs")
        wait(lambda: not t.authority("scs1")["peer_may_lead"], "scs1 as well")
        assert t.leads("scs1") and "differs from that of" in t.log("scs1") and "differs from that of" in t.log("scs2")
        refused = t.ctl("scs1", "authority", "move")
        assert refused.returncode == 1 and "configurations differ" in refused.stderr, refused
        done = t.ctl("scs1", "authority", "move", "--force", "--yes")
        assert done.returncode == 0, done
        assert t.leads("scs2")
        t.write("scs1", app="autostart = yes")
        assert t.ctl("scs1", "config", "reload").returncode == 0
        wait(lambda: t.authority("scs1")["may_lead"], "they agree again")
        # What only this controller is about makes no difference.
        t.write("scs1", app="autostart = yes", more="log-level = debug")
        assert t.ctl("scs1", "config", "reload").returncode == 0
        assert t.authority("scs1")["config_hash"] == t.authority("scs2")["config_hash"]


def hello(port, name, role=link.SCS, site=b"here"):
    s = wire.Speaker(socket.create_connection(("127.0.0.1", port), LONG))
    s.send(wire.HELLO, link.Hello(version_min=1, version_max=1, site=site, role=role, name=name, software=b"script").SerializeToString())
    return s


def test_strangers_are_refused():
    with Two() as t:
        wait(lambda: t.leads("scs1") and t.authority("scs2")["peer_leads"], "scs1 leads")
        for name in (b"scs3", b"scs2"):
            with hello(t.admin["scs2"], name) as s:
                s.until_closed()
        with hello(t.admin["scs1"], b"scs2") as s:  # the lower name calls
            s.until_closed()
        with hello(t.admin["scs2"], b"scs1") as s:  # a second one, while the first lives
            s.until_closed()
        wait(lambda: t.log("scs2").count("refused") >= 3, "three refusals")
        assert t.authority("scs2")["peer_leads"] and t.leads("scs1")
        assert "lives" in t.log("scs2") and "lower name calls" in t.log("scs1")


def test_nonsense_ends_the_link_and_nothing_else():
    with Two(start=("scs2",)) as t:
        for payload in (b"", b"\xff" * 30, b"\x0a\x02\x10\x01", b"\x12\x0a\x08" + b"\xff" * 8 + b"\x7f"):
            with hello(t.admin["scs2"], b"scs1") as s:
                s.send(wire.MESSAGE, payload)
                s.until_closed()
        wait(lambda: t.leads("scs2"), "scs2 leads, alone")


@contextlib.contextmanager
def etcd():
    if not os.access("/usr/bin/etcd", os.X_OK):
        yield None
        return
    folder = tempfile.mkdtemp(prefix="understudy-etcd-", dir="/dev/shm")
    (s1, client), (s2, peer) = held_port(), held_port()
    s1.close(), s2.close()
    urls = f"http://127.0.0.1:{client}", f"http://127.0.0.1:{peer}"
    with open(os.path.join(folder, "log"), "wb") as log:
        process = subprocess.Popen(["/usr/bin/etcd", "--name", "one", "--data-dir", os.path.join(folder, "data"), "--listen-client-urls", urls[0],
                                    "--advertise-client-urls", urls[0], "--listen-peer-urls", urls[1], "--initial-advertise-peer-urls", urls[1],
                                    "--initial-cluster", f"one={urls[1]}"], stdout=log, stderr=log)
    try:
        yield types(process, urls[0])
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(folder)


def types(process, url):
    return type("Etcd", (), {"process": process, "url": url})


def test_etcd_decides():
    with etcd() as e:
        if not e:
            return
        with Two(more=f"arbiter = etcd\netcd-endpoints = {e.url}") as t:
            wait(lambda: t.leads("scs1") or t.leads("scs2"), "one leads")
            leader, other = ("scs1", "scs2") if t.leads("scs1") else ("scs2", "scs1")
            wait(lambda: t.authority(other)["leader"] == leader, "the other one knows it")
            a = t.authority(leader)
            assert a["left_ms"] > 0 and a["arbiter"] == "etcd" and a["register"] == e.url and not a["limit"], a
            assert not t.leads(other)
            assert t.both("authority", "move").returncode == 0
            assert t.leads(other) and not t.leads(leader)
            second = t.authority(other)["term"]
            assert second > a["term"]
            t.end(other)
            wait(lambda: t.leads(leader), "the first one leads again")
            assert t.authority(leader)["term"] > second
            # Without the register it ends, in time and said; with it, it is back.
            e.process.send_signal(signal.SIGSTOP)
            wait(lambda: not t.leads(leader), "the authority runs out")
            assert "not refreshed in time" in t.log(leader)
            wait(lambda: "does not answer" in t.log(leader), "that the register is silent is said")
            e.process.send_signal(signal.SIGCONT)
            wait(lambda: t.leads(leader), "it leads again")


sys.exit(cases.run(globals(), 2))
