"""A real etcd cluster (Debian's etcd-server) inside a world: one member per namespace, data on a tmpfs, started and ended by the test, never as a service.

A member's journal takes 128 MiB from the start. It is spoken to through its JSON gateway, as scs does; keys and values travel as base64."""
import base64
import http.client
import json
import signal
import subprocess

import wire
from world import site_pki, wait

CLIENT, PEER = 2379, 2380


def encoded(text):
    return base64.b64encode(text.encode()).decode()


class Refused(ValueError):
    """What the gateway answered, other than 200."""


class Cluster:
    """`places`: {member: namespace of the world}. With `tls` clients need the site's CA; members among themselves speak plainly."""

    def __init__(self, world, places, tls=False):
        self.w, self.places, self.tls = world, dict(places), tls
        self.processes, self.token = {}, None
        self.dir = world.path("etcd")
        self.dir.mkdir(mode=0o700)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1g,mode=700", "tmpfs", self.dir], check=True)

    def address(self, member):
        return self.w.net.address[self.places[member]]

    def endpoint(self, member):
        return f"{'https' if self.tls else 'http'}://{self.address(member)}:{CLIENT}"

    @property
    def endpoints(self):
        return [self.endpoint(m) for m in self.places]

    def _words(self, member):
        peers = ",".join(f"{m}=http://{self.address(m)}:{PEER}" for m in self.places)
        peer, client = f"http://{self.address(member)}:{PEER}", self.endpoint(member)
        words = ["etcd", "--name", member, "--data-dir", self.dir / member, "--listen-client-urls", client, "--advertise-client-urls", client,
                 "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", peers, "--initial-cluster-state", "new",
                 "--heartbeat-interval", "50", "--election-timeout", "500"]
        if self.tls:
            identity = site_pki().issue("etcd", member, sans=[f"IP:{self.address(member)}"])
            words += ["--cert-file", identity.certificate, "--key-file", identity.key]
        return words

    def start(self, *members):
        for member in members or self.places:
            assert member not in self.processes, f"{member} runs"
            with open(self.w.path(f"etcd-{member}.log"), "ab") as log:
                words = self.w.net.inside(self.places[member], *self._words(member))
                self.processes[member] = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        wait(self.works, what="etcd has a leader, and every member writes")
        return self

    def works(self):
        return all(self.put("understudy-tests/works", "yes", m) for m in self.processes)

    def stop(self, member, number=signal.SIGKILL):
        process = self.processes.pop(member)
        process.send_signal(signal.SIGCONT)
        process.send_signal(number)
        process.wait(20)

    def pause(self, *members):
        for member in members or self.processes:
            self.processes[member].send_signal(signal.SIGSTOP)

    def resume(self, *members):
        for member in members or self.processes:
            self.processes[member].send_signal(signal.SIGCONT)

    def close(self):
        for member in list(self.processes):
            self.stop(member)

    def call(self, path, body, member=None, token=None):
        """POST /v3/PATH to one member, the first that runs if none is named; its answer."""
        member = member or next(iter(self.processes))
        with wire.connect(self.address(member), CLIENT, tls=wire.context() if self.tls else None, netns=self.w.net.namespace(self.places[member]),
                          timeout=1) as s:
            connection = http.client.HTTPConnection(self.address(member))
            connection.sock = s
            connection.request("POST", f"/v3/{path}", json.dumps(body), {"Authorization": token or self.token} if token or self.token else {})
            answer = connection.getresponse()
            text = answer.read().decode()
        if answer.status != 200:
            raise Refused(f"{path}: {answer.status} {text}")
        return json.loads(text)

    def put(self, key, value, member=None):
        return "header" in self.call("kv/put", {"key": encoded(key), "value": encoded(value)}, member)

    def get(self, key):
        rows = self.call("kv/range", {"key": encoded(key)}).get("kvs", [])
        return base64.b64decode(rows[0].get("value", "")).decode() if rows else None

    def leader(self):
        status = self.call("maintenance/status", {})
        found = {s["header"]["member_id"]: m for m in self.processes for s in [self.call("maintenance/status", {}, m)]}
        return found[status["leader"]]

    def authenticate(self, user, password):
        """From here on a user and password are asked for."""
        for name, secret in (("root", password), (user, password)):
            self.call("auth/user/add", {"name": name, "password": secret})
            self.call("auth/user/grant", {"user": name, "role": "root"})
        self.call("auth/enable", {})
        self.token = self.call("auth/authenticate", {"name": "root", "password": password})["token"]
