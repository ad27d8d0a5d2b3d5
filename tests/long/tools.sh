#!/usr/bin/env bash
# The samples and the system's tools give the same output for 100 MB of input; says how long each
# took: tools.sh [--seed N] [--bytes N].
source "$(dirname "$0")/../lib.sh"
seed=1 bytes=100000000
while (($#)); do
  case $1 in
    --seed) seed=$2 && shift ;;
    --bytes) bytes=$2 && shift ;;
    --resume) shift ;;
    *) echo "tools: unknown option $1" >&2 && exit 2 ;;
  esac
  shift
done
cd "$scratch" || exit 1
TIMEFORMAT=%U

# Words of a Zipf-like distribution in lines of any length; JSON of nested objects.
python3 - "$seed" "$bytes" <<'END'
import itertools, json, random, sys
rng = random.Random(int(sys.argv[1]))
size = int(sys.argv[2])
words = ["".join(rng.choices("etaoinshrdlucmfwypvbgkjqxz", k=rng.randint(1, 12))) for _ in range(20000)]
weights = list(itertools.accumulate(1 / (i + 2) for i in range(len(words))))
with open("text", "w") as out:
    while out.tell() < size:
        for _ in range(2000):
            out.write(" ".join(rng.choices(words, cum_weights=weights, k=rng.randrange(20))))
            out.write(rng.choice(["\n", "\n", ".\n", "\t1234567890\n", "\r\n"]))
names = [*"éüñ€漢😀"] + words[:300] + ["tab\t", "quote\"", "back\\slash", "nul\0", "line\nend", "\x7f"]
def value(depth):
    kind = rng.randrange(8 if depth else 5)
    if kind == 0: return rng.choice([True, False, None])
    if kind == 1: return rng.randrange(-10**rng.randrange(1, 15), 10**rng.randrange(1, 15))
    if kind == 2: return rng.randrange(-10**6, 10**6) / 10**rng.randrange(1, 5)
    if kind < 5: return " ".join(rng.choices(names, k=rng.randrange(8)))
    if kind == 5: return [value(depth - 1) for _ in range(rng.randrange(6))]
    return {rng.choice(names): value(depth - 1) for _ in range(rng.randrange(8))}
with open("json", "w") as out:
    while out.tell() < size:
        out.write(json.dumps(value(6), ensure_ascii=rng.random() < 0.5, indent=rng.choice([None, 2])) + "\n")
END

# same NAME INPUT SAMPLE [ARGS...] -- TOOL [ARGS...]
same() {
  local name=$1 input=$2 sample=$3 own=() theirs own_time time
  shift 3
  while [[ $1 != -- ]]; do own+=("$1") && shift; done
  shift
  theirs=("$@")
  if ! command -v "${theirs[0]}" >/dev/null; then
    skip "$name" "no ${theirs[0]}"
    return
  fi
  { time "${theirs[@]}" <"$input" >theirs; } 2>time
  time=$(<time)
  { time "$ATOLL" run "$root/samples/$sample/$sample.atoll" "${own[@]}" <"$input" >own 2>own.err; } 2>own_time
  own_time=$(<own_time)
  if cmp -s theirs own; then
    ok "$name: $(stat -c %s own) bytes; $own_time s, ${theirs[0]} $time s"
  else
    not_ok "$name" "the output differs: $(cmp theirs own 2>&1 | head -1) $(head -1 own.err)"
  fi
}

# The text itself as numbers of bits.
base64 <text >encoded
same "wc" text wc -- wc
same "sort" text sort -- sort
same "sort -ru" text sort -ru -- sort -ru
same "grep words" text grep -c '(tion|ing|ed)( |$)' -- grep -aEc '(tion|ing|ed)( |$)'
same "grep lines" text grep '^[a-z]{3,5} ([aeiou][^ ]* )+' -- grep -aE '^[a-z]{3,5} ([aeiou][^ ]* )+'
same "grep -o" text grep -on '[0-9]{4,}' -- grep -aEon '[0-9]{4,}'
same "grep -iv" text grep -iv 'E|T' -- grep -aEiv 'E|T'
same "sha256sum" text sha256sum -- sha256sum
same "base64" text base64 -- base64
same "base64 -d" encoded base64 -d -- base64 -d
same "jq ." json json . -- jq .
