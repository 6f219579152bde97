#!/usr/bin/python3
"""scs and scsctl with two agents that live in this script: definitions arrive, a primary is made, an operator switches over and is told why, agents go and return.

    agents.py SCS SCSCTL          every case, as TAP; UNDERSTUDY_BUILD and PYTHONPATH as meson sets them
    agents.py SCS SCSCTL NAME     one case
"""
import contextlib
import json
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

SCS, SCSCTL = sys.argv[1:3]
agent = wire.schema("agent")
link = wire.schema("link")
A = agent.Message


class Agent(threading.Thread):
    """Obeys: every application is Started as backup from its definition on, and takes each role at once."""

    def __init__(self, name):
        super().__init__(daemon=True)
        self.name_, self.apps, self.defined, self.lock = name, {}, [], threading.RLock()
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        self.speaker, self.seq, self.echo, self.connections, self.refuse_roles, self.deaf = None, 0, 0, 0, False, False
        self.released = {}

    def run(self):
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self.server.accept()
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                with wire.Speaker(sock) as s, contextlib.suppress(OSError, wire.Closed, TimeoutError):
                    self.serve(s)
                self.speaker = None

    def serve(self, s):
        kind, _ = s.receive()
        assert kind == wire.HELLO
        s.send(wire.HELLO, link.Hello(version_min=1, version_max=1, site=b"here", role=link.LCA, name=self.name_.encode(), software=b"script").SerializeToString())
        self.echo, self.connections, self.defined = 0, self.connections + 1, []
        self.speaker = s
        while True:
            while self.deaf:
                time.sleep(0.02)
            try:
                kind, payload = s.receive(0.1)
            except TimeoutError:
                self.poll()
                continue
            if kind == wire.POLL:
                s.send(wire.ANSWER, payload)
            elif kind == wire.MESSAGE:
                self.message(A.FromString(payload))
            elif kind == wire.BYE:
                return

    def say(self, **body):
        with self.lock:
            if self.speaker:
                self.speaker.send_message(A(**body))

    def report(self, name):
        self.say(report=agent.Report(application=name, **self.apps[name]))

    def poll(self):
        self.seq += 1
        members = [agent.Member(application=n, role=a["role"], epoch=a["epoch"], released=self.released.get(n)) for n, a in self.apps.items()]
        self.say(poll=agent.Poll(incarnation=7, boot_id=b"b" * 16, poll_seq=self.seq, echo=self.echo, members=members))

    def outcome(self, order, kind, **more):
        self.say(order_result=agent.OrderResult(order_id=order.order_id, application=order.application, outcome=kind, **more))

    def message(self, m):
        body = m.WhichOneof("body")
        if body == "define":
            self.defined.append(m.define)
            self.apps.setdefault(m.define.name, {"status": agent.STARTED, "role": agent.BACKUP, "epoch": None, "pid": 4711, "wanted": agent.UP})
        elif body == "define_end":
            for name in self.apps:
                self.report(name)
            self.say(report_end=agent.ReportEnd(count=len(self.apps)))
            self.poll()
        elif body == "poll_answer":
            first, self.echo = self.echo == 0, m.poll_answer.answer
            if first:
                self.poll()
        elif body == "grant":
            self.role(m.grant, agent.PRIMARY)
        elif body == "demote":
            self.role(m.demote, agent.BACKUP)

    def role(self, order, role):
        if self.refuse_roles:
            self.outcome(order, agent.OrderResult.FAILED, error=b"UnableToExecute", text=b"the role command ended with 3")
            return
        name = order.application
        self.outcome(order, agent.OrderResult.ACCEPTED)
        self.apps[name].update(role=role, epoch=order.epoch)
        self.released.pop(name, None)
        if role == agent.BACKUP:
            self.released[name] = agent.Released(application=name, incarnation=7, epoch=order.epoch, poll_seq=self.seq)
            self.say(released=self.released[name])
        self.report(name)
        self.outcome(order, agent.OrderResult.DONE, took_us=100)
        self.poll()

    def die(self, name):
        """The process ends unasked and does not come back."""
        exited = agent.ExitInfo(how=agent.ExitInfo.SIGNALLED, signal=9)
        epoch = self.apps[name]["epoch"]
        self.apps[name].update(status=agent.STOPPED, role=agent.BACKUP, pid=0, reason=b"killed by signal 9 (SIGKILL)", last_exit=exited)
        self.released[name] = agent.Released(application=name, incarnation=7, epoch=epoch, poll_seq=self.seq)
        self.report(name)
        self.say(released=self.released[name])
        self.poll()

    def stop(self):
        """Joined before its descriptor is closed: the next agent's may get the same number."""
        self.deaf = False
        self.server.shutdown(socket.SHUT_RDWR)
        self.join(LONG)
        self.server.close()

    def hang_up(self):
        self.speaker.sock.shutdown(socket.SHUT_RDWR)


