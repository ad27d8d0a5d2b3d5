#!/usr/bin/env bash
# Machines on virtual networks: `atoll up` and `atoll serve` with [switch.NAME] and [router.NAME].
source "$(dirname "$0")/../lib.sh"
cd "$scratch" || exit 1
export XDG_RUNTIME_DIR=$scratch
unset NO_COLOR

# Sends its second argument to port 7 of its first, and writes what comes back.
cat >client.atoll <<'ATOLL'
module client
use std.error
use std.io
use std.sys
data program = "client"
reserve host 256
reserve text 256
reserve buffer 4096
func check(n: i32) {
    if i32.lt_s n, 0 {
        call error_print(program, len(program), n)
        call exit(1)
    }
    ret
}
export func main() -> i32 {
    var size: i32, c: i32, n: i32
    call args_get(1, host, 256) -> size
    call tcp_connect(NETWORK, host, size, 7, 5_000_000_000) -> c
    call check(c)
    call args_get(2, text, 256) -> size
    call io_write_all(c, text, size) -> n
    call check(n)
    call read(c, buffer, 4096) -> n
    call check(n)
    call write(STDOUT, buffer, n) -> n
    ret 0
}
ATOLL
echo_module=$root/samples/echo/echo.atoll
server() {
  printf '[[machine]]\nname = "server"\nmodule = "%s"\narguments = ["0.0.0.0", "7"]\nnics = [%s]\n' "$echo_module" "$1"
}
client() { # NAME HOST TEXT NICS [LINE]
  printf '[[machine]]\nname = "%s"\nmodule = "client.atoll"\narguments = ["%s", "%s"]\nnics = [%s]\nrestart = { when = "on-failure", intensity = 20 }\n%s\n' "$@"
}
# up FILE COUNT: what machines write until so many have ended; the server never does by itself.
up() {
  "$ATOLL" up "$1" >up.out 2>up.err &
  local running=$!
  for _ in {1..200}; do
    [[ $(grep -c ' ended ' up.err) -ge $2 ]] && break
    sleep 0.1
  done
  sleep 0.2
  kill $running
  wait $running 2>/dev/null
  grep -hv '^server' up.out
}

{
  printf '[switch.lan]\nprefixes = ["10.0.0.0/24", "fd00::/64"]\n'
  server '{ switch = "lan" }'
  client near server 'over the switch' '{ switch = "lan", latency = "2ms", jitter = "1ms", bandwidth = "10 Mbit/s" }' ''
} >switch.toml
check "a machine reaches another by its name" "near | over the switch" "$(up switch.toml 1)"

{
  printf '[network]\nseed = 7\n[switch.inside]\nprefixes = ["10.1.0.0/24"]\n[switch.outside]\nprefixes = ["10.2.0.0/24"]\n'
  printf '[router.edge]\nnics = [{ switch = "inside", address = "10.1.0.1" }, { switch = "outside", address = "10.2.0.1", translate = true }]\n'
  server '{ switch = "outside", address = "10.2.0.7" }'
  client far server.outside 'through a router' '{ switch = "inside", loss = "5%%" }' 'routes = [{ to = "0.0.0.0/0", via = "10.1.0.1" }]'
} >router.toml
sed -i 's/%%/%/' router.toml
check "and through a router, by its name and its switch's" "far | through a router" "$(up router.toml 1)"

{
  printf '[switch.lan]\nprefixes = ["10.0.0.0/24"]\n[switch.other]\nprefixes = ["10.3.0.0/24"]\n'
  server '{ switch = "lan" }'
  client refused 10.0.0.1 x '{ switch = "lan" }' 'net = "connect:10.0.0.1:8"'
  client apart 10.0.0.1 x '{ switch = "other" }' ''
} | sed 's/restart = .*//' >apart.toml
up apart.toml 2 >apart.out
output=$(cat up.out up.err)
check_contains "rules hold" "refused | client: permission denied" "$output"
check_contains "refusals are told" "refused | atoll: network: refused to connect to 10.0.0.1:7: no rule allows it" "$output"
check_contains "switches are networks of their own" "apart | client: no way to the network" "$output"

