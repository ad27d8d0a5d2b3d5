#!/usr/bin/env bash
# samples/wc does what the system's wc does: standard output, standard error and exit status.
source "$(dirname "$0")/../lib.sh"
mkdir "$scratch/files" "$scratch/files/directory"
cd "$scratch/files" || exit 1
ours() { "$ATOLL" run --dir-ro . "$root/samples/wc/wc.atoll" "$@"; }

# same NAME INPUT ARGS...: both programs with these arguments, standard input from the file INPUT.
same() {
  local name=$1 input=$2 status=0
  shift 2
  wc "$@" <"$input" >"$scratch/theirs" 2>"$scratch/theirs.err" || status=$?
  echo "exit status $status" >>"$scratch/theirs"
  status=0
  ours "$@" <"$input" >"$scratch/ours" 2>"$scratch/ours.err" || status=$?
  echo "exit status $status" >>"$scratch/ours"
  check "$name" "$(cat "$scratch/theirs" "$scratch/theirs.err")" \
    "$(cat "$scratch/ours" "$scratch/ours.err")"
}

: >empty
printf 'no newline at the end' >open-ended
printf '\n\n\n' >newlines
printf ' \t\v\f\r\n word \t two\n' >spaces
printf 'x' >letter
cp "$root/docs/assembly.md" text.md
cp "$root/vm/isa/opcodes.def" long-lines
for i in {1..20}; do cat text.md; done >large        # many buffers
head -c 65536 large >buffer                           # exactly one
head -c 65537 large >buffer-and-one
yes x | tr -d '\n' | head -c 200000 >one-word
printf 'a%.0s' {1..65536} >word-and-buffer
printf ' b' >>word-and-buffer
head -c 300000 "$ATOLL" >binary
printf 'a\0b \0 \001 \377 c\200d\n' >control
cp text.md 'a name'
cp text.md -- -dash
cp text.md $'new\nline'

for file in empty open-ended newlines spaces letter text.md long-lines large buffer \
  buffer-and-one one-word word-and-buffer binary control 'a name'; do
  same "wc/file/$file" /dev/null "$file"
  same "wc/lines/$file" /dev/null -l "$file"
done
for options in -l -w -c -lw -cl -wc -lwc -cwl '-l -w' '-c -l' --lines --words --bytes '--bytes -w'; do
  # shellcheck disable=SC2086 # options are separate words
  same "wc/options/$options" /dev/null $options text.md
  # shellcheck disable=SC2086
  same "wc/options/$options/several" text.md $options text.md - empty
done
same wc/input text.md
same wc/input/empty empty
same wc/input/null /dev/null
same wc/input/dash text.md -
same wc/input/dash-words text.md -w -
same wc/input/twice text.md - -
same wc/several /dev/null text.md large letter
same wc/several/small /dev/null letter letter
same wc/several/binary /dev/null binary control text.md
same wc/missing /dev/null missing
same wc/missing/among /dev/null text.md missing letter
same wc/missing/name /dev/null 'no such' "it's" 'b"q' 'a$b' 'x=y' ''
same wc/missing/newline /dev/null $'miss\ning'
same wc/missing/path /dev/null directory/missing letter/below
same wc/directory /dev/null directory
same wc/directory/among /dev/null text.md directory letter
same wc/directory/lines /dev/null -l directory
same wc/option/after /dev/null text.md -l
same wc/option/end /dev/null -l -- -dash
same wc/option/unknown /dev/null -x text.md
same wc/option/unknown-long /dev/null --nothing text.md
same wc/newline-name /dev/null $'new\nline'
for ((i = 0; i < 300; i++)); do printf 'text.md\0'; done >many
mapfile -d '' -t names <many
same wc/many /dev/null "${names[@]}"

# A pipe: its size is not known before it is read.
check wc/pipe "$(cat large | wc)" "$(cat large | ours)"
check wc/pipe/lines "$(cat large | wc -l)" "$(cat large | ours -l)"

run_expect wc/not-granted 1 "" "$ATOLL" run "$root/samples/wc/wc.atoll" text.md
check_contains wc/not-granted/reason "wc: text.md: " "$(cat "$scratch/stderr")"
