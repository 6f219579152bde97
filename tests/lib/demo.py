#!/usr/bin/python3
"""The demonstration behind tests/demo: a Redis pair under two agents, a client writing through it, three switchovers.

What is counted: a write is acknowledged when WAIT 1 said that the other Redis has it. After each switchover every acknowledged write is read back from whoever is
primary then, and none may be missing. A second pair of eyes asks both Redis all the time, each on its own host, whether it is master: there are never two."""
import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time

import janitor
import resp
import tree
import wire
import world
from world import wait

PORT = 6379
KEPT = janitor.BASE / "demo"
TITLES = {"kill": "The primary is killed (kill -9)", "cut": "The primary's host is cut off from everybody, and healed", "planned": "Planned switchover (scsctl switchover)"}


class Screen:
    """Lines for a person; colours only on a terminal; nothing with --json."""

    def __init__(self, quiet):
        self.quiet, self.colour = quiet, sys.stdout.isatty()
        self.start = time.monotonic()

    def paint(self, text, code):
        return f"\033[{code}m{text}\033[0m" if self.colour else text

    def say(self, text="", code=None):
        if not self.quiet:
            print(self.paint(text, code) if code else text, flush=True)

    def title(self, text):
        self.say()
        self.say(text, "1")

    def at(self, ms, text, code=None):
        self.say(f"  {ms:9.1f} ms  {self.paint(text, code) if code else text}")


class Client(threading.Thread):
    """Writes numbered keys through whoever says that it is master, as a client behind a virtual address would; remembers what was acknowledged."""

    def __init__(self, w):
        super().__init__(daemon=True)
        self.w, self.connection, self.where = w, None, None
        self.acknowledged, self.unacknowledged, self.refused = [], 0, 0
        self.first_after, self.last_ack, self.mark = None, None, None
        self.stopping, self.paused = threading.Event(), threading.Lock()

    def dial(self, host, timeout):
        return resp.connect(self.w.net.address[host], PORT, timeout, lambda: wire.socket_in(self.w.net.namespace("client")))

    def find_master(self):
        for host in self.w.hosts:
            try:
                c = self.dial(host, 0.15)
                if c.command("ROLE")[0] == b"master":
                    self.connection, self.where = c, host
                    return
                c.close()
            except (OSError, resp.Error, ValueError):
                continue
        time.sleep(0.005)

    def write_one(self, n):
        self.connection.command("SET", f"k{n}", n)
        if self.connection.command("WAIT", 1, 100) >= 1:
            now = world.boot_ns()
            self.acknowledged.append(n)
            self.last_ack = now
            if self.mark is not None and self.first_after is None and self.where != self.mark[1]:
                self.first_after = now
        else:
            self.unacknowledged += 1
            # An address that moved is noticed by asking; a server that cannot replicate may be the wrong one.
            if self.connection.command("ROLE")[0] != b"master" or self.other_is_master():
                self.drop()

    def other_is_master(self):
        """The other host says it is master as well: follow it, as the address would."""
        for host in self.w.hosts:
            if host != self.where:
                try:
                    c = self.dial(host, 0.1)
                    is_master = c.command("ROLE")[0] == b"master"
                    c.close()
                    return is_master and self.mark is not None
                except (OSError, resp.Error):
                    return False
        return False

    def drop(self):
        if self.connection:
            self.connection.close()
        self.connection = self.where = None

    def run(self):
        n = 0
        while not self.stopping.is_set():
            with self.paused:
                if self.connection is None:
                    self.find_master()
                    continue
                n += 1
                try:
                    self.write_one(n)
                except (OSError, ValueError):
                    self.drop()
                except resp.Error:
                    self.refused += 1
                    self.drop()
            time.sleep(0.001)
        self.drop()

    def expect_move(self):
        """From here on the first acknowledged write elsewhere is remembered. Gives the instant."""
        self.first_after = None
        self.mark = (world.boot_ns(), self.where)
        return self.mark[0]

    def lost(self, host):
        """Acknowledged writes that the server of this host does not have."""
        with self.paused:
            c = self.dial(host, 5)
            missing = 0
            for i in range(0, len(self.acknowledged), 1000):
                part = self.acknowledged[i:i + 1000]
                values = c.command("MGET", *(f"k{n}" for n in part))
                missing += sum(v != str(n).encode() for n, v in zip(part, values))
            c.close()
            return missing


