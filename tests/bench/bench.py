"""Speed and memory figures beside the peers on this machine: `./dev bench [GROUP] [--json FILE]`.

Each file in groups/ has `run(bench)`, which reports figures through Bench.figure(). A group states
its targets beside its measurements. The exit status is 1 when a target is missed, and 2 when a
program fails or prints another answer than its peer.
"""

import argparse
import importlib
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BUILD = ROOT / "build" / "release"
SCRATCH = ROOT / "build" / "bench"
LOWER, HIGHER = "<=", ">="


class BenchError(Exception):
    """A program failed or gave a wrong answer: its figures mean nothing."""


class Bench:
    def __init__(self, rounds):
        self.rounds = rounds
        self.group = ""
        self.figures = []
        self.missing = {}

    def atoll(self):
        return str(BUILD / "atoll")

    def program(self, name):
        """A benchmark program of tests/bench/*.cpp."""
        return str(BUILD / "bin" / name)

    def peer(self, name, command, how, variable=None):
        """The peer's command, whose path the environment's `variable` may give, or None when this
        machine has none: the end says so, and `how` to get it."""
        if path := os.environ.get(variable or ""):
            command = [path, *command[1:]]
        if shutil.which(command[0]):
            return command
        self.missing[name] = how
        return None

    def assemble(self, source):
        """Assembles a source (relative to the repository) and returns the module's path."""
        module = SCRATCH / (pathlib.Path(source).stem + ".atb")
        self.output([self.atoll(), "asm", str(ROOT / source), "-o", str(module)])
        return str(module)

    def output(self, command):
        """Standard output of a command that must succeed."""
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if done.returncode:
            raise BenchError(f"{' '.join(command)}: exit status {done.returncode}\n{done.stderr}")
        return done.stdout

    def cpu_seconds(self, command, system=False):
        """Runs a command; (its CPU seconds in user mode, and with `system` in the kernel, its
        output). The kernel divides few milliseconds between the two by chance."""
        with open(SCRATCH / "out", "w+b") as out:
            child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out)
            _, status, usage = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
            if child.returncode:
                raise BenchError(f"{' '.join(command)}: exit status {child.returncode}")
            out.seek(0)
            return usage.ru_utime + (usage.ru_stime if system else 0), out.read().decode()

    def interleave(self, commands, rounds=None, system=False):
        """Runs each command (a dict of name to command) in turn, `rounds` times, or self.rounds.
        The least CPU time of each, as cpu_seconds() says, by name. All must print the same numbers
        and words."""
        best, answers = {}, {}
        for _ in range(rounds or self.rounds):
            for name, command in commands.items():
                seconds, text = self.cpu_seconds(command, system)
                best[name] = min(seconds, best.get(name, seconds))
                answers[name] = text.split()
        first = next(iter(answers))
        for name, answer in answers.items():
            if answer != answers[first]:
                raise BenchError(f"{name} prints {answer}, {first} prints {answers[first]}")
        return best

    def ending(self, command, trigger=None, settle=0.15, **options):
        """Milliseconds from `trigger(child)`, called `settle` seconds after the start, to the end of
        a command; without a trigger, from the start. Also its exit status."""
        start = time.perf_counter()
        child = subprocess.Popen(command, stderr=subprocess.DEVNULL, **options)
        if trigger:
            time.sleep(settle)
            if child.poll() is not None:
                raise BenchError(f"{' '.join(command)}: ended by itself, status {child.returncode}")
            start = time.perf_counter()
            trigger(child)
        try:
            status = child.wait(timeout=20)
        except subprocess.TimeoutExpired as late:
            child.kill()
            child.wait()
            raise BenchError(f"{' '.join(command)}: does not end") from late
        return (time.perf_counter() - start) * 1e3, status

    def figure(self, name, value, unit, method, peers=None, target=None, direction=LOWER, note=""):
        """Reports one figure. `value` may be None when it can't be had here (`note` says why);
        `target` is the bound in the direction, or None."""
        met = None
        if target is not None and value is not None:
            met = value <= target if direction == LOWER else value >= target
        figure = {
            "group": self.group,
            "name": name,
            "value": value,
            "unit": unit,
            "method": method,
            "peers": peers or {},
            "target": target if target is None else f"{direction} {target:g}",
            "met": met,
        }
        if note:
            figure["note"] = note
        self.figures.append(figure)
        print_row(figure)


def show(value):
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 10000 else f"{value:.3g}" if value < 100 else f"{value:.0f}"


def print_row(figure):
    peers = ", ".join(f"{name} {show(value)}" for name, value in figure["peers"].items())
    verdict = {True: "met", False: "MISSED", None: ""}[figure["met"]]
    row = f"{figure['name']:<34} {show(figure['value']):>10} {figure['unit']:<8}"
    row += f" {figure['target'] or '':<12} {verdict:<7} {peers or figure.get('note', '')}"
    print(row.rstrip() + f"  [{figure['method']}]", flush=True)


def median(values):
    return statistics.median(values)


def main():
    groups = sorted(path.stem for path in (HERE / "groups").glob("[a-z]*.py"))
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__.splitlines()[0])
    parser.add_argument("group", nargs="?", choices=groups, help="only this group")
    parser.add_argument("--json", metavar="FILE", help="also write the figures to FILE")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each long program (5)")
    arguments = parser.parse_args()

    SCRATCH.mkdir(parents=True, exist_ok=True)
    sys.path.insert(0, str(HERE))
    bench = Bench(arguments.rounds)
    status = 0
    for group in [arguments.group] if arguments.group else groups:
        bench.group = group
        print(f"\n{group}\n" + "-" * len(group))
        try:
            importlib.import_module(f"groups.{group}").run(bench)
        except BenchError as error:
            print(f"bench: {error}", file=sys.stderr)
            status = 2
    for name, how in bench.missing.items():
        print(f"\nmissing {name}: {how}")
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump(bench.figures, file, indent=2)
            file.write("\n")
    if not status and any(figure["met"] is False for figure in bench.figures):
        status = 1
    return status


if __name__ == "__main__":
    # Groups do `from bench import ...`: they must get this module, not a second one.
    sys.modules["bench"] = sys.modules["__main__"]
    sys.exit(main())
