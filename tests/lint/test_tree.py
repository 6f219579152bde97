"""The house itself: what stands at the top, how files begin, how long they are, what must not be in them."""
import os
import re
import statistics
import stat

import pytest

import tree

TOP = {"meson.build", "README.md", "LICENSE", "common", "proto", "lca", "scs", "systemd", "tests"}
C_FILES = tree.files(".c", ".h")
TEXT = [f for f in tree.files() if not f.endswith((".bin", ".seed", ".pem", ".png")) and "/seeds/" not in f and "/corpus/" not in f]
READMES = sorted({"proto", "common/base", "common/io", "lca", "scs", "tests"} | {
    os.path.dirname(f) for f in C_FILES if not f.startswith(("tests/", "proto/"))})
# Spelled so that this file does not find itself.
FORBIDDEN = re.compile("|".join([r"\bTO" + r"DO\b", r"\bFIX" + r"ME\b", r"\bX" + r"XX\b", r"/wo" + r"rk/", r"/tmp/" + r"(wt|b)/", r"/home/\w", r"\bHA" + r"CK\b"]))


def test_top_level():
    found = {n for n in os.listdir(tree.SOURCE) if not n.startswith(".") and not tree.is_left_out(n)}
    assert found == TOP


@pytest.mark.parametrize("path", TEXT)
def test_nothing_unfinished_or_local(path):
    for number, line in enumerate(tree.read(path).splitlines(), 1):
        found = FORBIDDEN.search(line)
        assert not found, f"line {number}: {found.group(0)}"


@pytest.mark.parametrize("path", TEXT)
def test_ends_with_a_newline_and_has_no_trailing_blanks(path):
    text = tree.read(path)
    assert not text or text.endswith("\n")
    for number, line in enumerate(text.splitlines(), 1):
        assert line == line.rstrip() or path.endswith((".md", ".expect", ".transcript", ".txt")), f"line {number}"
        assert "\r" not in line


@pytest.mark.parametrize("path", C_FILES)
def test_begins_with_what_it_is(path):
    text = tree.read(path)
    assert text.startswith("/*"), "an essay comes first"
    essay = text[: text.index("*/")]
    minimum = 20 if path.endswith(".h") or path.startswith("tests/") else 120
    assert len(essay) >= minimum, f"{len(essay)} bytes are no essay"


@pytest.mark.parametrize("path", C_FILES)
def test_length(path):
    lines = tree.read(path).count("\n")
    assert lines <= 700, f"{lines} lines: it wants to be two files"


@pytest.mark.parametrize("path", [f for f in C_FILES if f.endswith(".h") and f != "common/base/record_table.h"])
def test_header_is_guarded(path):
    assert "#pragma once" in tree.read(path)


def functions(path):
    """(name, lines of the body) of the functions of a C file in this house's shape: '{' and '}' alone at column 0."""
    start, name, previous = None, "", ""
    for number, line in enumerate(tree.read(path).splitlines(), 1):
        if line == "{" and start is None and "(" in previous:
            start, name = number, previous
        elif line == "}" and start is not None:
            yield name.split("(")[0].split()[-1], number - start - 1
            start = None
        if line.strip() and not line.startswith((" ", "\t")):
            previous = line


def test_functions_are_short():
    sizes = [(n, f"{path}: {name}") for path in C_FILES if path.endswith(".c") and not path.startswith("tests/") for name, n in functions(path)]
    if not sizes:
        pytest.skip("no function in the tree")
    long = sorted((s for s in sizes if s[0] >= 80), reverse=True)
    assert len(long) <= len(sizes) * 0.05, f"{len(long)} of {len(sizes)} are 80 lines or longer: {long[:8]}"
    median = statistics.median(n for n, _ in sizes)
    assert median <= 16, f"the median is {median} lines"


@pytest.mark.parametrize("folder", READMES)
def test_folder_says_what_lives_there(folder):
    readme = tree.SOURCE / folder / "README.md"
    if folder == "proto":
        assert (tree.SOURCE / "proto/PROTOCOL.md").exists() or readme.exists()
        return
    assert readme.exists(), "README.md is missing"
    assert len(re.findall(r"[.!?](?:\s|$)", readme.read_text())) >= 5, "ten sentences, not a heading"


@pytest.mark.parametrize("path", [f for f in tree.files() if os.access(tree.SOURCE / f, os.X_OK)])
def test_executable_says_its_interpreter(path):
    first = tree.read(path).split("\n", 1)[0]
    assert first in ("#!/bin/bash", "#!/bin/sh", "#!/usr/bin/python3"), first


def shell_files():
    return [f for f in tree.files() if tree.read(f)[:12].startswith(("#!/bin/bash", "#!/bin/sh"))]


@pytest.mark.parametrize("path", shell_files())
def test_shell_is_strict_and_parses(path):
    text = tree.read(path)
    assert re.search(r"^set -eu", text, re.M), "set -eu (and -o pipefail in bash) is missing"
    if text.startswith("#!/bin/bash"):
        assert re.search(r"^set -euo pipefail", text, re.M)
    out = tree.run("bash" if text.startswith("#!/bin/bash") else "sh", "-n", tree.SOURCE / path)
    assert out.returncode == 0, out.stderr
    assert not re.search(r"\b(pkill|killall)\b", text), "never kills by name"


@pytest.mark.parametrize("path", tree.files(".py") + [f for f in tree.files() if tree.read(f).startswith("#!/usr/bin/python3") and not f.endswith(".py")])
def test_python_parses(path):
    compile(tree.read(path), path, "exec")


@pytest.mark.parametrize("path", [f for f in tree.files(under="tests") if os.path.basename(f) in ("run", "demo")])
def test_entry_points_are_executable(path):
    assert os.stat(tree.SOURCE / path).st_mode & stat.S_IXUSR


# The cases of the domain's table of switchover rules that this tree decides, by number (9 and 10 are pairs of configuration servers and of controllers).
ROWS = ["01", "01b", "02", "03", "04", "05", "06", "07", "08", "11", "12", "13", "14", "15", "16", "17", "18"]


@pytest.mark.parametrize("row", ROWS)
def test_every_row_has_a_scenario_with_its_number(row):
    named = [f for f in tree.files(under="tests/scenario") if re.search(rf"/row{row}(?!\d|b)", f)]
    assert named, f"no transcript row{row}-…"


def test_every_rule_has_a_scenario():
    table = tree.read("scs/core/rules.c")
    numbers = {int(n) for n in re.findall(r"^\s*\{(?:\.number = )?(\d+),", table, re.M)}
    said = "\n".join(tree.read(f) for f in tree.files(under="tests/scenario/scs"))
    missing = [n for n in sorted(numbers) if not re.search(rf"\brule[ =]{n}\b", said)]
    assert numbers and not missing, f"rules without a transcript: {missing}"
