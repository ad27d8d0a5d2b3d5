#!/usr/bin/env bash
# Programs in C for BSD sockets, as they are: built by cc and for WASI with stdlib/guest/c/atoll_socket.c, they do
# the same, with real clients and servers.
source "$(dirname "$0")/../lib.sh"
clang=${WASI_CLANG:-clang-16}
if ! command -v "$clang" >/dev/null || [[ ! -e /usr/lib/wasm32-wasi/libc.a ]] || ! command -v cc >/dev/null; then
  skip "BSD sockets in C" "no cc, or no $clang with wasi-libc (apt-get install gcc clang-16 lld-16 wasi-libc libclang-rt-16-dev-wasm32)"
  exit 0
fi
cd "$scratch" || exit 1
wasi=("$clang" --target=wasm32-wasi --sysroot=/usr -O2 -isystem "$root/stdlib/guest/c/sockets" -isystem "$root/stdlib/guest/c")
"${wasi[@]}" -Wall -Wextra -Werror -c "$root/stdlib/guest/c/atoll_socket.c" -o atoll_socket.o ||
  not_ok "build atoll_socket.c" "$clang failed"
for source in samples/wasm-c/echo tests/wasi/bsd/{get,resolve,api,kept}; do
  name=${source##*/}
  cc -O1 -Wall -Wextra -Werror "$root/$source.c" -o "$name" || not_ok "build $name" "cc failed"
  "${wasi[@]}" -Wall -Wextra -Werror "$root/$source.c" atoll_socket.o -o "$name.wasm" || not_ok "build $name.wasm" "$clang failed"
done
run() { timeout 60 "$ATOLL" run "$@"; }

all='connect:127.0.0.1:*,connect:[::1]:*,listen:127.0.0.1:0,listen:[::1]:0,listen:127.0.0.1:*,udp:127.0.0.1:*,udp-listen:127.0.0.1:0,connect:localhost:*'
run_expect "the same at the edges" 0 "$(./api <<<x)" run --net "$all" api.wasm <<<x
run_expect "the same at the edges, behind directories" 0 "$(./api <<<x)" run --mount memory::/m --dir .::/w --net "$all" api.wasm <<<x

# --- An echo server, with many clients.
cat >clients.py <<'PYTHON'
import os, socket, sys, threading
port = int(sys.argv[1])

def connect():
    return socket.create_connection(("127.0.0.1", port), timeout=60)

def talk(number, results):
    data = os.urandom(200_000 + number)
    with connect() as client:
        sender = threading.Thread(target=lambda: (client.sendall(data), client.shutdown(socket.SHUT_WR)))
        sender.start()
        got = b""
        while part := client.recv(65536):
            got += part
        sender.join()
    results.append(got == data)

idle = [connect() for _ in range(100)]
results = []
clients = [threading.Thread(target=talk, args=(i, results)) for i in range(40)]
for each in clients: each.start()
for each in clients: each.join()
print(results.count(True), "of", len(clients))
for each in idle:
    each.sendall(b"here\n")
print({each.recv(100) for each in idle})
with connect() as client:
    client.sendall(b"quit\n")
    print(client.recv(100))
PYTHON
# echoes COMMAND...: what the server and its clients say.
echoes() {
  rm -f served
  timeout 120 "$@" 127.0.0.1 0 >served 2>errors &
  local server=$! code=0
  for _ in $(seq 300); do
    grep -q port served && break
    sleep 0.1
  done
  timeout 100 python3 clients.py "$(grep -oE '[0-9]+$' served)" 2>&1
  wait $server || code=$?
  sed 's/[0-9]*$//' served
  echo "$code, $(<errors)"
}
check "echo: as native" "$(echoes ./echo)" "$(echoes "$ATOLL" run --net listen:127.0.0.1:0 echo.wasm)"
check_contains "echo: clients" "40 of 40" "$(echoes "$ATOLL" run --net listen:127.0.0.1:0,connections=200 --tier jit echo.wasm)"
run_expect "echo: no network" 1 "" run echo.wasm 127.0.0.1 0
check "echo: no network, why" "socket: Permission denied" "$(cat "$scratch/stderr")"
run_expect "echo: refused" 1 "" run --net listen:127.0.0.1:1 echo.wasm 127.0.0.1 0
check "echo: refused, why" "atoll: network: refused to listen at 127.0.0.1:0: no rule allows it
bind: Permission denied" "$(cat "$scratch/stderr")"

# --- Servers of the host's: HTTP, and DNS which answers with 1.2.3.4 and 5.6.7.8, or not at all.
cat >servers.py <<'PYTHON'
import http.server, socket, sys, threading

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = f"path {self.path}\nhost {self.headers['Host']}\n".encode() + b"line\n" * 1000
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass

web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=web.serve_forever, daemon=True).start()
dns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
dns.bind(("127.0.0.1", 0))

