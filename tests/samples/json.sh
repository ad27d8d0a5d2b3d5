#!/usr/bin/env bash
# samples/json prints what jq 1.6 prints: output, exit status, and words for values that do not fit.
source "$(dirname "$0")/../lib.sh"
cd "$scratch" || exit 1
"$ATOLL" asm "$root/samples/json/json.atoll" -o json.atb || exit 1
ours() { "$ATOLL" run --dir-ro . json.atb "$@"; }

# Slower builds try a part of what is compared: every STEPth.
step=1 tried=0
[[ ${ATOLL_PRESET:-release} == release ]] || step=7

# same INPUT ARGS...: both programs with these arguments and this standard input. jq's exit status is
# that of the last value alone.
same() {
  local input=$1 theirs=0 own=0 words
  shift
  ((tried++ % step)) && return
  printf '%s' "$input" >input
  jq "$@" <input >theirs 2>theirs.err || theirs=$?
  ours "$@" <input >own 2>own.err || own=$?
  if ! cmp -s theirs own; then
    not_ok "json/$*" "the output differs for $input"
    diff theirs own | head -10 | sed 's/^/    /'
    return
  fi
  words=$(sed -n 's/^jq: error (at [^)]*): //p' theirs.err)
  ((theirs == 0)) && [[ -n $words ]] && theirs=5
  check "json/$*: exit status" "$theirs" "$own"
  [[ -z $words ]] || check "json/$*: words" "$words" "$(sed 's/^json: [^ ]*: //' own.err)"
}

if [[ $(jq --version 2>&1) != jq-1.6* ]]; then
  skip json/jq "there is no jq 1.6"
else
  numbers=(0 -0 -0.0 1.0 10.00 0.10 100 1e15 1e16 123456e12 0.0001 0.00001 -0.00001 0.00012 0.000123 1.5e-5 0.1e-6 \
    1e-10 1e100 1E5 1e+2 0.1e1 123.456e3 123456789012345 1234567890123456 9007199254740993 123456789012345678 \
    12345678901234567890123 1234567890123456789e3 0.12345678901234567 5e-324 2.2250738585072014e-308 \
    1.7976931348623157e308 1e1000 -1e1000)
  same "$(printf '[%s] ' "${numbers[@]}")" -c '., (.[0]|length)'
  for options in "" -c -r -rc -S -cS --tab "--indent 0" "--indent 1" "--indent 7" "--tab --indent 3" "--indent 3 --tab" \
    "-c --tab" "--tab -c" --compact-output --sort-keys --raw-output; do
    # shellcheck disable=SC2086
    same '{"b":[1,{"a":"x\ty\"é\u00e9\u0001\u007f\/"}],"a":{}, "c":[],"B":null} "s\n" [] true' $options .
  done
  for filter in . .. '.a' '.a?' '.[0]' '.[-1]' '.[9]' '.[-9]' '.[1:]' '.[:-1]' '.[1:3]' '.[-2:]' '.[3:1]' '.[]' '.[]?' length \
    keys keys_unsorted type empty '.a.b' '.["a"]' '.a,.b' '.[]|.a' '(.[]|.a)?' '.[]?|.a?' '..|length?' 'keys|.[]' \
    '.a?,type' '.[1:]|.[0]'; do
    same 'null true -5.50 "añ€😀b\u00e9c" [1,[2,{"a":3}],"x",{"a":{"b":4}}] {"b":[1,2],"a":{"b":1,"a":2}} []' -c "$filter"
  done
  for filter in '.[1,2]x' '.a b' '.[' '. a' '.$a' '.a . b' foo '.a|' '|.a' '.a,' '(.a' '.a)' '.["a' '."a' '.[a]' '.a]' '...' '.a..b'; do
    same '{"a":1}' "$filter"
  done
  same '{"a":{"b":"xxxxxxxxxxxxxxxxxxxxxx"}}' '.a|.[]|.[]'
  same '{"a":{"b":1}}' '."a"."b",.a."b",."a\u0062",."a"["b"], .a . "b"'
  same '{"and":1,"__a1":2}' '.and,.__a1,. [ "and" ]'
  # Names that come twice: the last value, in the place of the first.
  twice='{"a":{"a":1,"a":2},"b":{"x":[{"q":1,"q":{"z":1,"z":2}},3]},"a":{"a":5,"\u0062":6,"b":[7],"a":8}}'
  for options in -c -cS; do
    same "$twice" $options '.,..,keys,length,.a,.a.a,.a.b,.[]'
    same '{"\u0061b":1,"ab":2,"":3,"":4,"é":5,"\u00e9":6,"same_beginning_1_and_end":7,"same_beginning_2_and_end":8}' $options .
  done
  same '[{"a\n":"\u00e9\/"},{"b\u0001":"\ud83d\ude00"}]' '.[0:1],.,.[1],keys,(.[]|keys),(.[]|.[]|.[1:]),(..|length?)'
  same '["a\nb","a\nb"]' -r '.[0:1]|.[0],.[0][1:2],.[0]'
  same '{"a":1} 1' .a
  same '' .

  # A larger one, with all kinds of things.
  python3 - >large.json <<'END'
