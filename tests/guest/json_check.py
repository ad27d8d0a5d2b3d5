"""std.json against Python's json: texts that are right come out as Python writes them, texts that
are wrong are told at the right byte. Prints what differs, then "N cases, M wrong".

usage: json_check.py ATOLL TOOL SEED CASES"""
import json
import random
import subprocess
import sys

atoll, tool, seed, count = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
rng = random.Random(seed)
bad = cases = 0


class Number(str):
    """A number as it was written."""


def write(value, indent, level=0):
    """As std.json writes: numbers as they were, few escapes, DEL escaped."""
    line = "" if indent is None else "\n" + " " * indent * (level + 1)
    last = "" if indent is None else "\n" + " " * indent * level
    colon = ":" if indent is None else ": "
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, str):
        text = json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        return "".join("\ufffd" if 0xd800 <= ord(c) < 0xe000 else c for c in text)
    if isinstance(value, list) and type(value) is list:
        parts = [write(part, indent, level + 1) for part in value]
        return "[" + ",".join(line + part for part in parts) + last + "]" if parts else "[]"
    if isinstance(value, tuple):
        parts = [write(name, indent) + colon + write(part, indent, level + 1) for name, part in value]
        return "{" + ",".join(line + part for part in parts) + last + "}" if parts else "{}"
    return json.dumps(value)


def refuse(word):
    raise ValueError(word)


def parse(text):
    return json.loads(text.decode("utf-8"), parse_int=Number, parse_float=Number,
                      parse_constant=refuse, object_pairs_hook=tuple)


def run(text, *arguments):
    return subprocess.run([atoll, "run", tool, *arguments], input=text, capture_output=True)


def report(*what):
    global bad
    bad += 1
    print(*what)


def good(text):
    global cases
    cases += 1
    value = parse(text)
    indent = rng.choice([None, 0, 2, 4])
    want = write(value, indent) + "\n"
    got = run(text, "-" if indent is None else str(indent))
    if got.stdout != want.encode() or got.returncode:
        report("good", text[:200], indent, got.stdout[:200], got.stderr)


def wrong(text, error, offset):
    global cases
    cases += 1
    got = run(text, "-")
    if got.stderr.split() != [b"%d" % error, b"%d" % offset] or got.returncode != 1:
        report("wrong", text[:100], error, offset, got.stderr)


END, CHARACTER, CONTROL, ESCAPE, UTF8, DEPTH, TRAILING = range(1, 8)

for text in [
        b"null", b" true ", b"\t\n\r false", b"0", b"-0", b"-1", b"1.5", b"1e5", b"1E+5", b"1.0e-05",
        b"-0.0e0", b"123456789012345678901234567890", b"1e99999", b'""', b'"a"', b"[]", b"{}", b"[[]]",
        b"[ ]", b"{ }", b'{"":0}', b'{"a":1,"a":2}', b'[{}, [], "", 0, null]', b'{"a" : {"b":[1 , 2]} }',
        b'"\\"\\\\\\/\\b\\f\\n\\r\\t\\u0000\\u001f\\u007f\\u0080"', b'"\x7f"', b'"\\uD834\\uDD1E"',
        b'"\\ud834"', b'"\\udd1e\\ud834"', b'"\\ud834x"', b'"\\ud834\\u0041"', b'"\\ud834\\ud834\\udd1e"',
        b'"\\uD834\\n"', '"é€😀\uffff\ufeff\u2028"'.encode(), b'["\\uFFFF"]',
        b"[" * 10000 + b"]" * 10000, b'{"a":' * 9999 + b"[]" + b"}" * 9999]:
    if len(text) < 1000:
        good(text)
    else:
        cases += 1
        got = run(text, "-")
        if got.stdout != text + b"\n":
            report("deep", got.stderr)

