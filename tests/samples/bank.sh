#!/usr/bin/env bash
# samples/bank: machines of different weights do their work, and share a processor by these weights.
source "$(dirname "$0")/../lib.sh"
cd "$root" || exit 1

timeout 100 "$ATOLL" up samples/bank/bank.toml </dev/null >"$scratch/out" 2>"$scratch/err"
check bank/status 0 $?
check bank/messages 3 "$(grep -c 'ended normally' "$scratch/err")"

# Each worker's coins are right, and none is left out up to its last one. Who pays more has more: by
# far, so that what else this computer does just now can't matter.
cat >"$scratch/check.py" <<'PYTHON'
import hashlib, re, sys
coins, shares, hashes = {}, {}, {}
for line in sys.stdin:
    machine, text = line.rstrip("\n").split(" | ")
    total = re.fullmatch(r"(\d+) hashes by (\d+) workers, (\d+) % of a processor", text)
    if total:
        hashes[machine], workers, shares[machine] = map(int, total.groups())
        assert workers == {"gold": 1, "silver": 3, "bronze": 20}[machine]
        continue
    digest, coin = text.split(" ")
    owner, worker, number = coin.split("/")
    assert owner == machine and hashlib.sha256(coin.encode()).hexdigest() == digest and digest.startswith("000")
    coins.setdefault((machine, worker), []).append(int(number))
tried = dict.fromkeys(shares, 0)
for (machine, worker), numbers in coins.items():
    tried[machine] += numbers[-1] + 1
    assert numbers == [i for i in range(numbers[-1] + 1)
                       if hashlib.sha256(b"%s/%s/%d" % (machine.encode(), worker.encode(), i)).hexdigest().startswith("000")]
assert all(tried[machine] <= hashes[machine] for machine in shares)
assert sum(shares.values()) <= 120, shares
print("coins" if sum(map(len, coins.values())) > 0 else "no coins", *sorted(shares, key=shares.get, reverse=True))
PYTHON
run_expect bank/coins 0 "coins gold silver bronze" python3 "$scratch/check.py" <"$scratch/out"

miner() { timeout 60 "$ATOLL" run samples/bank/miner.atoll "$@"; }
for wrong in "" "gold" "gold 1" "gold 0 1" "gold 1 0" "gold 1 101" "gold x 1" "gold 1 1 1"; do
  # shellcheck disable=SC2086
  run_expect "bank/refused '$wrong'" 1 "" miner $wrong
  check_contains "bank/refused '$wrong', why" "usage: miner" "$(<"$scratch/stderr")"
done
