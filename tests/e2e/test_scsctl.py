"""scsctl as an operator and as a script meet it: over TLS, exit codes, the shape of its documents, and what the daemons tell the service manager."""
import os
import re
import socket
import subprocess

import pytest

import tree
import wire
import world
from world import wait

ADMIN_PORT = 4998
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


@pytest.fixture
def remote(make_world):
    """A pair whose scs hears operators over TLS; and a function that runs scsctl on host b with a certificate."""
    w = make_world()
    w.pair()
    w.scs_conf["scs"].update({"admin-address": w.net.address["scs"], "admin-port": ADMIN_PORT})
    w.start()

    def run(*words, identity=None, name="alice"):
        identity = identity or world.site_pki().issue("operator", name)
        command = [tree.program("scsctl"), "--connect", f"{w.net.address['scs']}:{ADMIN_PORT}", "--site", "test", "--name", name,
                   "--certificate", identity.certificate, "--key", identity.key, "--ca", identity.ca, *words]
        return world.Answer(tree.run(*w.net.inside("b", *command)))

    return w, run


def test_operator_over_tls(remote):
    w, run = remote
    assert run("--json", "status").json["controller"]["name"] == "scs1"
    assert run("switchover", "p1").code == 0
    w.wait_normal("p2")
    assert w.why()["decision"]["ordered_by"].startswith("alice")
    assert any(r["number"] == 30400 and "alice" in r["text"] for r in w.history())


def test_wrong_certificates_are_refused(remote):
    w, run = remote
    pki = world.site_pki()
    for identity, name in ((pki.issue("lca", "b"), "b"), (pki.issue("operator", "bob"), "alice"),
                           (pki.issue("operator", "late", file="operator-late", end="20210101000000Z"), "late")):
        answer = run("status", identity=identity, name=name)
        assert answer.code not in (0, 4), answer
        assert answer.err and "pair" not in answer.out.lower().split("\n")[0], answer
    assert run("status").code == 0


SHAPES = {
    ("status",): {"controller", "hosts", "applications", "pairs", "result"},
    ("history", "--limit", "5"): {"rows", "result"},
    ("why", "p1"): {"pair", "decision", "standing", "result"},
    ("config", "check"): {"complaints", "result"},
    ("config", "reload"): {"complaints", "result"},
    ("reset", "p2"): {"command", "object", "steps", "result"},
}


def test_documents_have_their_shape(pair):
    for words, members in SHAPES.items():
        document = pair.ctl(*words).json
        assert set(document) == members, words
        assert set(document["result"]) == {"ok", "error", "text", "took_us", "not_leading"}, words
    for row in pair.history():
        assert TIME.fullmatch(row["time"]) and row["number"] > 0 and isinstance(row["fields"], dict), row
    assert [r["id"] for r in pair.history()] == sorted(r["id"] for r in pair.history())


