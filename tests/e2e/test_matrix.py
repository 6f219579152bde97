"""Role x message, default deny (SECURITY.md 1): every role says every message of every channel, and every type of frame, on every port.

Messages come from the schema's own descriptors and types of frames from proto/frame.h, so one that is added later is in the matrix by itself and is expected to be
refused until the table below allows it. TLS is off: the hello's role is all that there is to judge by. With TLS the certificate's role is judged as well, at the hello."""
import contextlib
import re
import threading

import conftest
import pytest

import tree
import wire
import world
from wire import Closed, Speaker
from world import wait

ADMIN_PORT = 4998
PORTS = ["agent", "admin", "socket"]
link, agent, admin, controller = (wire.schema(name) for name in ("link", "agent", "admin", "controller"))
SCHEMAS = (link, agent, admin, controller)

OPERATORS_VERBS = {"STATUS", "START", "STOP", "RESET", "SWITCHOVER", "HISTORY", "WHY", "CONFIG_RELOAD", "CONFIG_CHECK", "RESUME", "AUTHORITY", "AUTHORITY_MOVE",
                   "ELECTOR_INSTALL", "ELECTOR_CHANGE", "DRAIN", "UNDRAIN", "COMMAND"}
# What is allowed. Everything else is refused.
ALLOWED = {
    ("agent", "SCS"): {"Configure", "Define", "DefineEnd", "PollAnswer", "Vote", "Grant", "Demote", "Order", "Drain", "Command"},
    ("agent", "LCA"): {"PeerPoll", "PeerAnswer", "HighestAsk", "Highest"},
    ("admin", "OPERATOR"): OPERATORS_VERBS,
    ("socket", "OPERATOR"): OPERATORS_VERBS,
    ("controller", "SCS"): {"controller.State", "controller.Handover"},  # only where scs has a peer, and only that one
}
# The other direction: scs called, an agent answered, and this is what the agent may say.
ALLOWED_TO_AN_AGENT_THAT_WAS_CALLED = {"Report", "ReportEnd", "Poll", "Released", "OrderResult", "Event", "PeerView", "VoteAnswer", "CommandResult", "ElectorRecord"}
FRAMES_OF_AN_OPEN_SESSION = {"POLL"}  # and MESSAGE, by the table above; any other ends the connection

NO_HELLO = "no hello"
ROLES = [NO_HELLO, *link.Role.keys(), "a role of a later version"]


# ---- the messages ----

def sample(descriptor):
    """A message with every field set."""
    fields = {}
    for f in descriptor.fields:
        if f.containing_oneof:
            continue
        if f.message_type:
            value = sample(f.message_type)
        elif f.enum_type:
            value = f.enum_type.values[min(1, len(f.enum_type.values) - 1)].number
        else:
            value = SAMPLES.get(f"{descriptor.name}.{f.name}", b"p1" if f.cpp_type == f.CPPTYPE_STRING else 1)
        fields[f.name] = [value] if f.label == f.LABEL_REPEATED else value
    module = next(m for m in SCHEMAS if m.DESCRIPTOR.name == descriptor.file.name)
    made = module
    for part in path_of(descriptor):
        made = getattr(made, part)
    return made(**fields)


def path_of(descriptor):
    return [*(path_of(descriptor.containing_type) if descriptor.containing_type else []), descriptor.name]


# Where a one or "p1" would be out of range. Terms and epochs of 1 are older than any that scs has: the orders are understood, answered, and change nothing.
SAMPLES = {"Configure.poll_period_ms": 500, "Poll.boot_id": bytes(16), "Define.environment": b"A=b", "Define.command": b"/bin/p1", "Request.object": b"nobody",
           "Electors.hash": bytes(32), "Vote.electors_hash": bytes(32), "HighestAsk.electors_hash": bytes(32), "State.config_hash": b"0" * 64}


def bodies(descriptor):
    return [f for f in descriptor.fields if f.containing_oneof]


