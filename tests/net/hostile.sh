# `source` after lib.sh: hostile SECONDS ROUNDS has two tenants on one server, one of them attacked by hostile clients for
# that long by each load in each round, and prints what the other one's clients notice; that they are served right is checked, and
# that the attacked one still serves.
hostile() {
  local seconds=$1 rounds=$2 server code=0 port datagrams quiet
  cat >"$scratch/sink.atoll" <<'ATOLL'
/// Sends datagrams back.
module sink
use std.int
use std.io
use std.sys
memory 1024 .. 1 << 17
data here = "127.0.0.1"
reserve text 64
reserve buffer 1500
reserve address sizeof(SocketAddress) align 8
export func main() -> i32 {
    var h: i32, n: i32, error: i32
    call udp_open(NETWORK, here, len(here), 0) -> h
    if i32.lt_s h, 0 { ret 1 }
    call socket_address(h, 0, address) -> error
    call int_put_u64(text, (i64.extend_i32_u (i32.load [address + SocketAddress.port]))) -> n
    i32.store8 [n], '\n'
    call io_write_all(STDOUT, text, (i32.sub (i32.add n, 1), text)) -> error
    loop {
        call udp_receive(h, buffer, 1500, address, -1) -> n
        if i32.lt_s n, 0 { ret 1 }
        call udp_send(h, buffer, n, address) -> error
    }
}
ATOLL
  cp "$root/samples/echo/echo.atoll" "$scratch"
  (
    cd "$scratch" || exit 1
    for name in attacked quiet; do
      printf '[[machine]]\nname = "%s"\nmodule = "echo.atoll"\narguments = ["127.0.0.1"]\nnet = "listen:127.0.0.1:0,connections=500"\nstdout = "%s.out"\n' $name $name
    done
    printf '[[machine]]\nname = "attacked2"\nmodule = "sink.atoll"\nnet = "udp-listen:127.0.0.1:0,udp:127.0.0.1:*"\nstdout = "datagrams.out"\n'
  ) >"$scratch/tenants.toml"
  (cd "$scratch" && exec "$ATOLL" up tenants.toml) >"$scratch/up" 2>&1 &
  server=$!
  for _ in $(seq 300); do
    [[ -s $scratch/attacked.out && -s $scratch/quiet.out && -s $scratch/datagrams.out ]] && break
    sleep 0.1
  done
  port=$(grep -oE '[0-9]+$' "$scratch/attacked.out") quiet=$(grep -oE '[0-9]+$' "$scratch/quiet.out") datagrams=$(cat "$scratch/datagrams.out")
  timeout 550 python3 "$root/tests/net/hostile.py" "$port" "$datagrams" "$quiet" "$seconds" "$rounds" >"$scratch/figures" 2>"$scratch/why" || code=$?
  check "hostile clients: others are served, and so is who was attacked" 0 $code
  ((code == 0)) || sed 's/^/    /' "$scratch/why" "$scratch/up"
  sed 's/^/    /' "$scratch/figures"
  kill $server
  wait $server || true
}
