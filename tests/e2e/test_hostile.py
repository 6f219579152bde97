"""Bytes and certificates that should not be (FAULTS 35, 46; SECURITY.md 1-5) on every port, with a pair that goes on serving beside it."""
import contextlib
import os
import random
import resource
import socket
import struct

import conftest
import pytest

import wire
import world
from wire import Closed, Speaker
from world import wait

ADMIN_PORT = 4998


@pytest.fixture(scope="module")
def site():
    """One pair for all of this file: it must survive all of it. Audited at the end."""
    w = world.World()
    w.pair()
    w.scs_conf["scs"].update({"admin-address": w.net.address["scs"], "admin-port": ADMIN_PORT})
    w.start()
    w.pids = w.pid("p1"), w.pid("p2")
    yield w
    w.audit()
    w.close()


@pytest.fixture(scope="module")
def plain():
    w = world.World(tls=False)
    w.pair()
    w.scs_conf["scs"].update({"admin-address": "127.0.0.1", "admin-port": ADMIN_PORT})  # without TLS operators are heard on loopback only
    w.start()
    w.pids = w.pid("p1"), w.pid("p2")
    yield w
    w.audit()
    w.close()


@pytest.fixture(autouse=True)
def nothing_happened(request):
    yield
    for name in ("site", "plain"):
        if name in request.fixturenames:
            w = request.getfixturevalue(name)
            if not request.node.report_call.passed:
                conftest.keep_logs(request.node, w)
            w.wait_normal("p1")
            assert (w.pid("p1"), w.pid("p2")) == w.pids
            assert not any(e for d in w.daemons.values() for e in d.ended), "a daemon ended"


PORTS = ["agent", "admin", "socket"]


def dial(w, port, tls=None, timeout=10):
    if port == "socket":
        return wire.connect(str(w.path("admin.sock")), timeout=timeout)
    if port == "agent":
        return wire.connect(w.net.address["a"], world.LCA_PORT, tls=tls, netns=w.net.namespace("b"), timeout=timeout)
    address, place = (w.net.address["scs"], "b") if w.tls else ("127.0.0.1", "scs")
    return wire.connect(address, ADMIN_PORT, tls=tls, netns=w.net.namespace(place), timeout=timeout)


def credentials(w, port):
    if not w.tls or port == "socket":
        return None
    return world.site_pki().issue("scs", "scs9") if port == "agent" else world.site_pki().issue("operator", "alice")


def greeting(s, port):
    if port == "agent":
        s.hello("SCS", "scs9")
    else:
        s.hello("OPERATOR", "alice" if port == "admin" else "root")


HELLO_SCS = b"\x08\x01\x10\x01\x22\x04test(\x01\x32\x04scs9"
FIRST = {
    "nothing but a close": b"",
    "one byte": b"\0",
    "half a header": b"\0\0\0",
    "half a frame": wire.frame(wire.HELLO, HELLO_SCS)[:-3],
    "oversized": struct.pack(">IBBH", 0xFFFFFFFF, 1, 0, 0),
    "just too long": struct.pack(">IBBH", wire.PAYLOAD_MAX + 1, 1, 0, 0),
    "type 0": wire.frame(0), "type 7": wire.frame(7), "type 255": wire.frame(255),
    "flags": struct.pack(">IBBH", 0, 1, 1, 0),
    "zero bytes not zero": struct.pack(">IBBH", 0, 1, 0, 1),
    "message before hello": wire.frame(wire.MESSAGE, b"\x08\x01"),
    "poll before hello": wire.frame(wire.POLL, b"\0" * 8),
    "empty hello": wire.frame(wire.HELLO),
    "hello of rubbish": wire.frame(wire.HELLO, b"\xff" * 200),
    "hello without an end": wire.frame(wire.HELLO, b"\x0a" + b"\xff" * 9 + b"\x01"),
    "groups": wire.frame(wire.HELLO, b"\x0b" * 1000),
    "http": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "ssh": b"SSH-2.0-OpenSSH_9.2\r\n",
    "long name": wire.frame(wire.HELLO, b"\x08\x01\x10\x01\x22\x04test(\x01\x32\x80\x08" + b"x" * 1024),
    "name with NUL": wire.frame(wire.HELLO, b"\x08\x01\x10\x01\x22\x04test(\x01\x32\x04sc\x001"),
    "name not UTF-8": wire.frame(wire.HELLO, b"\x08\x01\x10\x01\x22\x04test(\x01\x32\x02\xc3\x28"),
    "65528 bytes": wire.frame(wire.HELLO, b"\x0a\x00" * 32764),
}


