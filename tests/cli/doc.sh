#!/usr/bin/env bash
# `atoll doc`.
source "$(dirname "$0")/../lib.sh"
cd "$scratch" || exit 1

cat >shapes.atoll <<'ATOLL'
// Shapes, and what is < or * in them.
//
//     call area(3, 4) -> a    // 1 < 2
module shapes
use "not there.atoll"

/// Not of the comment's item.

const hidden = 1
/// The number of sides.
/// Of a square.
const sides = 4 // and no more

// --- Plane ---------------------------------------------------------------------

/// A point; `<b>` is code, <i> and a*b are not HTML.
packed struct Point {
    /// to the right
    x: i32, y: i32
}
/// What it covers.
export func area(a: i32,
                 b: i32) -> i32 { ret (i32.mul a, b) }
export "other" func second() { }
func nothing() { }
/// Of the library alone.
func shapes__inner() { }
// --- Space ---
/// Swaps.
macro swap(a, b) { var t: i32; mov t, a; mov a, b; mov b, t }
/// A table of bytes.
data bytes align 4 = "abc",
    "def"
/// For later.
data passive later = "x"
/// Counts.
global count: mut i32 = 0
/// From elsewhere.
import func far(x: i32) -> i32 from "m" "n"
/// A test.
test func works() { }
ATOLL

run_expect "text" 0 'shapes.atoll

Shapes, and what is < or * in them.

    call area(3, 4) -> a    // 1 < 2

const sides = 4
    The number of sides.
    Of a square.

--- Plane ---

packed struct Point {
    /// to the right
    x: i32, y: i32
}
    A point; `<b>` is code, <i> and a*b are not HTML.

export func area(a: i32,
                 b: i32) -> i32
    What it covers.

export "other" func second()

--- Space ---

macro swap(a, b)
    Swaps.

data bytes align 4
    A table of bytes.

data passive later
    For later.

global count: mut i32 = 0
    Counts.

import func far(x: i32) -> i32 from "m" "n"
    From elsewhere.

test func works()
    A test.' "$ATOLL" doc shapes.atoll

markdown=$("$ATOLL" doc --markdown shapes.atoll)
check_contains "Markdown: head" '## shapes.atoll

Shapes, and what is \< or \* in them.

    call area(3, 4) -> a    // 1 < 2

`const sides = 4`

The number of sides.
Of a square.

### Plane

```
packed struct Point {
    /// to the right
    x: i32, y: i32
}
```

A point; `<b>` is code, \<i> and a\*b are not HTML.
' "$markdown"

"$ATOLL" doc --json shapes.atoll >shapes.json
python3 - <<'PYTHON' && ok "--json" || not_ok "--json" "see above"
import json
doc = json.load(open("shapes.json"))
assert doc["name"] == "shapes.atoll"
assert doc["text"].startswith("Shapes, and")
items = {i["name"]: i for i in doc["items"]}
assert list(items) == ["sides", "Point", "area", "second", "swap", "bytes", "later", "count", "far",
                       "works"], list(items)
assert items["area"] == {"kind": "func", "name": "area", "section": "Plane", "line": 22,
                         "signature": "export func area(a: i32,\n                 b: i32) -> i32",
                         "text": "What it covers."}, items["area"]
assert items["Point"]["kind"] == "struct" and items["far"]["kind"] == "func"
assert items["sides"]["section"] == "" and items["sides"]["line"] == 12
PYTHON

run_expect "items by name" 0 'const sides = 4
    The number of sides.
    Of a square.

macro swap(a, b)
    Swaps.' "$ATOLL" doc shapes.atoll swap sides
run_expect "no such item" 1 "" "$ATOLL" doc shapes.atoll sides hidden
check "its message" 'atoll: shapes.atoll says nothing about `hidden`' "$(cat "$scratch/stderr")"
check_contains "items by name as Markdown" '`const sides = 4`' "$("$ATOLL" doc --markdown shapes.atoll sides)"

run_expect "an empty source" 0 "<stdin>" "$ATOLL" doc - </dev/null
printf '/// Of f.\nfunc f() { }\n' >first.atoll
run_expect "a first item's comment is no head" 0 $'first.atoll\n\nfunc f()\n    Of f.' "$ATOLL" doc first.atoll
printf '/// Of the file.\r\n\r\n/// Of f.\r\nfunc f() { }\r\n' >crlf.atoll
run_expect "a head, and lines of another system" 0 $'crlf.atoll\n\nOf the file.\n\nfunc f()\n    Of f.' "$ATOLL" doc crlf.atoll
check_contains "a library" $'std.test\n\nChecks for tests' "$("$ATOLL" doc std.test)"
check_contains "the host calls" 'func write(h: i32, p: i32, n: i32) -> i32' "$("$ATOLL" doc std.sys)"
run_expect "no such library" 1 "" "$ATOLL" doc std.nothing
check_contains "no such library: those that are" "there are std." "$(cat stderr)"
run_expect "no such file" 1 "" "$ATOLL" doc none.atoll
printf 'data x = "open\n' >wrong.atoll
run_expect "a mistake" 1 "" "$ATOLL" doc wrong.atoll
check_contains "a mistake: its place" "wrong.atoll:1:10: error:" "$(cat stderr)"
run_expect "two formats" 2 "" "$ATOLL" doc --markdown --json first.atoll