mistake() { # NAME MESSAGE TEXT
  printf '%s\n' "$3" >mistake.toml
  check "$1" "atoll: up: mistake.toml:$2" "$("$ATOLL" up mistake.toml 2>&1)"
}
machine=$(printf '[[machine]]\nname = "a"\nmodule = "client.atoll"')
lan=$(printf '[switch.lan]\nprefixes = ["10.0.0.0/24"]')
mistake "a switch that is none" '4:9: there is no switch `lan`; a machine file makes one with [switch.NAME]' \
  "$machine"$'\nnics = [{ switch = "lan" }]'
mistake "an address of another network" \
  '6:9: a-lan: 10.1.0.2 is no address of the switch'"'"'s networks' "$lan"$'\n'"$machine"$'\nnics = [{ switch = "lan", address = "10.1.0.2" }]'
mistake "no address" '6:9: `10.0.0` is no address' "$lan"$'\n'"$machine"$'\nnics = [{ switch = "lan", address = "10.0.0" }]'
mistake "no prefix" '1:9: `10.0.0.0` is no prefix, such as 10.0.0.0/24' $'[switch.lan]\nprefixes = "10.0.0.0"\n'"$machine"
mistake "a prefix with more bits" '1:9: lan: 10.0.0.1/24 has bits behind the prefix' $'[switch.lan]\nprefixes = "10.0.0.1/24"\n'"$machine"
mistake "a switch without prefixes" \
  '1:9: a switch needs `prefixes`, such as ["10.0.0.0/24", "fd00::/64"]' $'[switch.lan]\n'"$machine"
mistake "a share" '6:34: `loss` must be a share such as "0.5%", from 0% to 100%' \
  "$lan"$'\n'"$machine"$'\nnics = [{ switch = "lan", loss = 1 }]'
mistake "a bandwidth" '6:39: `bandwidth` must be bits a second: a number, or a text such as "10 Mbit/s" (bit, kbit, Mbit, Gbit); 0: no limit' \
  "$lan"$'\n'"$machine"$'\nnics = [{ switch = "lan", bandwidth = "fast" }]'
mistake "a key" '6:11: a NIC has no `sitch`; did you mean `switch`?' "$lan"$'\n'"$machine"$'\nnics = [{ sitch = "lan" }]'
mistake "a route to nowhere" '7:11: a: 10.9.0.1 is on none of its networks' \
  "$lan"$'\n'"$machine"$'\nnics = [{ switch = "lan" }]\nroutes = [{ to = "0.0.0.0/0", via = "10.9.0.1" }]'
mistake "a name that no network can have" \
  '6:9: A.b: this can'"'"'t be a name in a network: take up to 63 letters, digits and `-`, not only digits, and not `localhost`' \
  "$lan"$'\n[[machine]]\nname = "A.b"\nmodule = "client.atoll"\nnics = [{ switch = "lan" }]'
mistake "a router with wrong rules" '4:9: connect: write connect:HOST:PORTS, for example connect:127.0.0.1:8080' \
  "$lan"$'\n[router.r]\nnics = [{ switch = "lan", rules = "connect" }]\n'"$machine"

# --- A running server ---

# Asks the server at lan's 10.0.0.1 again and again: one line for each answer.
sed 's/tcp_connect(NETWORK, host, size, 7, 5_000_000_000)/tcp_connect(NETWORK, host, size, 7, 300_000_000)/' client.atoll >once.atoll
{
  printf '[switch.lan]\nprefixes = ["10.0.0.0/24"]\n'
  server '{ switch = "lan" }'
} >serve.toml
for name in one two; do
  printf '[[machine]]\nname = "%s"\nmodule = "once.atoll"\narguments = ["server", "%s"]\nnics = [{ switch = "lan" }]\n' $name "$name calls" >>serve.toml