class Site:
    def __init__(self, extra_a="", more="", many=0):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="understudy-scs-"))
        self.a, self.b = Agent("a"), Agent("b")
        self.text = f"""[scs]
site = here
tls = off
admin-socket = {self.dir}/admin.sock
state-directory = {self.dir}/state
log-file = {self.dir}/scs.log
poll-period = 100ms
[license]
ha = yes
[host a]
address = 127.0.0.1
port = {self.a.port}
[host b]
address = 127.0.0.1
port = {self.b.port}
[application one]
host = a
command = /bin/true "first word"
backup = two
fencing = none
[application two]
host = b
command = /bin/true
{more}"""
        for i in range(many):
            self.text += f"[application many{i}]\nhost = a\ncommand = /bin/true {'x' * 1500}\n"
        (self.dir / "scs.conf").write_text(self.text)
        self.scs = None

    def __enter__(self):
        self.a.start()
        self.b.start()
        self.launch()
        return self

    def launch(self):
        self.scs = subprocess.Popen([SCS, "-f", self.dir / "scs.conf"])
        wait(lambda: self.ctl("status").returncode == 0, "scs answers")

    def __exit__(self, *_):
        if self.scs.poll() is None:
            self.scs.kill()
        self.scs.wait()
        for x in (self.a, self.b):
            x.stop()
        shutil.rmtree(self.dir)

    def ctl(self, *words):
        return subprocess.run([SCSCTL, "--socket", self.dir / "admin.sock", *words], capture_output=True, text=True, timeout=2 * LONG)

    def json(self, *words, code=0):
        done = self.ctl("--json", *words)
        assert done.returncode == code, done
        return json.loads(done.stdout)

    def pair(self):
        return self.json("status", "pairs")["pairs"][0]

    def primary(self, name):
        wait(lambda: self.pair()["primary"] == name and self.pair()["state"] == "normal", lambda: f"{name} is primary: {self.json('status')}")

    def log(self):
        return (self.dir / "scs.log").read_text()


def test_a_primary_is_made():
    with Site() as s:
        s.primary("one")
        assert [d.name for d in s.a.defined] == [b"one"] and list(s.a.defined[0].command) == [b"/bin/true", b"first word"]
        status = s.json("status")
        assert [h["status"] for h in status["hosts"]] == ["Running"] * 2 and status["hosts"][0]["software"] == "script"
        assert [(a["role"], a["pid"]) for a in status["applications"]] == [("Primary", 4711), ("Backup", 4711)]
        assert status["pairs"][0]["epoch"]["n"] > 0 and not status["controller"]["recovering"]


def test_switchover_and_why():
    with Site() as s:
        s.primary("one")
        done = s.ctl("switchover", "two")
        assert done.returncode == 0 and done.stdout.splitlines()[-1].startswith("done: "), done
        assert " ms  " in done.stdout and "one" in done.stdout and "two" in done.stdout
        s.primary("two")
        why = s.json("why", "one")
        d = why["decision"]
        assert (d["from"], d["to"], d["ordered_by"]) == ("one", "two", "root@0") and d["steps"] and d["facts"] and "two is primary" in d["result"], d
        assert why["standing"]["sentence"]
        text = s.ctl("why", "one").stdout
        assert "last decision" in text and "what stands now" in text and f"rule {d['rule']} " in text, text
        assert any(r["name"] == "operator" and "switchover one" in r["text"] for r in s.json("history")["rows"])
        steps = s.json("switchover", "one")
        assert steps["result"]["ok"] and steps["steps"] and all(x["at_us"] >= 0 for x in steps["steps"])


def test_why_after_a_new_start():
    """What an earlier run decided is told until this one has decided something."""
    with Site() as s:
        s.primary("one")
        assert s.json("switchover", "one")["result"]["ok"]
        s.primary("two")
        before = s.json("why", "one")["decision"]
        s.scs.send_signal(signal.SIGTERM)
        assert s.scs.wait(LONG) == 0
        s.a.deaf = s.b.deaf = True
        s.launch()
        after = s.json("why", "one")["decision"]
        assert {k: after[k] for k in ("rule", "cause", "from", "to", "steps")} == {k: before[k] for k in ("rule", "cause", "from", "to", "steps")}
        s.a.deaf = s.b.deaf = False
        s.primary("two")
        assert s.json("status")["applications"][1]["epoch"] == before["epoch"], "the primary is kept with its epoch"


def test_dead_primary():
    with Site() as s:
        s.primary("one")
        s.a.die(b"one")
        wait(lambda: s.pair()["primary"] == "two", "two is primary")
        d = s.json("why", "one")["decision"]
        assert (d["from"], d["to"], d["ordered_by"]) == ("one", "two", "") and "signal 9" in d["cause"] + str(d["facts"]), d


def test_failed_switchover_is_told_truly():
    with Site() as s:
        s.primary("one")
        s.b.refuse_roles = True
        done = s.ctl("--timeout", "60s", "switchover", "one")
        assert done.returncode == 1 and done.stderr.startswith("scsctl: switchover one: "), done
        assert "operator" in s.log()


