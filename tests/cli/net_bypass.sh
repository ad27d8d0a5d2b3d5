#!/usr/bin/env bash
# Ways round the rules of a network that programs have been known to find: each is refused, and told. By Atoll's calls from
# assembly, by the sockets of BSD from C, and by WASI's calls.
source "$(dirname "$0")/../lib.sh"
cd "$scratch" || exit 1

# What must not be reached: a listener and a socket for datagrams, which count who comes; and a web server that sends
# everybody there.
cat >guarded.py <<'PYTHON'
import http.server, socket, sys, threading
count = 0
def count_connections(server):
    global count
    while True:
        server.accept()
        count += 1
def count_datagrams(server):
    global count
    while True:
        server.recvfrom(100)
        count += 1
four = socket.create_server(("127.0.0.1", 0))
port = four.getsockname()[1]
threads = [threading.Thread(target=count_connections, args=(four,), daemon=True)]
try:
    six = socket.create_server(("::1", port), family=socket.AF_INET6)
    threads.append(threading.Thread(target=count_connections, args=(six,), daemon=True))
except OSError:
    pass
datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
datagrams.bind(("0.0.0.0", port))
threads.append(threading.Thread(target=count_datagrams, args=(datagrams,), daemon=True))
class Redirect(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(302)
        self.send_header("Location", f"127.0.0.1 {port}")
        self.end_headers()
    def log_message(self, *_): pass
web = http.server.HTTPServer(("127.0.0.2", 0), Redirect)
threads.append(threading.Thread(target=web.serve_forever, daemon=True))
for each in threads: each.start()
print(port, web.server_port, flush=True)
sys.stdin.read()
print("came:", count, flush=True)
PYTHON
mkfifo stop
python3 guarded.py <stop >guarded.out &
guarded=$!
exec 9>stop
for _ in $(seq 200); do
  [[ -s guarded.out ]] && break
  sleep 0.1
done
read -r port web <guarded.out

# `try WHAT HOST PORT`: the exit code is the number of the error; 100: there was none.
cat >try.atoll <<'ATOLL'
module try
use std.int
use std.io
use std.process
use std.str
use std.sys
reserve what 300
reserve host 300
reserve answer 4096
reserve address sizeof(SocketAddress) align 8
reserve handles 4 align 4
reserve inbox sizeof(ProcessInbox) align 8
reserve options sizeof(SpawnOptions) align 8
data any = "0.0.0.0"
data child_name = "child"
data request = "GET / HTTP/1.0\r\n\r\n"
data location = "Location: "
global n: mut i32 = 0
global port: mut i32 = 0

func is(p: i32, m: i32, q: i32, k: i32) -> i32 { ret (call str_equal(p, m, q, k)) }
func code(result: i32) -> i32 {
    if i32.ge_s result, 0 { ret 100 }
    ret (i32.sub 0, result)
}
func connect() -> i32 {
    ret (call tcp_connect(NETWORK, host, (global.get n), (global.get port), 5_000_000_000))
}
/// Fills in `address` from "A.B.C.D" as 16 bytes of IPv6 ending with it after the 12 bytes that `prefix` says.
func fill(family: i32) -> i32 {
    var h: i32
    call host_lookup(NETWORK, host, (global.get n), address, 1, 0) -> h
    i32.store [address + SocketAddress.port], (global.get port)
    ret h
}
/// Has no handle at all, or one for datagrams alone: tries all numbers, and says by its end what it reached.
export func child() {
    var h: i32
    for i: i32 in 0 .. 64 {
        call tcp_connect(i, any, len(any), 1, 0) -> h
        if i32.ne h, -E_BADF and i32.ne h, -E_NOTCAPABLE and i32.ne h, -E_INVAL { call exit(100) }
    }
    call exit(E_BADF)
    ret
}
func follow() -> i32 {
    var h: i32, m: i32, p: i32, k: i32, q: i32, j: i32, error: i32, found: i32
    call connect() -> h
    if i32.lt_s h, 0 { ret 101 }
    call io_write_all(h, request, len(request)) -> error
    call io_read_full(h, answer, 4096) -> m
    call str_cut_at(answer, m, location, len(location)) -> p, k, q, j, found
    call str_cut(q, j, ' ') -> p, k, q, j, found
    memory.copy host, p, k
    global.set n, k
    call str_cut(q, j, '\r') -> p, k, q, j, found
    call int_parse_u32(p, k, 10) -> k, error
    global.set port, k
    ret (call connect())
}
data w_connect = "connect"
data w_listen = "listen"
data w_udp = "udp"
data w_bind = "udp-listen"
data w_lookup = "lookup"
data w_source = "source"
data w_child = "child"
data w_follow = "follow"
data w_binary = "binary"
export func main() -> i32 {
    var m: i32, h: i32, error: i32, k: i32, pid: i64
    call args_get(1, what, 300) -> m
    call args_get(3, host, 300) -> k
    call int_parse_u32(host, k, 10) -> k, error
    global.set port, k
    call args_get(2, host, 300) -> k
    global.set n, k
    if call is(what, m, w_connect, len(w_connect)) { ret (call code((call connect()))) }
    if call is(what, m, w_follow, len(w_follow)) { ret (call code((call follow()))) }
    if call is(what, m, w_listen, len(w_listen)) {
        ret (call code((call tcp_listen(NETWORK, host, (global.get n), (global.get port), 1))))
    }
    if call is(what, m, w_bind, len(w_bind)) {
        ret (call code((call udp_open(NETWORK, host, (global.get n), (global.get port)))))
    }
    if call is(what, m, w_lookup, len(w_lookup)) {
        ret (call code((call host_lookup(NETWORK, host, (global.get n), address, 1, 0))))
    }
    if call is(what, m, w_child, len(w_child)) {
        call process_start(child_name, len(child_name), 0, 0, 0) -> pid
        call process_await(inbox, pid, 1, -1) -> error
        ret E_BADF
    }
    call fill(4) -> h
    if i32.lt_s h, 0 { ret (i32.add 100, (i32.sub 0, h)) }
    if call is(what, m, w_udp, len(w_udp)) {
        call udp_open(NETWORK, any, len(any), 0) -> h
        ret (call code((call udp_send(h, request, 1, address))))
    }
    call socket_open(NETWORK, (i32.load [address + SocketAddress.family]), SOCKET_STREAM) -> h
    if i32.lt_s h, 0 { ret (i32.add 100, (i32.sub 0, h)) }
    if call is(what, m, w_source, len(w_source)) {
        // From the place where it may listen.
        i32.store [address + SocketAddress.port], 0
        call socket_bind(h, address) -> error
        if error { ret (i32.add 100, (i32.sub 0, error)) }
        i32.store [address + SocketAddress.port], (global.get port)
    }
    ret (call code((call socket_connect(h, address, 0, 0, 5_000_000_000))))
}
ATOLL
"$ATOLL" asm try.atoll -o try.atb || not_ok "assemble" "failed"
acces=2 badf=8 inval=28
# refused HOW CODE RULES WHAT HOST PORT LINE: is refused with an error, and the operator is told.
refused() {
  local name="$1: $4 ${5:-} ${6:-}" rules=$3 code=$2 how=$1 line=$7
  run_expect "$name" "$code" "" timeout 60 "$ATOLL" run --net "$rules" "$how" "$4" "$5" "$6"
  check_contains "$name, told" "network: refused to $line" "$(cat "$scratch/stderr")"
}

# Rules that have a hole in them if an address is read in another way than the rules read it.
wide="connect:10.0.0.0/8:*,connect:public:*,connect:*:1,dns,listen:127.0.0.3:0,udp:10.0.0.0/8:*,connect:127.0.0.2:$web"
a=try.atb
# clang and wasi-libc: the same by the sockets of BSD.
clang=${WASI_CLANG:-clang-16}
c=
if command -v "$clang" >/dev/null && [[ -e /usr/lib/wasm32-wasi/libc.a ]]; then
  c=bypass.wasm
  "$clang" --target=wasm32-wasi --sysroot=/usr -O2 -Wall -Wextra -Werror -isystem "$root/stdlib/guest/c/sockets" -isystem "$root/stdlib/guest/c" \
    "$root/tests/wasi/bsd/bypass.c" "$root/stdlib/guest/c/atoll_socket.c" -o "$c" || not_ok "build bypass.c" "$clang failed"
else
  skip "by the sockets of BSD" "no $clang with wasi-libc (apt-get install clang-16 lld-16 wasi-libc libclang-rt-16-dev-wasm32)"
fi

while read -r code what host at line; do
  refused "$a" "$code" "$wide" "$what" "$host" "${at/PORT/$port}" "${line//PORT/$port}"
done <<'END'
2 connect ::ffff:127.0.0.1 PORT connect to 127.0.0.1:PORT: no rule allows it
2 connect ::ffff:7f00:1 PORT connect to 127.0.0.1:PORT: no rule allows it
2 connect ::127.0.0.1 PORT connect to [::127.0.0.1]:PORT: no rule
2 connect 64:ff9b::127.0.0.1 PORT connect to [64:ff9b::7f00:1]:PORT: no rule
2 connect 2002:7f00:1:: PORT connect to [2002:7f00:1::]:PORT: no rule
28 connect 127.1 PORT connect to "127.1", port PORT: that is neither an address nor a name
28 connect 0177.0.0.1 PORT connect to "0177.0.0.1", port PORT: that is neither
28 connect 0x7f.0.0.1 PORT connect to "0x7f.0.0.1", port PORT: that is neither
28 connect 0x7f000001 PORT connect to "0x7f000001", port PORT: that is neither
28 connect 2130706433 PORT connect to "2130706433", port PORT: that is neither
28 connect 127.0.0.1. PORT connect to "127.0.0.1.", port PORT: that is neither
28 connect 127.0.0.01 PORT connect to "127.0.0.01", port PORT: that is neither
28 connect ::1%lo PORT connect to "::1%lo", port PORT: that is neither
28 connect fe80::1%1 PORT connect to "fe80::1%1", port PORT: that is neither
28 connect [::1] PORT connect to "[::1]", port PORT: that is neither
28 connect 127.0.0.1:80 PORT connect to "127.0.0.1:80", port PORT: that is neither
28 connect 127.0.0.1@10.0.0.1 PORT connect to "127.0.0.1@10.0.0.1", port PORT: that is neither
28 lookup 0x7f.1 PORT look "0x7f.1" up: that is neither
2 connect localhost PORT connect to 127.0.0.1:PORT (localhost): no rule allows it
2 connect LOCALHOST. PORT connect to 127.0.0.1:PORT (localhost): no rule allows it
2 connect a.localhost PORT connect to 127.0.0.1:PORT (a.localhost): no rule allows it
2 connect 0.0.0.0 PORT connect to 0.0.0.0:PORT: no rule
2 connect :: PORT connect to [::]:PORT: no rule
28 connect 10.0.0.1 0 connect to "10.0.0.1", port 0: there is no such port
28 connect 10.0.0.1 65536 connect to "10.0.0.1", port 65536: there is no such port
2 connect 169.254.169.254 1 connect to 169.254.169.254:1: no rule names this address, which is link-local
2 connect fe80::1 1 connect to [fe80::1]:1: no rule names this address, which is link-local
2 connect 224.0.0.1 1 connect to 224.0.0.1:1: no rule names this address, which is multicast
2 connect 255.255.255.255 1 connect to 255.255.255.255:1: no rule names this address, which is
2 binary ::ffff:127.0.0.1 PORT connect to 127.0.0.1:PORT: no rule allows it
28 binary 10.0.0.1 0 connect to "10.0.0.1", port 0: there is no such port
2 source 127.0.0.3 PORT connect to "127.0.0.3", port PORT: who connects does not choose from where
2 udp 127.0.0.1 PORT send datagrams to 127.0.0.1:PORT: no rule
2 udp ::ffff:127.0.0.1 PORT send datagrams to 127.0.0.1:PORT: no rule
2 udp 10.0.0.1 0 send datagrams to 10.0.0.1:0: there is no port 0
2 udp 255.255.255.255 PORT send datagrams to 255.255.255.255:PORT: no rule
2 udp 127.255.255.255 PORT send datagrams to 127.255.255.255:PORT: no rule
2 udp 224.0.0.1 PORT send datagrams to 224.0.0.1:PORT: no rule
2 listen 0.0.0.0 0 listen at 0.0.0.0:0: no rule
2 listen :: 0 listen at [::]:0: no rule
2 listen 127.0.0.3 80 listen at 127.0.0.3:80: no rule
2 udp-listen 224.0.0.1 5353 receive datagrams at 224.0.0.1:5353: no rule
2 udp-listen 127.0.0.1 0 receive datagrams at 127.0.0.1:0: no rule
END
# An answer that sends a program elsewhere is no permission to go there.
refused "$a" $acces "$wide" follow 127.0.0.2 "$web" "connect to 127.0.0.1:$port: no rule allows it"
# Who is not passed the network has none, whatever numbers it tries.
run_expect "a process without the grant" $badf "" timeout 60 "$ATOLL" run --net "connect:*:*" "$a" child x 1
run_expect "a program without the grant" $badf "" timeout 60 "$ATOLL" run "$a" connect 127.0.0.1 "$port"

if [[ -n $c ]]; then
  while read -r code what host at line; do
    refused "$c" "$code" "$wide" "$what" "$host" "${at/PORT/$port}" "${line//PORT/$port}"
  done <<'END'
2 connect 127.0.0.1 PORT connect to 127.0.0.1:PORT: no rule allows it
2 connect ::ffff:127.0.0.1 PORT connect to 127.0.0.1:PORT: no rule allows it
2 connect 0.0.0.0 PORT connect to 0.0.0.0:PORT: no rule
2 connect :: PORT connect to [::]:PORT: no rule
2 aton 127.1 PORT connect to 127.0.0.1:PORT: no rule allows it
2 aton 0x7f000001 PORT connect to 127.0.0.1:PORT: no rule allows it
2 aton 017700000001 PORT connect to 127.0.0.1:PORT: no rule allows it
2 aton 2130706433 PORT connect to 127.0.0.1:PORT: no rule allows it
2 name localhost PORT connect to 127.0.0.1:PORT
2 scope ::1 PORT connect to [::1]:PORT: no rule
2 scope fe80::1 PORT connect to [fe80::1]:PORT: no rule names this address, which is link-local
2 source 127.0.0.3 PORT connect to "127.0.0.3", port PORT: who connects does not choose from where
2 send 127.0.0.1 PORT send datagrams to 127.0.0.1:PORT: no rule
2 send 255.255.255.255 PORT send datagrams to 255.255.255.255:PORT: no rule
2 send 224.0.0.1 PORT send datagrams to 224.0.0.1:PORT: no rule
2 listen 0.0.0.0 0 listen at 0.0.0.0:0: no rule
2 receive 224.0.0.1 5353 receive datagrams at 224.0.0.1:5353: no rule
END
  # WASI's own calls have no addresses: what is granted, and nothing with any other number.
  run_expect "WASI: no other descriptor" 0 "" timeout 60 "$ATOLL" run --net "$wide" --tcplisten 127.0.0.1:0 --dir .::/ "$c" wasi x 0
  run_expect "WASI: no network" 0 "" timeout 60 "$ATOLL" run --dir .::/ "$c" none x 0
fi

# Rebinding: a name that is public when it is looked at, and something within when it is connected to. The file of hosts is
# the name server here, in a mount of this test's own.
cat >rebind.sh <<'SH'
mount --bind "$1" /etc/hosts || exit 77
shift
exec "$@"
SH
printf '127.0.0.1 rebound.example.org\n10.0.0.1 rebound.example.org\n' >hosts
if unshare -rm sh rebind.sh hosts true 2>/dev/null; then
  got=0
  timeout 60 unshare -rm sh rebind.sh hosts "$ATOLL" run --net "connect:rebound.example.org:*" "$a" connect rebound.example.org "$port" 2>rebound.err || got=$?
  check "rebinding: refused" $acces $got
  check_contains "rebinding: told" "refused to connect to 127.0.0.1:$port (rebound.example.org): the rule for rebound.example.org allows public addresses only" "$(cat rebound.err)"
else
  skip rebinding "no mount of one's own may be made here (unshare -rm)"
fi

exec 9>&-
wait $guarded
check "nobody came" "came: 0" "$(tail -1 guarded.out)"
