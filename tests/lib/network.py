"""Hosts as network namespaces on one bridge, which has a namespace of its own. Names are unique per run; addresses are not, nothing leaves the namespaces.

A host is cut off, wholly or one way, by nftables rules at its own interface and at the bridge's end of it."""
import subprocess

import janitor


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
        self._drop(self.namespace("-net"), f"v{self.hosts.index(host) + 1}", rule)

    def cut(self, host, other=None):
        """Both ways: from everybody, or from one other host."""
        self._into(host, f"ip saddr {self.address[other]} drop" if other else "drop")
        self._out_of(host, f"ip daddr {self.address[other]} drop" if other else "drop")

    def deafen(self, host, other):
        """One way: `host` hears nothing of `other`, which still hears it."""
        self._into(host, f"ip saddr {self.address[other]} drop")

    def silence(self, host, other):
        """One way: `other` hears nothing of `host`."""
        self._out_of(host, f"ip daddr {self.address[other]} drop")

    def lossy(self, host, percent):
        """Loses so many of a host's packets, each way, at random."""
        self._into(host, f"numgen random mod 100 < {percent} drop")
        self._out_of(host, f"numgen random mod 100 < {percent} drop")

    def heal(self, host):
        self._into(host, "")
        self._out_of(host, "")

    def close(self):
        if self.closed:
            return
        self.closed = True
        names = [self.namespace(h) for h in self.hosts] + [self.namespace("-net")]
        for name in names:
            janitor.empty(name)
        for name in names:
            subprocess.run(["ip", "netns", "del", name], capture_output=True)