def payloads():
    """(name, bytes): what it is called in the table, or a name that no table has."""
    for f in bodies(agent.Message.DESCRIPTOR):
        yield f.message_type.name, agent.Message(id=1, **{f.name: sample(f.message_type)}).SerializeToString()
    yield "agent.Message without a body", agent.Message(id=1).SerializeToString()
    yield "agent.Message with a later body", b"\x08\x01\xfa\x7f\x00"
    for verb in admin.Request.DESCRIPTOR.enum_types_by_name["Verb"].values:
        yield verb.name, admin.Request(id=1, verb=verb.number, object=VERB_OBJECTS.get(verb.name, b"nobody")).SerializeToString()
    yield "a later verb", b"\x08\x01\x10\x63"
    for f in bodies(controller.Message.DESCRIPTOR):
        yield f"controller.{f.message_type.name}", controller.Message(**{f.name: sample(f.message_type)}).SerializeToString()
    for f in bodies(admin.Reply.DESCRIPTOR):
        yield f"Reply.{f.name}", admin.Reply(id=1, **{f.name: sample(f.message_type)}).SerializeToString()
    for f in link.DESCRIPTOR.message_types_by_name.values():
        yield f"link.{f.name}", sample(f).SerializeToString()


VERB_OBJECTS = {"STATUS": b"", "HISTORY": b"", "WHY": b"p1", "CONFIG_RELOAD": b"", "CONFIG_CHECK": b"", "AUTHORITY": b"", "AUTHORITY_MOVE": b""}


ORDERS = {"Grant", "Demote", "Order"}
VERBS = {"a later verb", *admin.Request.Verb.keys()}


def frame_types():
    named = re.findall(r"^\s*FRAME_(\w+) = (\d+),", tree.read("proto/frame.h"), re.M)
    types = {name: int(number) for name, number in named}
    assert types["MESSAGE"] == wire.MESSAGE and len(types) >= 6
    return {**types, "type 0": 0, "a later type": max(types.values()) + 1, "type 255": 255}


def cells():
    """(name, frame type, payload) of everything that can be said."""
    yield from ((name, wire.MESSAGE, data) for name, data in payloads())
    hello = link.Hello(version_min=1, version_max=1, site=b"test", name=b"m").SerializeToString()  # of no role: the others are rows
    contents = {"HELLO": hello, "POLL": b"12345678", "ANSWER": b"12345678", "REFUSED": link.Refused(reason=1, text=b"x").SerializeToString()}
    for name, number in frame_types().items():
        if name != "MESSAGE":
            yield f"frame {name}", number, contents.get(name, b"")


def test_the_matrix_knows_every_message():
    names = [name for name, _, _ in cells()]
    assert len(names) == len(set(names)), "one name, one cell"
    assert set().union(ALLOWED_TO_AN_AGENT_THAT_WAS_CALLED, *ALLOWED.values()) <= set(names), "what the table allows is in the schema"
    assert all(role in ROLES for _, role in ALLOWED)


# ---- the world ----

@pytest.fixture(scope="module")
def site():
    w = world.World(tls=False)
    w.pair()
    w.scs_conf["scs"].update({"admin-address": "127.0.0.1", "admin-port": ADMIN_PORT})
    w.start()
    yield w
    w.audit()
    w.close()


@pytest.fixture(scope="module")
def secured():
    w = world.World()
    w.pair()
    w.scs_conf["scs"].update({"admin-address": w.net.address["scs"], "admin-port": ADMIN_PORT})
    w.start()
    yield w
    w.audit()
    w.close()


@pytest.fixture(scope="module")
def controller_pair():
    """A controller that waits for its peer, which has the lower name, to call."""
    w = world.World(hosts=("a",), tls=False)
    w.scs_conf["scs"].update({"name": "scs2", "admin-address": "127.0.0.1", "admin-port": ADMIN_PORT, "arbiter": "pair", "peer": "scs1",
                              "peer-address": "127.0.0.1", "peer-port": ADMIN_PORT + 1, "peer-host": "a"})
    w.start(settle=False)
    wait(lambda: w.ctl("status").code == 0, what="scs answers")
    yield w
    w.close()


