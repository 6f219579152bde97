#!/usr/bin/python3
"""scs and scsctl as programs, without an agent: one scs in a folder of its own, its hosts at an address nobody listens on, asked over its unix socket.

    programs.py SCS SCSCTL          every case, as TAP; UNDERSTUDY_BUILD and PYTHONPATH as meson sets them
    programs.py SCS SCSCTL NAME     one case
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
import time
import types

import cases
import wire
from cases import LONG, wait

SCS, SCSCTL = sys.argv[1:3]
CONF = """[scs]
name = scs1
site = here
tls = off
admin-socket = {dir}/admin.sock
state-directory = {dir}/state
log-file = {dir}/scs.log
[host alpha]
address = 127.0.0.1
port = {port}
[host beta]
address = 127.0.0.1
port = {port2}
[application one]
host = alpha
command = /bin/true
backup = two
fencing = none
[application two]
host = beta
command = /bin/true
"""


def held_port():
    """A port that is taken but not listened on: connections are refused."""
    s = socket.socket()
    s.bind(("127.0.0.1", 0))
    return s, s.getsockname()[1]


class Controller:
    """One scs; stopped and cleaned up at the end of the with."""

    def __init__(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="understudy-scs-"))
        self.held, ports = zip(*(held_port() for _ in range(2)))
        self.conf = self.dir / "scs.conf"
        self.text = CONF.format(dir=self.dir, port=ports[0], port2=ports[1])
        self.conf.write_text(self.text)
        self.process = None

    def start(self):
        self.process = subprocess.Popen([SCS, "-f", self.conf], stderr=subprocess.PIPE, text=True)
        wait(lambda: self.ctl("status").returncode == 0 or self.process.poll() is not None, "scs answers")
        assert self.process.poll() is None, self.process.stderr.read()
        return self

    def ctl(self, *words, **more):
        return subprocess.run([SCSCTL, "--socket", self.dir / "admin.sock", *words], capture_output=True, text=True, timeout=2 * LONG, **more)

    def json(self, *words, code=0):
        done = self.ctl("--json", *words)
        assert done.returncode == code, done
        return json.loads(done.stdout)

    def log(self):
        return (self.dir / "scs.log").read_text()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(LONG)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self.process:
            self.process.stderr.close()
        for s in self.held:
            s.close()
        shutil.rmtree(self.dir)


def test_status():
    with Controller() as c:
        wait(lambda: all(h["status"] == "Disconnected" for h in c.json("status")["hosts"]), "both hosts are refused")
        s = c.json("status")
        assert s["controller"]["name"] == "scs1" and s["controller"]["licence"] is False and s["controller"]["tls"] is False
        assert [h["name"] for h in s["hosts"]] == ["alpha", "beta"]
        assert [(a["name"], a["status"], a["pair"]) for a in s["applications"]] == [("one", "Unknown", "one"), ("two", "Unknown", "one")]
        assert s["pairs"][0]["fencing"] == "none" and s["pairs"][0]["primary"] == ""
        assert all(x["limit"] == 0 or x["value"] <= x["limit"] for x in s["controller"]["counters"])
        part = c.json("status", "hosts")
        assert part["controller"] and len(part["hosts"]) == 2 and not part["applications"] and not part["pairs"]
        assert (c.dir / "admin.sock").stat().st_mode & 0o777 == 0o660
        text = c.ctl("status").stdout
        assert "HA licence: no" in text and "tls: off" in text and "fencing: none" in text, text


def test_start_says_what_is_weak():
    with Controller() as c:
        for name in ("program-started", "tls-off", "no-licence", "fencing-none"):
            assert f" {name} " in c.log(), c.log()
        assert "fencing = none for 1 of 1 pairs: a cut host can leave two primaries until it heals" in c.log(), c.log()


def test_what_is_not_there():
    with Controller() as c:
        assert c.json("switchover", "nobody", code=5)["result"]["error"] == "ObjectNotFound"
        assert c.json("start", "nobody", code=5)["result"]["error"] == "ObjectNotFound"
        assert c.json("why", "nobody", code=5)["decision"] is None
        assert "nobody" in c.ctl("stop", "nobody").stderr


def test_order_that_cannot_be_done_ends():
    with Controller() as c:
        wait(lambda: c.json("status")["hosts"][0]["status"] == "Disconnected", "the host is refused")
        done = c.ctl("--json", "--timeout", "20s", "switchover", "one")
        result = json.loads(done.stdout)["result"]
        assert done.returncode in (1, 4) and not result["ok"] and result["error"], done
        assert "switchover one" in c.log() or done.returncode == 4


def test_why_and_history():
    with Controller() as c:
        why = c.json("why", "two")
        assert why["standing"]["rule"] > 0 and why["standing"]["sentence"] and why["standing"]["facts"], why
        wait(lambda: any(r["name"] == "program-started" for r in c.json("history")["rows"]), "the history has the start")
        rows = c.json("history", "--limit", "1")["rows"]
        assert len(rows) == 1 and rows[0]["fields"] is not None
        assert c.json("history", "--application", "nobody")["rows"] == []
        assert c.json("history", "--since", "1h")["rows"]


def test_config_check_and_reload():
    with Controller() as c:
        assert c.json("config", "check")["complaints"] == []
        c.conf.write_text(c.text + "[host gamma]\nadress = 127.0.0.1\n")
        for words in (("config", "check"), ("config", "reload")):
            bad = c.json(*words, code=1)
            assert any("adress" in x["text"] and x["line"] > 0 and x["level"] == "error" for x in bad["complaints"]), bad
        local = subprocess.run([SCSCTL, "config", "check", c.conf], capture_output=True, text=True)
        assert local.returncode == 1 and f"{c.conf}:{len(c.text.splitlines()) + 2}: error: " in local.stdout, local
        c.process.send_signal(signal.SIGHUP)
        wait(lambda: c.log().count(" config-refused ") >= 2, "the reload by signal is refused")
        assert len(c.json("status", "hosts")["hosts"]) == 2
        c.conf.write_text(c.text.replace("[host beta]", "[host gamma]\naddress = 127.0.0.1\nport = 2999\n[host beta]"))
        assert c.json("config", "reload")["result"]["ok"]
        assert [h["name"] for h in c.json("status", "hosts")["hosts"]] == ["alpha", "gamma", "beta"]
        c.conf.write_text(c.text.replace("name = scs1", "name = scs9"))
        kept = c.json("config", "reload")
        assert any("name" in x["text"] and x["level"] == "warning" for x in kept["complaints"]), kept
        assert c.json("status")["controller"]["name"] == "scs1"


def test_log_is_opened_again():
    with Controller() as c:
        (c.dir / "scs.log").rename(c.dir / "old.log")
        c.process.send_signal(signal.SIGHUP)
        wait(lambda: (c.dir / "scs.log").exists() and " config-reloaded " in c.log(), "the log is made again")


def test_a_second_controller_is_refused():
    with Controller() as c:
        again = subprocess.run([SCS, "-f", c.conf], capture_output=True, text=True, timeout=LONG)
        assert again.returncode == 1 and f"another scs (pid {c.process.pid})" in again.stderr, again
        other = c.dir / "other.conf"
        other.write_text(c.text.replace("/state", "/state2"))
        again = subprocess.run([SCS, "-f", other], capture_output=True, text=True, timeout=LONG)
        assert again.returncode == 1 and "admin-socket" in again.stderr, again
        assert c.json("status")


def test_end_and_next_start():
    c = Controller()
    with c:
        first = c.json("status")["controller"]["term"]
        assert c.stop() == 0
        assert c.ctl("status").returncode == 3
        c.process.stderr.close()
        c.start()
        second = c.json("status")["controller"]["term"]
        assert second > first and second % 4 == first % 4
        wait(lambda: sum(r["name"] == "program-started" for r in c.json("history")["rows"]) == 2, "both starts are in the history")


def test_without_a_state_directory():
    c = Controller()
    c.conf.write_text(c.text.replace(f"{c.dir}/state", "/proc/nowhere"))
    with c:
        assert " store-failed " in c.log()
        status = c.json("status")["controller"]
        assert status["history_error"] and status["term"] > 4 * 1700000000
        assert c.json("history", code=1)["result"]["error"] == "OperatingSystemError"


def test_many_commands_at_once():
    """More than wait in the socket's backlog at once: each is answered or refused by name, none hangs."""
    with Controller() as c:
        children = [subprocess.Popen([SCSCTL, "--json", "--socket", c.dir / "admin.sock", "why", "one"], stdout=subprocess.PIPE, text=True) for _ in range(40)]
        codes = [p.wait(LONG) for p in children]
        for p in children:
            p.stdout.close()
        assert set(codes) <= {0, 1, 3} and codes.count(0) > 10, codes
        wait(lambda: c.ctl("why", "one").returncode == 0, "it answers")


