"""STYLE sections 2 and 4: who may include whom, which outside library is named where, what the built archives of floors 0-2 import, what programs link."""
import re

import pytest

import tree

FLOORS = [  # first match wins
    ("common/base/", 0), ("proto/", 1), ("lca/core/", 2), ("scs/core/", 2), ("common/io/", 3), ("lca/", 4), ("scs/", 4), ("tests/", 5),
]
INCLUDE = re.compile(r'^\s*#\s*include\s+(["<])([^">]+)[">]', re.M)
C_FILES = tree.files(".c", ".h")
OUR_C = [f for f in C_FILES if not f.startswith("tests/")]

# Outside header (prefix) -> the folders that may name it.
LIBRARIES = {
    "ev.h": ["common/io/", "lca/client/examples/"], "openssl/": ["common/io/"], "ini.h": ["common/io/"], "sqlite3.h": ["common/io/"],
    "protobuf-c/": ["proto/"], "google/": [], "cmocka.h": [], "curl/": ["scs/shell/"], "jansson.h": ["scs/shell/"], "microhttpd.h": [], "net-snmp/": [], "nftables/": [],
    "linux/seccomp.h": ["lca/agent/", "lca/keeper/", "scs/shell/"], "linux/landlock.h": ["lca/agent/", "scs/shell/"],
}


def floor_of(path):
    for prefix, floor in FLOORS:
        if path.startswith(prefix):
            return floor
    return None


def includes(path):
    return INCLUDE.findall(tree.read(path))


@pytest.mark.parametrize("path", C_FILES)
def test_include_same_or_lower_floor(path):
    floor = floor_of(path)
    assert floor is not None, "this folder has no floor"
    for quote, target in includes(path):
        if quote == '"':
            there = floor_of(target)
            if there is None and floor == 5 and "/" not in target:
                continue  # a test's own helper beside it
            assert there is not None, f'"{target}": ours are included by their path from the top'
            assert there <= floor, f'floor {floor} includes "{target}" of floor {there}'


@pytest.mark.parametrize("path", [f for f in C_FILES if f.startswith(("lca/", "scs/"))])
def test_lca_and_scs_apart(path):
    other = "scs/" if path.startswith("lca/") else "lca/"
    assert not [t for q, t in includes(path) if q == '"' and t.startswith(other)]


@pytest.mark.parametrize("path", [f for f in C_FILES if f.startswith(("lca/client/", "lca/keeper/"))] or ["lca/client"])
def test_client_and_keeper_stay_small(path):
    if path == "lca/client":
        pytest.skip("no application library in the tree")
    ours = [t for q, t in includes(path) if q == '"']
    if path.startswith("lca/client/"):
        assert all(t.startswith("lca/client/") or floor_of(t) <= 1 for t in ours)
    else:
        assert not [t for t in ours if t in ("common/io/tls.h", "common/io/link.h", "common/io/store.h", "common/io/hash.h")], "the keeper has no network"


@pytest.mark.parametrize("path", OUR_C)
def test_library_by_folder(path):
    for quote, target in includes(path):
        for header, folders in LIBRARIES.items():
            if quote == "<" and (target == header or header.endswith("/") and target.startswith(header)):
                assert path.startswith(tuple(folders)), f"<{target}> belongs to {folders or 'nobody'}"


PURE = ["common/base", "proto", "lca/core", "scs/core"]
ALLOWED = re.compile(
    r"^(mem(cpy|move|set|cmp|chr|rchr|mem)|str(len|nlen|cmp|ncmp|casecmp|ncasecmp|chr|rchr|chrnul|spn|cspn|str|pbrk|toull|toul|toll|tol)"
    r"|v?snprintf|__(mem(cpy|move|set)|v?snprintf|str\w+)_chk|__isoc\w+_str\w+|__errno_location|__stack_chk_fail|__assert_fail|__ctype_b_loc|bsearch"
    r"|_GLOBAL_OFFSET_TABLE_|protobuf_c_\w+)$")
# protobuf-c is for those who read and write messages: floor 0 knows none.
NO_PROTOBUF = ("common/base",)


def archives():
    return [str(a.relative_to(tree.BUILD)) for folder in PURE for a in sorted((tree.BUILD / folder).glob("*.a"))]


