"""Every command block of READMEs and manual pages, in order, each document in a world of its own."""
import pytest

import documents
import tree

COMMANDS = [c for path in documents.documents() for c in documents.commands(path, tree.read(path))]
# These run the tests, and with them this file: the test run itself shows that they work.
RUNS_US = ("tests/run", ".ci/run")


@pytest.mark.parametrize("command", COMMANDS, ids=repr)
def test_command(command, sites):
    if command.text.split()[0] in RUNS_US:
        pytest.skip("this is what runs this test")
    if command.text.split()[0] in ("apt-get", "apt", "git", "systemctl", "meson", "ninja"):
        pytest.skip("changes the machine or needs systemd")
    status, output = sites(command.path).run(command)
    print(output)
    if command.expected:
        assert documents.matches(command.expected, output.splitlines()), "\n".join(["expected:", *command.expected, "found:", output])
    else:
        assert status == 0, output


def test_documents_have_commands():
    assert len(COMMANDS) >= 10, "README and manual pages show what to type"