def test_own_lateness_is_said():
    """Stopped for longer than the back-off of a call, so that a deadline passes meanwhile; again if it was stopped in the middle of a turn, where no deadline is asked."""
    with Controller() as c:
        def late():
            c.process.send_signal(signal.SIGSTOP)
            time.sleep(2)
            c.process.send_signal(signal.SIGCONT)
            time.sleep(0.5)
            return " late scs was late by " in c.log()

        wait(late, "the log has it")


def test_hostile_bytes():
    with Controller() as c:
        for data in (b"", b"\0", b"GET / HTTP/1.0\r\n\r\n", b"\xff" * 100, b"\0\0\0\4\1\0\0\0abcd", b"\0\0\0\0\5\0\0\0"):
            with socket.socket(socket.AF_UNIX) as s, contextlib.suppress(OSError):
                s.settimeout(LONG)
                s.connect(str(c.dir / "admin.sock"))
                s.sendall(data)
                s.shutdown(socket.SHUT_WR)
                while s.recv(4096):
                    pass
        assert c.json("status")["result"]["ok"]


def test_agent_that_is_none():
    """Whatever answers instead of an agent: the reason is told, the call is repeated, scs lives."""
    c = Controller()
    c.held[0].listen()
    c.held[0].settimeout(LONG)
    with c:
        for _ in range(2):
            s, _ = c.held[0].accept()
            s.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
            s.close()
        wait(lambda: c.json("status")["hosts"][0]["reason"], "the reason is shown")
        assert c.log().count(" link-refused ") <= 2


