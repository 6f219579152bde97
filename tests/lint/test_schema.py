"""proto/*.proto (SECURITY.md 5): no message type contains itself, names are bytes, no proto3 optional, field numbers are used once."""
import re

import pytest

import tree

PROTO = tree.files(".proto", under="proto")
SCALAR = {"double", "float", "int32", "int64", "uint32", "uint64", "sint32", "sint64", "fixed32", "fixed64", "sfixed32", "sfixed64", "bool", "string", "bytes"}
FIELD = re.compile(r"^(repeated\s+|optional\s+)?([\w.]+)\s+(\w+)\s*=\s*(\d+)\s*(?:\[.*\])?$")


def messages(path):
    """Full name -> list of (label, type, field, number); nested types by their path, oneofs flattened."""
    text = re.sub(r"//[^\n]*", "", tree.read(path))
    package = re.search(r"package\s+([\w.]+)\s*;", text).group(1)
    found, stack = {}, []
    for token in re.findall(r"(?:message|enum|oneof)\s+\w+\s*\{|\}|[^{};]+;", text):
        token = token.strip().rstrip(";").strip()
        opened = re.match(r"(message|enum|oneof)\s+(\w+)\s*\{", token)
        if opened:
            stack.append(opened.groups())
            if opened.group(1) == "message":
                found[".".join([package] + [n for k, n in stack if k == "message"])] = []
        elif token == "}":
            stack.pop()
        elif stack and stack[-1][0] != "enum":
            field = FIELD.match(token)
            if field:
                found[".".join([package] + [n for k, n in stack if k == "message"])].append(field.groups())
    return found


ALL = {name: fields for path in PROTO for name, fields in messages(path).items()}


def resolve(name, inside):
    """The message a field's type names, looked up from the inside out as protoc does; None for scalars and enums."""
    scope = inside.split(".")
    for i in range(len(scope), -1, -1):
        full = ".".join(scope[:i] + [name])
        if full in ALL:
            return full
    return None


def reaches(start):
    seen, todo = set(), [start]
    while todo:
        for _, type_name, _, _ in ALL[todo.pop()]:
            target = None if type_name in SCALAR else resolve(type_name, start)
            if target and target not in seen:
                seen.add(target)
                todo.append(target)
    return seen


def test_schema_is_found():
    assert len(PROTO) >= 3 and len(ALL) >= 20


@pytest.mark.parametrize("name", sorted(ALL))
def test_message_does_not_contain_itself(name):
    assert name not in reaches(name)


def depth(name):
    below = [resolve(t, name) for _, t, _, _ in ALL[name] if t not in SCALAR]
    return 1 + max([depth(b) for b in below if b], default=0)


@pytest.mark.parametrize("name", sorted(ALL))
def test_depth_within_the_scanner(name):
    limit = int(re.search(r"WIRE_DEPTH_MAX (\d+)", tree.read("proto/wire.h")).group(1))
    assert depth(name) <= limit


@pytest.mark.parametrize("name", sorted(ALL))
def test_fields(name):
    numbers = [number for _, _, _, number in ALL[name]]
    assert len(numbers) == len(set(numbers)), "a number is used twice"
    for label, type_name, field, _ in ALL[name]:
        assert not (label or "").startswith("optional"), f"{field}: optional is not known to protoc-c 1.4"
        assert type_name != "string", f"{field}: texts are bytes and are checked by us"


@pytest.mark.parametrize("path", PROTO)
def test_protocol_page_knows_the_file(path):
    assert path.split("/")[-1] in tree.read("proto/PROTOCOL.md")
