#!/usr/bin/env bash
# samples/sha256sum does what the system's sha256sum does: output, messages and exit status.
source "$(dirname "$0")/../lib.sh"
mkdir "$scratch/files" "$scratch/files/directory"
cd "$scratch/files" || exit 1
ours() { "$ATOLL" run --dir-ro . "$root/samples/sha256sum/sha256sum.atoll" "$@"; }

# same NAME INPUT ARGS...: both programs with these arguments, standard input from the file INPUT.
same() {
  local name=$1 input=$2 status=0
  shift 2
  sha256sum "$@" <"$input" >"$scratch/theirs" 2>"$scratch/theirs.err" || status=$?
  echo "exit status $status" >>"$scratch/theirs"
  status=0
  ours "$@" <"$input" >"$scratch/ours" 2>"$scratch/ours.err" || status=$?
  echo "exit status $status" >>"$scratch/ours"
  check "$name" "$(cat "$scratch/theirs" "$scratch/theirs.err")" \
    "$(cat "$scratch/ours" "$scratch/ours.err")"
}

: >empty
printf abc >abc
cp "$root/docs/assembly.md" text.md
head -c 400000 "$ATOLL" >binary
# Every length around the ends of blocks and of the buffer.
lengths=({1..3} {54..66} {118..130} {65534..65538} {131070..131074})
for n in "${lengths[@]}"; do head -c "$n" binary >"length-$n"; done
same sha256sum/lengths /dev/null "${lengths[@]/#/length-}"
for file in empty abc text.md binary; do
  same "sha256sum/file/$file" /dev/null "$file"
done
same sha256sum/input text.md
same sha256sum/input/empty empty
same sha256sum/input/dash text.md abc - empty
same sha256sum/binary-mark text.md -b abc -
same sha256sum/text-mark /dev/null -b -t abc
same sha256sum/missing /dev/null abc missing empty
same sha256sum/missing/name /dev/null 'no such'
same sha256sum/directory /dev/null directory abc
same sha256sum/option/unknown /dev/null -q abc
same sha256sum/option/unknown-long /dev/null --nothing abc
same sha256sum/option/quiet-alone /dev/null --quiet abc
same sha256sum/option/status-alone /dev/null --status abc
printf 'b' >'back\slash'
printf 'n' >$'new\nline'
printf 'r' >$'return\rhere'
printf 's' >' spaces  inside '
printf 'p' >'paren (x) = y'
names=('back\slash' $'new\nline' $'return\rhere' ' spaces  inside ' 'paren (x) = y')
same sha256sum/names /dev/null "${names[@]}"
check sha256sum/pipe "$(cat binary | sha256sum)" "$(cat binary | ours)"

sha256sum abc empty text.md "${names[@]}" >good
sha256sum --tag abc "${names[@]}" >tagged
sha256sum -b abc text.md >marked
tr a-f A-F <good >capitals 2>/dev/null
sed 's/^[0-9a-f]/x/' good >no-digits
{ sha256sum abc; sha256sum text.md | tr 0123456789 1234567890; } >one-wrong
{ sha256sum abc text.md | tr 0123456789 1234567890; sha256sum empty; } >two-wrong
{ sha256sum abc | sed 's/abc/missing/'; sha256sum abc; } >one-missing
{ sha256sum abc abc | sed 's/abc/missing/'; sha256sum abc; } >two-missing
{ echo '# a comment'; echo; sha256sum abc; echo nonsense; } >one-improper
{ sha256sum abc; echo nonsense; sha256sum abc | cut -c 2-; printf '%s' "$(sha256sum abc | cut -c -64)"; } >improper
{ sha256sum abc | sed 's/  abc/  directory/'; } >of-directory
sed 's/  / /' good >one-space
printf '%s' "$(sha256sum abc)" >no-newline
printf '\\%s  a\\x\n' "$(sha256sum abc | cut -c -64)" >bad-escape
printf 'SHA256 (abc) = 12\nSHA256 (abc\n' >bad-tag
for list in good tagged marked no-digits one-wrong two-wrong one-missing two-missing one-improper \
  improper of-directory one-space no-newline bad-escape bad-tag empty binary missing; do
  same "sha256sum/check/$list" /dev/null -c "$list"
done
same sha256sum/check/capitals /dev/null -c capitals
same sha256sum/check/input good -c
same sha256sum/check/several /dev/null -c good one-wrong missing one-improper
same sha256sum/check/quiet /dev/null --check --quiet one-wrong
same sha256sum/check/status /dev/null --check --status one-wrong
same sha256sum/check/status-good /dev/null --status -c good
same sha256sum/check/directory /dev/null -c directory
