"""Worlds in which two primaries would be seen: pairs of witnesses (tests/apps/witness.c), one or two controllers, hosts that can be cut, frozen, made sluggish.

The audit of such a world is the ordinary one and, for each pair, what the witnesses say: the overlap, the epochs, the number of role changes, and that somebody
acted outside the gaps that the scenario allowed with `gap()`. Times are on CLOCK_BOOTTIME, in ns unless named otherwise."""
import contextlib
import os
import shutil
import signal
import subprocess

import etcd
import janitor
import overlap
from world import World, alive, boot_ns, wait

ADMIN_PORT = 4998


class SafetyWorld(World):
    """`arbiter`: single, pair, agents or etcd; with the last three there are two controllers, scs1 and scs2, in namespaces of their own unless `controllers` says
    where. `fencing` as in scs.conf; `profile` too, and "brisk": fast, with a lease that outlives the pauses of a crowded machine."""

    app_program = "witness"

    def __init__(self, hosts=("a", "b", "c"), controllers=None, arbiter="single", profile="brisk", fencing="lease", others=(), etcd_tls=False, **more):
        self.arbiter, self.profile, self.fencing = arbiter, profile, fencing
        self.allowed, self.expected, self.etcd, self.installed = [], {}, None, False
        if controllers is None and arbiter != "single":
            controllers = {"scs1": "scs1", "scs2": "scs2"}
        members = {"e1": "e1", "e2": "e2", "e3": "e3"} if arbiter == "etcd" else {}
        super().__init__(hosts=hosts, controllers=controllers, others=[*others, *members], **more)
        if members:
            self.etcd = etcd.Cluster(self, members, tls=etcd_tls)
            self._point_at_etcd()

    def _default_configuration(self):
        super()._default_configuration()
        scs = self.scs_conf["scs"]
        scs.update({"arbiter": self.arbiter, "profile": "default" if self.profile == "default" else "fast"})
        if self.profile == "brisk":
            scs.update({"lease": "400ms", "timer-margin": "40ms"})
        del scs["poll-period"]
        if self.profile != "default":
            scs.update({"addp-timeout": "300ms", "addp-remote-timeout": "300ms"})
        for conf in self.lca_conf.values():
            conf["lca"]["realtime"] = "no" if self.profile == "default" else "yes"
        if self.arbiter == "agents":
            scs["electors"] = " ".join(self.hosts)
        labels = list(self.controllers)
        for label, other in zip(labels, reversed(labels)) if len(labels) == 2 else ():
            place = self.controllers[other]
            self.own_conf[label].update({
                "admin-address": self.net.address[self.controllers[label]], "admin-port": ADMIN_PORT, "peer": other,
                "peer-address": self.net.address[place], "peer-port": ADMIN_PORT, "peer-host": place if place in self.hosts else None})

    def _point_at_etcd(self):
        self.scs_conf["scs"]["etcd-endpoints"] = " ".join(self.etcd.endpoints)
        if self.etcd.tls:
            self.scs_conf["scs"]["etcd-ca"] = self.credentials("scs", "scs1")["ca"]

    def pair(self, primary="p1", backup="p2", on=("a", "b"), **options):
        super().pair(primary, backup, on, **{"fencing": self.fencing, **options})

    def unlinked(self, *apps):
        """These applications know nothing of lease words."""
        for app in apps:
            self.mode(app, "unlinked")

    def start(self, settle=True):
        if self.etcd and not self.etcd.processes:
            self.etcd.start()
        super().start(False)
        if settle:
            self.settle(30)
            for pair in self.pairs:
                self.wait_acting(self.pair_state(pair[0])["primary"])
        return self

    def _first_installation(self):
        if self.arbiter == "agents" and not self.installed:
            at, missing = next(iter(self.controllers)), self.scs_conf["scs"]["electors"].split()
            for host in missing[:len(missing) // 2 + 1]:  # the others learn from these
                wait(lambda h=host: self.ctl("elector", "install", h, "--force", "--yes", at=at).code == 0, what=f"elector {host} is installed")
            self.installed = True

    def close(self):
        if self.etcd and not self.closed:
            self.etcd.close()
        super().close()

    # -- what the witnesses say -----------------------------------------------------------------------------------------------------------

    def ring(self, app):
        return self.apps_dir / f"{app}.ring"

    def witnessed(self, pair="p1"):
        members = next(p for p in self.pairs if p[0] == pair)
        return overlap.Witnessed({m: self.ring(m) for m in members})

    def story(self):
        lines = []
        for pair in self.pairs:
            seen = self.witnessed(pair[0])
            lines.append(f"pair {pair[0]}: {seen.changes()} role changes, overlap {seen.overlap_ms():.1f} ms, longest gap {seen.longest_gap_ms():.0f} ms")
            lines += [f"  {h.t / 1e9:.3f} {h.app} acts on {h.epoch[0]}.{h.epoch[1]}" for h in seen.holders()[:60]]
            lines += [f"  {g.start / 1e9:.3f} nobody until {g.end / 1e9:.3f}" for g in seen.gaps(50)[:60]]
        lines += [f"allowed gap {begin / 1e9:.3f} to {end / 1e9:.3f}" for begin, end in self.allowed]
        return "\n".join(lines) + "\n"

    def acts(self, app, within_ms=100):
        """Whether the application acted in the last moments."""
        return overlap.last_acting(self.ring(app)) > boot_ns() - within_ms * overlap.MS

    def acting(self, pair="p1"):
        """The members that act."""
        return [m for m in next(p for p in self.pairs if p[0] == pair) if self.acts(m)]

    def wait_acting(self, app, timeout=30):
        """Waits until it has acted once more, from here on."""
        begin = boot_ns()
        wait(lambda: overlap.last_acting(self.ring(app)) > begin, timeout, f"{app} acts")

    def wait_silent(self, app, timeout=30):
        wait(lambda: not self.acts(app), timeout, f"{app} stops acting")

    def last_pid(self, app):
        """The newest process that said it started, if it lives; asks no controller."""
        pid = next((r.pid for r in reversed(self.record(app)) if r.what == "start"), 0)
        return pid if alive(pid) else 0

    def hold(self, seconds, app=None):
        """Lets the world go on for a while. With an application: it acts all the time, but for what the audit forgives the machine."""
        end = boot_ns() + int(seconds * 1e9)
        wait(lambda: boot_ns() > end and (app is None or self.acts(app, 1000)), seconds + 30, f"{app} still acts after {seconds} s")

    @contextlib.contextmanager
    def gap(self, until=None):
        """Nobody needs to act in here. `until`: the application that has to act before the gap ends."""
        begin = boot_ns()
        yield
        if until:
            self.wait_acting(until)
        self.allowed.append((begin, boot_ns()))

    def expect(self, changes, pair="p1", **more):
        """What the audit is to find (overlap.Witnessed.expect)."""
        self.expected[pair] = {"changes": changes, **more}

    # -- controllers ----------------------------------------------------------------------------------------------------------------------

    def leaders(self):
        """The controllers that say that they lead."""
        if len(self.controllers) == 1:
            return list(self.controllers)
        return [c for c in self.controllers if self.daemon(c).pid and self.leads(c)]

    def leads(self, label):
        answer = self.ctl("authority", at=label)
        return answer.code == 0 and answer.json["authority"]["leads"]

    def leader(self):
        """The one that leads; waits for it."""
        return wait(lambda: (lambda found: found[0] if len(found) == 1 else None)(self.leaders()), what="one controller leads")

    def follower(self):
        leader = self.leader()
        return next(c for c in self.controllers if c != leader)

    def kill_controller(self, label, number=signal.SIGKILL, back=False):
        """Ends a controller; with `back` it is started again, as systemd would."""
        if back:
            self.daemon(label).kill_and_return(number)
        else:
            self.daemon(label).stop(number)

    def start_controller(self, label):
        self.daemon(label).ended.clear()
        self.daemon(label).start()

    # -- hosts ----------------------------------------------------------------------------------------------------------------------------

    def freeze(self, *hosts):
        """Everything on the hosts stands still; the pids, for thaw()."""
        pids = [p for h in hosts for p in janitor.pids_in(self.net.namespace(h))]
        self.signal_all(pids, signal.SIGSTOP)
        return pids

    def thaw(self, pids):
        self.signal_all(pids, signal.SIGCONT)

    @staticmethod
    def signal_all(pids, number):
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def daemons_on(self, host):
        return [d for label, d in self.daemons.items() if self.place(label) == host]

    def power_off(self, host):
        """The host is gone in the middle of whatever it did, with all that ran on it."""
        self.net.cut(host)
        for d in self.daemons_on(host):
            d.stop(signal.SIGKILL)
        janitor.empty(self.net.namespace(host))

    def power_on(self, host):
        """It comes back with what was on disk, and nothing of what was on /run."""
        run = self.lca_conf[host]["lca"]["run-directory"]
        janitor.remove_cgroups([run])
        shutil.rmtree(run)
        run.mkdir(mode=0o700)
        self.net.heal(host)
        for d in self.daemons_on(host):
            d.ended.clear()
            d.start()

    def small_disk(self, folder, size="1m"):
        """A tmpfs of that size in a folder of a program's own; it goes with the world."""
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "tmpfs", folder], check=True)

    # -- the audit ------------------------------------------------------------------------------------------------------------------------

    def audit(self, primaries=1):
        super().audit(primaries)
        for primary, _ in self.pairs:
            assert primary in self.expected, f"the scenario does not say what it expects of {primary}"
            end = boot_ns() if primaries else None
            self.witnessed(primary).expect(**{"gaps": self.allowed, "until": end, **self.expected[primary]})

    def pids(self):
        return tuple(self.pid(m) for pair in self.pairs for m in pair)

    def assert_untouched(self, pids):
        """The same processes are there and alive."""
        assert self.pids() == pids and all(alive(p) for p in pids), f"{pids} became {self.pids()}"
