#!/usr/bin/env python3
"""generate.py SEED COUNT FOLDER: random Motu programs for the toy compilers, each with what Python
says that it prints, and whether it traps: FOLDER/N.motu, N.expected, N.status.

Python evaluates a translation made beside the program, not the compiler's tree."""
import math
import random
import sys

MIN, MAX = -(2**63), 2**63 - 1
LEVELS = {"or": 1, "and": 2, "not": 3, "==": 4, "!=": 4, "<": 4, "<=": 4, ">": 4, ">=": 4,
          "+": 5, "-": 5, "*": 6, "/": 6, "%": 6}
COMPARISONS = ("==", "!=", "<", "<=", ">", ">=")
NAMES = ["a", "b2", "is_it", "Total", "call", "write", "STDIN", "i32", "x_", "mov"]


class Trap(Exception):
    pass


def wrap(x):
    return (x - MIN) % 2**64 + MIN


def div(x, y):
    if y == 0 or (x == MIN and y == -1):
        raise Trap
    return abs(x) // abs(y) * (1 if (x < 0) == (y < 0) else -1)


def rem(x, y):
    if y == 0:
        raise Trap
    return abs(x) % abs(y) * (1 if x >= 0 else -1)


def fdiv(x, y):
    if y != 0:
        return x / y
    return math.nan if x == 0 or x != x else math.copysign(math.inf, x) * math.copysign(1, y)


def to_int(x):
    if not -(2.0**63) <= x < 2.0**63:
        raise Trap
    return int(x)


def shown(x):
    return str(x).lower() if isinstance(x, bool) else repr(x)


