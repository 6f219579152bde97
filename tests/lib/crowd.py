"""Many agents in one process: each listens on a port of its own, tells an empty snapshot, and polls; without TLS.

    crowd.py SITE ADDRESS FIRST_PORT COUNT      named n0, n1, …; SIGUSR1: every connection is closed, as if all had been started again

Prints "ready" when all listen. Runs until it is killed."""
import os
import selectors
import signal
import socket
import struct
import sys
import time

import wire

PERIOD = 2.0  # s; slower than a host's own polls: here is one process for all of them


class Agent:
    """One connection of one agent; `feed` gives what goes back."""

    def __init__(self, name, site):
        self.name, self.site = name, site
        self.buffer, self.incarnation, self.seq, self.echo, self.next = b"", int.from_bytes(os.urandom(7), "big"), 0, 0, None

    def feed(self, data):
        link, agent = wire.schema("link"), wire.schema("agent")
        self.buffer += data
        out = b""
        while len(self.buffer) >= wire.HEADER:
            length, kind, _, _ = struct.unpack(">IBBH", self.buffer[:wire.HEADER])
            if len(self.buffer) < wire.HEADER + length:
                break
            payload, self.buffer = self.buffer[wire.HEADER:wire.HEADER + length], self.buffer[wire.HEADER + length:]
            if kind == wire.HELLO:
                own = link.Hello(version_min=1, version_max=1, site=self.site.encode(), role=link.LCA, name=self.name.encode(), software=b"understudy tests")
                out += wire.frame(wire.HELLO, own.SerializeToString())
            elif kind == wire.POLL:
                out += wire.frame(wire.ANSWER, payload)
            elif kind == wire.MESSAGE:
                message = agent.Message.FromString(payload)
                body = message.WhichOneof("body")
                if body == "define_end":
                    out += wire.frame(wire.MESSAGE, agent.Message(id=1, report_end=agent.ReportEnd(count=0)).SerializeToString()) + self.poll()
                elif body == "poll_answer":
                    self.echo = message.poll_answer.answer
        return out

    def poll(self):
        agent = wire.schema("agent")
        self.seq += 1
        self.next = time.monotonic() + PERIOD
        p = agent.Poll(incarnation=self.incarnation, boot_id=bytes(16), poll_seq=self.seq, echo=self.echo)
        return wire.frame(wire.MESSAGE, agent.Message(id=self.seq + 1, poll=p).SerializeToString())


def main():
    site, address, first, count = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    every, connections, close = selectors.DefaultSelector(), {}, []
    signal.signal(signal.SIGUSR1, lambda *_: close.append(True))

    def end(s):
        every.unregister(s)
        connections.pop(s, None)
        s.close()

    for i in range(count):
        s = socket.create_server((address, first + i), backlog=16)
        s.setblocking(False)
        every.register(s, selectors.EVENT_READ, f"n{i}")
    print("ready", flush=True)
    while True:
        for key, _ in every.select(0.1):
            if isinstance(key.data, str):
                c, _ = key.fileobj.accept()
                c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connections[c] = Agent(key.data, site)
                every.register(c, selectors.EVENT_READ, connections[c])
                continue
            try:
                data = key.fileobj.recv(65536)
                if not data:
                    raise ConnectionResetError
                key.fileobj.sendall(key.data.feed(data))
            except OSError:
                end(key.fileobj)
        if close:
            close.clear()
            for c in list(connections):
                end(c)
        now = time.monotonic()
        for c, a in list(connections.items()):
            if a.next and a.next <= now:
                try:
                    c.sendall(a.poll())
                except OSError:
                    end(c)


if __name__ == "__main__":
    main()