def test_exit_codes(pair):
    assert pair.ctl("status").code == 0
    assert pair.ctl("switchover", "nosuch").code == 5
    assert pair.ctl("nonsense").code == 2 and pair.ctl("history", "--limit", "0").code == 2 and pair.ctl("switchover").code == 2
    absent = tree.run(tree.program("scsctl"), "--socket", "/nonexistent.sock", "--json", "status")
    assert absent.returncode == 3 and "NoController" in absent.stdout
    pair.mode("p2", "ready-after=5000")
    assert pair.ctl("stop", "p2").code == 0
    slow = pair.ctl("--timeout", "300ms", "start", "p2")
    assert slow.code == 4 and slow.json["result"]["error"] == "TimedOut", slow
    pair.mode("p2", "")
    pair.wait_normal("p1")
    assert pair.ctl("stop", "p2").code == 0
    assert pair.ctl("switchover", "p1").code == 1
    assert pair.ctl("start", "p2").code == 0


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_output_that_cannot_be_written_is_no_success(pair, form):
    words = [tree.program("scsctl"), "--socket", pair.path("admin.sock"), *form]
    with open("/dev/full", "w") as full:
        for command in (["status"], ["switchover", "p1"]):
            done = subprocess.run([*words, *command], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
            assert done.returncode == 1 and "could be printed: No space left" in done.stderr, done
    pair.wait_normal("p2")
    closed = tree.run("bash", "-c", 'exec "$0" "$@" <&- >&-', *words, "status")
    assert closed.returncode == 0 and closed.stderr == "", closed
    away = tree.run("bash", "-o", "pipefail", "-c", '"$0" "$@" | true', *words, "status")
    assert away.returncode == 0 and away.stderr == "", "a reader that went away is no failure"


def test_force_asks_on_a_terminal_and_refuses_without(pair):
    answer = pair.ctl("switchover", "p1", "--force", json=False)
    assert answer.code == 2 and "--yes" in answer.out + answer.err, answer
    assert pair.pair_state()["primary"] == "p1"
    assert pair.ctl("switchover", "p1", "--force", "--yes").code == 0
    pair.wait_normal("p2")


def test_steps_are_shown_as_they_happen(pair):
    answer = pair.ctl("switchover", "p1", json=False)
    lines = [line for line in answer.out.splitlines() if re.match(r"\s+\d+\.\d ms  ", line)]
    assert len(lines) >= 3 and "p1" in lines[0] and "p2 is Primary" in lines[-1], answer
    pair.wait_normal("p2")


def test_truth_about_the_step_that_failed(make_world):
    w = make_world()
    w.pair(role_timeout="500ms")
    w.start()
    w.role_mode("p2", "fail")
    answer = w.ctl("switchover", "p1", json=False)
    assert answer.code == 1 and "p2" in answer.err, answer
    w.role_mode("p2", "")
    w.wait_normal(timeout=60)


def test_two_opposite_orders(make_world):
    """SECURITY 9: the second is told about the first."""
    w = make_world()
    w.pair()
    w.start()
    w.role_mode("p1", "slow")
    w.role_mode("p2", "slow")
    assert w.ctl("switchover", "p1", "--no-wait").code == 0
    second = w.ctl("stop", "p2")
    assert second.code == 0 or second.json["result"]["error"] in ("AlreadyInProgress", "ApplicationNotReady"), second
    if second.code != 0:
        assert second.json["result"]["text"], "it says what is under way"
    w.role_mode("p1", "")
    w.role_mode("p2", "")
    w.ctl("start", "p2")
    w.wait_normal(timeout=60)


def test_history_can_be_narrowed(pair):
    pair.kill_app("p2")
    wait(lambda: any(r["number"] == 5064 for r in pair.history("--application", "p2")))
    pair.wait_normal("p1")
    rows = pair.history("--application", "p2", "--since", "1h", "--limit", "1000")
    assert rows and all("p2" in str(r["fields"]) + r["object"] + r["text"] for r in rows)
    assert len(pair.history("--limit", "3")) == 3
    assert pair.history("--application", "nosuch") == []


def test_history_survives_a_restart_of_scs(pair):
    before = {r["id"] for r in pair.history("--limit", "1000")}
    pair.scs.stop()
    pair.scs.ended.clear()
    pair.scs.start()
    wait(lambda: pair.ctl("status").code == 0)
    pair.wait_normal("p1")
    assert before <= {r["id"] for r in pair.history("--limit", "1000")}


def test_who_may_not_is_refused_at_the_socket(pair):
    """Neither root nor of the operators' group."""
    words = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", tree.program("scsctl"), "--socket", pair.path("admin.sock"), "status"]
    copy = pair.bin / "scsctl"
    copy.write_bytes(tree.program("scsctl").read_bytes())
    copy.chmod(0o755)
    words[4] = copy
    done = tree.run(*words)
    assert done.returncode != 0 and "PAIR" not in done.stdout, done


@pytest.mark.audit(False)
@pytest.mark.parametrize("which", ["a", "scs"])
def test_service_manager_is_told(make_world, which):
    """Type=notify: READY=1 when it works, STOPPING=1 when it ends; and applications do not get that socket."""
    w = make_world()
    w.pair()
    path = w.path("manager.sock")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        manager.settimeout(20)
        w.daemon(which).environment["NOTIFY_SOCKET"] = str(path)
        w.start()
        heard = manager.recv(1000).decode()
        assert "READY=1" in heard, heard
        assert str(path) not in w.tell("p1", "env NOTIFY_SOCKET")
        w.daemon(which).stop()
        while "STOPPING=1" not in heard:
            heard = manager.recv(1000).decode()


def test_programs_say_who_they_are():
    for name in ("lca", "scs", "scsctl"):
        assert "0.1.0" in tree.run(tree.program(name), "--version").stdout


def test_hello_names_the_software(pair):
    with wire.Speaker(pair.connect("a", tls=world.site_pki().issue("scs", "scs7"))) as s:
        s.hello("SCS", "scs7")
        assert s.greeted().software.startswith(b"understudy ")
    assert os.path.exists(pair.path("admin.sock"))
