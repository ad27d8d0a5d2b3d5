#!/usr/bin/env python3
"""A compiler for Motu, a toy language, to Atoll assembly: toy.py FILE > OUT.atoll

Lexer, parser, checker and generator, in the order in which a source goes through them. toy.cpp is
the same compiler in C++; both make the same text. docs/write-a-compiler.md explains it.
"""
import collections
import re
import sys

# --- Mistakes -------------------------------------------------------------------------------------


class Mistake(Exception):
    """What is wrong, and the token where."""

    def __init__(self, token, message, hint=""):
        super().__init__(message)
        self.token, self.message, self.hint = token, message, hint

    def text(self, file, lines):
        """As Atoll's own tools show mistakes."""
        token = self.token
        line = lines[token.line - 1] if token.line <= len(lines) else ""
        number = str(token.line)
        out = f"{file}:{number}:{token.column}: error: {self.message}\n"
        if line:
            indent = re.sub("[^\t]", " ", line[: token.column - 1])
            width = max(1, min(len(token.text), len(line) + 1 - token.column))
            out += f" {number} | {line}\n {' ' * len(number)} | {indent}^{'~' * (width - 1)}\n"
        return out + (f"  hint: {self.hint}\n" if self.hint else "")


# --- Lexer ----------------------------------------------------------------------------------------

KEYWORDS = "fn let if else while return print put true false and or not int float bool".split()
TOKEN = re.compile(
    r"(?P<space>[ \t\r\n]+|//[^\n]*)"
    r"|(?P<real>[0-9]+\.[0-9]+(?:e[+-]?[0-9]+)?)"
    r"|(?P<integer>[0-9]+)"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
    r'|(?P<string>"(?:[^"\\\n]|\\[nt"\\])*")'
    r"|(?P<sign>->|[<>=!]=|[-+*/%<>=(){},:;])"
)


# `kind`: real, integer, name, string, end, or the keyword or sign itself.
Token = collections.namedtuple("Token", "kind text line column")


def lex(source):
    tokens, at, line, begin = [], 0, 1, 0
    while at < len(source):
        match = TOKEN.match(source, at)
        if not match:
            what = "this string does not end, or has an unknown escape" if source[at] == '"' else (
                "there is no such character in the language")
            raise Mistake(Token("", source[at], line, at - begin + 1), what)
        kind, text = match.lastgroup, match.group()
        if kind == "sign" or text in KEYWORDS:
            kind = text
        if kind != "space":
            tokens.append(Token(kind, text, line, at - begin + 1))
        at = match.end()
        if "\n" in text:
            line += text.count("\n")
            begin = at - len(text) + text.rindex("\n") + 1
    tokens.append(Token("end", "", line, at - begin + 1))
    return tokens


# --- Parser ---------------------------------------------------------------------------------------


class Node:
    """An expression or a statement: what it is, its first or main token, its parts."""

    def __init__(self, kind, token, parts=(), value=None):
        self.kind, self.token, self.parts, self.value = kind, token, list(parts), value
        self.type = None  # of an expression, once it is checked: int, float, bool, or "" for none


Function = collections.namedtuple("Function", "name params result body")
LEVELS = {"or": 1, "and": 2, "==": 4, "!=": 4, "<": 4, "<=": 4, ">": 4, ">=": 4,
          "+": 5, "-": 5, "*": 6, "/": 6, "%": 6}
NOT_LEVEL, COMPARE_LEVEL, MINUS_LEVEL = 3, 4, 7
MAX_DEPTH, MAX_INT = 100, 2**63 - 1


