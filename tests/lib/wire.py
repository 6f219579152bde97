"""Speaks the wire protocol (proto/PROTOCOL.md) from the schema itself: frames, hello, ADDP, messages; over TCP, TLS or a unix socket.

A Speaker is blocking and single-threaded. What it does wrong, it does because a test asked for it."""
import importlib
import select
import socket
import ssl
import struct
import sys
import time

import tree

HELLO, REFUSED, POLL, ANSWER, MESSAGE, BYE = 1, 2, 3, 4, 5, 6
HEADER = 8
PAYLOAD_MAX = 65536 - HEADER


def schema(name):
    """The module protoc made of proto/NAME.proto in the build tree."""
    folder = str(tree.BUILD / "proto")
    if folder not in sys.path:
        sys.path.insert(0, folder)
    return importlib.import_module(f"{name}_pb2")


def frame(kind, payload=b""):
    return struct.pack(">IBBH", len(payload), kind, 0, 0) + payload


class Closed(Exception):
    """The other side ended the connection."""


def connect(address, port=0, tls=None, timeout=10, netns=None, source=None):
    """A connected socket. `address` with a slash is a unix socket. `tls` is a pki.Identity or an SSLContext. `netns`: the socket belongs to that namespace."""
    if "/" in address:
        s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        s.settimeout(timeout)
        s.connect(address)
        return s
    s = socket_in(netns)
    s.settimeout(timeout)
    if source:
        s.bind((source, 0))
    s.connect((address, port))
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return s if tls is None else secure(s, tls)


def socket_in(netns, kind=socket.SOCK_STREAM):
    """A socket, TCP unless told otherwise, made inside a named network namespace: it stays there, this thread does not."""
    if netns is None:
        return socket.socket(socket.AF_INET, kind)
    import ctypes
    libc = ctypes.CDLL(None, use_errno=True)
    with open("/proc/thread-self/ns/net") as home, open(f"/run/netns/{netns}") as there:
        if libc.setns(there.fileno(), 0x40000000):
            raise OSError(ctypes.get_errno(), "setns")
        try:
            return socket.socket(socket.AF_INET, kind)
        finally:
            if libc.setns(home.fileno(), 0x40000000):
                raise OSError(ctypes.get_errno(), "setns")


def context(identity=None, server=False):
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
    c.minimum_version = ssl.TLSVersion.TLSv1_3
    c.check_hostname = False
    c.verify_mode = ssl.CERT_NONE
    if identity is not None:
        c.load_cert_chain(identity.certificate, identity.key)
        c.load_verify_locations(identity.ca)
        c.verify_mode = ssl.CERT_REQUIRED
    return c


def secure(s, tls, server=False):
    return (tls if isinstance(tls, ssl.SSLContext) else context(tls, server)).wrap_socket(s, server_side=server)


class Speaker:
    def __init__(self, sock):
        self.sock = sock
        self.buffer = b""
        self.peer = None

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def raw(self, data):
        self.sock.sendall(data)

    def send(self, kind, payload=b""):
        self.raw(frame(kind, payload))

    def send_message(self, message):
        self.send(MESSAGE, message.SerializeToString())

    def receive(self, timeout=10):
        """The next frame as (type, payload). Closed at the end of the stream, TimeoutError in time."""
        end = time.monotonic() + timeout
        while True:
            if len(self.buffer) >= HEADER:
                length, kind, flags, zero = struct.unpack(">IBBH", self.buffer[:HEADER])
                assert flags == 0 and zero == 0 and length <= PAYLOAD_MAX, "a malformed frame from our own program"
                if len(self.buffer) >= HEADER + length:
                    payload = self.buffer[HEADER:HEADER + length]
                    self.buffer = self.buffer[HEADER + length:]
                    return kind, payload
            left = end - time.monotonic()
            if left <= 0:
                raise TimeoutError("no whole frame in time")
            pending = getattr(self.sock, "pending", lambda: 0)()
            if not pending and not select.select([self.sock], [], [], left)[0]:
                continue
            try:
                data = self.sock.recv(65536)
            except (ConnectionError, ssl.SSLError, BrokenPipeError) as e:
                raise Closed(str(e)) from e
            if not data:
                raise Closed("end of stream")
            self.buffer += data

    def hello(self, role, name, site="test", addp_ms=0, versions=(1, 1), **more):
        link = schema("link")
        h = link.Hello(version_min=versions[0], version_max=versions[1], site=site.encode(), role=getattr(link, role), name=name.encode(),
                       software=b"understudy tests", addp_timeout_ms=addp_ms, **more)
        self.send(HELLO, h.SerializeToString())

    def greeted(self, timeout=10):
        """Waits for the other side's answer to our hello: its Hello or its Refused."""
        link = schema("link")
        kind, payload = self.receive(timeout)
        answer = link.Hello() if kind == HELLO else link.Refused()
        assert kind in (HELLO, REFUSED), kind
        answer.ParseFromString(payload)
        self.peer = answer
        return answer

    def next_message(self, type_name, module="agent", timeout=10):
        """The next MESSAGE; ADDP polls on the way are answered."""
        end = time.monotonic() + timeout
        while True:
            kind, payload = self.receive(max(0.01, end - time.monotonic()))
            if kind == POLL:
                self.send(ANSWER, payload)
            elif kind == MESSAGE:
                message = getattr(schema(module), type_name)()
                message.ParseFromString(payload)
                return message
            elif kind in (BYE, REFUSED):
                raise Closed(f"frame {kind}: {payload!r}")

    def until_closed(self, timeout=15):
        """Reads until the other side ends; the frames that came before. TimeoutError when it does not end."""
        frames = []
        try:
            while True:
                frames.append(self.receive(timeout))
        except Closed:
            return frames
