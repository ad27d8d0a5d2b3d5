#!/usr/bin/env bash
# std.float against Python: printed f64 as repr prints them, printed f32 the shortest that read back,
# parsed numbers with the same bits, among them the hardest to round.
source "$(dirname "$0")/../lib.sh"
cd "$root" || exit 1
tool=$scratch/float.atb
"$ATOLL" asm tests/guest/tools/float.atoll -o "$tool" || exit 1
[[ $(python3 stdlib/guest/float_powers.py) == "$(cat stdlib/guest/float_powers.atoll)" ]] &&
  ok float-powers || not_ok float-powers "stdlib/guest/float_powers.atoll is not what its script prints"
python3 tests/guest/float.py "$ATOLL" "$tool" || exit 1