import json, random
rng = random.Random(1)
words = "alpha naïve Zürich 東京 emoji😀 line\nbreak tab\there quote\"d back\\slash path/to/x é del\x7f \x01".split(" ")
for i in range(3000):
    value = {"id": i, "balance": round(rng.uniform(-9999, 9999), 2), "ratio": rng.random(), "small": rng.uniform(-1, 1) * 10 ** rng.randrange(-320, 300),
             "about": " ".join(rng.choices(words, k=rng.randrange(20))), "tags": rng.choices(words, k=rng.randrange(4)),
             "friends": [{"name": rng.choice(words), rng.choice(words): rng.getrandbits(rng.randrange(1, 80))} for _ in range(rng.randrange(4))]}
    print(json.dumps(value, ensure_ascii=i % 2 == 0, indent=rng.choice([None, 2])))
END
  for arguments in . "-S ." "-c ." "-r .about" ".friends[]|.name" "-c keys,length,(..|type)"; do
    ((step > 1)) && continue
    read -ra arguments <<<"$arguments"
    jq "${arguments[@]}" large.json >theirs
    ours "${arguments[@]}" large.json >own
    if cmp -s theirs own; then ok "json/large ${arguments[*]}"; else not_ok "json/large ${arguments[*]}" "the output differs"; fi
  done
fi

# refused NAME STATUS MESSAGE OUTPUT ARGS...: standard input, from the file `input`, is refused.
refused() {
  local name=$1 status=$2 message=$3 output=$4 got=0 actual
  shift 4
  actual=$(ours "$@" <input 2>err) || got=$?
  check "json/$name" "$status $message$output" "$got $(cat err)$actual"
}
printf '1 "é"\n[1,\n  tru]' >input
refused "bad word" 2 "json: stdin:3:6: unexpected character" $'1\n"é"' .
printf '{"a\\n":"\\n\\n",\n "b":\n' >input
refused "too short" 2 "json: stdin:3:1: the text ends too early" "" .
printf '"\\n\\n\\u0041" \n "a\xff"' >input
refused "bad UTF-8 after escapes" 2 "json: stdin:2:4: invalid UTF-8" $'\n\nA' -r .
printf '{"a":"\\n"}\n\n   {"a":5,\n"b":"\\n"}' >input
refused "place of a value, escapes taken out" 5 $'json: stdin:1:1: Cannot iterate over string ("\\n")\njson: stdin:3:4: Cannot iterate over number (5)' "" '.a|.[]'
head -c 20000 /dev/zero | tr '\0' '[' >input
refused "too deep" 2 "json: stdin:1:10001: nested too deep" "" .
{ head -c 10000 /dev/zero | tr '\0' '[' && head -c 10000 /dev/zero | tr '\0' ']'; } >input
check "json/deep" "10000 1" "$(ours "..|type" <input | wc -l) $(ours -c . <input | cmp - <(cat input && echo) && echo 1)"
python3 -c 'print("{\"a\":1,\"a\":" * 9999 + "[]" + "}" * 9999)' >input
check "json/deep, each name twice" "10000" "$(ours -c '..|type' <input | wc -l)"
python3 -c 'print("[" + "1" * 1000000 + ",0." + "0" * 1000000 + "1]")' >input
run_expect "json/long numbers" 0 "[1.7976931348623157e+308,0]" ours -c . <input
echo '{"a":1}' >a.json
echo '{"a":' >b.json
printf 0 >input
refused "missing file" 2 "json: missing: No such file or directory" "1" .a missing a.json
refused "bad file" 2 "json: b.json:2:1: the text ends too early" "1" .a a.json b.json a.json
refused "filter" 3 "json: bad filter at column 4" "" '.a b'
refused "deep filter" 3 "json: bad filter at column 201" "" "$(head -c 300 /dev/zero | tr '\0' '(')"
refused "long filter" 3 "json: bad filter at column 2003" "" "$(head -c 3000 /dev/zero | tr '\0' '.' | sed 's/\./.a/g')"
run_expect "json/no filter" 0 0 ours <input
got=0
ours --indent 8 . <input >own 2>err || got=$?
check "json/bad indent" "2 json: an indent is a number from 0 to 7" "$got $(head -1 err)"
got=0
ours . <input >/dev/full 2>err || got=$?
check "json/full" "2 json: json: No space left on device" "$got $(cat err)"
