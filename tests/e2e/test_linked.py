"""Applications that link liblca, on real processes: registered, told their role, stopped gracefully, refused where they are not who they say."""
import os
import shutil
import signal
import subprocess
import threading

import pytest

import tree
from world import LONG, World, alive, boot_ns, wait

LIBRARY = next(iter((tree.BUILD / "lca" / "client").glob("liblca.so.0.*[0-9]")), None)


class Linked(World):
    """Its applications are `linked` (tests/apps/linked.c); they need no role commands."""

    app_program = "linked"

    def testapp(self):
        shutil.copy2(LIBRARY, self.bin / "liblca.so.0")
        return super().testapp()

    def application(self, name, host, **options):
        return super().application(name, host, **{"command": f"{self.testapp()} {self.apps_dir}", **options})

    def pair(self, primary="p1", backup="p2", on=("a", "b"), **options):
        """Fenced by leases unless told otherwise; the application's answer is all that a role needs."""
        self.application(primary, on[0], backup=backup, redundancy_type="warm", **{"fencing": "lease", **options})
        self.application(backup, on[1], **options)
        self.pairs.append((primary, backup))

    def events(self, app):
        return [r.reason for r in self.record(app) if r.what == "event"]

    def socket(self, host):
        return self.path(f"run-{host}") / "app.sock"


@pytest.fixture
def linked_pair(make_world):
    w = make_world(kind=Linked)
    w.pair()
    return w.start()


@pytest.fixture
def one(make_world):
    def make(**options):
        w = make_world(hosts=("a",), kind=Linked)
        w.application("x", "a", **options)
        return w.start()
    return make


def test_registered_and_primary_by_its_own_answer(linked_pair):
    w = linked_pair
    assert w.pair_state()["primary"] == "p1"
    assert w.tell("p1", "is").startswith("ok yes ") and w.tell("p2", "is") == "ok no"
    assert w.tell("p1", "role") == "ok Primary" and w.tell("p2", "role") == "ok Backup"
    epoch = w.pair_state()["epoch"]
    assert w.tell("p1", "is") == f"ok yes {epoch['term']}.{epoch['n']}"
    assert [r["number"] for r in w.history("--application", "p1")].count(30316) == 1
    assert w.tell("p1", "fork") == "ok primary" and w.tell("p2", "fork") == "ok backup"


def test_switchover_by_the_library_alone(linked_pair):
    w = linked_pair
    assert w.ctl("switchover", "p1").code == 0
    w.wait_normal("p2")
    assert w.tell("p1", "is") == "ok no" and w.tell("p2", "is").startswith("ok yes ")
    rows = [(r.t, app, r.role) for app in ("p1", "p2") for r in w.record(app) if r.what == "role"]
    assert [(app, role) for _, app, role in sorted(rows)] == [("p1", "primary"), ("p1", "backup"), ("p2", "primary")]
    w.kill_app("p2")
    w.wait_normal("p1")


def test_declined_role_stays_where_it_was(linked_pair):
    w = linked_pair
    w.role_mode("p2", "decline")
    answer = w.ctl("switchover", "p1", json=False)
    assert answer.code != 0 and "not now" in answer.out + answer.err, answer
    w.role_mode("p2", "")
    w.wait_normal("p1")
    assert w.tell("p1", "is").startswith("ok yes ")
    assert any(r["number"] == 30204 for r in w.history())


def test_answered_later(linked_pair):
    w = linked_pair
    w.role_mode("p2", "later")
    going = threading.Thread(target=lambda: w.ctl("switchover", "p1"))
    going.start()
    wait(lambda: "working at it" in w.app("p2")["reason"], what="it says that it works at it")
    assert w.tell("p2", "is") == "ok no", "not primary before it has said yes"
    assert w.tell("p2", "accept").startswith("ok")
    going.join(LONG)
    w.wait_normal("p2")


def test_role_without_an_answer_is_a_failure(make_world):
    w = make_world(kind=Linked)
    w.pair(role_timeout="1s")
    w.start()
    w.role_mode("p1", "silent")
    old = w.pid("p1")
    w.ctl("switchover", "p1", json=False)
    wait(lambda: not alive(old), what="the one that did not become backup is killed")
    w.role_mode("p1", "")
    w.wait_normal("p2")


def test_killed_agent_is_found_again(linked_pair):
    w = linked_pair
    pids = w.pid("p1"), w.pid("p2")
    for host in ("a", "b"):
        w.kill_agent(host)
    wait(lambda: w.events("p1").count("registered controlled ") + w.events("p1").count("registered uncontrolled ") == 2)
    wait(lambda: w.tell("p2", "connected") == "ok 1")
    w.wait_normal("p1")
    assert (w.pid("p1"), w.pid("p2")) == pids
    assert w.tell("p1", "is").startswith("ok yes ")
    assert any(e.startswith("disconnected") for e in w.events("p1"))


