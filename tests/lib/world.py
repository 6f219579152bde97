"""A world: hosts in network namespaces with lca on each, one scs in a namespace of its own (or several, there or on hosts), a PKI, applications; and the hands
to break it.

The world acts as systemd for the daemons: one that ends without being asked to is started again after 50 ms, by pid and by a thread that waits for exactly
that process. Everything a world makes lives under /run/understudy-tests/OWNER/ and in namespaces named after the owner, and is gone at its end, also when the
owner is killed (janitor.py). Waiting is always for a condition, with a generous limit."""
import atexit
import collections
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import socket
import subprocess
import threading
import time

import janitor
import network
import pki
import tree

LCA_PORT = 4999
RESTART_DELAY = 0.05
LONG = 30.0
Row = collections.namedtuple("Row", "t what pid role epoch reason")
Ended = collections.namedtuple("Ended", "t pid code asked")
_state = {"watch": None, "count": 0, "worlds": [], "pki": None}


def conf_text(sections):
    """{"scs": {"key": value | [values]}} as text; None leaves a key out."""
    out = []
    for header, options in sections.items():
        out.append(f"[{header}]")
        for key, value in options.items():
            for one in value if isinstance(value, (list, tuple)) else [value]:
                if one is not None:
                    out.append(f"{key} = {one}".rstrip())
        out.append("")
    return "\n".join(out)


def boot_ns():
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def wait(condition, timeout=LONG, what=""):
    """Waits until condition() is true and returns what it gave. An exception inside counts as not yet and is shown at the end."""
    end, last = time.monotonic() + timeout, None
    while True:
        try:
            value = condition()
            if value:
                return value
            last = None
        except (AssertionError, KeyError, IndexError, OSError, ValueError, StopIteration) as e:
            last = e
        if time.monotonic() > end:
            raise AssertionError(f"not within {timeout:.0f} s: {what or getattr(condition, '__name__', condition)}" + (f" ({last!r})" if last else ""))
        time.sleep(0.02)


def alive(pid):
    return pid and not janitor.is_zombie(pid)


def parent_of(pid):
    try:
        return int(pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, IndexError):
        return 0


