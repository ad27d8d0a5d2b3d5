#!/usr/bin/env bash
# samples/base64 does what the system's base64 does.
source "$(dirname "$0")/../lib.sh"
cd "$scratch" || exit 1
ours() { "$ATOLL" run --dir-ro . "$root/samples/base64/base64.atoll" "$@"; }

: >empty
head -c 400000 "$ATOLL" >binary
for n in 0 1 2 3 4 56 57 58 49151 49152 49153 98304 200000; do
  head -c $n binary >part
  for options in "" "-w 0" "-w 1" "-w 75" "--wrap=100000"; do
    # shellcheck disable=SC2086
    base64 $options part >theirs
    # shellcheck disable=SC2086
    if ours $options part >own && cmp -s theirs own; then
      ok "base64/$n $options"
    else
      not_ok "base64/$n $options" "the output differs"
    fi
    if ours -d <theirs >own && cmp -s part own; then
      ok "base64/$n $options back"
    else
      not_ok "base64/$n $options back" "the output differs"
    fi
  done
done
for text in 'YQ=' 'Y' 'YQ==YQ' 'Y!Q=' '====' 'YR=='; do
  status=0
  printf %s "$text" | ours -d >own 2>err || status=$?
  check "base64/invalid $text" "1 base64: invalid input" "$status $(cat err)"
done
run_expect base64/missing 1 "" ours no-such-file
run_expect base64/option 1 "" ours --nothing
run_expect base64/columns 1 "" ours -w x