def test_frozen_lca_leaves_no_primary(linked_pair):
    """SAFETY 5.1: with agent and keeper stopped the lease word runs out, and the library says so."""
    w = linked_pair
    agent, keeper = w.agent_pid("a"), w.lca("a").pid
    for pid in (agent, keeper):
        os.kill(pid, signal.SIGSTOP)
    try:
        wait(lambda: w.tell("p1", "is") == "ok no", what="the library says that it is not primary any more")
        w.wait_primary("p2")
        assert w.tell("p1", "is") == "ok no" and w.tell("p2", "is").startswith("ok yes ")
    finally:
        for pid in (keeper, agent):
            os.kill(pid, signal.SIGCONT)
    w.wait_normal("p2")


def test_connection_that_does_not_return(make_world):
    """DOMAIN row 1b: it closes its connection and lives."""
    w = make_world(kind=Linked)
    w.pair(application_reconnect_timeout="1s")
    w.start()
    old = w.pid("p1")
    assert w.tell("p1", "close").startswith("ok")
    wait(lambda: not alive(old), what="it counts as failed")
    w.wait_normal("p2")
    assert "connection to lca" in w.app("p1")["reason"]


def test_every_status(one):
    w = one()
    for code, status in ((8, "ServiceUnavailable"), (6, "Started"), (9, "Suspending"), (10, "Suspended"), (7, "Initializing"), (6, "Started")):
        assert w.tell("x", f"status {code} now {status}") == "ok 0"
        wait(lambda: w.app("x")["status"] == status and w.app("x")["status_text"] == f"now {status}", what=status)
    for code in (0, 1, 2, 3, 4, 5, 11):
        assert w.tell("x", f"status {code}") == "ok -22"


def test_primary_that_serves_no_more(linked_pair):
    w = linked_pair
    assert w.tell("p1", "status 8 disk full") == "ok 0"
    w.wait_primary("p2")
    assert w.tell("p1", "is") == "ok no"
    w.tell("p1", "status 6")
    w.wait_normal("p2")


def test_heartbeats_by_the_library(one):
    w = one(heartbeat_period="2s")
    old, until = w.pid("x"), boot_ns() + 6 * 10**9
    while boot_ns() < until:
        w.tell("x", "beat 0")
    assert w.pid("x") == old, "it beat all the time"
    wait(lambda: w.pid("x") not in (0, old), what="without heartbeats it is restarted")
    assert 5160 in [r["number"] for r in w.history("--application", "x")]


def test_silent_thread_class_is_named(one):
    w = one(heartbeat_period_thread_class_2="2s", hangup_restart="no")
    w.tell("x", "beat 2")
    wait(lambda: any(r["number"] == 5160 and "2" in r["text"] for r in w.history("--application", "x")), what="the class is missed")
    w.tell("x", "beat 2")
    wait(lambda: 5161 in [r["number"] for r in w.history("--application", "x")], what="and has come back")


def test_command_and_its_answer(one):
    w = one()
    done = w.ctl("command", "x", "echo", "--all", "two words", json=False)
    assert done.code == 0 and "--all two words" in done.out, done
    failed = w.ctl("command", "x", "fail", "no such table", json=False)
    assert failed.code == 1 and "code 3: no such table" in failed.out + failed.err, failed
    assert w.ctl("command", "nobody", "echo", json=False).code == 5
    assert w.ctl("command", "x", json=False).code == 2
    asking = threading.Thread(target=lambda: w.ctl("command", "x", "silent"))
    asking.start()
    wait(lambda: sum(e.startswith("command") for e in w.events("x")) == 3, what="it has the silent one")
    busy = w.ctl("command", "x", "echo", json=False)
    assert "another command" in busy.out + busy.err, busy
    w.kill_app("x")
    asking.join(LONG)
    wait(lambda: w.app("x")["status"] == "Started" and w.tell("x", "connected") == "ok 1")
    assert any("command x echo" in r["text"] for r in w.history())


def test_command_for_a_program_without_the_library(make_world):
    w = make_world(hosts=("a",))
    w.application("x", "a")
    w.start()
    refused = w.ctl("command", "x", "echo", json=False)
    assert refused.code == 1 and "liblca" in refused.out + refused.err, refused


def test_graceful_stop(one):
    w = one()
    stopping = threading.Thread(target=lambda: w.ctl("stop", "x", "--graceful"))
    stopping.start()
    wait(lambda: w.app("x")["status"] == "Suspending" and w.app("x")["status_text"] == "finishing")
    assert alive(w.pid("x"))
    assert w.tell("x", "suspended").startswith("ok")
    stopping.join(LONG)
    wait(lambda: w.app("x")["status"] == "Stopped")
    assert [r.what for r in w.record("x")][-1] == "stop"


def test_graceful_stop_that_is_ignored(one):
    w = one(suspending_wait_timeout="5s")
    w.mode("x", "keep-working")
    assert w.ctl("stop", "x", "--graceful").code == 0
    assert w.app("x")["status"] == "Stopped"
    assert 30318 in [r["number"] for r in w.history("--application", "x")]


