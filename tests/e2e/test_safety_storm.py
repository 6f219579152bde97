"""Faults one upon the other, drawn from a seed: whatever comes, never two primaries; and when it is over, one.

A failing run prints its seed and what it did. Again: UNDERSTUDY_SEED=N tests/run e2e, or pytest on this file."""
import os
import random
import signal

import pytest

from safety import SafetyWorld
from world import wait

SECONDS = 12


class Storm:
    """What can happen to a world, each with how it is undone. At most three things at a time."""

    def __init__(self, w, seed):
        self.w, self.random, self.undo = w, random.Random(seed), []

    def begin(self):
        kinds = [self.cut, self.one_way, self.cut_pair, self.freeze, self.stop_daemon, self.kill_app, self.kill_agent, self.kill_keeper, self.kill_controller,
                 self.slow, self.switchover]
        kind = self.random.choice(kinds)
        what = kind()
        print(f"  {kind.__name__} {what}")

    def later(self, what, undo):
        self.undo.append((what, undo))
        return what

    def host(self):
        return self.random.choice(self.w.hosts)

    def place(self):
        return self.random.choice(self.w.net.hosts)

    def cut(self):
        place = self.place()
        self.w.net.cut(place)
        return self.later(place, lambda: self.w.net.heal(place))

    def one_way(self):
        place, way = self.place(), self.random.choice(["deafen", "silence"])
        getattr(self.w.net, way)(place)
        return self.later(f"{way} {place}", lambda: self.w.net.heal(place))

    def cut_pair(self):
        one, other = self.random.sample(self.w.net.hosts, 2)
        self.w.net.cut(one, other)
        return self.later(f"{one} {other}", lambda: self.w.net.heal(one))

    def freeze(self):
        host = self.host()
        pids = self.w.freeze(host)
        return self.later(host, lambda: self.w.thaw(pids))

    def stop_daemon(self):
        label = self.random.choice([*self.w.hosts, *self.w.controllers])
        pid = self.w.agent_pid(label) if label in self.w.hosts and self.random.random() < 0.7 else self.w.daemon(label).pid
        if pid:
            os.kill(pid, signal.SIGSTOP)
        return self.later(f"{label} {pid}", lambda: self.w.thaw([pid] if pid else []))

    def kill_app(self):
        app = self.random.choice(["p1", "p2"])
        pid = self.w.last_pid(app)
        if pid:
            self.w.signal_all([pid], signal.SIGKILL)
        return f"{app} {pid}"

    def kill_agent(self):
        host = self.host()
        pid = self.w.agent_pid(host)
        if pid:
            self.w.kills += 1
            self.w.signal_all([pid], signal.SIGKILL)
        return f"{host} {pid}"

    def kill_keeper(self):
        host = self.host()
        return f"{host} {self.w.lca(host).kill() if self.w.lca(host).pid else 0}"

    def kill_controller(self):
        label = self.random.choice(list(self.w.controllers))
        return f"{label} {self.w.daemon(label).kill() if self.w.daemon(label).pid else 0}"

    def slow(self):
        place = self.place()
        percent = self.random.choice([5, 20, 40])
        self.w.net.sluggish(place, out=(1, 50, percent, 5), into=(1, 50, percent, 5), seed=self.random.randrange(1000))
        return self.later(f"{place} {percent} %", lambda: self.w.net.sluggish(place))

    def switchover(self):
        label, app = self.random.choice(list(self.w.controllers)), self.random.choice(["p1", "p2"])
        done = self.w.ctl("switchover", app, "--no-wait", "--timeout", "1s", at=label, timeout=20)
        return f"{app} asked of {label}: exit {done.code}"

    def end_one(self):
        what, undo = self.undo.pop(self.random.randrange(len(self.undo)))
        undo()
        print(f"  over: {what}")

    def rage(self, seconds):
        for _ in range(self.random.randint(2 * seconds, 3 * seconds)):
            if self.undo and (len(self.undo) >= 3 or self.random.random() < 0.4):
                self.end_one()
            else:
                self.begin()
            self.w.hold(self.random.choice([0.05, 0.2, 0.4, 0.8]))
        while self.undo:
            self.end_one()


@pytest.mark.parametrize("arbiter", ["single", "agents", "etcd"])
def test_storm(make_world, arbiter):
    seed = int(os.environ.get("UNDERSTUDY_SEED") or random.SystemRandom().randrange(1_000_000))
    print(f"again: UNDERSTUDY_SEED={seed} tests/run e2e")
    w = make_world(kind=SafetyWorld, arbiter=arbiter)
    w.pair(restart_limit="1000")
    w.start()
    with w.gap():
        Storm(w, seed).rage(SECONDS)
        w.net.heal()
        w.ctl("reset", "p1")
        w.ctl("reset", "p2")
        wait(lambda: w.leaders(), 60)
        w.wait_normal(timeout=90)
        w.wait_acting(w.pair_state()["primary"])
    w.expect(changes=range(1000))