@pytest.mark.parametrize("port", PORTS)
@pytest.mark.parametrize("what", FIRST)
def test_first_bytes(plain, port, what):
    with Speaker(dial(plain, port)) as s:
        with contextlib.suppress(OSError):
            s.raw(FIRST[what])
            s.sock.shutdown(socket.SHUT_WR) if what in ("nothing but a close", "one byte", "half a header", "half a frame") else None
        frames = s.until_closed()
        assert all(kind in (wire.HELLO, wire.REFUSED, wire.BYE) for kind, _ in frames), frames


@pytest.mark.parametrize("port", PORTS)
def test_slow_hello_is_cut_off(plain, port):
    """2 s to the first whole frame, absolute: a byte now and then does not extend it."""
    with Speaker(dial(plain, port)) as s:
        data = wire.frame(wire.HELLO, HELLO_SCS)
        with pytest.raises((Closed, OSError)):
            for byte in data:
                s.raw(bytes([byte]))
                try:
                    s.receive(0.5)
                except TimeoutError:
                    continue


@pytest.mark.parametrize("port", ["agent", "admin"])
def test_slow_tls_handshake_is_cut_off(site, port):
    with Speaker(dial(site, port)) as s:
        s.raw(b"\x16\x03\x01\x02\x00\x01")
        assert s.until_closed() == []


AFTER = {
    "empty message": wire.frame(wire.MESSAGE),
    "rubbish": wire.frame(wire.MESSAGE, b"\xff" * 300),
    "deeply nested": wire.frame(wire.MESSAGE, b"\x1a\xf0\x7f" + b"\x0a\xe0\x7f" * 5000),
    "many tiny fields": wire.frame(wire.MESSAGE, b"\x08\x01" * 32000),
    "a second hello": wire.frame(wire.HELLO, HELLO_SCS),
    "length beyond the frame": wire.frame(wire.MESSAGE, b"\x12\xff\xff\xff\x7f"),
    "unknown field": wire.frame(wire.MESSAGE, b"\xfa\x7f\x04abcd"),
    "oversized later": struct.pack(">IBBH", 0x7FFFFFFF, 5, 0, 0),
    "short poll": wire.frame(wire.POLL, b"\0"),
    "answer to no poll": wire.frame(wire.ANSWER, b"\0" * 8),
    "half a frame and a close": wire.frame(wire.MESSAGE, b"\x08\x01")[:-1],
}


@pytest.mark.parametrize("port", PORTS)
@pytest.mark.parametrize("what", AFTER)
def test_bytes_after_the_hello(site, port, what):
    with Speaker(dial(site, port, credentials(site, port))) as s:
        greeting(s, port)
        assert hasattr(s.greeted(), "role")
        with contextlib.suppress(OSError, Closed, TimeoutError):
            s.raw(AFTER[what])
            s.receive(0.3)