class Parser:
    PREFIXES = ("integer", "real", "true", "false", "not", "-", "(", "name", "int", "float")

    def __init__(self, tokens):
        self.tokens, self.at, self.depth = tokens, 0, 0

    @property
    def token(self):
        return self.tokens[self.at]

    def take(self):
        self.at += 1
        return self.tokens[self.at - 1]

    def accept(self, kind):
        return self.take() if self.token.kind == kind else None

    def expect(self, kind, what):
        if self.token.kind != kind:
            found = "the end of the file" if self.token.kind == "end" else f"`{self.token.text}`"
            raise Mistake(self.token, f"expected {what}, found {found}")
        return self.take()

    def nest(self):
        """Atoll's assembler stops at 256 levels, this parser before."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise Mistake(self.token, f"this is nested more than {MAX_DEPTH} deep")

    def type(self):
        token = self.accept("float") or self.accept("bool")
        return (token or self.expect("int", "a type (int, float, bool)")).kind

    def program(self):
        functions = []
        while self.token.kind != "end":
            functions.append(self.function())
        return functions

    def function(self):
        self.expect("fn", "`fn`")
        name, params = self.expect("name", "the function's name"), []
        self.expect("(", "`(`")
        while self.token.kind != ")":
            param = self.expect("name", "a parameter's name")
            self.expect(":", "`:` and the parameter's type")
            params.append((param, self.type()))
            if not self.accept(","):
                break
        self.expect(")", "`)`")
        result = self.type() if self.accept("->") else ""
        return Function(name, params, result, self.block())

    def block(self):
        self.nest()
        self.expect("{", "`{`")
        statements = []
        while self.token.kind not in ("}", "end"):
            statements.append(self.statement())
        end = self.expect("}", "`}`")
        self.depth -= 1
        return Node("block", end, statements)

    def statement(self):
        token = self.token
        if token.kind == "if":
            return self.if_statement()
        if self.accept("while"):
            return Node("while", token, [self.expression(), self.block()])
        if self.accept("let"):
            name = self.expect("name", "the variable's name")
            wanted = self.type() if self.accept(":") else ""
            self.expect("=", "`=` and the variable's value")
            node = Node("let", name, [self.expression()], wanted)
        elif self.accept("return"):
            node = Node("return", token, [] if self.token.kind == ";" else [self.expression()])
        elif self.accept("print") or self.accept("put"):
            node = Node(token.kind, token)
            while self.token.kind != ";":
                string = self.accept("string")
                node.parts.append(Node("string", string) if string else self.expression())
                if not self.accept(","):
                    break
        elif token.kind == "name" and self.tokens[self.at + 1].kind == "=":
            self.at += 2
            node = Node("set", token, [self.expression()])
        else:
            node = Node("call statement", token, [self.expression()])
            if node.parts[0].kind != "call":
                raise Mistake(token, "expected a statement, found an expression")
        self.expect(";", "`;`")
        return node

    def if_statement(self):
        self.nest()
        token = self.take()
        parts = [self.expression(), self.block()]
        if self.accept("else"):
            if self.token.kind == "if":
                parts.append(Node("block", self.token, [self.if_statement()]))
            else:
                parts.append(self.block())
        self.depth -= 1
        return Node("if", token, parts)

    def expression(self, least=1):
        """A Pratt parser: takes operators of the level `least` and above."""
        depth = self.depth
        self.nest()
        left = self.prefix()
        while LEVELS.get(self.token.kind, 0) >= least:
            self.nest()
            token = self.take()
            level = LEVELS[token.kind]
            left = Node("binary", token, [left, self.expression(level + 1)])
            if level == COMPARE_LEVEL and LEVELS.get(self.token.kind) == COMPARE_LEVEL:
                raise Mistake(self.token, "comparisons do not chain", "a < b and b < c")
        self.depth = depth
        return left

    def prefix(self):
        token = self.token
        if token.kind not in self.PREFIXES:
            self.expect("name", "an expression")
        self.at += 1
        if token.kind == "integer":
            if len(token.text.lstrip("0")) > 19 or int(token.text) > MAX_INT:
                raise Mistake(token, "the number is above 2^63 - 1")
            return Node("int", token, value=int(token.text))
        if token.kind == "real":
            if float(token.text) == float("inf"):
                raise Mistake(token, "the number is too large for a float")
            return Node("float", token, value=token.text)
        if token.kind in ("true", "false"):
            return Node("bool", token, value=int(token.kind == "true"))
        if token.kind == "not":
            return Node("unary", token, [self.expression(NOT_LEVEL + 1)])
        if token.kind == "-":
            return Node("unary", token, [self.expression(MINUS_LEVEL)])
        if token.kind == "(":
            inner = self.expression()
            self.expect(")", "`)`")
            return inner
        if token.kind == "name" and self.token.kind != "(":
            return Node("name", token)
        return self.call(token)

    def call(self, token):
        self.expect("(", "`(`")
        node = Node("call", token)
        while self.token.kind != ")":
            node.parts.append(self.expression())
            if not self.accept(","):
                break
        self.expect(")", "`,` or `)`")
        return node


# --- Checker --------------------------------------------------------------------------------------


def wrap(value):
    """Of 64 bits, signed."""
    return (value + 2**63) % 2**64 - 2**63


def a(kind):
    return {"int": "an int", "float": "a float", "bool": "a bool", "": "nothing"}[kind]


class Checker:
    """Gives each expression its type, and computes what consists of integers alone."""

    def __init__(self, functions, end):
        self.list, self.end = functions, end
        self.functions, self.mistakes, self.function, self.scopes = {}, [], None, []

    def program(self):
        for function in self.list:
            self.guarded(self.declare_function, function)
        if "main" not in self.functions:
            self.mistakes.append(Mistake(self.end, "the program has no function `main`"))
        for function in self.list:
            self.one_function(function)

    def guarded(self, action, *arguments):
        """So that one run shows the mistakes of all statements."""
        try:
            return action(*arguments)
        except Mistake as mistake:
            self.mistakes.append(mistake)
            return False

    def declare_function(self, function):
        name = function.name.text
        if name in self.functions:
            raise Mistake(function.name, f"there is a function `{name}` already")
        self.functions[name] = function
        if name == "main":
            for param, kind in function.params:
                if kind != "int":
                    raise Mistake(param, "`main` takes the program's arguments: ints")
            if function.result not in ("", "int"):
                raise Mistake(function.name, "`main` gives an int, the exit code, or nothing")

    def one_function(self, function):
        self.function, self.scopes = function, [{}]
        for param, kind in function.params:
            self.guarded(self.declare, param, kind)
        mistakes = len(self.mistakes)
        ends = self.block(function.body)
        if function.result and not ends and len(self.mistakes) == mistakes:
            self.mistakes.append(Mistake(
                function.body.token, "the end of the function can be reached without `return`",
                f"`{function.name.text}` gives {a(function.result)}"))

    def declare(self, token, kind):
        name = token.text
        if name in self.functions:
            raise Mistake(token, f"`{name}` is the name of a function")
        if any(name in scope for scope in self.scopes):
            raise Mistake(token, f"there is a variable `{name}` already")
        self.scopes[-1][name] = kind

    def block(self, node):
        """Whether the end of the block is never reached."""
        self.scopes.append({})
        ends = False
        for statement in node.parts:
            if ends:
                self.mistakes.append(Mistake(statement.token, "this statement cannot be reached"))
                break
            ends = self.guarded(self.statement, statement)
        self.scopes.pop()
        return ends

    def statement(self, node):
        kind, parts = node.kind, node.parts
        if kind == "let":
            try:
                kind = self.value(parts[0])
                self.wrong_type(parts[0], node.value)
            except Mistake:  # the variable is known all the same, or more mistakes would follow
                self.guarded(self.declare, node.token, node.value)
                raise
            self.declare(node.token, kind)
        elif kind == "set":
            self.want(parts[0], self.variable(node.token))
        elif kind == "if":
            self.guarded(self.want, parts[0], "bool")
            ends = [self.block(part) for part in parts[1:]]
            return len(ends) == 2 and all(ends)
        elif kind == "while":
            self.guarded(self.want, parts[0], "bool")
            self.block(parts[1])
            return parts[0].kind == "bool" and parts[0].value == 1
        elif kind == "return":
            result = self.function.result
            if not parts and result:
                raise Mistake(node.token, f"there is no value, the function gives {a(result)}")
            if parts and not result:
                raise Mistake(parts[0].token, "the function gives nothing")
            for part in parts:
                self.want(part, result)
            return True
        elif kind == "call statement":
            self.expression(parts[0])
        else:
            for part in parts:
                if part.kind != "string":
                    self.value(part)
        return False

    def variable(self, token):
        for scope in self.scopes:
            if token.text in scope:
                return scope[token.text]
        is_function = token.text in self.functions
        hint = f"to call it: {token.text}(...)" if is_function else "`let` makes one"
        raise Mistake(token, f"there is no variable `{token.text}`", hint)

    def want(self, node, kind):
        self.value(node)
        self.wrong_type(node, kind)
        return kind

    def wrong_type(self, node, wanted):
        if node.type == wanted or not node.type or not wanted:  # of a mistake that was told
            return
        hint = "" if "bool" in (node.type, wanted) else f"{wanted}(...)"
        raise Mistake(node.token, f"expected {a(wanted)}, found {a(node.type)}", hint)

    def value(self, node):
        if not self.expression(node) and node.kind == "call":
            raise Mistake(node.token, f"the function `{node.token.text}` gives nothing")
        return node.type

    def expression(self, node):
        if node.kind == "name":
            node.type = self.variable(node.token)
        else:
            check = {"call": self.call, "unary": self.unary, "binary": self.binary}.get(node.kind)
            node.type = check(node) if check else node.kind  # of a literal
        return node.type

    def call(self, node):
        name = node.token.text
        if name in ("int", "float"):
            params, result = ["float" if name == "int" else "int"], name
        elif name in self.functions:
            params = [kind for _, kind in self.functions[name].params]
            result = self.functions[name].result
        else:
            raise Mistake(node.token, f"there is no function `{name}`")
        if len(node.parts) != len(params):
            count = f"{len(params)} parameter" + ("" if len(params) == 1 else "s")
            raise Mistake(node.token, f"`{name}` has {count}, given are {len(node.parts)}")
        for part, kind in zip(node.parts, params):
            self.want(part, kind)
        return result

    def unary(self, node):
        kind, inner = self.value(node.parts[0]), node.parts[0]
        if node.token.kind == "not":
            return self.want(inner, "bool")
        if kind == "bool":
            raise Mistake(inner.token, "expected a number, found a bool")
        if inner.kind == "int":
            node.kind, node.value, node.parts = "int", wrap(-inner.value), []
        elif inner.kind == "float":
            minus = inner.value.startswith("-")
            node.kind, node.parts = "float", []
            node.value = inner.value[1:] if minus else "-" + inner.value
        return kind

    def binary(self, node):
        op, (left, right) = node.token.kind, node.parts
        if op in ("and", "or"):
            self.want(left, "bool")
            return self.want(right, "bool")
        kind = self.value(left)
        if self.value(right) != kind and kind and right.type:
            raise Mistake(node.token, f"`{op}` between {a(kind)} and {a(right.type)}",
                          "int(...) and float(...) convert")
        if kind == "bool" and op not in ("==", "!="):
            raise Mistake(node.token, f"`{op}` between bools")
        if kind == "float" and op == "%":
            raise Mistake(node.token, "`%` is for ints")
        if LEVELS[op] == COMPARE_LEVEL:
            return "bool"
        if left.kind == "int" and right.kind == "int":
            self.fold(node, op, left.value, right.value)
        return kind

    def fold(self, node, op, x, y):
        if op in ("/", "%") and (y == 0 or (x == -(2**63) and y == -1)):
            return  # left to the program, which may trap
        quotient = abs(x) // max(abs(y), 1) * (-1 if (x < 0) != (y < 0) else 1)
        results = {"+": x + y, "-": x - y, "*": x * y, "/": quotient, "%": x - quotient * y}
        node.kind, node.value, node.parts = "int", wrap(results[op]), []


# --- Generator ------------------------------------------------------------------------------------

TYPES = {"int": "i64", "float": "f64", "bool": "i32"}
ARITHMETIC = {"+": "add", "-": "sub", "*": "mul", "/": "div", "%": "rem"}
COMPARISONS = {"==": "eq", "!=": "ne", "<": "lt", "<=": "le", ">": "gt", ">=": "ge"}
SWAPPED = {"+": "+", "*": "*", "==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
LITERALS = ("int", "float", "bool")
# Words of the assembly language and names of host calls that a Motu name may be too.
WORDS = set("""back br break call close const continue enum exit export extern externref f32 f64
for func funcref i16 i32 i64 i8 import inf len lock loop macro mov nan nop null open pread pwrite
read receive ret revoke seek select spawn stat struct switch sync tail truncate u16 u32 u64 u8
unreachable var write""".split())


def name_of(token):
    """The name in the assembly text. All that libraries define has a `_` or a capital letter; what
    ends in one `_` and was nobody's name is the compiler's own."""
    name = token.text
    plain = re.fullmatch("[a-z][a-z0-9]*", name) and name not in WORDS
    return name if plain else name + "_"


def literal(node):  # a decimal number may not be as large as the least one
    return "0x8000000000000000" if node.value == -(2**63) else str(node.value)


def branchy(node):
    """Whether the value takes statements of its own: `and` and `or` become branches."""
    return node.token.kind in ("and", "or") or any(branchy(part) for part in node.parts)


def hard(node):
    """Whether it takes such statements as a condition, which branches anyway."""
    if node.token.kind in ("and", "or", "not"):
        return any(hard(part) for part in node.parts)
    return branchy(node)


def has_place(node):
    """Whether it calls or may trap, so that its place matters."""
    return node.kind == "call" or node.token.kind in "/%" or any(map(has_place, node.parts))


def is_own(call):
    """Not a conversion."""
    return call.token.kind == "name"


class Generator:
    def __init__(self, file):
        self.file = '"' + file.replace("\\", "\\\\").replace('"', '\\"') + '"'
        self.texts = {}

    def program(self, functions, name):
        bodies = [self.function(function) for function in functions]
        main = next(f for f in functions if f.name.text == "main")
        usage = "".join(" " + param.text.upper() for param, _ in main.params)
        head = [f"// Made of {self.file} by the compiler of samples/toy.",
                "use std.int", "use std.io", "use std.sys", ""]
        head += [f"data {data} = {text}" for text, data in self.texts.items()]
        head += [f'data usage_ = "usage: {name}{usage}\\n"']
        return "\n".join(head + sum(bodies, []) + self.start(main)) + "\n"

    def start(self, main):
        """What runs `main`: the program's arguments are integers."""
        count = len(main.params)
        arguments = ", ".join(f"(call argument_({i + 1}))" for i in range(count))
        lines = ["", "func usage_exit_() {", "    call io_print_error(usage_, len(usage_))",
                 "    call exit(2)", "    ret", "}", "", "func end_line_() {",
                 "    call io_put_byte(io_out, '\\n')", "    call io_flush(io_out)", "    ret", "}"]
        if count:
            lines += ["", "reserve word_ 32", "", "func argument_(i: i32) -> i64 {",
                      "    var n: i32, value: i64, error: i32 = 1",
                      "    call args_get(i, word_, 32) -> n",
                      "    if i32.ge_s n, 0 { call int_parse_i64(word_, n, 10) -> value, error }",
                      "    if error { call usage_exit_() }", "    ret value", "}"]
        lines += ["", 'export "main" func start_() -> i32 {', "    var code: i64",
                  f"    if i32.ne (call args_count()), {count + 1} {{ call usage_exit_() }}",
                  f"    call main({arguments}){' -> code' if main.result else ''}",
                  "    if (call io_flush(io_out)) { ret 1 }", "    ret (i32.wrap_i64 code)", "}"]
        return lines

    def function(self, function):
        self.out, self.indent, self.loops = [], 0, 0
        self.constants, self.temps, self.labels, self.named_file = {}, 0, 0, False
        self.block(function.body)
        params = ", ".join(f"{name_of(param)}: {TYPES[kind]}" for param, kind in function.params)
        result = f" -> {TYPES[function.result]}" if function.result else ""
        head = ["", f"func {name_of(function.name)}({params}){result} {{"]
        head += [f"    var {name}: {kind} = {text}"
                 for (kind, text), name in self.constants.items()]
        return head + self.out + ["}"]

    def emit(self, text):
        self.out.append("    " * self.indent + text)

    def block(self, node):
        self.indent += 1
        for statement in node.parts:
            self.line(statement.token)
            self.statement(statement)
        self.indent -= 1

    def line(self, token):
        """Traces show the place in the source, not in the assembly text."""
        file = "" if self.named_file else self.file + " "
        self.named_file = True
        self.emit(f"line {file}{token.line} {token.column}")

    # --- Statements ---
    def statement(self, node):
        kind, parts = node.kind, node.parts
        if kind == "let":
            name, type_ = name_of(node.token), TYPES[parts[0].type]
            if parts[0].kind in LITERALS:
                self.emit(f"var {name}: {type_} = {literal(parts[0])}")
            else:
                self.emit(f"var {name}: {type_}")
                self.into(name, parts[0])
        elif kind == "set":
            if hard(parts[0]):  # its parts are stored before others read the variable
                self.emit(f"mov {name_of(node.token)}, {self.temp(parts[0])}")
            else:
                self.into(name_of(node.token), parts[0])
        elif kind == "if":
            self.if_statement(node)
        elif kind == "while":
            self.while_statement(node)
        elif kind == "return" and parts and parts[0].kind == "call" and is_own(parts[0]):
            self.emit(self.instruction(parts[0]).replace("call", "tail", 1))
        elif kind == "return":
            self.emit("ret " + self.operand(parts[0]) if parts else "ret")
        elif kind == "call statement":
            self.emit(self.instruction(parts[0]))
        else:
            for part in parts:
                self.print(part)
            if kind == "print":
                self.emit("call end_line_()")

    def print(self, part):
        if part.kind == "string":
            if part.token.text != '""':
                self.emit(self.print_text(part.token.text))
        elif part.type == "bool":
            self.choice(part, self.print_text('"true"'), self.print_text('"false"'))
        else:
            self.emit(f"call io_print_{TYPES[part.type]}({self.operand(part)})")

    def print_text(self, text):
        data = self.texts.setdefault(text, f"text{len(self.texts) + 1}_")
        return f"call io_print({data}, len({data}))"

    def if_statement(self, node):
        self.emit(f"if {self.condition(node.parts[0])} {{")
        self.block(node.parts[1])
        rest = node.parts[2:]
        while rest and len(rest[0].parts) == 1 and rest[0].parts[0].kind == "if":
            inner = rest[0].parts[0]
            if hard(inner.parts[0]) or has_place(inner.parts[0]):
                break  # it has a place of its own
            self.emit(f"}} else if {self.condition(inner.parts[0])} {{")
            self.block(inner.parts[1])
            rest = inner.parts[2:]
        if rest and rest[0].parts:
            self.emit("} else {")
            self.block(rest[0])
        self.emit("}")

    def while_statement(self, node):
        condition, body = node.parts
        self.loops += 1
        if condition.kind == "bool" and condition.value:
            self.emit("loop {")
            self.block(body)
        elif hard(condition):
            self.emit("loop {")
            self.indent += 1
            self.emit(f"if not {self.condition(condition)} {{ break }}")
            self.indent -= 1
            self.block(body)
        elif self.counts(condition, body):
            self.counting_loop(condition, body)
        else:
            self.emit(f"while {self.condition(condition)} {{")
            self.block(body)
        self.emit("}")
        self.loops -= 1

    @staticmethod
    def counts(condition, body):
        """Whether it is: while i < limit { ...; i = i + 1; }"""
        if condition.token.kind != "<" or condition.parts[0].type != "int" or not body.parts:
            return False
        (i, limit), last = condition.parts, body.parts[-1]
        if i.kind != "name" or limit.kind not in ("name", "int") or last.kind != "set":
            return False
        step = last.parts[0]
        return (limit.token.text != i.token.text and last.token.text == i.token.text
                and step.token.kind == "+" and step.parts[0].kind == "name"
                and step.parts[0].token.text == i.token.text
                and step.parts[1].kind == "int" and step.parts[1].value == 1)

    def counting_loop(self, condition, body):
        """One operation counts, compares and goes back."""
        i, limit = name_of(condition.parts[0].token), condition.parts[1]
        self.labels += 1
        again = f"again{self.labels}_"
        end = self.constant(limit) if limit.kind == "int" else name_of(limit.token)
        self.emit(f"if {self.condition(condition)} {{")
        self.emit(f"{again}:")
        self.block(Node("block", body.token, body.parts[:-1]))
        self.indent += 1
        self.line(body.parts[-1].token)
        self.emit(f"back.i64.inc.lt_s {i}, {end}, {again}")
        self.indent -= 1

    def choice(self, node, yes, no):
        for text in (f"if {self.condition(node)} {{", "    " + yes, "} else {", "    " + no, "}"):
            self.emit(text)

    # --- Conditions: they branch, and make no values ---
    def condition(self, node):
        if hard(node):
            return self.temp(node)
        if not node.parts and node.kind != "call":
            return f"i32.const {node.value}" if node.kind == "bool" else name_of(node.token)
        op = node.token.kind
        if op not in ("and", "or", "not"):
            return self.instruction(node)
        parts = [self.condition(part) for part in node.parts]
        for i, part in enumerate(node.parts):
            if part.token.kind in ("and", "or") and part.token.kind != op:
                parts[i] = f"({parts[i]})"
        return f"not {parts[0]}" if op == "not" else f" {op} ".join(parts)

    # --- Values ---
    def temp(self, node):
        self.temps += 1
        name = f"t{self.temps}_"
        self.emit(f"var {name}: {TYPES[node.type]}")
        self.into(name, node)
        return name

    def into(self, name, node):
        """Puts a value right where it belongs."""
        op = node.token.kind
        if node.kind in LITERALS:
            self.emit(f"{TYPES[node.type]}.const {name}, {literal(node)}")
        elif node.kind == "name":
            self.emit(f"mov {name}, {name_of(node.token)}")
        elif op in ("and", "or") and hard(node):
            self.into(name, node.parts[0])
            self.emit(f"if {'not ' if op == 'or' else ''}{name} {{")
            self.indent += 1
            self.into(name, node.parts[1])
            self.indent -= 1
            self.emit("}")
        elif op in ("and", "or"):
            self.choice(node, f"i32.const {name}, 1", f"i32.const {name}, 0")
        elif node.kind == "call" and is_own(node):
            self.emit(f"{self.instruction(node)} -> {name}")
        else:
            operation, operands = self.parts_of(node)
            self.emit(f"{operation} {name}, {', '.join(operands)}")

    def operand(self, node):
        """A register, a constant, or an instruction in parentheses."""
        if node.kind in LITERALS:
            return literal(node)
        if node.kind == "name":
            return name_of(node.token)
        branches = node.token.kind in ("and", "or")
        return self.temp(node) if branches else f"({self.instruction(node)})"

    def operands(self, nodes):
        """In their order, also where one of them takes statements, which stand before all."""
        last = max((i for i, node in enumerate(nodes) if branchy(node)), default=0)
        return [self.temp(node) if i < last and node.parts else self.operand(node)
                for i, node in enumerate(nodes)]

    def instruction(self, node):
        if node.kind == "call" and is_own(node):
            return f"call {name_of(node.token)}({', '.join(self.operands(node.parts))})"
        operation, operands = self.parts_of(node)
        return f"{operation} {', '.join(operands)}"

    def constant(self, node):
        """In a loop, what no immediate form takes is loaded once, before."""
        if not self.loops:
            return literal(node)
        key = (TYPES[node.type], literal(node))
        return self.constants.setdefault(key, f"c{len(self.constants) + 1}_")

    def parts_of(self, node):
        """The operation and its operands."""
        op, parts = node.token.kind, node.parts
        kind = TYPES[parts[0].type]
        if node.kind == "unary" and op == "-" and kind == "i64":
            return "i64.sub", ["0"] + self.operands(parts)
        if len(parts) == 1:
            names = {"int": "i64.trunc_f64_s", "float": "f64.convert_i64_s", "not": "i32.eqz"}
            return names.get(op, "f64.neg"), self.operands(parts)
        if parts[0].kind in LITERALS and parts[1].kind not in LITERALS and op in SWAPPED:
            op, parts = SWAPPED[op], [parts[1], parts[0]]
        name = ARITHMETIC.get(op) or COMPARISONS[op]
        immediate = kind == "i64" and op not in "/%"
        if kind == "i64" and (op in "/%" or name in ("lt", "le", "gt", "ge")):
            name += "_s"
        if op in ("+", "-") and parts[0].token.kind == "*" and kind == "f64":
            name, parts = "mul_" + name, parts[0].parts + parts[1:]
        operands = self.operands(parts)
        for i, part in enumerate(parts):
            small = part.kind == "int" and abs(part.value) < 2**15
            if part.kind in ("int", "float") and not (immediate and small and i == 1):
                operands[i] = self.constant(part)
        return f"{kind}.{name}", operands


# --- The command ----------------------------------------------------------------------------------


def compile_source(file, source):
    """The assembly text; or raises SystemExit with the mistakes."""
    mistakes = []
    try:
        tokens = lex(source)
        functions = Parser(tokens).program()
        checker = Checker(functions, tokens[-1])
        checker.program()
        mistakes = sorted(checker.mistakes, key=lambda mistake: mistake.token[2:])
    except Mistake as mistake:
        mistakes = [mistake]
    if mistakes:
        lines = source.split("\n")
        raise SystemExit("".join(mistake.text(file, lines) for mistake in mistakes).rstrip("\n"))
    name = re.sub(r"[^A-Za-z0-9_-]", "_", file.split("/")[-1].removesuffix(".motu"))
    return Generator(file).program(functions, name)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("usage: toy.py FILE > OUT.atoll")
    try:
        with open(sys.argv[1], encoding="utf-8", newline="") as stream:
            text = stream.read()
    except (OSError, UnicodeDecodeError) as error:
        raise SystemExit(f"toy: {sys.argv[1]}: {error}")
    sys.stdout.write(compile_source(sys.argv[1], text))
