"""Manual pages and samples: every option row of the programs is in its page with its default, and no other; mandoc has no complaint; the samples parse, and what -T
prints is printed again by itself."""
import re

import pytest

import tree

PAGES = {"lca.8": "lca/man", "lca.conf.5": "lca/man", "lca_client.3": "lca/man", "scs.8": "scs/man", "scs.conf.5": "scs/man", "scsctl.1": "scs/man"}
CONFIGS = {"lca": "lca/man/lca.conf.5", "scs": "scs/man/scs.conf.5"}


def page(name):
    return tree.SOURCE / PAGES[name] / name


def options(program):
    """(section, key, description) of every row the program prints."""
    out = tree.run(tree.program(program), "--help-options").stdout
    rows, section, lines = [], None, out.splitlines()
    for i, line in enumerate(lines):
        head = re.match(r"\[([\w-]+)(?: NAME)?\]", line)
        if head:
            section = head.group(1)
        elif re.match(r"  \S", line):
            rows.append((section, line.strip(), lines[i + 1].strip()))
    return rows


def rows_of_all():
    try:
        return [(p, *row) for p in CONFIGS for row in options(p)]
    except FileNotFoundError:
        return [("none", "none", "none", "none")]


def sections(path):
    """Section kind -> text of its part of the page, in mdoc; parts begin with `.Ss` or `.Sh` naming `[kind` or `kind`."""
    parts, current = {}, None
    for line in path.read_text().splitlines():
        head = re.match(r"\.S[hs]\s+(.*)", line)
        if head:
            kind = re.search(r"\[?\b(scs|license|host|application|lca)\b", head.group(1).lower())
            current = kind.group(1) if kind else None
        if current:
            parts[current] = parts.get(current, "") + line + "\n"
    return parts


def documented(path):
    """(section, key) -> the entry's text, of every option item in a page."""
    found = {}
    for kind, text in sections(path).items():
        for entry in re.split(r"^(?=\.It )", text, flags=re.M):
            head = re.match(r"\.It (?:Cm|Ic|Va|Li|Sy|Fl|Nm)?\s*(?:\\&)?\"?([a-z][a-z0-9-]*)", entry)
            if head:
                found[(kind, head.group(1))] = entry.replace(r"\-", "-").replace(r"\&", "")
    return found


@pytest.mark.parametrize("program,section,key,description", rows_of_all())
def test_option_is_in_its_page(program, section, key, description):
    assert program != "none", "the programs are not built"
    entries = documented(tree.SOURCE / CONFIGS[program])
    assert (section, key) in entries, f"[{section}] {key} is not documented"
    default = re.search(r"default (\S+?)[,;]?(?: |$)", description)
    if default:
        assert default.group(1).strip('"') in entries[(section, key)], f"default {default.group(1)} is not said"


@pytest.mark.parametrize("program", CONFIGS)
def test_page_documents_no_other(program):
    known = {(section, key) for section, key, _ in options(program)}
    other = set(documented(tree.SOURCE / CONFIGS[program])) - known
    assert not other, f"unknown to the program: {sorted(other)}"


@pytest.mark.parametrize("name", PAGES)
def test_mandoc_has_no_complaint(name):
    out = tree.run("mandoc", "-Tlint", "-W", "warning", page(name))
    assert out.returncode == 0 and not out.stdout, out.stdout + out.stderr


def rendered(name):
    """The page as it is read, without overstrikes."""
    assert page(name).exists(), "there is no such page"
    return re.sub(r".\x08", "", tree.run("mandoc", "-T", "utf8", page(name)).stdout)


@pytest.mark.parametrize("name", ["lca", "scs", "scsctl"])
def test_command_line_is_in_its_page(name):
    text = rendered(f"{name}.8" if name != "scsctl" else "scsctl.1")
    help_text = tree.run(tree.program(name), "--help").stdout
    words = set(re.findall(r"(?<![\w-])(--?[a-zA-Z][\w-]*)", help_text))
    missing = [w for w in words if w not in text]
    assert words and not missing, f"not in the page: {sorted(missing)}"


def test_scsctl_commands_and_exit_codes_are_in_its_page():
    text = page("scsctl.1").read_text()
    for word in ("status", "start", "stop", "reset", "switchover", "history", "why", "config", "EXIT STATUS"):
        assert word in text, word


def samples():
    return [f for f in tree.files(".conf") if "/etc/" in f] or ["none"]


@pytest.mark.parametrize("path", samples())
def test_sample_parses_and_prints_itself(path, tmp_path):
    assert path != "none", "there are no samples"
    program = tree.program("lca" if path.startswith("lca/") else "scs")
    checked = tree.run(program, "-f", tree.SOURCE / path, "-t")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    first = tree.run(program, "-f", tree.SOURCE / path, "-T")
    assert first.returncode == 0 and first.stdout, first.stderr
    (tmp_path / "again.conf").write_text(first.stdout)
    second = tree.run(program, "-f", tmp_path / "again.conf", "-T")
    assert second.stdout == first.stdout, second.stderr


def test_every_option_with_every_kind_of_value_prints_itself(tmp_path):
    """A file that sets every option to its printed default, in both programs: the fixpoint holds for all rows, not only for those of the samples."""
    for program in CONFIGS:
        by_section = {}
        for section, key, description in options(program):
            default = re.search(r".*, default (.+?)(?:; taken|$)", description)
            if key == "tls":
                by_section.setdefault(section, []).append("tls = off")
            elif default and default.group(1) not in ("none", '""'):
                by_section.setdefault(section, []).append(f"{key} = {default.group(1)}")
        named = {"host": "host h", "application": "application x"}
        need = {"host": ["address = 10.0.0.1"], "application": ["host = h", "command = /bin/x"] if program == "scs" else [], "lca": ["host = h"]}
        text = "".join(f"[{named.get(s, s)}]\n" + "\n".join(need.get(s, []) + rows) + "\n" for s, rows in by_section.items())
        (tmp_path / "all.conf").write_text(text)
        first = tree.run(tree.program(program), "-f", tmp_path / "all.conf", "-T")
        (tmp_path / "again.conf").write_text(first.stdout)
        second = tree.run(tree.program(program), "-f", tmp_path / "again.conf", "-T")
        assert first.stdout and first.stdout == second.stdout, first.stdout + first.stderr + second.stderr
