"""Worlds for the end-to-end tests. A test that passed is audited (world.audit) before its world goes; the logs of one that failed are kept."""
import os
import pathlib
import re
import shutil
import signal
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))

import pytest  # noqa: E402

import tree  # noqa: E402
import world as world_module  # noqa: E402


@pytest.hookimpl(tryfirst=True, hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    setattr(item, "report_" + report.when, report)


def pytest_configure(config):
    config.addinivalue_line("markers", "audit(primaries=1): how the world is audited afterwards; audit(False): not at all")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


def keep_logs(item, w):
    target = pathlib.Path(os.environ.get("UNDERSTUDY_LOGS", tree.BUILD / "test-logs")) / "failures" / re.sub(r"\W+", "-", item.nodeid)
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for pattern in ("*.log", "*.stderr", "*.conf", "*.out", "apps/*.record"):
        for path in w.dir.glob(pattern):
            shutil.copy2(path, target / path.name)
    for path in w.journals():
        shutil.copy2(path, target / f"{path.parent.name}-{path.name}")
    (target / "world.txt").write_text(w.story())
    print(f"\nlogs of this world: {target}\n{w.story()}")
    for name in (*(f"{c}.log" for c in w.controllers), *(f"lca-{h}.log" for h in w.hosts)):
        path = w.path(name)
        if path.exists():
            print(f"--- {name}\n" + "\n".join(path.read_text(errors="replace").splitlines()[-25:]))


@pytest.fixture
def make_world(request):
    """A function that makes worlds which end with the test."""
    made = []

    def make(*args, kind=world_module.World, **kwargs):
        made.append(kind(*args, **kwargs))
        return made[-1]

    yield make
    passed = getattr(request.node, "report_call", None) is not None and request.node.report_call.passed
    mark = request.node.get_closest_marker("audit")
    try:
        if passed and not (mark and mark.args == (False,)):
            for w in made:
                w.audit(**(mark.kwargs if mark else {}))
    except BaseException:
        passed = False
        raise
    finally:
        for w in made:
            if not passed:
                keep_logs(request.node, w)
            w.close()


@pytest.fixture
def pair(make_world):
    """Two hosts with a warm pair p1 on a, p2 on b, settled."""
    w = make_world()
    w.pair()
    return w.start()
