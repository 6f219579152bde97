"""A client for Redis that is only as large as the demo needs: one connection, commands in order, timeouts."""
import socket


class Error(Exception):
    """The server answered with an error."""


class Connection:
    def __init__(self, sock):
        self.sock = sock
        self.file = sock.makefile("rb")

    def close(self):
        self.file.close()
        self.sock.close()

    def command(self, *words):
        data = [b"*%d\r\n" % len(words)]
        for w in words:
            w = w if isinstance(w, bytes) else str(w).encode()
            data.append(b"$%d\r\n%s\r\n" % (len(w), w))
        self.sock.sendall(b"".join(data))
        return self._reply()

    def _reply(self):
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("the server ended the connection")
        kind, rest = line[:1], line[1:-2]
        if kind == b"+":
            return rest.decode()
        if kind == b"-":
            raise Error(rest.decode())
        if kind == b":":
            return int(rest)
        if kind == b"$":
            size = int(rest)
            return None if size < 0 else self.file.read(size + 2)[:-2]
        if kind == b"*":
            return [self._reply() for _ in range(int(rest))]
        raise ConnectionError(f"not RESP: {line!r}")


def connect(address, port, timeout, make=lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM)):
    s = make()
    try:
        s.settimeout(timeout)
        s.connect((address, port))
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return Connection(s)
    except OSError:
        s.close()
        raise
