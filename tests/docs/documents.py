"""Command blocks of the documents: found, run, compared.

Markdown: fenced blocks marked `console`. Manual pages: `.Bd -literal` displays in which a line begins with a prompt, and `.Dl` lines
that begin with one of our programs. A prompt is `$ ` or `# ` (on the controller's host), or `a$ ` `a# ` `b$ ` `b# ` (on that host); what follows up to the next prompt
is the expected output, none means that the output does not matter; a line `...` stands for any number of lines; a command may go on behind a backslash at the line's end.

Before comparing, both sides are normalised, the longest shape first:
    2026-11-20T17:01:24.123456Z, 2026-11-20 17:01:24 -> TIME     0.834 ms, 12ms, 2m05s, 4d02h -> SPAN     deadbeefdeadbeef (8 digits and more) -> HEX
    1763657000.3 (term.n) -> EPOCH     any other number of 3 digits and more (pids, ports stay where they are configured) -> N     runs of blanks -> one
"""
import re

import tree

PROMPT = re.compile(r"^(?:(\w+))?([$#]) (.*)$")
ESCAPES = [(r"\-", "-"), (r"\e", "\\"), (r"\(aq", "'"), (r"\(dq", '"'), (r"\(ti", "~"), (r"\(ha", "^"), (r"\(rs", "\\"), (r"\(ga", "`"), (r"\&", ""), (r"\~", " "), (r"\ ", " ")]
SHAPES = [
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?Z?"), "TIME"),
    (re.compile(r"\b\d{8,}\.\d+\b"), "EPOCH"),
    (re.compile(r"\b(?=[0-9a-f]*[a-f])(?=[0-9a-f]*\d)[0-9a-f]{8,}\b"), "HEX"),
    (re.compile(r"\b\d+(?:\.\d+)? ?(?:ns|us|µs|ms|s|m|h|min)\b|\b\d+[smhd]\d\d[smh]\b"), "SPAN"),
    (re.compile(r"\b\d{3,}\b"), "N"),
    (re.compile(r"[ \t]+"), " "),
]


class Command:
    """One command of a document with the output that stands under it."""

    def __init__(self, path, line, host, text):
        self.path, self.line, self.host, self.text, self.expected = path, line, host, text, []

    def __repr__(self):
        return f"{self.path}:{self.line}"


def normalise(line):
    for shape, word in SHAPES:
        line = shape.sub(word, line)
    return line.strip()


def plain(line):
    """A literal line of mdoc as it is read."""
    for escape, text in ESCAPES:
        line = line.replace(escape, text)
    return line


def blocks(path, text):
    """(first line number, lines) of every command block."""
    lines = text.splitlines()
    i, manual = 0, not path.endswith(".md")
    while i < len(lines):
        display = re.match(r"\.Dl (?:[$#] )?((?:scsctl|scs|lca) .*)", lines[i]) if manual else None
        if display:
            yield i + 1, ["$ " + plain(display.group(1))]
        opened = re.match(r"\.Bd\b.*-literal", lines[i]) if manual else re.match(r"```console\s*$", lines[i])
        i += 1
        if not opened:
            continue
        start, body = i + 1, []
        while i < len(lines) and not (lines[i].startswith(".Ed") if manual else lines[i].startswith("```")):
            body.append(plain(lines[i]) if manual else lines[i])
            i += 1
        if not manual or any(PROMPT.match(line) for line in body):
            yield start, body


def commands(path, text):
    found = []
    for start, body in blocks(path, text):
        current, continued = None, False
        for number, line in enumerate(body, start):
            prompt = PROMPT.match(line)
            if continued:
                current.text += "\n" + line
            elif prompt:
                current = Command(path, number, prompt.group(1) or "scs", prompt.group(3))
                found.append(current)
            elif current is not None:
                current.expected.append(line)
            continued = current is not None and (prompt or continued) and line.endswith("\\")
    for c in found:
        while c.expected and not c.expected[-1].strip():
            c.expected.pop()
    return found


def matches(expected, actual):
    """Whether the lines fit; `...` takes any number of them."""
    expected = [normalise(e) for e in expected if e.strip()]
    actual = [normalise(a) for a in actual if a.strip()]

    def fits(e, a):
        while e < len(expected) and expected[e] != "...":
            if a >= len(actual) or expected[e] != actual[a]:
                return False
            e, a = e + 1, a + 1
        if e == len(expected):
            return a == len(actual)
        return any(fits(e + 1, rest) for rest in range(a, len(actual) + 1))

    return fits(0, 0)


def documents():
    return [f for f in tree.files(".md") if not f.startswith("tests/docs/")] + [f for f in tree.files() if re.search(r"/man/.*\.[158]$", f)]