def picture(w):
    s = w.status()
    return ([(h["name"], h["status"]) for h in s["hosts"]],
            [(a["name"], a["status"], a["role"], a["epoch"], a["pid"], a["restarts"], a["failed"]) for a in s["applications"]],
            [(p["name"], p["primary"], p["epoch"], p["state"], p["changes"]) for p in s["pairs"]], s["controller"]["term"])


@pytest.fixture(autouse=True)
def nothing_happened(request):
    """Service continues, and nobody's role, process or term has changed."""
    names = {"site", "secured"} & set(request.fixturenames)
    if not names:
        yield
        return
    w = request.getfixturevalue(names.pop())
    w.wait_normal("p1")
    before = picture(w)
    yield
    if not request.node.report_call.passed:
        conftest.keep_logs(request.node, w)
    w.wait_normal("p1")
    assert picture(w) == before
    assert not any(e for d in w.daemons.values() for e in d.ended), "a daemon ended"


def dial(w, port):
    if port == "socket":
        return wire.connect(str(w.path("admin.sock")))
    address, number, place = (w.net.address["a"], world.LCA_PORT, "b") if port == "agent" else ("127.0.0.1", ADMIN_PORT, "scs")
    return wire.connect(address, number, netns=w.net.namespace(place))


# ---- one cell ----

class Outcome:
    def __init__(self):
        self.greeted = self.alive = False
        self.refused = self.awaits = None  # awaits: the answer without which the cell is not over
        self.messages = []

    def __repr__(self):
        return f"greeted={self.greeted} alive={self.alive} messages={self.messages} refused={self.refused and self.refused.text}"


TOKEN = b"a matrix"


def read_on(s, outcome, schema):
    """Until our poll is answered, and the answer that the cell awaits has come; or until the connection ends."""
    answered = False
    while not answered or outcome.awaits:
        kind, payload = s.receive(10)
        if kind == wire.REFUSED:
            outcome.refused = link.Refused.FromString(payload)
        elif kind == wire.POLL:
            s.send(wire.ANSWER, payload)
        elif kind == wire.ANSWER:
            answered = answered or payload == TOKEN
        elif kind == wire.MESSAGE:
            outcome.messages.append(schema.FromString(payload))
            if outcome.messages[-1].WhichOneof("body") == outcome.awaits:
                outcome.awaits = None
    outcome.alive = True


def try_once(w, port, role, name, cell, before=b""):
    """`before`: a message that is said ahead of the cell."""
    what, kind, payload = cell
    outcome = Outcome()
    if port in ("admin", "socket"):
        outcome.awaits = "result" if kind == wire.MESSAGE else None
    elif what in ORDERS:
        outcome.awaits = "order_result"
    with Speaker(dial(w, port)) as s, contextlib.suppress(Closed, OSError):
        if role != NO_HELLO:
            number = link.Role.Value(role) if role in link.Role.keys() else max(link.Role.values()) + 1
            s.send(wire.HELLO, link.Hello(version_min=1, version_max=1, site=b"test", role=number, name=name.encode()).SerializeToString())
            answer = s.greeted()
            outcome.greeted = hasattr(answer, "role")
            outcome.refused = None if outcome.greeted else answer
        with contextlib.suppress(OSError):
            if before:
                s.send(wire.MESSAGE, before)
            s.send(kind, payload)
            s.send(wire.POLL, TOKEN)
        read_on(s, outcome, {"agent": agent.Message, "controller": controller.Message}.get(port, admin.Reply))
    return outcome


counter = iter(range(1, 1_000_000))


def attempt(w, port, role, cell, before=b"", name=None):
    """One cell; again where there was no room because the former connection's end had not been seen yet."""
    def again():
        outcome = try_once(w, port, role, name or f"m{next(counter)}", cell, before)
        full = outcome.refused is not None and outcome.refused.reason in (link.Refused.LIMIT, link.Refused.DUPLICATE)
        limited = any(m.DESCRIPTOR.name == "Reply" and m.result.error == b"RateLimited" for m in outcome.messages)
        return None if full or limited else outcome
    return wait(again, what=f"room for {role} on {port}")