class Program:
    def __init__(self, rng):
        self.rng, self.motu, self.python, self.functions = rng, [], [], []
        self.motu.append('fn note(n: int) -> int {\n    put "<", n, ">";\n    return n;\n}\n')
        self.python.append("def note(n):\n    out(f'<{n}>')\n    return n\n")
        # A name of the assembly language as a function's.
        self.motu.append("fn ret(b: bool) -> bool {\n    put b;\n    return b;\n}\n")
        self.python.append("def ret(b):\n    out(shown(b))\n    return b\n")

    def make(self, count):
        results = []
        for i in range(count):
            results.append(self.function(f"f{i}" if i % 2 else f"do_{i}"))
        self.motu.append("fn main() {")
        for name, params, _ in self.functions:
            arguments = [self.literal(kind) for kind in params]
            self.motu.append(f"    print {name}({', '.join(a[0] for a in arguments)});")
            self.python.append(f"out(shown({name}({', '.join(a[2] for a in arguments)})) + '\\n')")
        self.motu.append("}")
        return "\n".join(self.motu) + "\n", "\n".join(self.python)

    def function(self, name):
        rng = self.rng
        self.scope = {n: rng.choice(["int", "int", "float", "bool"])
                      for n in rng.sample(NAMES, rng.randrange(1, 4))}
        params, result = dict(self.scope), rng.choice(["int", "int", "float", "bool"])
        self.counter, self.fixed = 0, set()
        motu, python = self.block(rng.randrange(1, 6), 1, 2)
        value = self.expression(result, 4)
        motu.append(f"    return {value[0]};")
        python.append(f"    return {value[2]}")
        head = ", ".join(f"{n}: {t}" for n, t in params.items())
        self.motu += [f"fn {name}({head}) -> {result} {{"] + motu + ["}\n"]
        self.python += [f"def {name}({', '.join(params)}):"] + python
        self.functions.append((name, list(params.values()), result))

    def block(self, count, indent, depth):
        outer, motu, python, pad = dict(self.scope), [], [], "    " * indent
        for _ in range(count):
            m, p = self.statement(indent, depth)
            motu += [pad + line for line in m]
            python += [pad + line for line in p]
        if indent > 1:
            self.scope = outer
        return motu, python

    def fresh(self):
        self.counter += 1
        return f"v{self.counter}"

    def statement(self, indent, depth):
        rng = self.rng
        kind = rng.choice(["let", "set", "set", "if", "while", "print", "return"])
        if kind == "return" and indent > 1 or kind == "if" and depth == 0:
            kind = "set"
        if kind == "let":
            name, type_ = self.fresh(), rng.choice(["int", "float", "bool"])
            value = self.expression(type_, 4)
            self.scope[name] = type_
            colon = f": {type_}" if rng.random() < 0.3 else ""
            return [f"let {name}{colon} = {value[0]};"], [f"{name} = {value[2]}"]
        if kind == "if":
            condition = self.expression("bool", 4)
            m, p = self.block(rng.randrange(1, 3), 1, depth - 1)
            self.drop(m)
            motu = [f"if {condition[0]} {{"] + m
            python = [f"if {condition[2]}:"] + p
            while rng.random() < 0.5:
                condition = self.expression("bool", 3)
                m, p = self.block(1, 1, depth - 1)
                self.drop(m)
                motu += [f"}} else if {condition[0]} {{"] + m
                python += [f"elif {condition[2]}:"] + p
            if rng.random() < 0.5:
                m, p = self.block(1, 1, depth - 1)
                self.drop(m)
                motu += ["} else {"] + m
                python += ["else:"] + p
            return motu + ["}"], python
        if kind == "while" and depth > 0:
            i, limit = self.fresh(), rng.randrange(0, 5)
            more = self.expression("bool", 3) if rng.random() < 0.5 else None
            self.scope[i] = "int"
            self.fixed.add(i)
            m, p = self.block(rng.randrange(1, 3), 1, depth - 1)
            self.drop(m)
            motu = [f"let {i} = 0;", f"while {i} < {limit}"]
            python = [f"{i} = 0", f"while {i} < {limit}"]
            if more:
                motu[1] += " and " + (more[0] if more[1] > 2 else f"({more[0]})")
                python[1] += f" and {more[2]}"
            motu[1] += " {"
            python[1] += ":"
            motu += m + [f"    {i} = {i} + 1;", "}"]
            python += p + [f"    {i} = {i} + 1"]
            return motu, python
        if kind == "print":
            type_ = rng.choice(["int", "float", "bool"])
            value = self.expression(type_, 4)
            return [f'print "= ", {value[0]};'], [
                "out('= ')", f"out(shown({value[2]}) + '\\n')"]
        names = [n for n in self.scope if n not in self.fixed]
        if not names:
            return ['put "";'], ["pass"]
        name = rng.choice(names)
        value = self.expression(self.scope[name], 4)
        return [f"{name} = {value[0]};"], [f"{name} = {value[2]}"]

    def drop(self, lines):
        """Variables of a block that has ended are not known any more."""
        for line in lines:
            words = line.split()
            if words[0] == "let":
                self.scope.pop(words[1].rstrip(":"), None)

    # Expressions: the text, its level, the text for Python.

    def literal(self, kind):
        rng = self.rng
        if kind == "bool":
            value = rng.choice(["true", "false"])
            return value, 9, value.capitalize()
        if kind == "float":
            value = rng.choice([0.0, 1.0, 0.5, 3.25, 1e10, 1.5e-9, 1e300, rng.uniform(0, 100)])
            text = repr(value)
            text = text if "." in text else text.replace("e", ".0e")
            return text, 9, text
        value = rng.choice([0, 1, 2, 3, 7, 100, 32767, 32768, 65536, 2**31, 2**32 + 1, MAX,
                            rng.randrange(1000), rng.randrange(2**63)])
        if rng.random() < 0.05:
            return f"(-{MAX} - 1)", 9, f"({MIN})"
        if rng.random() < 0.2:
            return f"-{value}", 7, f"(-{value})"
        return str(value), 9, str(value)

    def expression(self, kind, depth):
        rng = self.rng
        if depth == 0 or rng.random() < 0.15:
            names = [n for n, t in self.scope.items() if t == kind]
            if names and rng.random() < 0.7:
                name = rng.choice(names)
                return name, 9, name
            return self.literal(kind)
        if rng.random() < 0.12:
            return self.call(kind, depth)
        if kind == "bool":
            pick = rng.random()
            if pick < 0.35:
                return self.binary(rng.choice(["and", "or"]), "bool", depth)
            if pick < 0.5:
                inner = self.expression("bool", depth - 1)
                text = inner[0] if inner[1] >= LEVELS["not"] else f"({inner[0]})"
                return f"not {text}", 3, f"(not {inner[2]})"
            if pick < 0.6:
                return self.binary(rng.choice(["==", "!="]), "bool", depth)
            return self.binary(rng.choice(COMPARISONS), rng.choice(["int", "float"]), depth)
        if rng.random() < 0.1:
            inner = self.expression(kind, depth - 1)
            text = inner[0] if inner[1] >= 7 else f"({inner[0]})"
            return f"-{text}", 7, f"wrap(-{inner[2]})" if kind == "int" else f"(-{inner[2]})"
        return self.binary(rng.choice("+-*/%" if kind == "int" else "+-*/"), kind, depth)

    def binary(self, op, kind, depth):
        left, right = self.expression(kind, depth - 1), self.expression(kind, depth - 1)
        level = LEVELS[op]
        least = level + 1 if op in COMPARISONS else level
        text = left[0] if left[1] >= least and self.rng.random() < 0.9 else f"({left[0]})"
        text += f" {op} " + (right[0] if right[1] > level else f"({right[0]})")
        x, y = left[2], right[2]
        if op in ("and", "or") or op in COMPARISONS:
            return text, level, f"({x} {op} {y})"
        if kind == "float":
            return text, level, f"fdiv({x}, {y})" if op == "/" else f"({x} {op} {y})"
        python = {"/": f"div({x}, {y})", "%": f"rem({x}, {y})"}.get(op, f"wrap({x} {op} {y})")
        return text, level, python

    def call(self, kind, depth):
        rng = self.rng
        choices = [f for f in self.functions if f[2] == kind]
        if choices and rng.random() < 0.5:
            name, params, _ = rng.choice(choices)
            arguments = [self.expression(p, depth - 1) for p in params]
            return (f"{name}({', '.join(a[0] for a in arguments)})", 9,
                    f"{name}({', '.join(a[2] for a in arguments)})")
        name, python, inner = {"int": rng.choice([("note", "note", "int"), ("int", "to_int", "float")]),
                               "float": ("float", "float", "int"),
                               "bool": ("ret", "ret", "bool")}[kind]
        argument = self.expression(inner, depth - 1)
        return f"{name}({argument[0]})", 9, f"{python}({argument[2]})"


def main():
    seed, count, folder = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    rng = random.Random(seed)
    done = trapped = 0
    while done < count:
        motu, python = Program(rng).make(rng.randrange(1, 5))
        output, status = [], 0
        try:
            exec(python, {"out": output.append, "shown": shown, "wrap": wrap, "div": div, "rem": rem,
                          "fdiv": fdiv, "to_int": to_int})
        except Trap:
            status = 134
        if status and trapped > done // 5:
            continue
        trapped += status != 0
        for end, text in (("motu", motu), ("expected", "".join(output)), ("status", str(status))):
            with open(f"{folder}/{done}.{end}", "w") as out:
                out.write(text)
        done += 1


main()