class Eyes(threading.Thread):
    """Asks both Redis in turn, each inside its own host, so that a cut changes nothing. Two masters are seen when one said it was before and after the other did."""

    def __init__(self, w):
        super().__init__(daemon=True)
        self.w, self.stopping = w, threading.Event()
        self.sure = {host: [] for host in w.hosts}  # [from, until]: master at both ends and whenever asked in between

    def is_master(self, host):
        try:
            c = resp.connect("127.0.0.1", PORT, 0.5, lambda: wire.socket_in(self.w.net.namespace(host)))
            try:
                return c.command("ROLE")[0] == b"master"
            finally:
                c.close()
        except (OSError, resp.Error, ValueError):
            return False

    def look(self, host, was):
        """`was`: its last answer. The next one; an answer was true at some instant between its question and its arrival."""
        asked = world.boot_ns()
        now = self.is_master(host)
        if now and was:
            self.sure[host][-1][1] = asked
        elif now:
            self.sure[host].append([world.boot_ns(), 0])
        return now

    def run(self):
        was = dict.fromkeys(self.w.hosts, False)
        while not self.stopping.is_set():
            for host in self.w.hosts:
                was[host] = self.look(host, was[host])
            time.sleep(0.002)

    def two_ms(self, since):
        a, b = self.sure.values()
        return sum(max(0, min(x[1], y[1]) - max(x[0], y[0], since)) for x in list(a) for y in list(b)) / 1e6


def make_world(tls):
    w = world.World(tls=tls, others=("client",), name="demo")
    for name in ("settings", "on-primary", "on-backup"):
        shutil.copy2(tree.SOURCE / "lca/roles/redis" / name, w.bin / name)
    w.scs_conf["scs"].update({"addp-timeout": "250ms", "addp-remote-timeout": "250ms", "poll-period": "100ms", "haflip-detect-timeout": "0s", "log-level": "info"})
    for host, name, peer in (("a", "redis1", "b"), ("b", "redis2", "a")):
        data = w.path(f"redis-{host}")
        data.mkdir(mode=0o700)
        shutil.chown(data, "redis", "redis")
        w.lca_conf[host]["lca"].update({"allow-users": "redis", "allow-commands": f"/usr/bin/redis-server {w.bin}/on-primary {w.bin}/on-backup", "log-level": "info"})
        w.scs_conf[f"application {name}"] = {
            "host": host, "user": "redis", "working-directory": data, "readiness": "notify", "autostart": "yes", "environment": f"PORT={PORT}",
            "command": f"/usr/bin/redis-server --port {PORT} --bind 0.0.0.0 --protected-mode no --supervised systemd --daemonize no --dir {data} --save ''"
                       f" --repl-diskless-sync yes --repl-diskless-sync-delay 0 --repl-ping-replica-period 1 --repl-timeout 3 --replicaof {w.net.address[peer]} {PORT}",
            "output": None, "on-primary": w.bin / "on-primary", "on-backup": w.bin / "on-backup", "role-timeout": "10s",
            "backup": "redis2" if host == "a" else None, "redundancy-type": "warm" if host == "a" else None,
            "fencing": "lease" if host == "a" else None}
    return w


def replicating(w, host, client):
    """The other Redis follows this one and has everything."""
    c = client.dial(host, 2)
    try:
        role = c.command("ROLE")
        return role[0] == b"master" and len(role[2]) == 1
    finally:
        c.close()