def pure_members():
    """(archive, member) of every object below the purity line."""
    seen = []
    for archive in archives():
        out = tree.run("nm", "-A", tree.BUILD / archive)
        names = sorted({m.group(1) for m in re.finditer(r"\.a:([^:]+\.o)", out.stdout)})
        seen += [(archive, n) for n in names]
    return seen or [("none", "none")]


@pytest.fixture(scope="module")
def defined_below():
    names = set()
    for archive in archives():
        out = tree.run("nm", "--defined-only", "-g", tree.BUILD / archive)
        names |= {line.split()[-1] for line in out.stdout.splitlines() if len(line.split()) == 3}
    return names


@pytest.mark.parametrize("archive,member", pure_members())
def test_pure(archive, member, defined_below):
    assert archive != "none", "no archive of floors 0-2 is built"
    out = tree.run("nm", "-A", "-u", tree.BUILD / archive)
    wanted = {line.split()[-1] for line in out.stdout.splitlines() if f":{member}:" in line.replace(": ", ":")}
    bad = {s for s in wanted - defined_below if not ALLOWED.match(s)}
    if archive.startswith(NO_PROTOBUF):
        bad |= {s for s in wanted if s.startswith("protobuf_c_")}
    assert not bad, f"imports {', '.join(sorted(bad))}"


def test_four_archives_are_looked_at():
    assert {a.rsplit("/", 1)[0] for a in archives()} == set(PURE)


# What each program may have as DT_NEEDED, beside libc and the loader.
NEEDED = {
    "lca": {"libev", "libinih"},
    "lca-agent": {"libev", "libinih", "libssl", "libcrypto", "libprotobuf-c"},
    "scs": {"libev", "libinih", "libssl", "libcrypto", "libprotobuf-c", "libsqlite3", "libcurl", "libjansson"},
    "scsctl": {"libev", "libinih", "libssl", "libcrypto", "libprotobuf-c"},
}


@pytest.mark.parametrize("name", NEEDED)
def test_linked_libraries(name):
    out = tree.run("readelf", "-d", tree.program(name))
    needed = {m.group(1) for m in re.finditer(r"\(NEEDED\).*\[(lib[\w+-]+?)(?:-\d[\d.]*)?\.so", out.stdout)}
    assert needed, out.stdout
    extra = needed - NEEDED[name] - {"libc", "ld-linux-x86", "libm", "libpthread"}
    assert not extra, f"links {', '.join(sorted(extra))}"


@pytest.mark.parametrize("name", NEEDED)
def test_hardened(name):
    path = tree.program(name)
    header, dynamic, segments = (tree.run("readelf", flag, path).stdout for flag in ("-h", "-d", "-l"))
    assert "DYN " in header, "not a position-independent executable"
    assert "BIND_NOW" in dynamic or " NOW" in dynamic, "not bound at start"
    assert "GNU_RELRO" in segments
    assert not re.search(r"GNU_STACK.*\n?.*RWE", segments), "executable stack"


CLOCKS = re.compile(r"\b(clock_gettime|gettimeofday|time|clock|times|ftime|timespec_get)\s*\(")


@pytest.mark.parametrize("path", [f for f in OUR_C if f.endswith(".c")])
def test_clock_is_read_in_one_file(path):
    if path in ("common/io/loop.c", "lca/client/primary.c"):  # the second one in other people's processes
        assert CLOCKS.search(code_of(path)), "this is where it is read"
    else:
        found = CLOCKS.search(code_of(path))
        assert not found, f"reads the clock itself: {found.group(0)}"


def code_of(path):
    """The file without comments and string literals."""
    text = tree.read(path)
    text = re.sub(r"/\*.*?\*/", " ", text, flags=re.S)
    text = re.sub(r'"(?:\\.|[^"\\\n])*"', '""', text)
    return re.sub(r"//[^\n]*", " ", text)


@pytest.mark.parametrize("path", [f for f in OUR_C if f.endswith(".c")])
def test_no_condition_of_the_preprocessor_in_logic(path):
    found = re.search(r"^\s*#\s*(if|ifdef|ifndef|elif)\b.*", code_of(path), re.M)
    assert not found, found.group(0)
