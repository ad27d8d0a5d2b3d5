#!/usr/bin/env bash
# samples/hello: the simplest program, with and without arguments.
source "$(dirname "$0")/../lib.sh"
hello=("$ATOLL" run "$root/samples/hello/hello.atoll")

run_expect hello/world 0 "Hello, world!" "${hello[@]}"
run_expect hello/one 0 "Hello, Ada!" "${hello[@]}" Ada
run_expect hello/several 0 "Hello, Ada and Grace and an empty  and $'\t'!" \
  "${hello[@]}" Ada Grace "an empty " "$'\t'"
run_expect hello/empty 0 "Hello, !" "${hello[@]}" ""

# More than the output buffer holds.
long=$(head -c 100000 /dev/zero | tr '\0' x)
run_expect hello/long 0 "Hello, $long and $long!" "${hello[@]}" "$long" "$long"

got=0
"${hello[@]}" >/dev/full 2>"$scratch/stderr" || got=$?
check hello/full "1 hello: write error: No space left on device" "$got $(cat "$scratch/stderr")"
