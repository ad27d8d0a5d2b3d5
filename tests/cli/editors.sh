#!/usr/bin/env bash
# Editor highlighting: the files parse, and match every operation and word of the language whole.
source "$(dirname "$0")/../lib.sh"

python3 - "$root" <<'PYTHON' || lib_failures=$((lib_failures + 1))
import json, re, sys

root = sys.argv[1]
failed = False


def report(name, wrong):
    global failed
    if wrong:
        failed = True
        print(f"not ok {name}: {'; '.join(wrong[:10])}")
    else:
        print(f"ok {name}")


def read(path):
    with open(f"{root}/{path}", encoding="utf-8") as file:
        return file.read()


operations = re.findall(r'^OP\(\d+, \w+, "([^"]+)"', read("vm/isa/opcodes.def"), re.M)
operations += ["br.if", "br.ifz", "i32.gt_s", "i64.ge_u", "f64.gt", "br.f32.ge", "br.i32.gt_u",
               "i32.reinterpret_f32", "f64.reinterpret_i64", "ref.null"]
words = re.findall(r'\b[RC]\(\w+, "(\w+)"\)', read("assembler/text/names.hpp"))
others = ["functions", "i32x", "brown", "call_me", "retry", "ret.2", "mover", "callx",
          "memory.shrink", "my.i32.add", "nope", "table.gets", "backward", "x.if"]

# --- TextMate: only syntax that Oniguruma and re share is used -----------------------------------
files = ["package.json", "language-configuration.json", "syntaxes/atoll.tmLanguage.json"]
parsed = {}
wrong = []
for name in files:
    try:
        parsed[name] = json.loads(read(f"assembler/editors/vscode/{name}"))
    except (OSError, ValueError) as error:
        wrong.append(f"{name}: {error}")
report("vscode-json", wrong)

grammar = parsed[files[2]]
contributes = parsed[files[0]]["contributes"]
report("vscode-paths", [path for path in (contributes["grammars"][0]["path"],
                                          contributes["languages"][0]["configuration"])
                        if path.removeprefix("./") not in files])

patterns, includes = [], []


def walk(node):
    if isinstance(node, dict):
        for key in ("match", "begin", "end"):
            if isinstance(node.get(key), str):
                patterns.append((node.get("name", ""), node[key]))
        if isinstance(node.get("include"), str):
            includes.append(node["include"].lstrip("#"))
        for value in node.values():
            walk(value)
    elif isinstance(node, list):
        for value in node:
            walk(value)


walk(grammar)
wrong = []
compiled = []
for scope, pattern in patterns:
    try:
        compiled.append((scope, re.compile(pattern)))
    except re.error as error:
        wrong.append(f"{pattern}: {error}")
report("textmate-patterns", wrong)
report("textmate-includes", [name for name in includes if name not in grammar["repository"]])

operation_patterns = [p for scope, p in compiled if scope.startswith("support.function.operation")]
word_patterns = [p for scope, p in compiled
                 if scope.startswith(("keyword.", "storage.", "support.type", "constant.language",
                                      "support.function.builtin"))]


def matched(patterns, text):
    """The whole word, as it stands in a line, is what is matched first in it."""
    line = f"  {text} x"
    found = [m for m in (p.search(line) for p in patterns) if m]
    return any(m.span() == (2, 2 + len(text)) for m in found)


report("textmate-operations", [op for op in operations if not matched(operation_patterns, op)])
report("textmate-words", [word for word in words if not matched(word_patterns, word)])
report("textmate-other-names",
       [name for name in others
        if any(p.search(f"  {name} ") for p in operation_patterns + word_patterns)])

# --- Vim ------------------------------------------------------------------------------------------
vim = read("assembler/editors/vim/syntax/atoll.vim")
keywords = set()
for line in re.findall(r"^syn keyword \w+ (.*)$", vim, re.M):
    keywords.update(line.split())
report("vim-words", [word for word in words if word not in keywords])

edge = r"[A-Za-z0-9_.]"  # as in `syn iskeyword`
vim_operations = []
wrong = []
for pattern in re.findall(r"^syn match atollOperation /\\v(.*)/$", vim, re.M):
    translated = pattern.replace("%(", "(?:").replace("<", f"(?<!{edge})", 1)
    translated = re.sub(r">$", f"(?!{edge})", translated)
    try:
        vim_operations.append(re.compile(translated))
    except re.error as error:
        wrong.append(f"{pattern}: {error}")
report("vim-patterns", wrong + ([] if vim_operations else ["none found"]))
report("vim-operations", [op for op in operations if not matched(vim_operations, op)])
report("vim-other-names",
       [name for name in others if any(p.search(f"  {name} ") for p in vim_operations)])
links = set(re.findall(r"^hi def link (\w+)", vim, re.M))
groups = set(re.findall(r"^syn (?:keyword|match|region) (\w+)", vim, re.M))
report("vim-links", sorted(groups ^ links))
sys.exit(failed)
PYTHON
