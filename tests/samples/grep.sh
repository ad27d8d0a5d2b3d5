#!/usr/bin/env bash
# samples/grep does what the system's `grep -aE` does in the C locale: output and exit status.
source "$(dirname "$0")/../lib.sh"
cd "$scratch" || exit 1
ours() { "$ATOLL" run --dir-ro . "$root/samples/grep/grep.atoll" "$@"; }

# same NAME INPUT ARGS...: both programs with these arguments, standard input from the file INPUT.
same() {
  local name=$1 input=$2 theirs=0 own=0
  shift 2
  grep -aE "$@" <"$input" >theirs 2>theirs.err || theirs=$?
  ours "$@" <"$input" >own 2>own.err || own=$?
  if cmp -s theirs own; then
    check "grep/$name: exit status" "$theirs" "$own"
  else
    not_ok "grep/$name" "the output differs"
    diff theirs own | head -10 | sed 's/^/    /'
  fi
}

: >empty
printf 'one\ntwo\n\nOne two\nunended' >lines
cp "$root/docs/assembly.md" text.md
cp "$root/LICENSE" license
head -c 200000 "$ATOLL" | tr -d '\0' >binary
patterns=('' 'a' '^$' '^' '$' 'o' '^one$' '(one|two)+' '[[:upper:]][[:lower:]]+' 'i32\.[a-z_]+' 'x{2,3}'
  '^.{1,20}$' '[^ -~]' 'no such text' 'a|ab|abc' '(a*)(b*)' '\.' '\b[a-z]{4}\b' 'The .*\. ')
all_options=("" -i -v -c -n -o -x -l -q -ino -vc -xi)
# What differs elsewhere is not the program: some will do for slower builds.
[[ ${ATOLL_PRESET:-release} == release ]] || all_options=(-ino -vc -x) patterns=("${patterns[@]:0:8}")
for pattern in "${patterns[@]}"; do
  for options in "${all_options[@]}"; do
    # GNU grep ends at once, without the count, when no line can be selected.
    [[ $pattern$options == -vc ]] && continue
    # shellcheck disable=SC2086
    same "'$pattern' $options lines" lines $options "$pattern"
    # shellcheck disable=SC2086
    same "'$pattern' $options text.md license" /dev/null $options "$pattern" text.md license
  done
  same "'$pattern' binary" binary -c "$pattern"
done
same "empty" empty a
same "-h" /dev/null -h the text.md license
same "missing" /dev/null the missing license
same "missing, -q" /dev/null -q the license missing
same "input and file" license the - text.md
same "no pattern" empty
for pattern in '(a' 'a)' '[a' 'a{2,1}' '*' '[b-a]' '[[:no:]]' 'a\'; do
  status=0
  ours "$pattern" <lines >own 2>err || status=$?
  check "grep/refused $pattern" "2 0" "$status $(wc -c <own)"
  check_contains "grep/refused $pattern, why" " at byte " "$(cat err)"
done