def answer():
    while True:
        packet, to = dns.recvfrom(512)
        if b"silent" in packet: continue
        record = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4"
        dns.sendto(packet[:2] + b"\x81\x80\0\1\0\2\0\0\0\0" + packet[12:] + record + b"\1\2\3\4" + record + b"\5\6\7\x08", to)
threading.Thread(target=answer, daemon=True).start()
print(web.server_port, dns.getsockname()[1], flush=True)
sys.stdin.read()
PYTHON
mkfifo stop
python3 servers.py <stop >ports &
servers=$!
exec 9>stop
for _ in $(seq 200); do
  [[ -s ports ]] && break
  sleep 0.1
done
read -r web dns <ports
run_expect "HTTP, by an address" 0 "$(./get 127.0.0.1 "$web" /a)" run --net "connect:127.0.0.1:$web" get.wasm 127.0.0.1 "$web" /a
run_expect "HTTP, by a name and a rule with it" 0 "$(./get localhost "$web" /b)" run --net "connect:localhost:$web" get.wasm localhost "$web" /b
run_expect "HTTP, by a name and rules for addresses" 0 "$(./get localhost "$web" /c)" \
  run --net "dns,connect:127.0.0.0/8:*" get.wasm localhost "$web" /c
run_expect "HTTP, refused" 1 "" run --net "connect:127.0.0.1:1" get.wasm 127.0.0.1 "$web" /
check "HTTP, refused, why" "atoll: network: refused to connect to 127.0.0.1:$web: no rule allows it
connect: Permission denied" "$(cat "$scratch/stderr")"
run_expect "HTTP, a name that may not be looked up" 1 "" run --net "connect:localhost:$web" get.wasm example.org 80 /
check "HTTP, a name that may not be looked up, why" "atoll: network: refused to look example.org up: no rule has this name, and there is no rule dns
getaddrinfo: Permission denied" "$(cat "$scratch/stderr")"
run_expect "HTTP, nobody there" 1 "" run --net "connect:127.0.0.1:1" get.wasm 127.0.0.1 1 /
check "HTTP, nobody there, why" "connect: Connection refused" "$(cat "$scratch/stderr")"
run_expect "DNS" 0 "$(./resolve 127.0.0.1 "$dns" example.org)" run --net "udp:127.0.0.1:$dns" resolve.wasm 127.0.0.1 "$dns" example.org
run_expect "DNS, no answer" 1 "$(./resolve 127.0.0.1 "$dns" silent)" run --net "udp:127.0.0.1:$dns" resolve.wasm 127.0.0.1 "$dns" silent
run_expect "DNS, refused" 1 "" run --net "udp:127.0.0.1:1" resolve.wasm 127.0.0.1 "$dns" example.org
check_contains "DNS, refused, why" "sendto: Permission denied" "$(cat "$scratch/stderr")"
exec 9>&-
wait $servers

# --- A machine in a snapshot: its sockets are lost, also listeners that it was given, and others can be made.
cat >kept.toml <<'TOML'
[[machine]]
name = "kept"
module = "kept.wasm"
net = "listen:127.0.0.1:*,listen:127.0.0.1:0,connect:127.0.0.1:*,udp:127.0.0.1:*,udp-listen:127.0.0.1:0"
listeners = ["127.0.0.1:0"]
stdout = "kept.out"
TOML
until_true() {
  for _ in $(seq 600); do
    "$@" && return 0
    sleep 0.05
  done
  return 1
}
export XDG_RUNTIME_DIR=$PWD
env --default-signal=INT,TERM,HUP "$ATOLL" serve kept.toml 2>serve.err &
server=$!
until_true grep -qs ready kept.out || not_ok "kept: starts" "$(cat serve.err)"
"$ATOLL" pause kept
run_expect "kept: snapshot" 0 "" "$ATOLL" snapshot kept kept.snap
"$ATOLL" destroy kept
run_expect "kept: restore" 0 "" "$ATOLL" restore kept.snap --spec kept.toml
run_expect "kept: resume" 0 "" "$ATOLL" resume kept
until_true grep -q "accept anew" kept.out
check "kept: what it has then" "listen: done
connect: done
ready
restored
read: Bad file descriptor
write: Bad file descriptor
recv of datagrams: Bad file descriptor
connect of one that was not connected: Bad file descriptor
accept: Bad file descriptor
poll: 1 1
close: Bad file descriptor
accept of the one given: Bad file descriptor
connect anew: done
accept anew: done" "$(cat kept.out)"
kill $server
wait $server