def test_linked_pair_has_no_fencing_timeout_in_k(make_world):
    w = make_world(kind=Linked)
    w.pair(linked="yes", fencing_timeout="5s")
    w.start()
    for host in ("a",):
        for pid in (w.agent_pid(host), w.lca(host).pid):
            os.kill(pid, signal.SIGSTOP)
    try:
        wait(lambda: w.tell("p1", "is") == "ok no")
        w.wait_primary("p2")
    finally:
        for pid in (w.lca("a").pid, w.agent_pid("a")):
            os.kill(pid, signal.SIGCONT)
    w.wait_normal("p2")


def test_nobody_controls_the_host(one):
    w = one()
    w.scs.stop()
    wait(lambda: any(e.startswith("control uncontrolled") for e in w.events("x")), what="8005 over the connection")
    w.scs.start()
    wait(lambda: any(e.startswith("control controlled") for e in w.events("x")))
    wait(lambda: w.ctl("status").code == 0 and w.app("x")["status"] == "Started")


# -- the examples --------------------------------------------------------------------------------------------------------------------------

EXAMPLES = tree.SOURCE / "lca/client/examples"


class Example(Linked):
    """Applications are one of lca/client/examples, built, or in Python."""

    def testapp(self):
        for name in ("lca.py", "service.py"):
            shutil.copy2(EXAMPLES / name, self.bin / name)
        return super().testapp()


@pytest.mark.parametrize("name", ["example-poll", "example-libev", "service.py"])
def test_example(make_world, name):
    if name.endswith(".py") and "asan" in tree.run("readelf", "-d", LIBRARY).stdout:
        pytest.skip("Python cannot load a library with a sanitizer")
    kind = type("One", (Example,), {"app_program": "linked" if name.endswith(".py") else name})
    w = make_world(kind=kind)
    options = {"environment": f"LIBLCA={w.bin}/liblca.so.0", "readiness": "notify", "heartbeat_period": "10s"}
    w.pair(**options)
    for app in ("p1", "p2"):
        w.scs_conf[f"application {app}"]["command"] = str(w.bin / name)
    w.pairs.clear()  # they keep no record that could be audited
    w.start()
    w.wait_normal("p1")
    assert w.ctl("switchover", "p1").code == 0
    w.wait_normal("p2")
    for app, role in (("p1", "Backup"), ("p2", "Primary")):
        wait(lambda: f"{role}, epoch " in w.path(f"{app}.out").read_text(), what=f"{app} prints {role}")
    done = w.ctl("command", "p2", "hello", json=False)
    assert done.code == 0 and "hello" in done.out, done
    assert w.ctl("stop", "p1", "--graceful").code == 0
    w.kill_agent("b")
    assert w.ctl("start", "p1").code == 0
    w.wait_normal("p2")


# -- who is not who it says ---------------------------------------------------------------------------------------------------------------

SPEAK = """
import os, socket, sys
sys.path.insert(0, sys.argv[1])
import app_pb2
path, name, start_id, count = sys.argv[2], sys.argv[3], int(sys.argv[4], 16), int(sys.argv[5])
for i in range(count):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    s.settimeout(10)
    s.connect(path)
    m = app_pb2.Message()
    m.register.application, m.register.start_id, m.register.status = name.encode(), start_id, 6
    s.send(m.SerializeToString() if name != "garbage" else b"\\xff" * 100)
    data = s.recv(8192)
    m = app_pb2.Message()
    m.ParseFromString(data)
print(m.WhichOneof("body"), m.refused.reason.decode())
"""


def speak(w, host, name, start_id, count=1, before=()):
    words = [*before, "/usr/bin/python3", "-c", SPEAK, tree.BUILD / "proto", w.socket(host), name, start_id, str(count)]
    done = subprocess.run(w.net.inside(host, *words), capture_output=True, text=True, timeout=60)
    return done.stdout.strip() or done.stderr


def test_strangers_are_refused(make_world):
    """A foreign user, a process of nobody, another application's name, a start that is over: refused, said, and nobody else is affected."""
    w = make_world(hosts=("a",), kind=Linked)
    w.application("x", "a")
    w.application("y", "a")
    w.start()
    pids = w.pid("x"), w.pid("y")
    start_id = w.tell("x", "env LCA_START_ID").removeprefix("ok ")
    assert "uid" in speak(w, "a", "x", start_id, before=("setpriv", "--reuid=daemon", "--regid=daemon", "--clear-groups"))
    assert "is no process of it" in speak(w, "a", "x", start_id)
    assert "does not run" in speak(w, "a", "x", "1234")
    assert "does not run" in speak(w, "a", "nobody", start_id)
    assert "not a message" in speak(w, "a", "garbage", start_id)
    wait(lambda: w.log("a").count("app-link-refused") >= 5, what="each is in the log")
    assert w.tell("x", "connected") == "ok 1" and w.tell("y", "connected") == "ok 1"
    assert (w.pid("x"), w.pid("y")) == pids


def test_flood_of_connections(one):
    w = one()
    assert "no process" in speak(w, "a", "x", w.tell("x", "env LCA_START_ID").removeprefix("ok "), count=300)
    assert w.tell("x", "connected") == "ok 1"
    lines = w.log("a").count("app-link-refused")
    assert lines < 300, "every refusal in the log"
    assert w.app("x")["status"] == "Started"
