"""Configuration as an operator meets it: every complaint at once with its line, the effective one printed, reloads that touch nothing or are refused whole."""
import os
import signal

import pytest

import tree
from world import alive, wait


@pytest.fixture
def check(tmp_path):
    """A function: what `PROGRAM -t` says of a text, as (exit status, lines)."""
    def run(program, text, *words):
        path = tmp_path / f"{program}.conf"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        done = tree.run(tree.program(program), "-f", path, *(words or ["-t"]))
        return done.returncode, (done.stdout + done.stderr).replace(str(path), "FILE").splitlines()
    return run


SCS = """[scs]
name = scs1
tls = off
state-directory = /var/lib/understudy
"""

MISTAKES = [
    # text behind SCS (line 5 and on), the line complained of, and words that must be in the complaint
    ("[host a]\naddress = 10.0.0.1\nprot = 4999\n", 7, ["unknown key", "'prot'", "'port'"]),
    ("[hots a]\n", 5, ["unknown section", "[host]"]),
    ("[host a]\naddress = 10.0.0.1\nport = many\n", 7, ["port"]),
    ("[host a]\naddress = 10.0.0.1\nport = 99999\n", 7, ["port"]),
    ("[host a]\naddress = 10.0.0.1\nport = 1999\n", 5, ["port"]),
    ("[host a]\naddress = 10.0.0.1\n[host a]\naddress = 10.0.0.2\n", 7, ["twice", "line 5"]),
    ("[host a]\naddress = 10.0.0.1\naddress = 10.0.0.2\n", 7, ["twice", "line 6"]),
    ("[host a]\nport = 5000\n", 5, ["address"]),
    ("[host a]\naddress = alpha.example\n", 5, ["alpha.example", "numeric"]),
    ("[application x]\nhost = nowhere\ncommand = /bin/x\n", 5, ["nowhere"]),
    ("[host a]\naddress = 10.0.0.1\n[application x]\nhost = a\ncommand = relative\n", 7, ["absolute"]),
    ("[host a]\naddress = 10.0.0.1\n[application x]\nhost = a\ncommand = /bin/x\nbackup = absent\n", 7, ["absent"]),
    ("[host a]\naddress = 10.0.0.1\n[application x]\nhost = a\ncommand = /bin/x\nstartup-timeout = 5 fortnights\n", 10, ["startup-timeout"]),
    ("[host a]\n  address = 10.0.0.1\n", 6, ["indented"]),
    ("[host a b]\naddress = 10.0.0.1\n", 5, ["name"]),
    ("[host ../etc]\naddress = 10.0.0.1\n", 5, ["name"]),
    ("nonsense\n", 5, ["KEY = VALUE"]),
    ("[host a\n", 5, ["]"]),
    ("[host a]\naddress = " + "9" * 9000 + "\n", 6, ["line", "bytes"]),
    ("[license]\nha = perhaps\n", 6, ["ha"]),
    ("[scs]\nname = again\n", 5, ["twice"]),
    ("admin-address = 10.0.0.1\n", 1, ["loopback"]),
]


@pytest.mark.parametrize("number", range(len(MISTAKES)))
def test_complaint_names_file_and_line(check, number):
    text, line, words = MISTAKES[number]
    status, lines = check("scs", SCS + text)
    assert status == 1, lines
    # What is dangling may be told at the header or at the line itself.
    near = [said for said in lines if any(said.startswith(f"FILE:{n}: error: ") for n in range(line, line + 4))]
    assert near and all(any(w in said for said in near) for w in words), lines


def test_every_complaint_at_once(check):
    text = SCS + "[host a]\naddress = 10.0.0.1\nprot = 1\n[hots b]\n[application x]\nhost = c\ncommand = y\nreadiness = soon\n"
    status, lines = check("scs", text)
    assert status == 1
    assert sum(": error: " in said for said in lines) >= 4, lines
    assert lines[-1].startswith("FILE: ") and "error" in lines[-1]