NOT_LEADING = (agent.OrderResult.REFUSED, b"this controller does not lead")
OLD_TERM = (agent.OrderResult.STALE, b"a higher term has been heard")


def orders_results(outcome):
    return [m.order_result for m in outcome.messages if m.WhichOneof("body") == "order_result"]


def said(result):
    return result.outcome, result.text


def results(outcome):
    return [m.result for m in outcome.messages if m.DESCRIPTOR.name == "Reply" and m.WhichOneof("body") == "result"]


def reads_as(port, payload, allowed):
    """The allowed message that these bytes of another channel also are: bytes do not say which schema made them."""
    schema, prefix = (controller, "controller.") if port == "controller" else (agent, "")
    with contextlib.suppress(Exception):
        body = schema.Message.FromString(payload).WhichOneof("body")
        return body and next((f.message_type.name for f in bodies(schema.Message.DESCRIPTOR) if f.name == body and prefix + f.message_type.name in allowed), None)
    return None


def complaint(port, role, cell, o):
    """What is wrong with the outcome; None: as the table says."""
    what, kind, payload = cell
    allowed = ALLOWED.get((port, role))
    if allowed is None:
        return "was greeted" if o.greeted else "stayed connected" if o.alive else "was told something" if o.messages else None
    if not o.greeted:
        return "was not greeted"
    if kind != wire.MESSAGE:
        stays = what.removeprefix("frame ") in FRAMES_OF_AN_OPEN_SESSION
        return None if o.alive == stays and not results(o) else "should have stayed" if stays else "should have been cut off"
    if what in allowed:
        if not o.alive:
            return "is allowed, and was cut off"
        if port == "agent" and role == "LCA" and o.messages:
            return "was answered, although it is of no pair of this host's"
        if what in ORDERS and [said(m) for m in orders_results(o)] != [NOT_LEADING]:
            return "comes of a controller that has not said that it leads, and was not refused for that"
        return None if port in ("agent", "controller") or [r.error for r in results(o)] != [b"NotImplemented"] else "is allowed, and is not implemented"
    if port in ("agent", "controller"):
        return "should have been cut off" if o.alive and not reads_as(port, payload, allowed) else None
    if what in VERBS:
        return None if not o.alive or [r.error for r in results(o)] == [b"NotImplemented"] else "should not be implemented"
    bad = [m for m in o.messages if m.WhichOneof("body") != "result" or m.result.ok]
    return f"was carried out: {bad}" if bad else None


@pytest.mark.parametrize("port", PORTS)
@pytest.mark.parametrize("role", ROLES)
def test_role_by_message(site, port, role):
    wrong = []
    for cell in cells():
        outcome = attempt(site, port, role, cell)
        fault = complaint(port, role, cell, outcome)
        if fault:
            wrong.append(f"{role} on {port}, {cell[0]}: {fault} ({outcome})")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("leads", [True, False])
def test_orders_of_another_controller(site, leads):
    """SAFETY S3: who says that it leads with an old term is answered as stale, who says that it does not is refused; neither changes what the host does."""
    first = sample(agent.Configure.DESCRIPTOR)
    first.leads = leads
    before = agent.Message(id=1, configure=first).SerializeToString()
    for cell in cells():
        if cell[0] in ORDERS:
            outcome = attempt(site, "agent", "SCS", cell, before)
            assert [said(m) for m in orders_results(outcome)] == [OLD_TERM if leads else NOT_LEADING], f"{cell[0]}: {outcome}"


