"""The world in which the documents' commands run: hosts a and b with the sample pair, as the samples in the tree have it."""
import atexit
import os
import pathlib
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))

import pytest  # noqa: E402

import tree  # noqa: E402
import world  # noqa: E402

# Where the programs look unless told otherwise -> what a session sees there.
PLACES = {"/etc/understudy": "etc", "/run/understudy": "run", "/var/lib/understudy": "state"}


def places():
    """Empty directories to mount upon; what was made here is taken away at the end."""
    for place in PLACES:
        if not os.path.isdir(place):
            os.makedirs(place)
            atexit.register(lambda p=place: os.path.isdir(p) and not os.listdir(p) and os.rmdir(p))


class Site:
    """A world whose configuration stands where the programs look for it, host by host."""

    def __init__(self):
        places()
        self.w = w = world.World()
        for host in (*w.hosts, "scs"):
            for name in PLACES.values():
                w.path(f"{name}-{host}").mkdir(mode=0o755, exist_ok=True)
        w.path("state-scs").chmod(0o700)
        self.sbin = w.path("sbin")
        self.sbin.mkdir()
        for program in ("lca", "scs", "scsctl"):
            (self.sbin / program).symlink_to(tree.program(program))
        w.scs_conf["scs"].update({"admin-socket": w.path("run-scs/scs/scs.sock"), "state-directory": w.path("state-scs")})
        del w.scs_conf["scs"]["poll-period"]  # the profile's, as in the samples
        w.pair("orders1", "orders2", fencing="lease")
        w.conf_file = lambda which: w.path(f"etc-{which}", "scs.conf" if which == "scs" else "lca.conf")
        w.ctl = self.ctl
        w.start()
        world.wait(lambda: w.pair_state("orders1")["vouched"] == "both", what="controller and peer vouch for the primary")
        for host in w.hosts:
            shutil.copy2(w.conf_file("scs"), w.path(f"etc-{host}", "scs.conf"))
        shutil.copy2(w.conf_file("a"), w.path("etc-scs", "lca.conf"))

    def ctl(self, *words, json=True, timeout=120):
        command = [tree.program("scsctl"), "--socket", self.w.path("run-scs/scs/scs.sock"), *(["--json"] if json else []), *words]
        return world.Answer(tree.run(*self.w.net.inside("scs", *command), timeout=timeout))

    def run(self, command):
        """The command in a shell on its host, with that host's files in place: exit status and output of both kinds."""
        mounts = "".join(f"mount --bind {self.w.path(f'{name}-{command.host}')} {place} && " for place, name in PLACES.items())
        script = f"{mounts}cd {tree.SOURCE} && exec bash -c \"$1\""
        words = self.w.net.inside(command.host, "unshare", "-m", "bash", "-c", script, "bash", command.text)
        path = f"{self.sbin}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        done = tree.run(*words, timeout=300, env={**os.environ, "PATH": path, "UNDERSTUDY_DOCS": "1", "LC_ALL": "C.UTF-8"})
        return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def sites():
    """One site per document, made when its first command runs."""
    made = {}

    def get(path):
        if path not in made:
            made[path] = Site()
        return made[path]

    yield get
    for site in made.values():
        site.w.close()
