#!/usr/bin/env bash
# WASI programs in C, built by clang for wasm32-wasi: files, streams, clocks, exit codes, escapes.
source "$(dirname "$0")/../lib.sh"
clang=${WASI_CLANG:-clang-16}
if ! command -v "$clang" >/dev/null || [[ ! -e /usr/lib/wasm32-wasi/libc.a ]]; then
  skip "WASI programs in C" "no $clang with wasi-libc (apt-get install clang-16 lld-16 wasi-libc libclang-rt-16-dev-wasm32)"
  exit 0
fi
build() { # NAME FLAGS...
  local name=$1
  shift
  "$clang" --target=wasm32-wasi -O1 -Wall "$@" "$root/tests/wasi/$name.c" -o "$scratch/$name.wasm" ||
    not_ok "build $name" "$clang failed"
}
build files
build streams
build devices
build race
build reactor -mexec-model=reactor
cd "$scratch" || exit 1

mkdir w r
echo fixed >r/fixed
run_expect "files and directories" 0 "all good" "$ATOLL" run --dir w::/w --dir-ro r::/r files.wasm
check "what is only to be read is as it was" fixed "$(cat r/fixed)"
check "and nothing was added" fixed "$(ls r)"
run_expect "devices, and texts about the process" 0 "dev rw /dev
proc ro /proc
all good" "$ATOLL" run --mount dev::/dev --mount proc::/proc devices.wasm

program() { "$ATOLL" run "$@"; }
run_expect "arguments and variables" 0 "argument 0: streams.wasm
argument 1: show
argument 2: two words
variable A=1
variable B=x=y" "$ATOLL" run --env A=1 --env B=x=y streams.wasm show "two words"
head -c 10000000 /dev/urandom >large
run_expect "a large file through pipes" 0 "$(sha256sum <large)" \
  bash -c "cat large | '$ATOLL' run streams.wasm copy | sha256sum"
run_expect "a large file by redirection" 0 "$(sha256sum <large)" \
  bash -c "'$ATOLL' run streams.wasm copy <large >copied && sha256sum <copied"
run_expect "nobody reads" 0 "" bash -c "'$ATOLL' run streams.wasm copy <large | true"
run_expect "waiting for input with a limit" 0 "input: one
time
input: two" bash -c "{ echo one; sleep 0.8; echo two; } | '$ATOLL' run streams.wasm wait"
run_expect "not waiting" 0 "nothing yet" bash -c "sleep 1 | '$ATOLL' run streams.wasm nonblocking"
echo "0123456789" >digits
run_expect "redirected input has a position" 0 "56789" bash -c "'$ATOLL' run streams.wasm seek <digits"
run_expect "clocks and sleeping" 0 "clocks" program streams.wasm clocks
for code in 0 1 42 125 126 255; do
  run_expect "exit code $code" $code "" program streams.wasm exit $code
done
run_expect "a reactor is initialized" 0 "initialized" program reactor.wasm

# Two guests at once: one renames, the other opens.
mkdir -p race/inside
echo inside >race/inside/file
echo outside >file
"$ATOLL" run --dir race::/w race.wasm move >moved &
mover=$!
run_expect "a guest that opens while another renames" 0 "stayed inside" \
  "$ATOLL" run --dir race::/w race.wasm open
wait $mover
check "the other one ran, too" moved "$(cat moved)"
check "the file outside is as it was" outside "$(cat file)"
