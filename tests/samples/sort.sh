#!/usr/bin/env bash
# samples/sort does what the system's sort does in the C locale: output and exit status.
source "$(dirname "$0")/../lib.sh"
cd "$scratch" || exit 1
ours() { "$ATOLL" run --dir . "$root/samples/sort/sort.atoll" "$@"; }

# same NAME INPUT ARGS...: both programs with these arguments, standard input from the file INPUT.
same() {
  local name=$1 input=$2 theirs=0 own=0
  shift 2
  sort "$@" <"$input" >theirs 2>theirs.err || theirs=$?
  ours "$@" <"$input" >ours 2>ours.err || own=$?
  if cmp -s theirs ours; then
    check "sort/$name: exit status" "$theirs" "$own"
  else
    not_ok "sort/$name" "the output differs"
  fi
}

: >empty
printf '\n' >newline
printf 'b\na\n\nab\na' >unended
printf 'a\0b\na\n\377\n\0\n a\nA\n' >bytes
cp "$root/docs/assembly.md" text.md
head -c 300000 "$ATOLL" >binary
seq 20000 | sort -R --random-source=binary >numbers
sort text.md >sorted
for file in empty newline unended bytes text.md binary numbers sorted; do
  for options in "" -r -u -ru; do
    # shellcheck disable=SC2086
    same "$file $options" "$file" $options
    # shellcheck disable=SC2086
    same "file $file $options" /dev/null $options "$file"
  done
  same "check $file" "$file" -c
done
same "several" unended text.md - bytes
same "check, equal lines" unended -c -u sorted
same "missing" /dev/null text.md missing
same "unknown option" /dev/null --no-such-option
cp text.md own
same "long options" text.md --reverse --unique
ours -o out.own text.md && sort -o out.theirs text.md && cmp out.own out.theirs && ok "sort/-o" ||
  not_ok "sort/-o" "the file differs"
ours -o text.md text.md && check "sort/-o onto an input" "$(cat sorted)" "$(cat text.md)"
