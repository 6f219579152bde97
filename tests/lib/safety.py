"""Worlds in which two primaries would be seen: pairs of witnesses (tests/apps/witness.c), one or two controllers, hosts that can be cut, frozen, made sluggish.

The audit of such a world is the ordinary one and, for each pair, what the witnesses say: the overlap, the epochs, the number of role changes, and that somebody
acted outside the gaps that the scenario allowed with `gap()`."""
import contextlib
import os
import signal

import janitor
import overlap
from world import World, boot_ns, wait


class SafetyWorld(World):
    app_program = "witness"

    def __init__(self, hosts=("a", "b"), controllers=None, fencing="none", **more):
        super().__init__(hosts=hosts, controllers=controllers, **more)
        self.fencing = fencing
        self.allowed = []
        self.expected = {}
        self.etcd = None

    def pair(self, primary="p1", backup="p2", on=("a", "b"), **options):
        super().pair(primary, backup, on, **{"fencing": self.fencing, **options})

    def close(self):
        if self.etcd and not self.closed:
            self.etcd.close()
        super().close()

    # -- what the witnesses say -----------------------------------------------------------------------------------------------------------

    def witnessed(self, pair="p1"):
        members = next(p for p in self.pairs if p[0] == pair)
        return overlap.Witnessed({m: self.apps_dir / f"{m}.ring" for m in members})

    def acts(self, app, within_ms=100):
        """Whether the application acted in the last moments."""
        samples = overlap.read_ring(self.apps_dir / f"{app}.ring", app)
        return any(s.acting and s.t > boot_ns() - within_ms * overlap.MS for s in samples[-200:])

    def wait_acting(self, app, timeout=30):
        """Waits until it has acted once more, from here on."""
        begin = boot_ns()
        wait(lambda: any(s.acting and s.t > begin for s in overlap.read_ring(self.apps_dir / f"{app}.ring", app)[-200:]), timeout, f"{app} acts")

    def wait_silent(self, app, timeout=30):
        wait(lambda: not self.acts(app), timeout, f"{app} stops acting")

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

    # -- breaking -------------------------------------------------------------------------------------------------------------------------

    def processes(self, host, but=()):
        return [p for p in janitor.pids_in(self.net.namespace(host)) if p not in but]

    def freeze(self, host):
        """Everything on the host stands still; the pids, for thaw()."""
        pids = self.processes(host)
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
        return pids

    def thaw(self, pids):
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    # -- the audit ------------------------------------------------------------------------------------------------------------------------

    def audit(self, primaries=1):
        super().audit(primaries)
        for primary, _ in self.pairs:
            assert primary in self.expected, f"the scenario does not say what it expects of {primary}"
            end = boot_ns() if primaries else None
            self.witnessed(primary).expect(**{"gaps": self.allowed, "until": end, **self.expected[primary]})