def test_usage():
    for words in ([], ["--nonsense"], ["status", "weather"], ["switchover"], ["--socket"]):
        done = subprocess.run([SCSCTL, *words], capture_output=True, text=True)
        assert done.returncode == 2 and done.stderr.startswith("scsctl: "), done
    assert subprocess.run([SCSCTL, "--version"], capture_output=True, text=True).stdout == "scsctl 0.1.0\n"
    forced = subprocess.run([SCSCTL, "switchover", "one", "--force"], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert forced.returncode == 2 and "--yes" in forced.stderr


def test_closed_output_is_harmless():
    with Controller() as c:
        read, write = os.pipe()
        os.close(read)
        done = subprocess.run([SCSCTL, "--socket", c.dir / "admin.sock", "status"], stdout=write, stderr=subprocess.PIPE)
        os.close(write)
        assert done.returncode == 0, done
        assert c.json("status")


def openssl(folder, *words):
    done = subprocess.run(["openssl", *words], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done


def issue(folder, role, name):
    """A certificate of the folder's authority, which is made with the first."""
    if not (folder / "ca.pem").exists():
        openssl(folder, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-days", "2",
                "-subj", "/CN=authority")
    (folder / "san").write_text(f"subjectAltName = URI:understudy://here/{role}/{name}\n")
    openssl(folder, "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
    openssl(folder, "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "san", "-out", f"{name}.pem")
    (folder / f"{name}.key").chmod(0o600)


def test_operators_by_certificate():
    c = Controller()
    s, port = held_port()
    s.close()
    for role, name in (("scs", "scs1"), ("operator", "alice"), ("lca", "alpha")):
        issue(c.dir, role, name)
    text = c.text.replace("tls = off", f"certificate = {c.dir}/scs1.pem\nkey = {c.dir}/scs1.key\nca = {c.dir}/ca.pem\n"
                                       f"admin-address = 127.0.0.1\nadmin-port = {port}")
    c.conf.write_text(text)

    def ask(name, *words, of=None):
        of = of or name
        connect = ["--connect", f"127.0.0.1:{port}", "--site", "here", "--name", name, "--certificate", c.dir / f"{of}.pem", "--key", c.dir / f"{of}.key", "--ca", c.dir / "ca.pem"]
        return subprocess.run([SCSCTL, *connect, *words], capture_output=True, text=True)

    with c:
        assert ask("alice", "status").returncode == 0
        assert c.json("status")["controller"]["tls"] is True and " tls-off " not in c.log()
        assert ask("bob", "status", of="alice").returncode == 1, "another name than the certificate's"
        assert ask("alpha", "status").returncode == 1, "not an operator's certificate"
        for name in ("scs1", "alice"):
            issue(c.dir, "scs" if name == "scs1" else "operator", name)
        assert ask("alice", "config", "reload").returncode == 0
        assert ask("alice", "status").returncode == 0
        assert "alice ordered config reload: done" in c.log()
        (c.dir / "scs1.key").chmod(0o644)
        refused = ask("alice", "config", "reload")
        assert refused.returncode == 1 and "scs1.key" in refused.stdout, refused
        assert ask("alice", "status").returncode == 0, "the old certificate stays"


AUTHORITY = """[ca]
default_ca = here
[here]
database = index
crlnumber = crlnumber
default_md = sha256
default_crl_days = 2
"""


def revocations(folder, *names):
    """Revokes these and writes crl.pem."""
    if not (folder / "ca.cnf").exists():
        (folder / "ca.cnf").write_text(AUTHORITY)
        (folder / "index").write_text("")
        (folder / "crlnumber").write_text("01\n")
    for name in names:
        openssl(folder, "ca", "-config", "ca.cnf", "-keyfile", "ca.key", "-cert", "ca.pem", "-revoke", f"{name}.pem")
    openssl(folder, "ca", "-config", "ca.cnf", "-keyfile", "ca.key", "-cert", "ca.pem", "-gencrl", "-out", "crl.pem")


def test_revoked_operator_is_ended_by_a_reload():
    c = Controller()
    s, port = held_port()
    s.close()
    for role, name in (("scs", "scs1"), ("operator", "alice"), ("operator", "bob")):
        issue(c.dir, role, name)
    revocations(c.dir)
    c.conf.write_text(c.text.replace("tls = off", f"certificate = {c.dir}/scs1.pem\nkey = {c.dir}/scs1.key\nca = {c.dir}/ca.pem\ncrl = {c.dir}/crl.pem\n"
                                                  f"admin-address = 127.0.0.1\nadmin-port = {port}"))

    def speaker(name):
        identity = types.SimpleNamespace(certificate=c.dir / f"{name}.pem", key=c.dir / f"{name}.key", ca=c.dir / "ca.pem")
        o = wire.Speaker(wire.connect("127.0.0.1", port, tls=identity))
        o.hello("OPERATOR", name, site="here")
        assert o.greeted().name == b"scs1"
        return o

    with c, speaker("alice") as alice, speaker("bob") as bob:
        revocations(c.dir, "alice")
        assert c.json("config", "reload")["result"]["ok"]
        alice.until_closed()
        bob.send_message(wire.schema("admin").Request(id=3, verb=1, object=b"hosts"))
        assert bob.next_message("Reply", "admin").id == 3
        wait(lambda: "revoked" in c.log(), "the log says why")


def test_plain_tcp_on_loopback_only():
    c = Controller()
    s, port = held_port()
    s.close()
    c.conf.write_text(c.text.replace("[host alpha]", f"admin-address = 127.0.0.1\nadmin-port = {port}\n[host alpha]"))
    with c:
        words = ["--connect", f"127.0.0.1:{port}", "--site", "here", "--no-tls", "status", "pairs"]
        assert subprocess.run([SCSCTL, *words], capture_output=True).returncode == 0
        words[3] = "elsewhere"
        wrong = subprocess.run([SCSCTL, *words], capture_output=True, text=True)
        assert wrong.returncode == 1 and "elsewhere" in wrong.stderr, wrong
    c = Controller()
    c.conf.write_text(c.text.replace("[host alpha]", f"admin-address = 0.0.0.0\nadmin-port = {port}\n[host alpha]"))
    done = subprocess.run([SCS, "-f", c.conf], capture_output=True, text=True, timeout=LONG)
    assert done.returncode == 1 and "loopback" in done.stderr, done
    shutil.rmtree(c.dir)


sys.exit(cases.run(globals(), 2))
