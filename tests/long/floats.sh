#!/usr/bin/env bash
# std.float prints 10 million f64 as Python's repr does, and reads them back: floats.sh [--seed N]
# [--resume POINT] [--count N]. A point is the number of a value; `at N` says that all before it agreed.
source "$(dirname "$0")/../lib.sh"
seeded_options 10000000 "$@"
step=500000
cd "$root" || exit 1
tool=$scratch/float.atb
"$ATOLL" asm tests/guest/tools/float.atoll -o "$tool" || exit 1
# Half of the values have any bits, the others few digits.
cat >"$scratch/floats.py" <<'END'
import array, random, struct, subprocess, sys
atoll, tool, seed, first, count = sys.argv[1:3] + [int(each) for each in sys.argv[3:]]
rng = random.Random(f"{seed} {first}")
values = array.array("d", struct.pack(f"<{count // 2}Q", *(rng.getrandbits(64) for _ in range(count // 2))))
while len(values) < count:
    values.append(rng.randrange(10 ** rng.randint(1, 17)) / 10 ** rng.randint(0, 22))
def run(mode, data):
    return subprocess.run([atoll, "run", tool, mode], input=data, stdout=subprocess.PIPE, check=True).stdout
text = run("put64", values.tobytes())
lines = text.decode().split("\n")[:-1]
wrong = [(v, line) for v, line in zip(values, lines) if repr(v) != line]
back = array.array("d", run("get64", text))
wrong += [(v, b) for v, b in zip(values, back) if v != b and v == v]
print(f"{len(lines)} printed, {len(back)} read, {len(wrong)} wrong", wrong[:5] or "")
sys.exit(len(lines) != count or len(back) != count or bool(wrong))
END
while ((point < count)); do
  echo "at $point"
  next=$((point + step < count ? point + step : count))
  if python3 "$scratch/floats.py" "$ATOLL" "$tool" "$seed" "$point" $((next - point)) >"$scratch/log" 2>&1; then
    ok "values $point to $((next - 1)) of seed $seed"
  else
    not_ok "values $point to $((next - 1)) of seed $seed" "$(tail -1 "$scratch/log")"
  fi
  point=$next
done
echo "at $point"
