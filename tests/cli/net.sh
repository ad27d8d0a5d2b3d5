#!/usr/bin/env bash
# --net: what a guest has of the network, what it has not, and what is wrong with a command line.
source "$(dirname "$0")/../lib.sh"
cd "$scratch" || exit 1

# `get HOST PORT TEXT` sends TEXT to a host, ends its writing, and prints the answer. The exit code is the error's number.
cat >get.atoll <<'ATOLL'
module get
use std.int
use std.io
use std.sys
reserve host 300
reserve text 300
export func main() -> i32 {
    var n: i32, m: i32, port: i32, h: i32, error: i32
    call args_get(2, text, 300) -> m
    call int_parse_u32(text, m, 10) -> port, error
    call args_get(1, host, 300) -> n
    call args_get(3, text, 300) -> m
    call tcp_connect(NETWORK, host, n, port, 20_000_000_000) -> h
    if i32.lt_s h, 0 { ret (i32.sub 0, h) }
    call io_write_all(h, text, m) -> error
    if error { ret (i32.sub 0, error) }
    call socket_shutdown(h, SHUTDOWN_WRITE) -> error
    if error { ret (i32.sub 0, error) }
    loop {
        call read(h, text, 300) -> n
        if i32.le_s n, 0 { ret (i32.sub 0, n) }
        call write(STDOUT, text, n) -> n
    }
}
ATOLL
acces=2 badf=8 inval=28 connrefused=14

cat >server.py <<'PYTHON'
import socket, sys, threading
def serve(server):
    while True:
        client, _ = server.accept()
        data = b""
        while part := client.recv(1000): data += part
        client.sendall(data.upper())
        client.close()
ports = []
for host in sys.argv[1:]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    server = socket.socket(family, socket.SOCK_STREAM)
    try:
        server.bind((host, 0))
    except OSError:
        ports.append(0)
        continue
    server.listen(50)
    ports.append(server.getsockname()[1])
    threading.Thread(target=serve, args=(server,), daemon=True).start()
print(*ports, flush=True)
sys.stdin.read()
PYTHON
mkfifo stop
python3 server.py 127.0.0.1 ::1 <stop >ports &
server=$!
exec 9>stop
for _ in $(seq 200); do
  [[ -s ports ]] && break
  sleep 0.1
done
read -r four six <ports

get() { timeout 60 "$ATOLL" run "$@"; }
run_expect "an address" 0 HELLO get --net connect:127.0.0.1:"$four" get.atoll 127.0.0.1 "$four" hello
run_expect "a name" 0 HELLO get --net connect:localhost:"$four" get.atoll LocalHost. "$four" hello
run_expect "a name, by a rule for addresses" 0 HELLO get --net "connect:127.0.0.0/8:*" get.atoll localhost "$four" hello
run_expect "an address written as IPv6" 0 HELLO get --net "connect:127.0.0.1:*" get.atoll ::ffff:127.0.0.1 "$four" hello
if ((six != 0)); then
  run_expect "IPv6" 0 HELLO get --net "connect:[::1]:$six" get.atoll ::1 "$six" hello
else
  skip IPv6 "the host has none"
fi
run_expect "several --net" 0 HELLO get --net dns --net "connect:*:$four" get.atoll 127.0.0.1 "$four" hello
run_expect "no network" $badf "" get get.atoll 127.0.0.1 "$four" hello
run_expect "no such address" $inval "" get --net 'connect:*:*' get.atoll 127.1 "$four" hello

# refused NAME RULES HOST WHY
refused() {
  run_expect "refused: $1" $acces "" get --net "$2" get.atoll "$3" "$four" hello
  check "refused: $1, why" "atoll: network: refused to connect to $4" "$(cat "$scratch/stderr")"
}
refused "another port" "connect:127.0.0.1:1" 127.0.0.1 "127.0.0.1:$four: no rule allows it"
refused "another address" "connect:127.0.0.2:*" 127.0.0.1 "127.0.0.1:$four: no rule allows it"
refused "public" "connect:public:*" ::ffff:127.0.0.1 "127.0.0.1:$four: no rule allows it"
refused "link-local" "connect:*:*" 169.254.169.254 "169.254.169.254:$four: no rule names this address, which is link-local"
refused "unspecified" "connect:*:*" 0.0.0.0 "0.0.0.0:$four: no rule names this address, which is unspecified"
refused "a name" "connect:example.org:*" example.com \
  "example.com:$four: no rule has this name and port, and there is no rule dns"
run_expect "nobody there" $connrefused "" get --net 'connect:127.0.0.1:1' get.atoll 127.0.0.1 1 hello
run_expect "limit of I/O" 19 "" get --net 'connect:*:*' --io-bytes 3 get.atoll 127.0.0.1 "$four" hello
exec 9>&-
wait $server

# wrong RULES PART
wrong() {
  run_expect "wrong: '$1'" 2 "" "$ATOLL" run --net "$1" get.atoll
  check_contains "wrong: '$1', why" "$2" "$(cat "$scratch/stderr")"
}
wrong "connect:example.org" "write connect:HOST:PORTS"
wrong "conect:a:1" 'did you mean `connect`?'
wrong "connect:10.0.0.1/8:80" "write 10.0.0.0/8"
wrong "dns,,dns" "a rule is empty"
wrong "" "a rule is empty"
run_expect "not with --harden" 2 "" "$ATOLL" run --harden --net dns get.atoll
check_contains "not with --harden, why" "no sockets can be made" "$(cat "$scratch/stderr")"

# A machine: its log tells of refusals.
cat >machines.toml <<'TOML'
[[machine]]
name = "getter"
module = "get.atoll"
arguments = ["127.0.0.1", "9", "x"]
net = "connect:127.0.0.1:10"
TOML
timeout 60 "$ATOLL" up machines.toml >up 2>&1
check_contains "a machine: its log" "network: refused to connect to 127.0.0.1:9: no rule allows it" "$(cat up)"
sed -i 's/^net = .*/net = "connect:x"/' machines.toml
timeout 60 "$ATOLL" up machines.toml >up 2>&1
check_contains "a machine: a mistake" "write connect:HOST:PORTS" "$(cat up)"