@pytest.mark.parametrize("text", [b"\0\0\0", b"[scs]\nname = \xff\xfe\n", b"[" * 5000, b"=" * 100 + b"\n" * 1000, b"", b"\xef\xbb\xbf"])
def test_hostile_bytes_in_a_file(check, text):
    for program in ("scs", "lca"):
        status, lines = check(program, text)
        assert status == 1 and any("error" in said for said in lines), lines


def test_random_bytes_never_crash_the_reader(check):
    import random
    seed = int(os.environ.get("SEED", "0")) or random.randrange(1, 2**32)
    print(f"seed {seed}: SEED={seed} tests/run e2e")
    rng = random.Random(seed)
    words = [b"[scs]", b"[host a]", b"[application x]", b"[lca]", b"=", b" ", b"\n", b"command", b"host", b'"', b"'", b"\\", b"1h", b"\xc3", b"\0", b"/", b";"]
    for _ in range(60):
        text = b"".join(rng.choice(words) if rng.random() < 0.9 else rng.randbytes(3) for _ in range(rng.randrange(200)))
        for program in ("scs", "lca"):
            status, lines = check(program, text)
            assert status in (0, 1), (program, status, text, lines)


def test_lca_complains_likewise(check):
    status, lines = check("lca", "[lca]\nhost = a\nlisten-port = 80\nallow-comands = /bin/x\n")
    assert status == 1
    assert any(said.startswith("FILE:3: error: ") for said in lines), lines
    assert any(said.startswith("FILE:4: error: ") and "allow-commands" in said for said in lines), lines
    assert any("certificate" in said for said in lines), "tls is on by default and needs its files"


def test_run_directory_leaves_room_for_its_sockets(check):
    text = "[lca]\nhost = a\ntls = off\nrun-directory = /{}\n"
    assert check("lca", text.format("r" * 93)) == (0, [])
    status, lines = check("lca", text.format("r" * 94))
    assert status == 1 and any("run-directory has 95 bytes" in said and "room for 94" in said for said in lines), lines


def test_missing_file_and_wrong_usage():
    for program in ("scs", "lca"):
        absent = tree.run(tree.program(program), "-f", "/nonexistent.conf", "-t")
        assert absent.returncode == 1 and "/nonexistent.conf" in absent.stderr + absent.stdout
        assert tree.run(tree.program(program), "--nonsense").returncode == 2
        version = tree.run(tree.program(program), "--version")
        assert version.returncode == 0 and "0.1.0" in version.stdout
        assert tree.run(tree.program(program), "--help").returncode == 0


def test_reload_touches_nothing_unchanged(pair):
    pids = pair.pid("p1"), pair.pid("p2")
    pair.scs_conf["application p2"]["startup-timeout"] = "33s"
    pair.application("extra", "b")
    pair.write()
    os.kill(pair.scs.pid, signal.SIGHUP)
    wait(lambda: pair.app("extra")["status"] == "Started", what="the added application runs")
    pair.wait_normal("p1")
    assert (pair.pid("p1"), pair.pid("p2")) == pids
    assert pair.ctl("stop", "extra").code == 0
    del pair.scs_conf["application extra"]
    pair.write()
    assert pair.ctl("config", "reload").code == 0
    wait(lambda: all(a["name"] != "extra" for a in pair.status()["applications"]))
    assert (pair.pid("p1"), pair.pid("p2")) == pids
    assert [c[1] for c in pair.role_changes("p1", "p2")] == ["p1"]


def test_invalid_reload_is_refused_whole(pair):
    good = pair.conf_file("scs").read_text()
    pair.conf_file("scs").write_text(good.replace("startup-timeout = 20s", "startup-timeout = 44s") + "\n[host c]\nnonsense = 1\n")
    answer = pair.ctl("config", "reload", json=False)
    assert answer.code not in (0, 2)
    assert "nonsense" in answer.out + answer.err and ": error: " in answer.out + answer.err, answer
    assert pair.ctl("config", "check").code != 0
    os.kill(pair.scs.pid, signal.SIGHUP)
    wait(lambda: "config-refused" in pair.log("scs"))
    assert all(h["name"] != "c" for h in pair.status()["hosts"])
    pair.conf_file("scs").write_text(good)
    assert pair.ctl("config", "check").code == 0 and pair.ctl("config", "reload").code == 0
    pair.wait_normal("p1")