for text, error, offset in [
        (b"", END, 0), (b"  ", END, 2), (b"[", END, 1), (b"[1", END, 2), (b"[1,", END, 3), (b"{", END, 1),
        (b'{"a"', END, 4), (b'{"a":', END, 5), (b'{"a":1', END, 6), (b'{"a":1,', END, 7), (b'"', END, 1),
        (b'"abc', END, 4), (b'"\\', END, 2), (b'"\\u', END, 3), (b'"\\u123', END, 6), (b"-", END, 1),
        (b"1.", END, 2), (b"1e", END, 2), (b"1e-", END, 3), (b"t", END, 1), (b"tru", END, 3), (b"nul", END, 3),
        (b"]", CHARACTER, 0), (b"}", CHARACTER, 0), (b",", CHARACTER, 0), (b":", CHARACTER, 0),
        (b"[1,]", CHARACTER, 3), (b"[,1]", CHARACTER, 1), (b"[1,,2]", CHARACTER, 3), (b"[1}", CHARACTER, 2),
        (b"[1 2]", CHARACTER, 3), (b"[1;2]", CHARACTER, 2), (b'{"a":1]', CHARACTER, 6), (b"{]", CHARACTER, 1),
        (b"[}", CHARACTER, 1), (b"{,}", CHARACTER, 1), (b'{"a"}', CHARACTER, 4), (b'{"a",1}', CHARACTER, 4),
        (b'{"a":}', CHARACTER, 5), (b'{"a":1,}', CHARACTER, 7), (b"{1:2}", CHARACTER, 1), (b"{a:1}", CHARACTER, 1),
        (b'{"a":1 "b":2}', CHARACTER, 7), (b'{"a"::1}', CHARACTER, 5), (b"{'a':1}", CHARACTER, 1),
        (b"True", CHARACTER, 0), (b"truE", CHARACTER, 3), (b"nulx", CHARACTER, 3), (b"NaN", CHARACTER, 0),
        (b"Infinity", CHARACTER, 0), (b"-Infinity", CHARACTER, 1), (b"+1", CHARACTER, 0), (b".5", CHARACTER, 0),
        (b"-.5", CHARACTER, 1), (b"--1", CHARACTER, 1), (b"1.x", CHARACTER, 2), (b"1.e5", CHARACTER, 2),
        (b"1ex", CHARACTER, 2), (b"1e+x", CHARACTER, 3), (b"-x", CHARACTER, 1), (b"[-]", CHARACTER, 2),
        (b"01", TRAILING, 1), (b"-01", TRAILING, 2), (b"1.5.5", TRAILING, 3), (b"0x1", TRAILING, 1),
        (b"1 2", TRAILING, 2), (b"[]]", TRAILING, 2), (b"{}}", TRAILING, 2), (b'""x', TRAILING, 2),
        (b"nullx", TRAILING, 4), (b"1_000", TRAILING, 1), (b"[] // x", TRAILING, 3), (b"/**/1", CHARACTER, 0),
        (b"\xef\xbb\xbf1", CHARACTER, 0), (b"\x001", CHARACTER, 0), (b"1\x00", TRAILING, 1), (b"\x0b1", CHARACTER, 0),
        (b"\xc2\xa01", CHARACTER, 0), (b"[\x0c1]", CHARACTER, 1), (b"\xff", CHARACTER, 0),
        (b'"a\nb"', CONTROL, 2), (b'"\x00"', CONTROL, 1), (b'"\x1f"', CONTROL, 1), (b'{"\t":1}', CONTROL, 2),
        (b'"\\x41"', ESCAPE, 1), (b'"\\\'"', ESCAPE, 1), (b'"\\u12g4"', ESCAPE, 1), (b'"ab\\U0041"', ESCAPE, 3),
        (b'"\\u 123"', ESCAPE, 1), (b'"\\\n"', ESCAPE, 1), (b'"\\u+123"', ESCAPE, 1), (b'"\\\xc3\xa9"', ESCAPE, 1),
        (b'"\xff"', UTF8, 1), (b'"a\xc3"', UTF8, 2), (b'"\xc0\x80"', UTF8, 1), (b'"\xed\xa0\x80"', UTF8, 1),
        (b'"\xf4\x90\x80\x80"', UTF8, 1), (b'{"\xe2\x82":1}', UTF8, 2), (b'"\x80"', UTF8, 1),
        (b"[" * 10001, DEPTH, 10000), (b"[" * 100000, DEPTH, 10000), (b'{"a":' * 20000, DEPTH, 50000)]:
    wrong(text, error, offset)


def spaces():
    return rng.choice(["", "", "", " ", "\n", "\t\r "])


def text_of(depth):
    kind = rng.randrange(8 if depth else 5)
    if kind == 0:
        out = rng.choice(["null", "true", "false"])
    elif kind == 1:
        out = rng.choice(["", "-"]) + rng.choice(["0", "7", "1234567890123"]) + rng.choice(["", ".0", ".123"])
        out += rng.choice(["", "", "e5", "E-10", "e+0"])
    elif kind < 5:
        out = string()
    elif kind < 7:
        out = "[" + ",".join(text_of(depth - 1) for _ in range(rng.randrange(5))) + spaces() + "]"
    else:
        members = [spaces() + string() + spaces() + ":" + text_of(depth - 1) for _ in range(rng.randrange(5))]
        out = "{" + ",".join(members) + spaces() + "}"
    return spaces() + out + spaces()


def string():
    parts = ["a", "word", "é", "€", "😀", "\\n", "\\/", "\\\\", '\\"', "\\u00e9", "\\u0007", "\\ud83d\\ude00", "\\ud83d",
             "\\ude00", "\x7f", "'", "\ud7ff", "\ue000"]
    return '"' + "".join(rng.choices(parts, k=rng.randrange(6))) + '"'


for _ in range(count):
    text = text_of(5).encode()
    good(text)
    # A broken text is refused by both or by none.
    for _ in range(2):
        broken = bytearray(text)
        for _ in range(rng.randrange(1, 3)):
            at = rng.randrange(len(broken) + 1)
            broken[at:at + rng.randrange(3)] = rng.choice([b"", b",", b'"', b"]", b"}", b"\\", b"0", b"e", b" ", b"\xff"])
        broken = bytes(broken)
        try:
            parse(broken)
            good(broken)
        except ValueError:
            cases += 1
            if run(broken, "-").returncode != 1:
                report("takes", broken)

got = run(b'1 [2]\n"x"{}null', "-", "many")
if got.stdout != b'1\n[2]\n"x"\n{}\nnull\n' or got.returncode:
    report("many", got)
if run(b" ", "-", "many").stdout != b"\n":
    report("many of nothing")
print("%d cases, %d wrong" % (cases, bad))