def test_no_wait():
    with Site() as s:
        s.primary("one")
        done = s.json("switchover", "one", "--no-wait")
        assert done["result"]["ok"] and done["result"]["text"] == "accepted"
        s.primary("two")
        wait(lambda: "ordered switchover one: two is primary" in s.log(), "the result is logged all the same")


def test_agent_returns_at_once():
    with Site() as s:
        s.primary("one")
        for i in range(3):
            before = s.a.connections
            s.a.hang_up()
            wait(lambda: s.a.connections > before and s.a.defined, "the agent is called again")
        s.primary("one")
        assert s.log().count(" link-down ") >= 3


def test_silent_agent():
    with Site() as s:
        s.primary("one")
        s.a.deaf = True
        wait(lambda: s.json("status", "hosts")["hosts"][0]["status"] != "Running", "silence is noticed")
        s.a.deaf = False
        wait(lambda: s.json("status", "hosts")["hosts"][0]["status"] == "Running", "and its end")


def test_nonsense_from_an_agent():
    with Site() as s:
        s.primary("one")
        before = s.b.connections
        s.b.speaker.send(wire.MESSAGE, b"\xff" * 50)
        wait(lambda: s.b.connections > before, "it is called again, a second later")
        assert "message not understood" in s.log()
        s.primary("one")


def test_more_definitions_than_a_session_holds():
    with Site(many=400) as s:
        wait(lambda: len(s.a.defined) == 401, f"all definitions arrive: {len(s.a.defined)}")
        rows = s.json("status", "applications")["applications"]
        assert len(rows) == 402
        assert s.a.connections == 1
        counters = {c["name"]: c["value"] for c in s.json("status")["controller"]["counters"]}
        assert counters["applications"] == 402


def operator(s):
    """A connection of our own, past the hello."""
    speaker = wire.Speaker(wire.connect(str(s.dir / "admin.sock")))
    speaker.hello("OPERATOR", "tester", site="anywhere")
    assert speaker.greeted().name == b"scs1"
    return speaker


def test_rate_of_one_operator():
    admin = wire.schema("admin")
    with Site() as s, operator(s) as o:
        for i in range(1000):
            o.send_message(admin.Request(id=i + 1, verb=admin.Request.RESET, object=b"nobody"))
        ends = [o.next_message("Reply", "admin") for _ in range(1000)]
        assert [e.id for e in ends] == list(range(1, 1001))
        errors = {e.result.error for e in ends}
        assert errors == {b"ObjectNotFound", b"RateLimited"}, errors
        counters = {c["name"]: c["value"] for c in s.json("status")["controller"]["counters"]}
        assert counters["requests-rate-limited"] > 0


def test_operator_who_does_not_read():
    admin = wire.schema("admin")
    with Site(many=400) as s, operator(s) as o:
        def stalled():
            with contextlib.suppress(OSError):  # what is said to a dropped connection
                o.send_message(admin.Request(id=1, verb=admin.Request.STATUS))
            return {c["name"]: c["value"] for c in s.json("status")["controller"]["counters"]}["operators-stalled"] == 1

        wait(stalled, "it is dropped")
        s.primary("one")


def test_unknown_requests():
    admin = wire.schema("admin")
    with Site() as s, operator(s) as o:
        for verb in (0, 60, 77):
            o.send_message(admin.Request(id=5, verb=verb))
            answer = o.next_message("Reply", "admin")
            assert answer.id == 5 and answer.result.error == b"NotImplemented", answer
        for name in (b"a b", b"a\0b", b"\xff", b"x" * 200, b"../x"):
            o.send_message(admin.Request(id=6, verb=admin.Request.START, object=name))
            assert o.next_message("Reply", "admin").result.error == b"ObjectNotFound"
        o.send_message(admin.Request(id=7, verb=admin.Request.HISTORY, limit=4000000000))
        assert not o.next_message("Reply", "admin").result.ok
        o.send(wire.MESSAGE, b"\xff" * 20)
        o.until_closed()
        s.primary("one")


def test_reload_defines_anew_and_cuts_nothing():
    with Site() as s:
        s.primary("one")
        (s.dir / "scs.conf").write_text(s.text + "[application three]\nhost = b\ncommand = /bin/true\n")
        s.b.defined.clear()
        assert s.json("config", "reload")["result"]["ok"]
        wait(lambda: b"three" in [d.name for d in s.b.defined], "the new definition arrives")
        assert (s.a.connections, s.b.connections) == (1, 1)
        s.primary("one")
        removed = s.text.replace("backup = two\nfencing = none\n", "").split("[application two]")[0]
        (s.dir / "scs.conf").write_text(removed)
        refused = s.json("config", "reload", code=1)
        assert any("two" in c["text"] for c in refused["complaints"]), refused
        s.primary("one")


sys.exit(cases.run(globals(), 2))