def test_reload_that_removes_a_running_member_is_refused_naming_it(pair):
    good = pair.conf_file("scs").read_text()
    changed = dict(pair.scs_conf)
    removed = changed.pop("application p2")
    changed["application p1"] = {k: v for k, v in changed["application p1"].items() if k in ("host", "command", "user", "readiness", "autostart")}
    from world import conf_text
    pair.conf_file("scs").write_text(conf_text(changed))
    answer = pair.ctl("config", "reload", json=False)
    assert removed and answer.code not in (0, 2) and "p2" in answer.out + answer.err, answer
    pair.conf_file("scs").write_text(good)
    assert pair.ctl("config", "reload").code == 0
    pair.wait_normal("p1")


def test_reload_of_lca_keeps_its_applications(pair):
    pids = pair.pid("p1"), pair.pid("p2")
    pair.lca_conf["a"]["lca"]["allow-users"] = "root"
    pair.write("a")
    os.kill(pair.lca("a").pid, signal.SIGHUP)
    pair.kills += 1  # the agent may be started anew
    wait(lambda: "config-reloaded" in pair.log("a"))
    pair.wait_normal("p1")
    pair.lca_conf["a"]["lca"]["allow-users"] = "root nobody"
    pair.lca_conf["a"]["lca"]["nonsense"] = 1
    pair.write("a")
    os.kill(pair.lca("a").pid, signal.SIGHUP)
    wait(lambda: "config-refused" in pair.log("a"))
    assert (pair.pid("p1"), pair.pid("p2")) == pids and alive(pids[0])
    pair.wait_normal("p1")


def test_log_is_reopened(pair):
    for which, daemon in (("scs", pair.scs), ("a", pair.lca("a"))):
        path = pair.path("scs.log" if which == "scs" else f"lca-{which}.log")
        old = path.rename(path.with_suffix(".old"))
        os.kill(daemon.pid, signal.SIGHUP)
        pair.kills += which != "scs"
        wait(lambda: path.exists() and path.stat().st_size > 0, what=f"{path.name} is made again")
        assert old.exists()
    pair.wait_normal("p1")


def test_certificates_are_swapped_by_a_reload(pair):
    """The site's certificates are renewed under a running pair."""
    import world
    for which, role, name in (("scs", "scs", "scs1"), ("a", "lca", "a")):
        fresh = world.site_pki().issue(role, name, file=f"renewed-{which}-{pair.name}")
        conf = pair.scs_conf["scs"] if which == "scs" else pair.lca_conf["a"]["lca"]
        conf.update(certificate=fresh.certificate, key=fresh.key)
    pair.write()
    os.kill(pair.lca("a").pid, signal.SIGHUP)
    pair.kills += 1
    assert pair.ctl("config", "reload").code == 0
    pair.wait_normal("p1")
    pair.scs.kill_and_return()
    wait(lambda: pair.ctl("status").code == 0)
    pair.wait_normal("p1")
    assert [c[1] for c in pair.role_changes("p1", "p2")] == ["p1"]


@pytest.mark.audit(False)
def test_tls_context_that_cannot_be_loaded_is_said_at_start(make_world):
    w = make_world()
    w.pair()
    w.write()
    for which, words in (("scs", "scs"), ("a", "lca")):
        conf = w.scs_conf["scs"] if which == "scs" else w.lca_conf["a"]["lca"]
        good, conf["key"] = conf["key"], "/nonexistent.key"
        w.write()
        done = tree.run(*w.net.inside(which, tree.program(words), "-f", w.conf_file(which)), timeout=30)
        said = done.stdout + done.stderr + w.log(which)
        assert done.returncode not in (0, None) and "/nonexistent.key" in said, said
        conf["key"] = good