def command_of(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


def descriptors(pid):
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return 0


def scratch():
    """The folder of this process's worlds; made, with its watcher, when first asked for."""
    folder = janitor.BASE / janitor.tag_of()
    if _state["watch"] is None:
        if os.geteuid() != 0:
            raise RuntimeError("worlds need root: network namespaces")
        janitor.BASE.mkdir(mode=0o755, parents=True, exist_ok=True)
        janitor.sweep()
        folder.mkdir(mode=0o755, exist_ok=True)
        _state["watch"] = janitor.watch()
        atexit.register(close_all)
        resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    return folder


def close_all():
    for w in list(_state["worlds"]):
        w.close()
    shutil.rmtree(janitor.BASE / janitor.tag_of(), ignore_errors=True)


def site_pki():
    if _state["pki"] is None:
        _state["pki"] = pki.Pki(scratch() / "pki")
    return _state["pki"]


class Daemon:
    """One lca or scs under our care."""

    def __init__(self, label, words, log, folder, environment=None):
        self.label, self.words, self.log, self.folder = label, [str(w) for w in words], pathlib.Path(log), folder
        self.environment = {**os.environ, **(environment or {})}
        self.process, self.restart, self.asked = None, True, False
        self.ended, self.lock, self.thread = [], threading.Lock(), None

    @property
    def pid(self):
        return self.process.pid if self.process and self.process.poll() is None else 0

    def start(self):
        assert not self.pid, f"{self.label} runs"
        self.asked = self.stopping = False
        self._spawn()
        self.thread = threading.Thread(target=self._care, daemon=True)
        self.thread.start()

    def _spawn(self):
        with self.lock, open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder, env=self.environment,
                                            start_new_session=True)

    def _care(self):
        while True:
            process = self.process
            code = process.wait()
            asked, self.asked = self.asked, False
            self.ended.append(Ended(boot_ns(), process.pid, code, asked))
            if not self.restart or self.stopping:
                return
            time.sleep(RESTART_DELAY)
            if self.stopping:
                return
            self._spawn()

    def kill(self, number=signal.SIGKILL):
        """The signal, and the death that may follow is ours. The pid it went to."""
        pid = self.pid
        assert pid, f"{self.label} does not run"
        if number in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT):
            self.asked = True
        os.kill(pid, number)
        return pid

    def kill_and_return(self, number=signal.SIGKILL):
        """Kills and waits until its successor runs."""
        old = self.kill(number)
        return wait(lambda: self.pid and self.pid != old and self.pid, what=f"{self.label} started again")

    def stop(self, number=signal.SIGTERM, timeout=LONG):
        """Ends it for good; its exit status (negative: signal)."""
        self.stopping = True
        if self.pid:
            self.asked = True
            os.kill(self.pid, number)
        if self.process:
            self.process.wait(timeout)
        if self.thread:
            self.thread.join(timeout)
        return self.process.returncode if self.process else None

    def text(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""


class Answer:
    """What scsctl said."""

    def __init__(self, done):
        self.code, self.out, self.err = done.returncode, done.stdout, done.stderr

    @property
    def json(self):
        return json.loads(self.out)

    def __repr__(self):
        return f"scsctl exit {self.code}\n{self.out}{self.err}"


class World:
    """World() makes hosts and configuration; start() starts the daemons. Change `scs_conf` and `lca_conf[host]` before.

    `controllers`: {label: host or namespace of its own}. One alone, "scs", has the whole configuration in `scs_conf`; of several each has its own part of [scs] in
    `own_conf[label]`, and is named by its label."""

    app_program = "testapp"

    def __init__(self, hosts=("a", "b"), tls=True, name=None, others=(), controllers=None):
        self.base = scratch()
        _state["count"] += 1
        self.name = name or f"w{_state['count']}"
        self.dir = self.base / self.name
        self.dir.mkdir(mode=0o755)
        self.tls, self.hosts = tls, list(hosts)
        self.apps_dir = self.dir / "apps"
        self.apps_dir.mkdir(mode=0o777)
        self.apps_dir.chmod(0o777)
        self.bin = self.dir / "bin"
        self.bin.mkdir(mode=0o755)
        self.kills = 0
        self.baseline = {}
        self.daemons = {}
        self.pairs = []
        self.closed = False
        _state["worlds"].append(self)
        self.controllers = dict(controllers or {"scs": "scs"})
        places = list(dict.fromkeys(p for p in self.controllers.values() if p not in self.hosts))
        self.net = network.Network([*self.hosts, *places, *others])
        self.lca_conf, self.scs_conf, self.own_conf = {}, {}, {}
        self._default_configuration()

    # -- configuration ------------------------------------------------------------------------------------------------------------------

    def path(self, *parts):
        return self.dir.joinpath(*parts)

    def credentials(self, role, name):
        if not self.tls:
            return {"tls": "off"}
        identity = site_pki().issue(role, name)
        return {"tls": "on", "certificate": identity.certificate, "key": identity.key, "ca": identity.ca}

    def _default_configuration(self):
        for host in self.hosts:
            run, state = self.path(f"run-{host}"), self.path(f"state-{host}")
            run.mkdir(mode=0o700)
            state.mkdir(mode=0o700)
            self.lca_conf[host] = {"lca": {
                "host": host, "site": "test", "listen-address": self.net.address[host], "listen-port": LCA_PORT, **self.credentials("lca", host),
                "log-file": self.path(f"lca-{host}.log"), "log-level": "debug", "run-directory": run, "state-directory": state,
                "allow-users": "root nobody", "allow-commands": f"{self.bin}/*"}}
        common = {"site": "test", "log-level": "debug", "addp-timeout": "1s", "addp-remote-timeout": "1s", "poll-period": "200ms"}
        if len(self.controllers) == 1:
            self.scs_conf["scs"] = {**self._controller_options("scs1", "scs"), **common}
            self.own_conf = {label: {} for label in self.controllers}
        else:
            self.scs_conf["scs"] = common
            self.own_conf = {label: self._controller_options(label, label) for label in self.controllers}
        self.scs_conf["license"] = {"ha": "yes"}
        for host in self.hosts:
            self.scs_conf[f"host {host}"] = {"address": self.net.address[host], "port": LCA_PORT}

    def _controller_options(self, name, label):
        state = self.path("state" if label == "scs" else f"state-{label}")
        state.mkdir(mode=0o700)
        return {"name": name, "admin-socket": self.path("admin.sock" if label == "scs" else f"{label}.sock"), "state-directory": state,
                **self.credentials("scs", name), "log-file": self.path(f"{label}.log")}

    def place(self, which):
        """The namespace of a host or controller."""
        return self.controllers.get(which, which)

    def testapp(self):
        """The test application (`app_program`), copied to where the hosts allow commands."""
        target = self.bin / self.app_program
        if not target.exists():
            shutil.copy2(tree.program(self.app_program), target)
            target.chmod(0o755)
        return target

    def application(self, name, host, **options):
        """A single application that is the test application, with defaults that `options` override (underscores for hyphens)."""
        section = {"host": host, "command": f"{self.testapp()} run {self.apps_dir}", "user": "root", "readiness": "notify", "autostart": "yes",
                   "startup-timeout": "20s", "shutdown-timeout": "5s", "restart-delay": "50ms", "output": self.path(f"{name}.out")}
        section.update({k.replace("_", "-"): v for k, v in options.items()})
        self.scs_conf[f"application {name}"] = section
        return section

    def pair(self, primary="p1", backup="p2", on=("a", "b"), redundancy="warm", **options):
        """A pair of test applications; the options go into both sections."""
        role = f"{self.testapp()} role {self.apps_dir}"
        roles = {"on_primary": role, "on_backup": role, "declined_exit_code": 75}
        self.application(primary, on[0], backup=backup, redundancy_type=redundancy, **{**roles, **options})
        self.application(backup, on[1], **{**roles, **options})
        self.pairs.append((primary, backup))

    def write(self, host=None):
        """Writes the configuration of one host, or scs.conf and all of them."""
        for h in [host] if host else self.hosts:
            self.conf_file(h).write_text(conf_text(self.lca_conf[h]))
        if host is None:
            for label, own in self.own_conf.items():
                self.conf_file(label).write_text(conf_text({**self.scs_conf, "scs": {**self.scs_conf["scs"], **own}}))

    def conf_file(self, which):
        return self.path(f"{which}.conf" if which in self.controllers else f"lca-{which}.conf")

    def mode(self, app, words):
        """What the application does from its next start on (tests/apps/app.c)."""
        (self.apps_dir / f"{app}.mode").write_text(words)

    def role_mode(self, app, word):
        (self.apps_dir / f"{app}.role").write_text(word)

    # -- life ---------------------------------------------------------------------------------------------------------------------------

    def daemon(self, which):
        """The daemon of a host, or a controller; made when first asked for."""
        if which not in self.daemons:
            program = tree.program("scs" if which in self.controllers else "lca")
            words = self.net.inside(self.place(which), program, "-f", self.conf_file(which))
            self.daemons[which] = Daemon(which, words, self.path(f"{which}.stderr"), self.dir, self.environment())
        return self.daemons[which]

    def environment(self):
        return {"ASAN_OPTIONS": "detect_leaks=0:abort_on_error=1", "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1"}

    @property
    def scs(self):
        return self.daemon(next(iter(self.controllers)))

    def lca(self, host):
        return self.daemon(host)

    def start(self, settle=True):
        self.write()
        for host in self.hosts:
            self.daemon(host).start()
        for label in self.controllers:
            self.daemon(label).start()
        self._first_installation()
        wait(lambda: self._none_fails() and self.ctl("status").code == 0, what="scs answers")
        if settle:
            self.settle()
        return self

    def _first_installation(self):
        """What an operator does once at a site's beginning, before a controller can lead."""

    def _none_fails(self):
        """True; a daemon that ends again and again at its start is not waited for."""
        for which, d in self.daemons.items():
            if len(d.ended) >= 5:
                raise RuntimeError(f"{which} does not stay up:\n" + "\n".join(self.log(which).splitlines()[-5:]))
        return True

    def settle(self, timeout=60):
        """Waits until every host runs and every pair has its primary and its backup, then takes the descriptors as the measure for the audit."""
        wait(self.is_settled, timeout, "hosts Running, autostarted applications Started, pairs normal")
        self.baseline = {}
        time.sleep(0.1)
        for label, pid in self.daemon_pids().items():
            self.baseline[label] = descriptors(pid)

    def is_settled(self):
        s = self.status()
        autostarted = [h.split()[1] for h, o in self.scs_conf.items() if h.startswith("application ") and o.get("autostart") == "yes"]
        return (all(h["status"] == "Running" for h in s["hosts"]) and all(self.app(n, s)["status"] == "Started" for n in autostarted)
                and all(p["state"] == "normal" for p in s["pairs"]))

    def daemon_pids(self):
        pids = {}
        for label, d in self.daemons.items():
            if d.pid:
                pids[label] = d.pid
                if label not in self.controllers:
                    pids[f"{label} agent"] = self.agent_pid(label)
        return pids

    def agent_pid(self, host):
        """The agent: the child of the keeper that is one of our programs. 0 when there is none just now."""
        keeper = self.lca(host).pid
        for pid in janitor.pids_in(self.net.namespace(host)):
            if parent_of(pid) == keeper and re.search(r"/lca-agent( |$)|agent", os.path.basename(command_of(pid).split(" ")[0])):
                return pid
        return 0

    def close(self):
        if self.closed:
            return
        self.closed = True
        if self in _state["worlds"]:
            _state["worlds"].remove(self)
        for d in self.daemons.values():
            d.stopping = True
        self.net.close()
        for d in self.daemons.values():
            if d.process:
                try:
                    d.process.wait(10)
                except subprocess.TimeoutExpired:
                    d.process.kill()
        janitor.remove_cgroups(self.lca_conf[host]["lca"]["run-directory"] for host in self.hosts)
        janitor.unmount(self.dir)
        shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # -- asking -------------------------------------------------------------------------------------------------------------------------

    def leader(self):
        """The controller that is asked when none is named."""
        return next(iter(self.controllers))

    def ctl(self, *words, json=True, timeout=120, at=None):
        """scsctl as root over a controller's admin socket."""
        at = at or self.leader()
        socket_path = self.own_conf[at].get("admin-socket") or self.scs_conf["scs"]["admin-socket"]
        command = [tree.program("scsctl"), "--socket", socket_path, *(["--json"] if json else []), *words]
        return Answer(tree.run(*self.net.inside(self.place(at), *command), timeout=timeout))

    def status(self):
        answer = wait(lambda: (lambda a: a if "RateLimited" not in a.out else None)(self.ctl("status")), what="not refused for too many requests")
        assert answer.code == 0, answer
        return answer.json

    def app(self, name, status=None):
        return next(a for a in (status or self.status())["applications"] if a["name"] == name)

    def pair_state(self, name="p1"):
        return next(p for p in self.status()["pairs"] if p["name"] == name)

    def host(self, name):
        return next(h for h in self.status()["hosts"] if h["name"] == name)

    def pid(self, app):
        return self.app(app)["pid"]

    def history(self, *words):
        answer = self.ctl("history", *words)
        assert answer.code == 0, answer
        return answer.json["rows"]

    def why(self, pair="p1"):
        """The last decision and the rule that stands: {"decision": …, "standing": …}."""
        answer = self.ctl("why", pair)
        assert answer.code == 0, answer
        return answer.json

    def wait_primary(self, name, pair="p1", timeout=LONG):
        wait(lambda: self.pair_state(pair)["primary"] == name, timeout, f"{name} is primary")

    def wait_normal(self, primary=None, pair="p1", timeout=LONG):
        wait(lambda: (lambda p: p["state"] == "normal" and (primary is None or p["primary"] == primary))(self.pair_state(pair)), timeout,
             f"pair {pair} normal, primary {primary or 'any'}")

    def tell(self, app, line, timeout=10):
        """One command to a running test application, and its answer."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
            s.settimeout(timeout)
            s.connect(str(self.apps_dir / f"{app}.ctl"))
            s.sendall(line.encode() + b"\n")
            return s.makefile().readline().strip()

    def record(self, app):
        """What the application and its role commands wrote down."""
        path = self.apps_dir / f"{app}.record"
        rows = []
        for line in path.read_text().splitlines() if path.exists() else []:
            t, what, pid, role, epoch, reason = line.split(" ", 5)
            rows.append(Row(int(t), what, int(pid), role, epoch_of(epoch), reason))
        return rows

    def starts(self, app):
        return [r for r in self.record(app) if r.what == "start"]

    def role_changes(self, *apps):
        """(t, app, epoch) of every time one of the applications was made primary, in order of time."""
        rows = [(r.t, app, r.epoch) for app in apps for r in self.record(app) if r.what == "role" and r.role == "primary"]
        return sorted(rows)

    def assert_unchanged(self, pids):
        """The pair's processes are these, p1's and p2's, and p1 was the only one that was ever made primary, once."""
        assert (self.pid("p1"), self.pid("p2")) == pids, "a process was restarted"
        assert [c[1] for c in self.role_changes("p1", "p2")] == ["p1"], "a role was changed"

    def log(self, which):
        path = self.path(f"{which}.log" if which in self.controllers else f"lca-{which}.log")
        return (path.read_text(errors="replace") if path.exists() else "") + self.daemon(which).text()

    def story(self):
        """What a reader of a failed test wants to know besides the logs, in lines."""
        return ""

    # -- breaking -----------------------------------------------------------------------------------------------------------------------

    def kill_app(self, app, number=signal.SIGKILL):
        pid = self.pid(app)
        assert alive(pid), f"{app} has no process"
        os.kill(pid, number)
        return pid

    def kill_agent(self, host, number=signal.SIGKILL):
        pid = wait(lambda: self.agent_pid(host), what=f"an agent on {host}")
        self.kills += 1
        os.kill(pid, number)
        return pid

    def connect(self, host, port=LCA_PORT, tls=None, source="scs", **more):
        """A socket to a host's agent, as if from the namespace of `source`."""
        import wire
        return wire.connect(self.net.address[host], port, tls=tls, netns=self.net.namespace(source), **more)

    # -- the audit ----------------------------------------------------------------------------------------------------------------------

    def audit(self, primaries=1):
        """What holds after every scenario (FAULTS.md): asserts all of it."""
        for primary, backup in self.pairs:
            if primaries == 1:
                self._audit_pair(primary, backup)
            self._audit_epochs(primary, backup)
        self._audit_orphans()
        self._audit_ends()
        self._audit_descriptors()
        self._audit_journals()

    def _audit_pair(self, primary, backup):
        self.wait_normal(pair=primary)
        s = self.status()
        members = [self.app(n, s) for n in (primary, backup)]
        p = next(x for x in s["pairs"] if x["name"] == primary)
        holders = [m["name"] for m in members if m["role"] == "Primary"]
        assert holders == [p["primary"]], f"scs says {p['primary']}, its members' roles say {holders}"
        for m in members:
            assert alive(m["pid"]), f"{m['name']} is {m['status']} with pid {m['pid']}, and there is no such process"
            assert m["pid"] in janitor.pids_in(self.net.namespace(m["host"])), f"{m['name']} is not on its host"
            roles = [r for r in self.record(m["name"]) if r.what in ("role", "start")]
            assert roles and (roles[-1].role == m["role"].lower()), f"{m['name']} was last told {roles[-1] if roles else 'nothing'}, scs says {m['role']}"

    def _audit_epochs(self, primary, backup):
        last = None
        for t, app, epoch in self.role_changes(primary, backup):
            assert epoch is not None, f"{app} was made primary without an epoch"
            assert last is None or epoch >= last[1] and (epoch > last[1] or app == last[0]), f"{app} was made primary with epoch {epoch} after {last}"
            last = (app, epoch)

    def known_pids(self):
        pids = {a["pid"] for a in self.status()["applications"] if a["pid"]}
        return pids | set(self.daemon_pids().values())

    def orphans(self):
        known = self.known_pids()
        found = []
        for host in dict.fromkeys([*self.hosts, *self.controllers.values()]):
            for pid in janitor.pids_in(self.net.namespace(host)):
                above = pid
                while above > 1 and above not in known:
                    above = parent_of(above)
                keeper = self.daemons[host].pid if host in self.daemons else 0
                writes_output = above == keeper and command_of(pid).startswith("lca-output ") and len(known) > len(self.daemon_pids())
                if above <= 1 or (above == keeper and pid != keeper and not writes_output):
                    found.append((host, pid, command_of(pid)))
        return found

    def _audit_orphans(self):
        wait(lambda: not self.orphans(), 20, f"no process is left over: {self.orphans()}")

    def _audit_ends(self):
        bad = [(label, e) for label, d in self.daemons.items() for e in d.ended if not e.asked]
        assert not bad, f"a daemon ended by itself: {bad}"
        said = sum(self.log(h).count(" agent-died ") for h in self.hosts)
        assert said <= self.kills, f"agents died {said} times, {self.kills} of them by us"
        cores = [str(p) for folder in (self.dir, pathlib.Path("/")) for p in folder.glob("core*") if p.is_file()]
        assert not cores, f"core files: {cores}"
        for label in self.daemons:
            assert not re.search(r"AddressSanitizer|runtime error:|Assertion .* failed", self.log(label)), f"{label}: see its log"

    def _audit_descriptors(self, patience=20):
        for label, before in self.baseline.items():
            wait(lambda: descriptors(self.daemon_pids().get(label, 0)) <= before + 2, patience, f"{label} has its {before} descriptors again")

    def _audit_journals(self):
        """What every scs did, its core does again from its journal."""
        for journal in self.journals():
            out = tree.run(tree.program("scsctl"), "replay", journal, timeout=120)
            assert out.returncode == 0, f"{journal}: {out.stdout[-400:]}{out.stderr}"

    def journals(self):
        """Of the present run of each scs and the one before; an empty one is of a run whose disk had no room for its beginning."""
        places = {str(own.get("state-directory") or self.scs_conf["scs"]["state-directory"]) for own in self.own_conf.values()}
        return [j for place in sorted(places) for j in sorted(pathlib.Path(place).glob("journal*")) if j.stat().st_size]


def epoch_of(text):
    m = re.fullmatch(r"(\d+)\.(\d+)", text)
    return (int(m.group(1)), int(m.group(2))) if m else None
