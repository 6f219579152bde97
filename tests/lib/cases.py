"""Scripts that are test programs: their functions test_* are the cases, told as TAP."""
import sys
import time

LONG = 30


def wait(condition, what):
    """`what` is waited for: words, or a function that gives them at the end."""
    end = time.monotonic() + LONG
    while not condition():
        assert time.monotonic() < end, f"not within {LONG} s: {what() if callable(what) else what}"
        time.sleep(0.02)


def run(functions, programs):
    """Runs the cases among `functions`, the script's globals; returns its exit status. Of its words the first `programs` are programs, the others name cases."""
    own, wanted = sys.argv[:1 + programs], sys.argv[1 + programs:]
    cases = [(n[5:], f) for n, f in sorted(functions.items()) if n.startswith("test_") and n[5:] in (wanted or [n[5:]])]
    failed = 0
    for number, (name, case) in enumerate(cases, 1):
        try:
            case()
            print(f"ok {number} - {name}", flush=True)
        except Exception as e:  # every kind of failure is one failed case
            failed += 1
            print(f"not ok {number} - {name}", flush=True)
            print("\n".join(f"# {line}" for line in f"{type(e).__name__}: {e}".splitlines()), flush=True)
            print(f"# again: {' '.join([*own, name])}", flush=True)
    print(f"1..{len(cases)}")
    return failed != 0
