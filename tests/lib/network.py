"""Hosts as network namespaces on one bridge, which has a namespace of its own. Names are unique per run; addresses are not, nothing leaves the namespaces.

A host is cut off, wholly or one way, by nftables rules at its own interface and at the bridge's end of it. A host's cable may be made sluggish: a program
(tests/apps/sluggish.c) then stands between it and the bridge, which delays, reorders, loses and duplicates."""
import subprocess

import janitor
import tree


def sh(*words):
    done = subprocess.run([str(w) for w in words], capture_output=True, text=True, timeout=60)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, words))}: {done.stderr.strip()}")
    return done.stdout


class Network:
    """`hosts`: names in the order of their addresses, 10.77.0.1 and up."""

    counter = 0

    def __init__(self, hosts):
        Network.counter += 1
        self.stem = f"{janitor.PREFIX}-{janitor.tag_of()}-{Network.counter}"
        self.hosts = list(hosts)
        self.address = {h: f"10.77.0.{i}" for i, h in enumerate(self.hosts, 1)}
        self.closed = False
        self.sluggish_cables = {}
        bridge = self.namespace("-net")
        sh("ip", "netns", "add", bridge)
        sh("ip", "-n", bridge, "link", "add", "br0", "type", "bridge", "forward_delay", "0")
        sh("ip", "-n", bridge, "link", "set", "br0", "up")
        for i, host in enumerate(self.hosts, 1):
            self._add(bridge, host, i)

    def _add(self, bridge, host, i):
        there = self.namespace(host)
        sh("ip", "netns", "add", there)
        sh("ip", "-n", bridge, "link", "add", f"v{i}", "type", "veth", "peer", "name", "eth0", "netns", there)
        sh("ip", "-n", bridge, "link", "set", f"v{i}", "master", "br0", "up")
        sh("ip", "-n", there, "link", "set", "lo", "up")
        sh("ip", "-n", there, "address", "add", f"{self.address[host]}/24", "dev", "eth0")
        sh("ip", "-n", there, "link", "set", "eth0", "up")

    def namespace(self, host):
        return f"{self.stem}-{host}"

    def inside(self, host, *words):
        """Words that run a command in the host's network namespace and nothing else of its own, so that /sys stays."""
        return ["nsenter", f"--net=/run/netns/{self.namespace(host)}", *map(str, words)]

    def _drop(self, namespace, device, rule):
        """Drops below ARP what comes in at a device and matches; an empty rule takes the drop away. The sender sees nothing of it, as with a pulled cable."""
        table = f"cut_{device}"
        text = f"table netdev {table}\ndelete table netdev {table}\n"
        if rule:
            text += f'table netdev {table} {{\n chain c {{ type filter hook ingress device "{device}" priority 0; {rule}; }}\n}}\n'
        words = ["nsenter", f"--net=/run/netns/{namespace}", "nft", "-f", "-"]
        done = subprocess.run(words, input=text, capture_output=True, text=True, timeout=60)
        if done.returncode:
            raise RuntimeError(f"nft: {done.stderr}")

    def _into(self, host, rule):
        self._drop(self.namespace(host), "eth0", rule)

    def _out_of(self, host, rule):
        self._drop(self.namespace("-net"), self._port(host), rule)

    def _port(self, host):
        """The bridge's own end of a host's cable: what a rule sees of the host comes in there, also behind a sluggish cable."""
        i = self.hosts.index(host) + 1
        return f"x{i}" if host in self.sluggish_cables else f"v{i}"

    def cut(self, host, other=None):
        """Both ways: from everybody, or from one other host."""
        self._into(host, f"ip saddr {self.address[other]} drop" if other else "drop")
        self._out_of(host, f"ip daddr {self.address[other]} drop" if other else "drop")

    def deafen(self, host, other=None):
        """One way: `host` hears nothing of `other`, or of anybody, who still hears it."""
        self._into(host, f"ip saddr {self.address[other]} drop" if other else "drop")

    def silence(self, host, other=None):
        """One way: `other`, or nobody, hears anything of `host`."""
        self._out_of(host, f"ip daddr {self.address[other]} drop" if other else "drop")

    def only_small(self, host, bytes_max):
        """Loses a host's larger packets, each way."""
        self._into(host, f"meta length > {bytes_max} drop")
        self._out_of(host, f"meta length > {bytes_max} drop")

    def lossy(self, host, percent):
        """Loses so many of a host's packets, each way, at random."""
        self._into(host, f"numgen random mod 100 < {percent} drop")
        self._out_of(host, f"numgen random mod 100 < {percent} drop")

    def split(self, *islands):
        """Cuts between the islands, which are lists of hosts; inside each nothing changes."""
        for island in islands:
            others = ", ".join(self.address[h] for other in islands if other is not island for h in other)
            for host in island:
                self._into(host, f"ip saddr {{ {others} }} drop")

    def heal(self, *hosts):
        """These hosts, or all."""
        for host in hosts or self.hosts:
            self._into(host, "")
            self._out_of(host, "")

    def sluggish(self, host, out=(0, 0, 0, 0), into=(0, 0, 0, 0), seed=1):
        """What leaves the host and what reaches it: delay in ms, jitter in ms, loss in percent, duplication in percent. Called again: the new measures."""
        cable = self.sluggish_cables.get(host) or self._insert_cable(host, seed)
        for side, (delay, jitter, loss, duplication) in enumerate((out, into)):
            cable.stdin.write(f"{side} {round(delay * 1000)} {round(jitter * 1000)} {loss} {duplication}\n")
            cable.stdin.flush()
            answer = cable.stdout.readline().strip()
            if answer != "ok":
                raise RuntimeError(f"sluggish: {answer or 'it ended'}")

    def _insert_cable(self, host, seed):
        """The program between the host's v and a new pair w, x of which x is the bridge's. The host is off the network for a moment."""
        i, there = self.hosts.index(host) + 1, self.namespace("-net")
        sh("ip", "-n", there, "link", "add", f"w{i}", "type", "veth", "peer", "name", f"x{i}")
        sh("ip", "-n", there, "link", "set", f"v{i}", "nomaster")
        words = ["nsenter", f"--net=/run/netns/{there}", tree.program("sluggish"), f"v{i}", f"w{i}", seed]
        for device in (f"w{i}", f"x{i}"):
            sh("ip", "-n", there, "link", "set", device, "up")
        cable = subprocess.Popen([str(w) for w in words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        sh("ip", "-n", there, "link", "set", f"x{i}", "master", "br0")
        self.sluggish_cables[host] = cable
        return cable

    def close(self):
        if self.closed:
            return
        self.closed = True
        for cable in self.sluggish_cables.values():
            cable.stdin.close()
            cable.stdout.close()
            cable.wait(10)
        names = [self.namespace(h) for h in self.hosts] + [self.namespace("-net")]
        for name in names:
            janitor.empty(name)
        for name in names:
            subprocess.run(["ip", "netns", "del", name], capture_output=True)
