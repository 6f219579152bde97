"""liblca as others get it: what it exports, what it asks for, its manual's example, and a program built outside the tree against an installed prefix."""
import os
import re
import subprocess

import pytest

import tree

HEADER, MAP, PAGE = "lca/client/lca.h", "lca/client/liblca.map", "lca/man/lca_client.3"


def library():
    found = sorted((tree.BUILD / "lca/client").glob("liblca.so.*.*.*[0-9]"))
    assert found, "liblca is not built"
    return found[0]


def declared():
    return set(re.findall(r"^[\w\s*]*?\b(lca_\w+)\([^;{]*\);", re.sub(r"/\*.*?\*/", "", tree.read(HEADER), flags=re.S), re.M))


def test_exports_are_the_headers_functions():
    listed = set(re.findall(r"\b(lca_\w+);", tree.read(MAP)))
    out = tree.run("nm", "-D", "--defined-only", library()).stdout
    exported = {m.group(1) for m in re.finditer(r" [TDBR] (\w+)@@LCA_0$", out, re.M)}
    others = [line for line in out.splitlines() if "@@LCA_0" not in line and not line.endswith(" A LCA_0")]
    assert declared() and declared() == listed == exported
    assert not others, "exported without a version"


def test_soname_and_needs():
    out = tree.run("readelf", "-d", library()).stdout
    assert re.search(r"SONAME.*\[liblca\.so\.0\]", out)
    needed = set(re.findall(r"NEEDED.*\[(\S+)\]", out))
    allowed = re.compile(r"libc\.so\.6|ld-linux-.*|libasan.*|libubsan.*|libgcov.*|libgcc_s.*|libm\.so\.6")
    assert all(allowed.fullmatch(n) for n in needed), needed


def test_every_function_is_in_the_manual():
    page = tree.read(PAGE)
    assert not [f for f in declared() if f".Nm {f}" not in page or f".Fn {f} " not in page]


def example():
    body = re.search(r"\.Bd -literal -offset indent\n(#include <lca\.h>.*?)\.Ed", tree.read(PAGE), re.S).group(1)
    return body.replace(r"\en", r"\n").replace(r"\-", "-")


def test_the_manuals_example_is_the_one_that_is_tested():
    assert tree.read("lca/client/examples/poll.c").split("*/\n", 1)[1] == example()


@pytest.fixture(scope="module")
def prefix(tmp_path_factory):
    """The library installed into a directory of its own."""
    root = tmp_path_factory.mktemp("installed")
    done = tree.run("meson", "install", "-C", tree.BUILD, "--no-rebuild", "--destdir", root)
    assert done.returncode == 0, done.stdout + done.stderr
    return root


def pkg_config(prefix):
    """The environment in which pkg-config finds only what is installed there."""
    pc = next(prefix.rglob("lca.pc"))
    return {**os.environ, "PKG_CONFIG_LIBDIR": str(pc.parent), "PKG_CONFIG_SYSROOT_DIR": str(prefix), "LC_ALL": "C"}


@pytest.mark.parametrize("compiler", ["cc -std=c11", "g++ -x c++"])
def test_program_outside_the_tree(prefix, tmp_path, compiler):
    env = pkg_config(prefix)
    flags = subprocess.run(["pkg-config", "--cflags", "--libs", "lca"], env=env, capture_output=True, text=True)
    assert flags.returncode == 0, flags.stderr
    (tmp_path / "server.c").write_text(example())
    sanitizers = tree.run("readelf", "-d", library()).stdout
    extra = ["-fsanitize=address,undefined"] if "libasan" in sanitizers else []
    done = subprocess.run([*compiler.split(), "-Wall", "-Wextra", "-Werror", "-Wno-missing-field-initializers", str(tmp_path / "server.c"), "-o", str(tmp_path / "server"), *extra,
                           *flags.stdout.split()], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    folder = next(prefix.rglob("liblca.so.0")).parent
    ran = subprocess.run([str(tmp_path / "server")], env={"LD_LIBRARY_PATH": str(folder), "ASAN_OPTIONS": "detect_leaks=0"}, capture_output=True, text=True, timeout=20)
    assert ran.returncode == 1 and "not started by lca" in ran.stderr


def test_what_is_installed(prefix):
    names = {p.name for p in prefix.rglob("*")}
    assert {"lca.h", "lca.pc", "liblca.so", "liblca.so.0", "lca_client.3", "poll.c", "libev.c", "lca.py", "service.py"} <= names
