#!/usr/bin/env bash
# samples/replicated: wrong arguments, a log that is damaged, and a few schedules of faults; tests/long/replicated.sh has 1,000.
source "$(dirname "$0")/../lib.sh"
source "$root/tests/net/replicated_virtual.sh"
cd "$scratch" || exit 1
"$ATOLL" asm "$root/samples/replicated/replicated.atoll" -o node.atb || not_ok replicated/assemble failed
for wrong in "" "3 127.0.0.1 1 127.0.0.1 1 127.0.0.1 1" "0 127.0.0.1 1 127.0.0.1 1 127.0.0.1" "0 127.0.0.1 70000 127.0.0.1 1 127.0.0.1 1"; do
  # shellcheck disable=SC2086
  run_expect "replicated/wrong: '$wrong'" 1 "" timeout 60 "$ATOLL" run --net udp:127.0.0.1:* node.atb $wrong
  check_contains "replicated/wrong: '$wrong', why" "usage" "$(cat stderr)"
done
run_expect replicated/refused 1 "" timeout 60 "$ATOLL" run --net udp:127.0.0.1:* node.atb 0 127.0.0.1 7000 127.0.0.1 1 127.0.0.1 1
check_contains "replicated/refused, why" "permission denied" "$(cat stderr)"
head -c 100 /dev/zero | tr '\0' '\1' >damaged
run_expect "replicated/a damaged log" 1 "" timeout 60 "$ATOLL" run --net udp-listen:127.0.0.1:*,udp:127.0.0.1:* --dir . node.atb 0 127.0.0.1 0 127.0.0.1 1 127.0.0.1 1 damaged
if [[ $ATOLL == *emulated* ]]; then
  skip replicated/faults "an emulated machine is too slow for the nodes' patience"
  exit 0
fi
if timeout 500 python3 "$root/tests/net/replicated.py" "$ATOLL" node.atb "$scratch/state" 1 4 >figures 2>why; then
  ok replicated/faults
else
  not_ok replicated/faults "$(grep FAILED figures) $(tail -5 why)"
fi
sed 's/^/    /' figures

# Its client, on the host's network, and all of them on a virtual one.
"$ATOLL" asm "$root/samples/replicated/client.atoll" -o client.atb || not_ok replicated/assemble failed
mapfile -t ports < <(python3 -c '
import socket
all = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(3)]
for one in all: one.bind(("127.0.0.1", 0))
for one in all: print(one.getsockname()[1])')
nodes=()
for i in 0 1 2; do
  others=(0 1 2)
  unset "others[$i]"
  arguments=()
  for j in "${others[@]}"; do arguments+=(127.0.0.1 "${ports[j]}"); done
  "$ATOLL" run --net udp-listen:127.0.0.1:*,udp:127.0.0.1:* node.atb $i 127.0.0.1 "${ports[i]}" "${arguments[@]}" >"node$i" 2>&1 &
  nodes+=($!)
done
run_expect replicated/client 0 "200 entries on 3 nodes" timeout 200 "$ATOLL" run --net udp:127.0.0.1:* client.atb 200 \
  127.0.0.1 "${ports[0]}" 127.0.0.1 "${ports[1]}" 127.0.0.1 "${ports[2]}"
kill "${nodes[@]}"
wait "${nodes[@]}"
replicated_virtual 1
replicated_virtual 2
