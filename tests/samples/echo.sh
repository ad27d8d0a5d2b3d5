#!/usr/bin/env bash
# samples/echo: real clients of the host's, one and many, and what it is not allowed.
source "$(dirname "$0")/../lib.sh"
cd "$root" || exit 1

run_expect "echo/without a network" 1 "" timeout 60 "$ATOLL" run samples/echo/echo.atoll 127.0.0.1
check_contains "echo/without a network, why" "echo: no such handle" "$(cat "$scratch/stderr")"
run_expect "echo/refused" 1 "" timeout 60 "$ATOLL" run --net listen:127.0.0.1:1 samples/echo/echo.atoll 127.0.0.1 0
check_contains "echo/refused, the guest's words" "echo: permission denied" "$(cat "$scratch/stderr")"
check_contains "echo/refused, the operator's words" \
  "network: refused to listen at 127.0.0.1:0: no rule allows it" "$(cat "$scratch/stderr")"
for wrong in "" "127.0.0.1 x" "127.0.0.1 65536"; do
  # shellcheck disable=SC2086
  run_expect "echo/wrong '$wrong'" 2 "" timeout 60 "$ATOLL" run --net 'listen:*:*' samples/echo/echo.atoll $wrong
done

"$ATOLL" run --net listen:127.0.0.1:0,connections=100 samples/echo/echo.atoll 127.0.0.1 >"$scratch/out" 2>"$scratch/err" &
server=$!
for _ in $(seq 300); do
  grep -q port "$scratch/out" && break
  sleep 0.1
done
port=$(grep -oE '[0-9]+$' "$scratch/out")
if [[ -z $port ]]; then
  not_ok "echo/starts" "$(cat "$scratch/err")"
  kill $server
  exit 1
fi
got=$(timeout 120 python3 - "$port" <<'PYTHON'
import os, socket, sys, threading
port = int(sys.argv[1])

def connect():
    return socket.create_connection(("127.0.0.1", port), timeout=60)

one = connect()
one.sendall(b"hello\n")
print(one.recv(100))

# Many at once, each with other bytes, in both directions at the same time, then the end.
def talk(number, results):
    data = os.urandom(300_000 + number)
    client = connect()
    def send():
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)
    sender = threading.Thread(target=send)
    sender.start()
    got = b""
    while part := client.recv(65536):
        got += part
    sender.join()
    client.close()
    results.append(got == data)

results = []
clients = [threading.Thread(target=talk, args=(i, results)) for i in range(40)]
for each in clients: each.start()
for each in clients: each.join()
print(results.count(True), "of", len(clients))

# One after the other: what ended does not count any more.
for i in range(200):
    with connect() as client:
        client.sendall(b"x")
        assert client.recv(1) == b"x"
print("200 more")
one.sendall(b"still there\n")
print(one.recv(100))
PYTHON
)
check "echo/clients" "b'hello\\n'
40 of 40
200 more
b'still there\\n'" "$got"
kill -0 $server 2>/dev/null && ok "echo/goes on" || not_ok "echo/goes on" "$(cat "$scratch/err")"
kill $server
wait $server 2>/dev/null
check "echo/said nothing else" "atoll: interrupted" "$(cat "$scratch/err")"