@pytest.mark.parametrize("role", [r for r in ROLES if r != "OPERATOR"])  # which the port serves as well: see above
@pytest.mark.parametrize("name", ["scs1", "scs0"])
def test_the_other_controller_by_message(controller_pair, name, role):
    """The link of two controllers takes the two messages of controller.proto, from a controller of the peer's name and from nobody else."""
    w, wrong = controller_pair, []
    for cell in cells():
        outcome = attempt(w, "controller", role, cell, name=name)
        if name == "scs1":
            fault = complaint("controller", role, cell, outcome)
        else:
            fault = "stayed connected" if outcome.alive else "was told something" if outcome.messages else None
        if fault:
            wrong.append(f"{role} {name}, {cell[0]}: {fault} ({outcome})")
    assert not wrong, "\n".join(wrong)
    assert w.ctl("status").code == 0 and not w.scs.ended


@pytest.mark.parametrize("port", ["agent", "admin"])
@pytest.mark.parametrize("role", link.Role.keys())
@pytest.mark.parametrize("certified", link.Role.keys())
def test_role_of_the_certificate(secured, port, role, certified):
    """Greeted is who says the role of its own certificate, and only where that role may call."""
    name = f"m-{certified.lower().replace('_', '-')}"
    identity = world.site_pki().issue(certified.lower().removeprefix("role_"), name)
    address = secured.net.address["a" if port == "agent" else "scs"]
    greeted = False
    with contextlib.suppress(Closed, OSError):
        with Speaker(wire.connect(address, world.LCA_PORT if port == "agent" else ADMIN_PORT, tls=identity, netns=secured.net.namespace("b"))) as s:
            s.hello(role, name)
            greeted = hasattr(s.greeted(), "role")
    assert greeted == (role == certified and (port, role) in ALLOWED)


# ---- scs calls ----

AGENTS = 8  # one that is cut off is called again after a second, so the cells are shared out


class ScriptedAgent(threading.Thread):
    """Answers each call of scs with a hello and one cell, and notes what became of the connection."""

    def __init__(self, w, name, port, mine):
        super().__init__(daemon=True)
        self.name, self.mine, self.outcomes = name, mine, {}
        self.server = wire.socket_in(w.net.namespace("a"))
        self.server.bind((w.net.address["a"], port))
        self.server.listen()

    def run(self):
        with contextlib.suppress(OSError):
            while len(self.outcomes) < len(self.mine):
                with Speaker(self.server.accept()[0]) as s:
                    self.outcomes[self.mine[len(self.outcomes)][0]] = self.serve(s, self.mine[len(self.outcomes)])

    def serve(self, s, cell):
        outcome = Outcome()
        with contextlib.suppress(Closed, OSError, TimeoutError):
            assert s.receive()[0] == wire.HELLO
            s.hello("LCA", self.name)
            s.send(cell[1], cell[2])
            s.send(wire.POLL, TOKEN)
            read_on(s, outcome, agent.Message)
        return outcome


@pytest.mark.audit(False)
def test_an_agent_that_was_called_by_message(make_world):
    """What only controllers, operators or nobody says is not taken from an agent either, and scs goes on."""
    w = make_world(hosts=("a",), tls=False)
    todo = list(cells())
    agents = [ScriptedAgent(w, f"h{i}", 5100 + i, todo[i::AGENTS]) for i in range(AGENTS)]
    for i, a in enumerate(agents):
        w.scs_conf[f"host h{i}"] = {"address": w.net.address["a"], "port": 5100 + i}
        a.start()
    w.write()
    w.scs.start()
    wait(lambda: not any(a.is_alive() for a in agents), 120, "every cell was said")
    wrong = []
    for a in agents:
        for what, kind, payload in a.mine:
            o = a.outcomes[what]
            stays = what in ALLOWED_TO_AN_AGENT_THAT_WAS_CALLED if kind == wire.MESSAGE else what.removeprefix("frame ") in FRAMES_OF_AN_OPEN_SESSION
            may = kind == wire.MESSAGE and reads_as("called", payload, ALLOWED_TO_AN_AGENT_THAT_WAS_CALLED)
            if o.alive != stays and not may:
                wrong.append(f"{what}: {'stayed' if o.alive else 'was cut off'} ({o})")
        a.server.close()
    assert not wrong, "\n".join(wrong)
    assert w.ctl("status").code == 0 and not w.scs.ended
    w.hosts.clear()
