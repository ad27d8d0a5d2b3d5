#!/usr/bin/env bash
# Programs that csmith generates print the same checksum native and as WebAssembly, in all tiers:
#   csmith.sh [--seed N] [--resume POINT] [--count N] [--keep FOLDER]
# A point is the number of a program; `at N` says that all before it agreed. Program K of seed N is
# csmith's own seed N * 1000003 + K. Where they differ the program is kept in FOLDER (build/csmith).
source "$(dirname "$0")/../lib.sh"
seed=1 point=0 count=30 keep=$root/build/csmith step=30
while (($#)); do
  case $1 in
    --seed) seed=$2 && shift ;;
    --resume) point=$2 && shift ;;
    --count) count=$2 && shift ;;
    --keep) keep=$2 && shift ;;
    *) echo "csmith: unknown option $1" >&2 && exit 2 ;;
  esac
  shift
done
clang=${WASI_CLANG:-clang-16}
for needed in "csmith $(command -v csmith)" "libcsmith-dev $(ls /usr/include/csmith/csmith.h 2>&1)" \
  "$clang $(command -v "$clang")" "wasi-libc $(ls /usr/lib/wasm32-wasi/libc.a 2>&1)"; do
  if [[ ${needed#* } != /* ]]; then
    skip "generated C programs" "no ${needed%% *}"
    exit 0
  fi
done

# one K: prints `agree`, `none` (no answer natively: it takes more than 3 s or crashes, as endless
# loops and recursion without effect may) or why not.
one() {
  local k=$1 program=$scratch/$1 levels=(-O0 -O1 -O2 -Os -O3) native status=0
  local level=${levels[k % 5]} features=()
  # As newer compilers do without being asked.
  if ((k % 2)); then features=(-mbulk-memory -msign-ext -mnontrapping-fptoint -mmultivalue); fi
  (cd "$scratch" && csmith --seed $((seed * 1000003 + k)) 2>/dev/null) |
    # `long` has another size there: constants of type long become long long.
    sed -E 's/\b(0x[0-9A-Fa-f]+|[0-9]+)(U?)L\b/\1\2LL/g' >"$program.c"
  "$clang" -w -O1 -I/usr/include/csmith "$program.c" -o "$program" 2>"$program.log" &&
    "$clang" --target=wasm32-wasi -w "$level" "${features[@]}" -I/usr/include/csmith "$program.c" \
      -o "$program.wasm" 2>>"$program.log" ||
    { echo "$k does not build: $(head -1 "$program.log")" && return; }
  native=$(timeout 3 "$program") || status=$?
  if ((status != 0)); then
    echo "$k none"
  else
    local actual got way
    for way in "interp" "jit" "jit --memory-strategy guarded" "jit --fuel 1000000000000000"; do
      got=0
      actual=$(timeout 300 "$ATOLL" run --tier $way "$program.wasm" 2>"$program.log") || got=$?
      [[ $got == 0 && $actual == "$native" ]] || break
    done
    if [[ $got == 0 && $actual == "$native" && $native == checksum\ =* ]]; then
      echo "$k agree"
    elif ((got == 124)) && "$clang" -w "$level" -I/usr/include/csmith "$program.c" -o "$program" &&
      ! timeout 10 "$program" >/dev/null; then
      # A loop without effect and end, which another level may leave out.
      echo "$k none"
    else
      mkdir -p "$keep"
      cp "$program.c" "$program.wasm" "$keep"
      echo "$k differs at $level ${features[*]}, $way: native '$native', here $got '$actual'" \
        "$(head -2 "$program.log")"
    fi
  fi
  rm -f "$program"*
}
export -f one
export seed clang scratch ATOLL keep

# Its first run in a folder writes a file there that the others read: not two first ones at once.
(cd "$scratch" && csmith >/dev/null)

while ((point < count)); do
  echo "at $point"
  next=$((point + step < count ? point + step : count))
  # Two at a time: compilers take most of the time, and others test beside this.
  seq "$point" $((next - 1)) | xargs -P 2 -I{} bash -c 'one {}' >"$scratch/results"
  none=$(grep -c ' none$' "$scratch/results")
  agreed=$(grep -c ' agree$' "$scratch/results")
  if ((agreed + none == next - point && agreed > 0)); then
    ok "programs $point to $((next - 1)) of seed $seed: $agreed agree, $none have no answer natively"
  else
    not_ok "programs $point to $((next - 1)) of seed $seed" "kept in $keep"
    grep -Ev ' (agree|none)$' "$scratch/results" | sed 's/^/    /'
  fi
  point=$next
done
echo "at $point"