class Demo:
    def __init__(self, args):
        self.args, self.screen = args, Screen(args.json)
        self.w = make_world(not args.no_tls)
        self.client, self.eyes = Client(self.w), Eyes(self.w)
        self.results = []

    def pair(self):
        return self.w.pair_state("redis1")

    def host_of(self, name):
        return "a" if name == "redis1" else "b"

    def settled(self, primary=None):
        wait(lambda: (lambda p: p["state"] == "normal" and primary in (None, p["primary"]))(self.pair()), 60, "the pair is normal")
        now = self.pair()["primary"]
        wait(lambda: replicating(self.w, self.host_of(now), self.client), 60, "Redis replicates")
        wait(lambda: self.client.where == self.host_of(now), 30, "the client writes through the primary")
        return now

    def start(self):
        s = self.screen
        s.say("Two hosts (a, b) with lca, one scs, Redis on both, a client; " + ("mutual TLS" if self.w.tls else "TLS off"), "1")
        self.w.start(settle=False)
        primary = self.settled()
        self.client.start() if not self.client.is_alive() else None
        p = self.pair()
        s.say(f"  pair redis1: {primary} is primary on {self.host_of(primary)}, epoch {epoch_text(p['epoch'])}, fencing = {p['fencing']}")

    def switchover(self, kind, act, after=lambda old, new: None):
        """One act and what became of it."""
        self.more_writes()
        count = len(self.client.acknowledged)
        before = self.pair()
        old = before["primary"]
        new = "redis2" if old == "redis1" else "redis1"
        key = (self.w.why("redis1")["decision"] or {}).get("time_us")
        self.screen.title(TITLES[kind])
        started, wall = self.client.expect_move(), time.time()
        act(old)
        decision = wait(lambda: (lambda d: d and d["time_us"] != key and d["to"] == new and d["result"].startswith("done") and d)(self.w.why("redis1")["decision"]), 60,
                        f"{new} is primary")
        after(old, new)
        self.settled(new)
        resumed = wait(lambda: self.client.first_after, 30, "acknowledged writes again")
        self.more_writes()
        lost = self.client.lost(self.host_of(new))
        seen = decision["evidence_us"] / 1000 - wall * 1000
        result = {
            "what": kind, "from": old, "to": new, "evidence": decision["cause"], "rule": decision["rule"], "rule_name": decision["name"], "sentence": decision["sentence"],
            "facts": {f["name"]: f["value"] for f in decision["facts"]}, "ordered_by": decision["ordered_by"],
            "epoch_before": epoch_text(before["epoch"]), "epoch_after": epoch_text(decision["epoch"]),
            "ms": {"seen": round(seen, 3), "decided": round(decision["time_us"] / 1000 - wall * 1000, 3),
                   "primary": round(seen + (decision["steps"][-1]["at_us"] / 1000 if decision["steps"] else 0), 3),
                   "evidence_to_primary": round(decision["steps"][-1]["at_us"] / 1000, 3) if decision["steps"] else None,
                   "writes_resumed": round((resumed - started) / 1e6, 3)},
            "steps": [{"at_ms": round(x["at_us"] / 1000, 3), "text": x["text"]} for x in decision["steps"]],
            "acknowledged_writes": len(self.client.acknowledged) - count, "acknowledged_writes_lost": lost,
            "two_primaries_ms": round(self.eyes.two_ms(started), 1)}
        self.results.append(result)
        self.show(result)

    def more_writes(self):
        enough = len(self.client.acknowledged) + 500
        wait(lambda: len(self.client.acknowledged) >= enough, 60, "the client's writes are acknowledged")

    def show(self, r):
        s, ms = self.screen, r["ms"]
        s.at(0, f"{r['from']} is primary, epoch {r['epoch_before']}")
        s.at(ms["seen"], f"seen: {r['evidence']}")
        if r["what"] == "cut":
            s.at(ms["seen"], f"{r['from']} cannot be asked: nobody else is made primary until its lease is certainly over")
        s.at(ms["decided"], f"rule {r['rule']} {r['rule_name']}: {r['sentence']}", "36")
        # The last step is the new primary's own word, which the next line says in green.
        for step in r["steps"][:-1]:
            s.at(ms["seen"] + step["at_ms"], step["text"])
        s.at(ms["primary"], f"{r['to']} is primary, epoch {r['epoch_after']}", "32")
        s.at(ms["writes_resumed"], "first write acknowledged through it")
        s.say(f"               acknowledged writes lost: {r['acknowledged_writes_lost']} of {r['acknowledged_writes']}", "31" if r["acknowledged_writes_lost"] else "32")
        two = f"for {r['two_primaries_ms']:.0f} ms" if r["two_primaries_ms"] else "never"
        s.say(f"               two primaries: {two}", "32" if two == "never" else "31")

    def kill(self, old):
        os.kill(self.w.pid(old), signal.SIGKILL)

    def cut(self, old):
        self.w.net.cut(self.host_of(old))

    def heal(self, old, new):
        wait(lambda: self.client.where == self.host_of(new), 30, "the client found the new primary")
        self.w.net.heal(self.host_of(old))

    def planned(self, old):
        answer = self.w.ctl("switchover", "redis1")
        if answer.code != 0:
            raise AssertionError(f"switchover refused: {answer}")

    def run(self):
        self.eyes.start()
        self.client.start()
        self.start()
        self.switchover("kill", self.kill)
        self.switchover("cut", self.cut, self.heal)
        self.switchover("planned", self.planned)
        broken = [r for r in self.results if r["acknowledged_writes_lost"] or r["two_primaries_ms"]]
        self.screen.say()
        self.screen.say(f"{len(self.client.acknowledged)} writes acknowledged, {self.client.unacknowledged} not in time, {self.client.refused} refused; "
                        f"{len(self.results)} switchovers in {time.monotonic() - self.screen.start:.0f} s", "1")
        if self.args.json:
            print(json.dumps({"switchovers": self.results, "tls": self.w.tls, "fencing": self.pair()["fencing"], "bounds_kept": not broken}, indent=1), flush=True)
        return 1 if broken else 0


