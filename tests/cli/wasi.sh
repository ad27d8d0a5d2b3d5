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
build sockets
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

# Listeners, with real clients. The program's first descriptor behind the directories is one.
cat >clients.py <<'PYTHON'
import os, socket, sys, threading
ports = [int(each) for each in sys.argv[1:]]

def talk(port, number, results):
    data = os.urandom(50_000 + number)
    with socket.create_connection(("127.0.0.1", port), timeout=60) as client:
        sender = threading.Thread(target=lambda: (client.sendall(data), client.shutdown(socket.SHUT_WR)))
        sender.start()
        got = b""
        while part := client.recv(65536):
            got += part
        sender.join()
    results.append(got == data)

results = []
clients = [threading.Thread(target=talk, args=(ports[i % len(ports)], i, results)) for i in range(30)]
for each in clients: each.start()
for each in clients: each.join()
print(results.count(True), "of", len(clients))
with socket.create_connection(("127.0.0.1", ports[-1]), timeout=60) as client:
    client.sendall(b"quit\n")
    print(client.recv(100))
with socket.create_connection(("127.0.0.1", ports[0]), timeout=60) as client:
    client.sendall(b"0123")
    client.sendall(b"456789")
    client.sendall(b"abc")
    print(client.recv(100), client.recv(100))
PYTHON
# serve FIRST OPTIONS: with two listeners, whose ports the host chooses.
serve() {
  local first=$1
  rm -f served ports
  shift
  timeout 120 "$ATOLL" run "$@" --tcplisten 127.0.0.1:0 --tcplisten 127.0.0.1:0 sockets.wasm "$first" 2 >served 2>ports &
  local server=$!
  for _ in $(seq 300); do
    grep -q ready served && break
    sleep 0.1
  done
  # shellcheck disable=SC2046
  timeout 100 python3 clients.py $(sed -n 's/^atoll: network: listening at 127.0.0.1:\([0-9]*\)$/\1/p' ports)
  wait $server
  echo "$?"
  cat served
}
expected="30 of 30
b'quit\\n'
b'0123456789' b''
0
ready
all good"
check "listeners" "$expected" "$(serve 3)"
check "listeners, behind directories and before the network" "$expected" "$(serve 5 --net dns --dir w::/w --mount memory::/m)"
run_expect "a listener: no such address" 126 "" "$ATOLL" run --tcplisten 192.0.2.1:80 sockets.wasm 3 1
check_contains "a listener: no such address, why" "192.0.2.1:80: can't take connections here: not an address of this host" "$(cat "$scratch/stderr")"
for wrong in 80 127.0.0.1 127.1:80 ::1:80 127.0.0.1:65536 localhost:80; do
  run_expect "a listener: '$wrong'" 2 "" "$ATOLL" run --tcplisten $wrong sockets.wasm
  check_contains "a listener: '$wrong', why" "write ADDRESS:PORT" "$(cat "$scratch/stderr")"
done
run_expect "a listener: not with --harden" 2 "" "$ATOLL" run --harden --tcplisten 127.0.0.1:0 sockets.wasm
cat >machines.toml <<'TOML'
[[machine]]
name = "server"
module = "sockets.wasm"
arguments = ["3", "1"]
listeners = ["127.0.0.1:0"]
TOML
timeout 60 "$ATOLL" up machines.toml >up 2>&1 &
up=$!
for _ in $(seq 300); do
  grep -q ready up && break
  sleep 0.1
done
check "a listener: of a machine" "$(head -3 <<<"$expected")" \
  "$(timeout 100 python3 clients.py "$(sed -n 's/.*network: listening at 127.0.0.1:\([0-9]*\)$/\1/p' up)")"
wait $up
check_contains "a listener: of a machine, its end" "all good" "$(cat up)"
