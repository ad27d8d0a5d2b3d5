#!/usr/bin/env python3
"""check.py ATOLL FOLDER: compiles and runs the programs that generate.py made in FOLDER, and one
with all of Atoll's words as names. Leaves N.atoll beside each. Prints `ok` and `not ok` lines."""
import glob
import json
import os
import re
import subprocess
import sys

root = os.path.dirname(os.path.abspath(__file__)) + "/../../.."
sys.path.insert(0, root + "/samples/toy")
import toy  # noqa: E402


def run(atoll, name, *arguments):
    return subprocess.run([atoll, "run", "--time", "20s", name, *arguments], capture_output=True,
                          text=True)


def compiled(file):
    with open(file, encoding="utf-8") as source:
        text = toy.compile_source(file, source.read())
    name = file.removesuffix(".motu") + ".atoll"
    with open(name, "w", encoding="utf-8") as out:
        out.write(text)
    return name


def read(name):
    with open(name, encoding="utf-8") as file:
        return file.read()


def generated(atoll):
    wrong = []
    files = sorted(glob.glob("[0-9]*.motu"))
    traps = 0
    for file in files:
        base = file.removesuffix(".motu")
        ended = run(atoll, compiled(file))
        status = int(read(base + ".status"))
        traps += status != 0
        if ended.returncode != status:
            wrong.append(f"{file}: status {ended.returncode}, expected {status}: {ended.stderr}")
        elif status == 0 and ended.stdout != read(base + ".expected"):
            wrong.append(f"{file}: {ended.stdout!r}, expected {read(base + '.expected')!r}")
    told = "; ".join(wrong[:3]).replace("\n", " ")
    print(f"not ok toy/generated: {told}" if wrong else
          f"ok toy/generated: {len(files)} programs, {traps} of them trap")


def words(atoll):
    """Whatever means something in an Atoll program is a good name in Motu."""
    known = set(re.findall(r'\b[RC]\(\w+, "(\w+)"\)', read(root + "/assembler/text/names.hpp")))
    known |= set(re.findall(r'^OP\(\d+, \w+, "(\w+)"', read(root + "/vm/isa/opcodes.def"), re.M))
    for library in ("sys", "io", "int", "float", "mem", "bytes"):
        items = json.loads(subprocess.check_output([atoll, "doc", "--json", "std." + library]))
        known |= {item["name"] for item in items["items"]}
    names = sorted(known - set(toy.KEYWORDS)) + ["start_", "t1_", "c1_", "usage_", "heap_base_"]
    functions = "".join(f"fn {name}(n: int) -> int {{ return n + 1; }}\n" for name in names)
    calls = "".join(f"    sum = {name}(sum);\n" for name in names)
    variables = "".join(f"    let {name} = sum + 1;\n    sum = {name};\n" for name in names)
    for what, head, body in (("functions", functions, calls), ("variables", "", variables)):
        with open("words.motu", "w", encoding="utf-8") as out:
            out.write(f"{head}fn main() {{\n    let sum = 0;\n{body}    print sum;\n}}\n")
        ended = run(atoll, compiled("words.motu"))
        good = ended.stdout == f"{len(names)}\n" and len(names) > 200
        print(f"ok toy/words as {what}" if good else
              f"not ok toy/words as {what}: {ended.stdout}{ended.stderr[:500]}")


os.chdir(sys.argv[2])
generated(sys.argv[1])
words(sys.argv[1])
