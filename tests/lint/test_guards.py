"""tests/README.md's two tables: what guards each rule of the protocol, and where each fault is met. Whatever they name is in the tree, no rule and no fault is left out, and no mutant is in no row."""
import re

import pytest

import tree

README = "tests/README.md"
RULES = [*(f"A{n}" for n in range(1, 5)), *(f"V{n}" for n in range(1, 10)), *(f"B{n}" for n in range(1, 7)), "2 single", "2 pair", "2 sets", "4",
         "5 resume", "5 adoption", "5 frozen", "5.1", "5.2", "5.3", "5.4", "5 fencing", "6 stale", "6 once", "6 intents", "6 switchover", "6 back", "6 mark", "6 reconcile",
         "7 recovery", "7 best", "7 record", "7 receivers", "8 slots", "8 resume", "8 writer", "8 roles", "8 terms", "8 fsync",
         "9 check", "9 real time", "9 ADDP", "9 delay", "9 late", "9 host-loss", *(f"S{n}" for n in range(1, 13)), *(f"L{n}" for n in range(1, 8))]
FAULTS = [*(str(n) for n in range(1, 49)), "13b"]
SIMULATOR = {f: tree.read(f) for f in tree.files(".c", ".h", under="tests/sim")}
CASES = [f for f in tree.files(".c", ".py") if f.startswith(("tests/unit/", "tests/e2e/", "tests/lint/"))]


# --- what the tree has ---

def found_in_simulator(pattern):
    return {name for text in SIMULATOR.values() for name in re.findall(pattern, text)}


def mutants():
    """Of the simulator, by the names of its enumeration."""
    body = re.search(r"enum mutant \{(.*?)\};", SIMULATOR["tests/sim/check.h"], re.S).group(1)
    return set(re.findall(r"\bMUTANT_(\w+)", body)) - {"NONE", "COUNT"}


def fault_kinds():
    """The kinds of strikes by their printed names, and the chances of the swarm by their fields."""
    kinds = set(re.findall(r"\[FAULT_\w+\] = \"([\w-]+)\"", SIMULATOR["tests/sim/faults.c"]))
    return kinds | set(re.findall(r"\bs->(\w+) = sometimes\(", SIMULATOR["tests/sim/faults.c"]))


def model_rows():
    rows = (line.split("|")[0].strip() for line in tree.read("tests/model/rows.txt").splitlines())
    return {name for name in rows if name and not name.startswith("#")}


CHECKS = found_in_simulator(r"(?:violation|missing)\(\s*w,\s*\"([\w-]+)\"")
MUTANTS, KINDS, MODEL = mutants(), fault_kinds(), model_rows()
MODEL_MUTANTS = {name for name in MODEL if re.search(r"-m\d+", name)}


def is_transcript(word):
    return (tree.SOURCE / "tests/scenario" / f"{word}.txt").is_file()


def defines(path, case):
    if path.endswith(".py"):
        return re.search(rf"^def test_{case}\(", tree.read(path), re.M)
    return re.search(rf"^static void {case}\(void \*\*", tree.read(path), re.M)


def case_files(word):
    """The files that have the case: FILE:CASE, FILE without its ending or with it, and with as much of its path as makes it unique."""
    file, case = word.split(":")
    named = [p for p in CASES if p.endswith(f"/{file}") or p.rsplit(".", 1)[0].endswith(f"/{file}")]
    return [p for p in named if defines(p, case)]


def place_fault(word):
    """What is wrong with the name of a transcript or a case; None: it is there."""
    if ":" not in word:
        return None if is_transcript(word) else "there is no such transcript"
    there = len(case_files(word))
    return None if there == 1 else f"{there} files have this case"


def one_of(names, what):
    return lambda word: None if word in names else f"there is no such {what}"


# --- what the tables say ---

def table(heading):
    """The rows of the table behind a heading, each a list of cells."""
    part = tree.read(README).split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in part.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def row_id(cell, known):
    """The longest known id that the cell begins with; else its first word."""
    fitting = [i for i in known if re.match(rf"{re.escape(i)}[ :]", cell)]
    return max(fitting, key=len) if fitting else cell.split()[0].rstrip(":")


RULE_TABLE, FAULT_TABLE = table("What guards each rule"), table("Where each fault is met")
MODEL_COLUMN = one_of(MODEL, "row of the model")
RULE_COLUMNS = [place_fault, one_of(CHECKS, "check"), MODEL_COLUMN, one_of(MUTANTS, "mutant")]
FAULT_COLUMNS = [place_fault, place_fault, one_of(KINDS, "fault kind")]


def words(cell):
    return re.findall(r"`([^`]+)`", cell)


def cell_fault(cell, resolve):
    if cell.startswith("none"):
        return None if re.match(r"none: \S.+", cell) else "`none` without a reason"
    if not words(cell) or re.sub(r"`[^`]+`", "", cell).strip():
        return f"neither names nor `none: why`: {cell!r}"
    wrong = [f"{word}: {resolve(word)}" for word in words(cell) if resolve(word)]
    return "; ".join(wrong) or None


def cases(rows, columns, known):
    return [pytest.param(row, columns, id=row_id(row[0], known)) for row in rows]


@pytest.mark.parametrize("row,columns", cases(RULE_TABLE, RULE_COLUMNS, RULES) + cases(FAULT_TABLE, FAULT_COLUMNS, FAULTS))
def test_row_names_what_is_there(row, columns):
    assert len(row) == len(columns) + 1, f"{len(row)} cells"
    wrong = [fault for cell, resolve in zip(row[1:], columns) if (fault := cell_fault(cell, resolve))]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("rows,known", [(RULE_TABLE, RULES), (FAULT_TABLE, FAULTS)], ids=["rules", "faults"])
def test_none_is_left_out(rows, known):
    said = [row_id(row[0], known) for row in rows]
    missing, twice = [i for i in known if i not in said], sorted({i for i in said if said.count(i) > 1})
    assert not missing and not twice, f"without a row: {missing}; with several: {twice}"


def test_the_tree_was_read():
    assert len(CHECKS) > 30 and len(MUTANTS) > 15 and len(KINDS) > 25 and len(MODEL) > 80 and len(MODEL_MUTANTS) > 60


def test_every_mutant_of_the_simulator_guards_a_rule():
    idle = MUTANTS - {word for row in RULE_TABLE for word in words(row[4])}
    assert not idle, f"mutants in no row of {README}: {sorted(idle)}"


def test_every_row_of_the_model_guards_a_rule():
    """Mutants each in its row; what shows that a search reaches something is named below the table."""
    part = tree.read(README).split("\n## What guards each rule\n", 1)[1].split("\n## ", 1)[0]
    named = {word for row in RULE_TABLE for word in words(row[3])}
    assert not MODEL_MUTANTS - named, f"mutants in no row of {README}: {sorted(MODEL_MUTANTS - named)}"
    assert not MODEL - set(words(part)), f"not named in {README}: {sorted(MODEL - set(words(part)))}"


def test_reach_rows_named_are_there():
    part = tree.read(README).split("\n## What guards each rule\n", 1)[1].split("\n## ", 1)[0]
    below = part.rsplit("|\n", 1)[1]
    wrong = [word for word in words(below) if MODEL_COLUMN(word)]
    assert words(below) and not wrong, wrong


def test_every_kind_of_fault_is_drawn_for_one():
    struck = {word for row in FAULT_TABLE for word in words(row[3])}
    assert not KINDS - struck, f"fault kinds in no row of {README}: {sorted(KINDS - struck)}"