def epoch_text(e):
    return f"{e['term']}.{e['n']}" if e else "-"


def how_to_use(w):
    ctl = f"{tree.program('scsctl')} --socket {w.path('admin.sock')}"
    print(f"""
It runs until "tests/demo --end". To play with it:
  {ctl} status
  {ctl} switchover redis1
  {ctl} why redis1
  {ctl} history --since 5m
Inside a host:  nsenter --net=/run/netns/{w.net.namespace('a')} redis-cli role
Logs and configuration: {w.dir}""", flush=True)


def keep(args):
    """A process of its own stays behind as the demo's systemd; this one shows what it says and leaves when it is done."""
    if kept_owner():
        print("a demo is running already: tests/demo --end ends it", file=sys.stderr)
        return 1
    read, write = os.pipe()
    os.set_inheritable(write, True)
    words = [sys.executable, __file__, "--stay", str(write)] + [f"--{w}" for w in ("json", "no-tls") if getattr(args, w.replace("-", "_"))]
    child = subprocess.Popen(words, pass_fds=[write], start_new_session=True, stdin=subprocess.DEVNULL)
    os.close(write)
    try:
        status = os.read(read, 10)
    except KeyboardInterrupt:
        child.terminate()
        child.wait()
        return 130
    return int(status) if status else child.wait()


def kept_owner():
    """Pid of the process that keeps a demo, or 0."""
    tag = KEPT.read_text().strip() if KEPT.exists() else ""
    return int(tag.split(".")[0]) if tag and janitor.owner_alive(tag) else 0


def end():
    pid = kept_owner()
    if not pid:
        print("no demo is running")
        return 0
    tag = KEPT.read_text().strip()
    os.kill(pid, signal.SIGTERM)
    wait(lambda: not janitor.owner_alive(tag) and not janitor.namespaces(tag), 60, "it ends")
    print("ended")
    return 0


def stay(fd, status):
    """Lives on, looking after the daemons, until it is told to end; the terminal is let go of."""
    KEPT.write_text(janitor.tag_of())
    sys.stdout.flush()
    os.write(fd, str(status).encode())
    os.close(fd)
    null = os.open("/dev/null", os.O_RDWR)
    for i in (0, 1, 2):
        os.dup2(null, i)
    try:
        while True:
            signal.pause()
    finally:
        KEPT.unlink(missing_ok=True)


def main():
    parser = argparse.ArgumentParser()
    for word in ("--json", "--keep", "--end", "--no-tls"):
        parser.add_argument(word, action="store_true")
    parser.add_argument("--stay", type=int)
    args = parser.parse_args()
    if args.end:
        return end()
    if args.keep:
        return keep(args)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGHUP, lambda *_: sys.exit(129))
    demo = None
    try:
        demo = Demo(args)
        status = demo.run()
        if args.stay is not None:
            if not args.json:
                how_to_use(demo.w)
            stay(args.stay, status)
        return status
    except KeyboardInterrupt:
        print("\ninterrupted: cleaning up", file=sys.stderr)
        return 130
    except AssertionError as e:
        print(f"tests/demo: {e}", file=sys.stderr)
        for which in ("scs", *demo.w.hosts) if demo else ():
            print(f"--- {which}\n" + "\n".join(demo.w.log(which).splitlines()[-15:]), file=sys.stderr)
        return 1
    finally:
        if demo:
            for thread in (demo.client, demo.eyes):
                thread.stopping.set()
                thread.join(10)
        world.close_all()


if __name__ == "__main__":
    sys.exit(main())
