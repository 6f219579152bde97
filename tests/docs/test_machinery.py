"""The runner of documents itself: it must find the blocks, and must not accept what differs."""
import documents

MARKDOWN = """# x
```console
$ echo one \\
  two
one two
# id -u
0
```
```sh
$ not a console block
```
"""
MANUAL = """.Dd x
.Bd -literal -offset indent
$ scsctl status
HOST  STATUS
a     Running
\\&...
.Ed
.Bd -literal
[host a]
address = 10.0.0.1
.Ed
.Bd -literal
a# lca \\-t
.Ed
"""


def test_finds_commands_and_their_output():
    one, two = documents.commands("x.md", MARKDOWN)
    assert (one.text, one.expected, one.host, one.line) == ("echo one \\\n  two", ["one two"], "scs", 3)
    assert (two.text, two.expected) == ("id -u", ["0"])


def test_finds_commands_in_manual_pages():
    one, two = documents.commands("x.8", MANUAL)
    assert one.expected == ["HOST  STATUS", "a     Running", "..."] and one.line == 3
    assert (two.text, two.host, two.expected) == ("lca -t", "a", [])


def test_normaliser_hides_what_varies_and_nothing_else():
    same = [("started at 2026-11-20T17:01:24.123456Z pid 4711", "started at 2025-01-01T00:00:00.000001Z pid 815"), ("0.834 ms", "12 ms"), ("epoch 1763657000.3", "epoch 1900000000.12"),
            ("a    Running  3s", "a  Running  2m05s"), ("hash deadbeef01", "hash 0123abcd99")]
    other = [("a Running", "b Running"), ("epoch 1763657000.3", "epoch none"), ("2 hosts", "3 hosts"), ("Primary", "Backup"), ("deadline", "feedface")]
    assert all(documents.matches([x], [y]) for x, y in same)
    assert not any(documents.matches([x], [y]) for x, y in other)


def test_dots_take_any_number_of_lines():
    assert documents.matches(["a", "...", "z"], ["a", "b", "c", "z"]) and documents.matches(["a", "..."], ["a"])
    assert not documents.matches(["a", "...", "z"], ["a", "b"]) and not documents.matches(["a"], ["a", "b"])
