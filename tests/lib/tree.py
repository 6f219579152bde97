"""Where things are: the source tree, the build tree, the files of the house. No test framework in here."""
import os
import pathlib
import subprocess

SOURCE = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = pathlib.Path(os.environ.get("UNDERSTUDY_BUILD", SOURCE / "build"))
LEFT_OUT = {".git", "__pycache__", ".cache", ".pytest_cache"}


def is_left_out(name):
    return name in LEFT_OUT or name == "build" or name.startswith("build-")


def files(*suffixes, under=""):
    """Source files as paths relative to the tree's top, sorted; all without suffixes."""
    found = []
    for folder, folders, names in os.walk(SOURCE / under):
        folders[:] = [f for f in folders if not is_left_out(f)]
        for name in names:
            if name not in LEFT_OUT and (not suffixes or name.endswith(suffixes)):
                found.append(str((pathlib.Path(folder) / name).relative_to(SOURCE)))
    return sorted(found)


def read(path):
    return (SOURCE / path).read_text(encoding="utf-8", errors="surrogateescape")


def program(name):
    """A built program by its name: lca, scs, scsctl."""
    found = [p for p in BUILD.glob(f"**/{name}") if p.is_file() and os.access(p, os.X_OK)]
    if len(found) != 1:
        raise FileNotFoundError(f"{name}: {len(found)} programs of that name under {BUILD}; build first (tests/run build)")
    return found[0]


def run(*words, timeout=60, **more):
    """Runs a command; its result with text output, whatever its exit status."""
    return subprocess.run([str(w) for w in words], capture_output=True, text=True, timeout=timeout, errors="replace", **more)
