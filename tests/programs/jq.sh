#!/usr/bin/env bash
# jq: its own test files, and real JSON as the native one prints it. Built without Oniguruma.
source "$(dirname "$0")/common.sh"
debian_source jq
mkdir -p "$place/generated/src"
cd "$source" || exit 1
# As its Makefile makes them.
sed -e 's/\\/\\\\/g;s/"/\\"/g;s/^/"/;s/$/\\n"/' src/builtin.jq >"$place/generated/src/builtin.inc"
echo '#define JQ_VERSION "1.6"' >"$place/generated/src/version.h"
flags=(-D_GNU_SOURCE -DIEEE_8087=1 -I"$place/generated" -I"$place/generated/src" -Isrc)
for name in TIMEGM GMTIME_R LOCALTIME_R STRPTIME STRFTIME SETLOCALE MKTIME GMTIME TM_TM_GMT_OFF \
  ISATTY MEMMEM ALLOCA_H ALLOCA TZSET; do
  flags+=(-DHAVE_$name)
done
# All of C's own mathematics.
for name in $(grep -ohE 'HAVE_[A-Z0-9_]+' src/libm.h | sort -u |
  grep -vE 'GAMMA|DREM|EXP10$|POW10|SIGNIFICAND'); do
  flags+=("-D$name")
done
sources=()
for file in src/*.c; do [[ $file == src/inject_errors.c ]] || sources+=("$file"); done
both jq "${flags[@]}" "${sources[@]}"

# Native and translated agree on what passes.
tests() { # NAME PROGRAM...
  "${@:2}" -L "$source/tests/modules" --run-tests "tests/$1.test" 2>&1 | grep -aE 'tests passed|^\*\*\*'
}
for name in jq base64 optional; do
  check "jq/tests/$name" "$(tests $name "$place/jq")" "$(tests $name run jq)"
  check_contains "jq/tests/$name/ran" "tests passed" "$(tests $name "$place/jq")"
done
cd "$scratch" || exit 1
cp "$root/CMakePresets.json" presets
python3 -c 'import json, random
random.seed(1)
print(json.dumps([{"id": k, "name": "n%d" % (k * 7919 % 1000), "x": random.random() * 10 ** (k % 30 - 15),
  "list": list(range(k % 9)), "text": "\u00e9\u4e2d\t\"" * (k % 3)} for k in range(400)]))' >data
same jq/pretty jq data .
same jq/compact jq data -c -S '.[] | {name, x}'
same jq/group jq data 'group_by(.id % 7) | map({count: length, sum: (map(.x) | add), names: [.[].name] | sort | unique | .[:3]})'
same jq/paths jq presets -c '[paths(type == "string")] | length, (.[0:5][])'
same jq/reduce jq data 'reduce .[] as $e ({}; .[$e.name] += ($e.list | length)) | to_entries | sort_by(-.value, .key) | .[:10]'
same jq/strings jq data -r '.[] | select(.id < 60) | "\(.id)\t\(.text | @json)\t\(.name | explode | implode | ascii_upcase)\t\(.x | floor)"'
same jq/raw jq presets -r '.. | strings | @base64'
same jq/error jq data '.[0] | .name + 1'