def test_random_bytes(plain):
    seed = int(os.environ.get("SEED", "0")) or random.randrange(1, 2**32)
    print(f"seed {seed}: SEED={seed} tests/run e2e")
    rng = random.Random(seed)
    for _ in range(60):
        port = rng.choice(PORTS)
        with Speaker(dial(plain, port)) as s, contextlib.suppress(OSError, Closed, TimeoutError, AssertionError):
            if rng.random() < 0.7:
                greeting(s, port)
                s.greeted()
            for _ in range(rng.randrange(1, 6)):
                kind = rng.choice([wire.MESSAGE, wire.MESSAGE, wire.POLL, wire.ANSWER, rng.randrange(256)])
                s.send(kind, rng.randbytes(rng.choice([0, 1, 8, 50, 500, 5000])))
            s.receive(0.05)


def test_other_version_is_refused_naming_both(plain):
    """FAULTS 35: on both ends."""
    with Speaker(dial(plain, "agent")) as s:
        s.hello("SCS", "scs9", versions=(7, 9))
        refused = s.greeted()
        link = wire.schema("link")
        assert refused.reason == link.Refused.VERSION
        assert (refused.version_min, refused.version_max, refused.peer_version_min, refused.peer_version_max) == (1, 1, 7, 9)
        assert b"7" in refused.text and b"9" in refused.text and b"1" in refused.text
        s.until_closed()
    wait(lambda: any("7" in line and "9" in line and "version" in line for line in plain.log("a").splitlines()), what="the agent's log names both")


def test_range_of_versions_meets(plain):
    with Speaker(dial(plain, "agent")) as s:
        s.hello("SCS", "scs9", versions=(1, 9))
        assert s.greeted().version_max == 1


@pytest.mark.parametrize("role,name,site_name", [("LCA", "scs9", "test"), ("SCS", "scs9", "elsewhere"), ("OPERATOR", "x", "test"), ("APPLICATION", "x", "test"),
                                                 ("ROLE_NONE", "x", "test"), ("SCS", "", "test"), ("SCS", "../x", "test")])
def test_wrong_hello(plain, role, name, site_name):
    with Speaker(dial(plain, "agent")) as s:
        s.hello(role, name, site=site_name)
        if role == "LCA":  # a peer agent may call: but not one that no pair knows
            with contextlib.suppress(Closed, AssertionError, TimeoutError):
                s.greeted()
                s.next_message("Message", timeout=1)
                pytest.fail("an agent that no pair knows was told something")
            return
        assert s.greeted().reason != 0
        s.until_closed()


def test_version_of_a_younger_agent_is_named_by_scs(make_world):
    """The other direction: scs calls, the agent speaks only versions 7 to 9."""
    import threading
    w = make_world(hosts=("a",), tls=False)
    server = wire.socket_in(w.net.namespace("a"))
    server.bind((w.net.address["a"], world.LCA_PORT))
    server.listen()

    def serve():
        link = wire.schema("link")
        with contextlib.suppress(OSError):
            while True:
                s = Speaker(server.accept()[0])
                with contextlib.suppress(OSError, Closed, TimeoutError), s:
                    s.receive()
                    s.send(wire.REFUSED, link.Refused(reason=link.Refused.VERSION, text=b"versions 7 to 9 here", version_min=7, version_max=9,
                                                      peer_version_min=1, peer_version_max=1).SerializeToString())

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    w.write()
    w.scs.start()
    wait(lambda: w.ctl("status").code == 0)
    wait(lambda: "7" in w.host("a")["reason"] and "9" in w.host("a")["reason"] and "1" in w.host("a")["reason"], what="status names both versions")
    server.close()
    w.hosts.clear()


def strangers():
    other = world.site_pki()
    foreign = world.pki.Pki(world.scratch() / "pki-foreign", name="another authority")
    return {
        "expired": other.issue("scs", "scs9", file="expired", end="20210101000000Z"),
        "not yet valid": other.issue("scs", "scs9", file="future", start="20900101000000Z", end="20910101000000Z"),
        "unknown authority": foreign.issue("scs", "scs9"),
        "role application": other.issue("application", "scs9"),
        "role operator": other.issue("operator", "scs9"),
        "no identity": other.issue("scs", "x1", uris=[], file="no-identity"),
        "two identities": other.issue("scs", "x2", uris=[other.uri("scs", "scs9"), other.uri("lca", "b")], file="two"),
        "other site": other.issue("scs", "x3", uris=["understudy://elsewhere/scs/scs9"], file="elsewhere"),
        "odd identity": other.issue("scs", "x4", uris=["understudy://test/scs/scs9/more"], file="odd"),
        "another name": other.issue("scs", "scs8"),
    }