done
"$ATOLL" serve serve.toml 2>serve.err &
serving=$!
trap 'kill $serving 2>/dev/null; wait $serving 2>/dev/null; rm -rf "$scratch"; exit $((lib_failures > 0))' EXIT
for _ in {1..100}; do
  "$ATOLL" machines >machines.txt 2>/dev/null && [[ $(grep -c ended machines.txt) == 2 ]] && break
  sleep 0.1
done
# call NAME: starts its machine again and waits for its end; what it wrote last.
call() {
  "$ATOLL" start "$1" || return
  for _ in {1..100}; do
    "$ATOLL" machines --json | jq -e ".[] | select(.name == \"$1\") | .state == \"ended\"" >/dev/null && break
    sleep 0.1
  done
  "$ATOLL" logs "$1" | grep -v 'atoll:' | tail -1 | sed 's/^.*| //'
}
net() { "$ATOLL" net "$@"; }
if command -v jq >/dev/null; then
  check_contains "one calls" "one calls" "$(call one)"
  shown=$(net show)
  check_contains "net show draws the switch" "lan" "$shown"
  check_contains "and machines with their addresses" "10.0.0.1" "$shown"
  check_contains "net show --svg" "<svg" "$(net show --svg)"
  run_expect "net partition" 0 "" net partition one server
  check_contains "a partition keeps them apart" "time is over" "$(call one)"
  check_contains "but not the others" "two calls" "$(call two)"
  run_expect "net heal" 0 "" net heal one
  check_contains "healed, it calls again" "one calls" "$(call one)"
  run_expect "net link" 0 "" net link one latency=3ms jitter=1ms loss=0% bandwidth=10Mbit
  check_contains "net show tells of links" "3 ms" "$(net show)"
  run_expect "net capture" 0 "" net capture all.pcap lan
  check_contains "captured, it calls" "one calls" "$(call one)"
  run_expect "net capture --stop" 0 "" net capture --stop lan
  size=$(stat -c %s all.pcap)
  check_contains "after that it calls" "one calls" "$(call one)"
  check "the file does not grow any more" "$size" "$(stat -c %s all.pcap)"
  if command -v tcpdump >/dev/null; then
    packets=$(tcpdump -nn -vv -r all.pcap 2>/dev/null)
    check_contains "tcpdump reads it" "10.0.0.1.7: Flags [S]" "$packets"
    check "all checksums are right" 0 "$(grep -c 'incorrect\|bad cksum' <<<"$packets")"
  else
    skip "tcpdump reads it" "there is no tcpdump"
  fi
  if command -v tshark >/dev/null; then
    check "tshark reads it" 0 "$(tshark -r all.pcap -Y '_ws.malformed || tcp.analysis.flags' 2>/dev/null | wc -l)"
  else
    skip "tshark reads it" "there is no tshark"
  fi
else
  skip "a running server" "there is no jq"
fi
refused() { # NAME MESSAGE COMMAND...
  check "$1" "atoll: net $2" "$("$ATOLL" net "${@:3}" 2>&1)"
}
refused "no such NIC" 'link: none-lan: there is no such NIC; `atoll net show` has them' link none-lan loss=1%
refused "no such machine" "partition: none: no machine or router of this name has a NIC" partition none
refused "no such place" 'capture: none: there is no such switch or NIC; `atoll net show` has them' capture x.pcap none
refused "a wrong value" 'link: link.loss: `loss` must be a share such as "0.5%", from 0% to 100%' link one loss=2
refused "a wrong key" "link: link.los: \`link\` has no \`los\`; did you mean \`loss\`?" link one los=2%
refused "no value" "link: \`loss\` is no KEY=VALUE, such as latency=5ms" link one loss
run_expect "destroyed, its place is free" 0 "" "$ATOLL" destroy two
check "it is not drawn any more" 0 "$(net show | grep -c two)"
run_expect "and can be taken again" 0 "" "$ATOLL" create serve.toml two
check "it is there" 1 "$(net show | grep -c two)"
kill $serving
wait $serving
