#!/usr/bin/env bash
# samples/lib/number.atoll: numbers as text and back are exact for all values.
source "$(dirname "$0")/../lib.sh"
cd "$scratch" || exit 1

# Reads f64 numbers as bytes and prints each with as many decimals as argument 1 says.
cat >floats.atoll <<END
use "$(realpath --relative-to=. "$root/samples/lib/files.atoll")"
data program = "floats"
export func main() -> i32 {
    var p: i32, n: i32, end: i32, decimals: i64, good: i32
    call argument(1) -> p, n
    call parse_u64(p, n) -> decimals, good
    call read_all(STDIN) -> p, end
    while i32.lt_u p, end {
        call out_f64((f64.load [p]), (i32.wrap_i64 decimals))
        call out_byte('\\n')
        i32.add p, p, 8
    }
    call out_flush()
    ret 0
}
END
# Prints what parse_u64 makes of each argument.
cat >integers.atoll <<END
use "$(realpath --relative-to=. "$root/samples/lib/files.atoll")"
data program = "integers"
export func main() -> i32 {
    var p: i32, n: i32, count: i32, number: i64, good: i32
    call args_count() -> count
    for i: i32 in 1 .. count {
        call argument(i) -> p, n
        call parse_u64(p, n) -> number, good
        call out_u64((i64.extend_i32_u good))
        call out_byte(' ')
        call out_u64_right(number, 20)
        call out_byte('\\n')
    }
    call out_flush()
    ret 0
}
END
cat >make.py <<'END'
import random, struct, sys
random.seed(int(sys.argv[1]))
edges = [0.0, -0.0, 1.0, 0.5, 1.5, 2.5, 0.125, 0.375, 9.5, 99.5, 0.05, 0.95, 0.999999999499999,
         0.9999999995, 1e22, 1e23, 2.0**53, 2.0**63, 2.0**1023, 1.7976931348623157e308, 5e-324,
         2.2250738585072014e-308, 1e-9, 5e-10, 4.999999999e-10, 123456789.987654321,
         float("inf"), float("-inf"), float("nan")]
values = edges + [-v for v in edges if v == v]
values += [struct.unpack("<d", random.randbytes(8))[0] for _ in range(300)]
values += [random.uniform(-1e6, 1e6) for _ in range(300)]
values += [k / 8 + random.randrange(1000) for k in range(64)]
values = [abs(v) if v != v else v for v in values]
open("values", "wb").write(b"".join(struct.pack("<d", v) for v in values))
for decimals in (0, 1, 2, 9, 30, 100):
    with open("expected-%d" % decimals, "w") as out:
        for v in values:
            out.write("%.*f\n" % (decimals, v))
END
python3 make.py $RANDOM
for decimals in 0 1 2 9 30 100; do
  "$ATOLL" run floats.atoll $decimals <values >actual 2>err
  if cmp -s "expected-$decimals" actual; then
    ok "numbers/float/$decimals"
  else
    not_ok "numbers/float/$decimals" "$(cat err) differs: $(diff "expected-$decimals" actual | head -4)"
  fi
done

run_expect numbers/integers 0 "1                    0
1                    7
1                   10
1  9223372036854775807
0                    0
0                    0
0                    0
0                    0
0                    0" "$ATOLL" run integers.atoll 0 007 10 9223372036854775807 \
  9223372036854775808 99999999999999999999 "" -1 1x