@pytest.mark.parametrize("what", ["expired", "not yet valid", "unknown authority", "role application", "role operator", "no identity", "two identities", "other site",
                                  "odd identity", "another name", "none at all", "plain text"])
def test_certificate_refused_by_the_agent(site, what):
    identities = strangers()
    before = site.log("a")
    with contextlib.suppress(OSError):
        if what == "plain text":
            s = Speaker(dial(site, "agent"))
        else:
            tls = wire.context() if what == "none at all" else identities[what]
            if what == "unknown authority":
                tls = wire.context()
                tls.load_cert_chain(identities[what].certificate, identities[what].key)
            s = Speaker(dial(site, "agent", tls))
        with s, contextlib.suppress(Closed, AssertionError):
            s.hello("SCS", "scs9")
            answer = s.greeted()
            assert hasattr(answer, "reason"), "its hello was accepted"
    wait(lambda: "link-refused" in site.log("a")[len(before):] or "link-down" in site.log("a")[len(before):], what="the log says that it was refused")


def test_certificate_of_the_right_kind_is_accepted(site):
    """The other tests could pass because nothing is ever accepted."""
    with Speaker(dial(site, "agent", world.site_pki().issue("scs", "scs9"))) as s:
        s.hello("SCS", "scs9")
        assert s.greeted().name == b"a"


def test_operator_over_tls_and_others_not(site):
    with Speaker(dial(site, "admin", world.site_pki().issue("operator", "alice"))) as s:
        s.hello("OPERATOR", "alice")
        assert s.greeted().name == b"scs1"
    with Speaker(dial(site, "admin", world.site_pki().issue("lca", "b"))) as s:
        s.hello("LCA", "b")
        with contextlib.suppress(Closed):
            assert hasattr(s.greeted(), "reason")


def test_scs_refuses_an_agent_with_another_hosts_certificate(make_world):
    """Host b's agent answers at a's address: scs must not take it for a."""
    w = make_world(hosts=("a",))
    identity = world.site_pki().issue("lca", "b")
    w.lca_conf["a"]["lca"].update({"host": "b", "certificate": identity.certificate, "key": identity.key})
    w.application("x", "a", autostart="no")
    w.start(settle=False)
    reason = wait(lambda: w.host("a")["reason"])
    wait(lambda: "b" in w.host("a")["reason"], what=f"the reason names the wrong host: {reason}")
    assert w.host("a")["status"] != "Running"


@pytest.mark.audit(False)
def test_certificate_and_configured_host_must_agree_at_start(make_world):
    import tree
    w = make_world(hosts=("a",))
    identity = world.site_pki().issue("lca", "b")
    w.lca_conf["a"]["lca"].update({"certificate": identity.certificate, "key": identity.key})
    w.write()
    done = tree.run(*w.net.inside("a", tree.program("lca"), "-f", w.conf_file("a")), timeout=30)
    assert done.returncode != 0 and "understudy://test/lca" in done.stderr + w.log("a")


@pytest.mark.audit(False)
def test_key_readable_by_others_is_refused(make_world):
    import shutil
    import tree
    w = make_world(hosts=("a",))
    loose = w.path("loose.key")
    shutil.copy2(w.scs_conf["scs"]["key"], loose)
    loose.chmod(0o644)
    w.scs_conf["scs"]["key"] = loose
    w.write()
    done = tree.run(*w.net.inside("scs", tree.program("scs"), "-f", w.conf_file("scs")), timeout=30)
    assert done.returncode != 0 and str(loose) in done.stderr + w.log("scs")


