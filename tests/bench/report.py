"""What a bench says: numbers against bounds, and the raw samples for whoever doubts them."""
import math
import os
import platform


def quantile(values, q):
    """By rank: the least sample that as many as q of them do not exceed, so with few samples p99 is the greatest."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(q * len(ordered)) - 1)]


class Report:
    HEAD = f"  {'':44} {'figure':>12} {'bound':>14} {'floor':>12} {'ratio':>8}"

    def __init__(self, folder):
        self.folder, self.missed, self.judged, self.policy = folder, [], 0, ""

    def machine(self):
        load = os.getloadavg()[0]
        return f"{os.cpu_count()} cores, Linux {platform.release()}, load {load:.1f}"

    def say(self, text=""):
        print(text, flush=True)

    def title(self, name, text):
        self.say(f"\n{name}: {text}; {self.policy}")
        self.say(self.HEAD)

    def row(self, name, what, figure, bound, floor="", ratio="", ok=None):
        """ok None: shown for comparison, not judged."""
        verdict = "" if ok is None else "OK" if ok else "MISSED"
        self.say(f"  {what:44} {figure:>12} {bound:>14} {floor:>12} {ratio:>8}  {verdict}".rstrip())
        if ok is not None:
            self.judged += 1
            if not ok:
                self.missed.append(f"{name}: {what}")

    def against_floor(self, name, what, ours_ns, floor_ns, most):
        """A duration that may be `most` times its floor."""
        ratio = ours_ns / floor_ns
        self.row(name, what, ms(ours_ns), f"<= {most:g} x floor", ms(floor_ns), f"{ratio:.2f}", ratio <= most)

    def samples(self, name, header, rows):
        if not self.folder:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        with open(self.folder / f"{name}.csv", "w", encoding="utf-8") as f:
            f.write(",".join(header) + "\n")
            f.writelines(",".join(map(str, row)) + "\n" for row in rows)

    def end(self, seconds):
        self.say()
        if self.folder:
            self.say(f"samples: {self.folder}")
        for what in self.missed:
            self.say(f"MISSED  {what}")
        self.say(f"{self.judged - len(self.missed)} bounds kept, {len(self.missed)} missed, {seconds:.0f} s; {self.machine()}")
        return 1 if self.missed else 0


def ms(ns):
    return f"{ns / 1e6:.3f} ms"