@pytest.mark.parametrize("port", PORTS)
def test_thousands_of_idle_connections(plain, port):
    """Bounded, counted, and the service goes on: also for an operator who comes during the flood."""
    held = []
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit[1], limit[1]))
    label = "a agent" if port == "agent" else "scs"
    try:
        for _ in range(2000):
            try:
                held.append(dial(plain, port, timeout=2))
            except OSError:
                continue
        wait(lambda: plain.ctl("status").code == 0, what="an operator is heard during the flood")
        pids = plain.daemon_pids()
        assert world.descriptors(pids[label]) < 400, "descriptors are bounded"
        assert (plain.pid("p1"), plain.pid("p2")) == plain.pids
    finally:
        for s in held:
            s.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, limit)
    wait(lambda: plain.ctl("status").code == 0)
    wait(lambda: world.descriptors(plain.daemon_pids()[label]) <= plain.baseline[label] + 2, what="all of them are closed again")


def resident(pid):
    with open(f"/proc/{pid}/statm") as f:
        return int(f.read().split()[1]) * 4096


def test_memory_is_bounded_under_large_frames(plain):
    """Two hundred callers, each with most of the largest frame sent and never finished."""
    before = resident(plain.daemon_pids()["a agent"])
    held = []
    for _ in range(200):
        with contextlib.suppress(OSError):
            s = dial(plain, "agent", timeout=2)
            held.append(s)
            s.setblocking(False)
            with contextlib.suppress(OSError):
                s.send(struct.pack(">IBBH", wire.PAYLOAD_MAX, 1, 0, 0) + b"x" * 60000)
    wait(lambda: resident(plain.daemon_pids()["a agent"]) - before < 64 << 20)
    for s in held:
        s.close()


def test_operator_who_never_reads(plain):
    """Replies to somebody who does not read are bounded: the connection ends, not the controller."""
    admin = wire.schema("admin")
    with Speaker(dial(plain, "socket")) as s, contextlib.suppress(OSError, Closed):
        s.hello("OPERATOR", "root")
        s.greeted()
        s.sock.settimeout(5)
        for i in range(20000):
            s.send_message(admin.Request(id=i + 1, verb=admin.Request.STATUS))
    wait(lambda: plain.ctl("status").code == 0, what="other operators are heard again")


def test_second_controller_of_the_same_name_is_refused(plain):
    """SECURITY 1: the old one is alive and answers."""
    link = wire.schema("link")
    with Speaker(dial(plain, "agent")) as s:
        s.hello("SCS", "scs1")
        with contextlib.suppress(Closed, AssertionError, TimeoutError):
            answer = s.greeted()
            if not hasattr(answer, "reason"):
                kind, payload = s.receive(10)
                assert kind == wire.REFUSED, kind
                answer = link.Refused.FromString(payload)
            assert answer.reason == link.Refused.DUPLICATE
        s.until_closed()
    wait(lambda: plain.host("a")["status"] == "Running")


def test_stale_grant_is_refused(plain):
    """An order of a lower term than the host has seen changes nothing, and is answered as stale."""
    agent = wire.schema("agent")
    with Speaker(dial(plain, "agent")) as s:
        s.hello("SCS", "scs9")
        assert hasattr(s.greeted(), "role")
        s.send_message(agent.Message(id=1, configure=agent.Configure(scs=b"scs9", term=1, poll_period_ms=500)))
        s.send_message(agent.Message(id=2, demote=agent.Demote(application=b"p1", epoch=agent.Epoch(term=1, n=1), term=1, order_id=77, deadline_ms=5000)))
        with contextlib.suppress(Closed, TimeoutError):
            while True:
                message = s.next_message("Message", timeout=3)
                if message.WhichOneof("body") == "order_result":
                    assert message.order_result.outcome in (agent.OrderResult.STALE, agent.OrderResult.REFUSED)
                    break
    assert plain.pair_state()["primary"] == "p1"
