#!/usr/bin/env bash
# The commands that control a running server, against one with machines that do nothing.
source "$(dirname "$0")/../lib.sh"
cd "$scratch" || exit 1
serve=$(dirname "$ATOLL")/bin/fake_serve
export XDG_RUNTIME_DIR=$scratch
unset NO_COLOR

coproc server { exec "$serve" "$scratch/atoll.sock"; }
server_pid=$server_PID
# tell LINE: to the server, and waits until it is done.
tell() {
  echo "$1" >&"${server[1]}"
  read -r -t 20 -u "${server[0]}"
}
read -r -t 20 -u "${server[0]}" line && check "the server is there" ready "$line"

# refused NAME STATUS MESSAGE COMMAND...: nothing on standard output, MESSAGE on standard error.
refused() {
  local name=$1 message=$3
  run_expect "$name" "$2" "" "${@:4}"
  check_contains "$name: message" "$message" "$(cat "$scratch/stderr")"
}

run_expect "machines" 0 \
  'NAME   STATE    WEIGHT  PROCESSES     CPU     MEMORY      LIMIT  RESTARTS  EXIT
batch  created     100          0  0.00 s        0 B    4.0 GiB         0  -
store  running     200          3  0.25 s  192.0 KiB  256.0 MiB         0  -' "$ATOLL" machines
run_expect "ps" 0 \
  'MACHINE         PID      PARENT  STATE       CPU    MEMORY  MESSAGES  HANDLES  NAME
store    4294967297           -  running  0.25 s  64.0 KiB         0        4  store
store    4294967298  4294967297  waiting  0.00 s  64.0 KiB         1        4
store    4294967299  4294967297  waiting  0.00 s  64.0 KiB         2        4' "$ATOLL" ps store
check "machines --json" '["batch","store"]' "$("$ATOLL" machines --json | jq -c '[.[].name]')"
check "one machine as JSON" '["store","running",268435456,null]' \
  "$("$ATOLL" machines --json store | jq -c '.[0] | [.name, .state, .memory_limit, .exit]')"
check "ps --json" '[4294967297,4294967298,4294967299]' "$("$ATOLL" ps --json | jq -c '[.[].pid]')"
tell 'processes store 25000'
check "ps: all pages" 25000 "$("$ATOLL" ps --json | jq length)"
tell 'processes store 3'

# --- Lifecycle ---
mkdir -p files/deep
cat >files/deep/two.toml <<'TOML'
[[machine]]
name = "relay"
module = "relay.atb"
limits.memory = "64 MiB"
[[machine]]
name = "other"
module = "other.atb"
TOML
run_expect "create one of a file" 0 "" "$ATOLL" create files/deep/two.toml relay
run_expect "start" 0 "" "$ATOLL" start relay batch
run_expect "pause --json" 0 '["relay","paused"]' \
  bash -c '"$0" pause --json relay | jq -c ".[] | [.name, .state]"' "$ATOLL"
refused "pausing what is paused" 1 "pause: relay: the machine's state does not allow it" \
  "$ATOLL" pause relay
run_expect "resume" 0 "" "$ATOLL" resume relay
run_expect "kill a process" 0 2 bash -c '"$0" kill --json relay 4294967298 | jq ".[0].processes"' "$ATOLL"
refused "kill: no such process" 1 "kill: relay: has no process 99" "$ATOLL" kill relay 99
refused "kill: no pid" 2 'kill: `-x` is no pid' "$ATOLL" kill relay -- -x
run_expect "kill a machine" 0 "" "$ATOLL" kill relay
check_contains "how it ended" "killed: killed by the operator" "$("$ATOLL" machines relay)"
refused "one of two machines is not there" 1 "destroy: none: there is no such machine" \
  "$ATOLL" destroy none relay
run_expect "the other one has gone" 0 '["batch","store"]' \
  bash -c '"$0" machines --json | jq -c "[.[].name]"' "$ATOLL"
run_expect "create and start, from standard input" 0 '[["relay","running"],["other","running"]]' \
  bash -c '"$0" create --start --json - <files/deep/two.toml | jq -c "[.[] | [.name, .state]]"' "$ATOLL"
refused "create what is there" 1 "create: relay: there is a machine of this name" \
  "$ATOLL" create files/deep/two.toml
run_expect "destroy" 0 "" "$ATOLL" destroy relay other
refused "create what the file does not have" 1 'create: files/deep/two.toml has no machine `rely`' \
  "$ATOLL" create files/deep/two.toml relay rely
printf '[[machine]]\nname = "a"\nmodule = "a"\nlimits.memroy = 5\n' >wrong.toml
refused "a mistake in a file" 1 \
  'atoll: wrong.toml:4:8: `limits` has no `memroy`; did you mean `memory`?' "$ATOLL" create wrong.toml
refused "no such file" 1 "No such file" "$ATOLL" create none.toml

run_expect "snapshot" 0 '{"bytes":65536,"processes":3}' \
  bash -c '"$0" snapshot --json store store.snap | jq -c .' "$ATOLL"
refused "snapshot: not written" 1 "snapshot: /proc/x: Permission denied" "$ATOLL" snapshot store /proc/x
run_expect "restore" 0 '["again","paused"]' \
  bash -c '"$0" restore --json store.snap --as again | jq -c ".[0] | [.name, .state]"' "$ATOLL"
refused "restore: its path is the server's too" 1 "restore: $PWD/a.txt: is no snapshot" "$ATOLL" restore a.txt
run_expect "destroy the restored one" 0 "" "$ATOLL" destroy again
run_expect "restore --spec" 0 '["relay","paused",67108864]' \
  bash -c '"$0" restore --json store.snap --spec files/deep/two.toml --as relay |
    jq -c ".[0] | [.name, .state, .memory_limit]"' "$ATOLL"
run_expect "destroy that one" 0 "" "$ATOLL" destroy relay
refused "restore --spec: which machine" 2 "files/deep/two.toml has several machines: say which with --as" \
  "$ATOLL" restore store.snap --spec files/deep/two.toml
refused "restore --spec: no such machine" 1 'restore: files/deep/two.toml has no machine `x`' \
  "$ATOLL" restore store.snap --spec files/deep/two.toml --as x
refused "restore: --spec and --grant" 2 "--spec excludes --grant" \
  "$ATOLL" restore store.snap --spec files/deep/two.toml --grant
run_expect "restore --grant" 0 '101' \
  bash -c '"$0" restore --json store.snap --grant | jq -c ".[0].weight"' "$ATOLL"
run_expect "destroy it, too" 0 "" "$ATOLL" destroy old

# --- Logs ---
run_expect "logs" 0 'atoll: started
listening on port 7000' "$ATOLL" logs store
run_expect "logs -n" 0 'listening on port 7000' "$ATOLL" logs -n 1 store
run_expect "logs --times" 0 '2027-01-15T08:00:01.000Z system started
2027-01-15T08:00:02.000Z stdout listening on port 7000' "$ATOLL" logs --times store
check "logs --json" '[1,"system","started"]' \
  "$("$ATOLL" logs --json store | head -1 | jq -c '[.number, .stream, .text]')"
"$ATOLL" logs -f -n 0 store >followed 2>&1 &
follower=$!
# Until the server knows it: what is logged before is not followed.
for ((i = 0; i < 200; i++)); do
  tell "log store line $i"
  [[ -s followed ]] && break
  sleep 0.05
done
check_contains "logs -f" "line " "$(cat followed)"
tell $'log store \x1b[31mred'
for ((i = 0; i < 100; i++)); do
  grep -q red followed && break
  sleep 0.05
done
check_contains "a file gets what was written" $'\x1b[31mred' "$(cat followed)"
if command -v script >/dev/null; then
  check_contains "a terminal does not" '?[31mred' "$(script -qec "'$ATOLL' logs -n 1 store" /dev/null)"
else
  skip "a terminal does not" "no script(1)"
fi
kill "$follower"
wait "$follower" 2>/dev/null
# It notices at the next line.
("$ATOLL" logs -f store; echo $? >status) | head -1 >first &
for ((i = 0; i < 200; i++)); do
  [[ -s status ]] && break
  tell "log store more"
  sleep 0.05
done
check "logs -f into a closed pipe" "141 atoll: started" "$(cat status first | tr '\n' ' ' | sed 's/ $//')"

# --- Top ---
tell 'cpu store 250'
text=$("$ATOLL" top)
check_contains "top: summary" '2 machines, 6 processes, 0.0% of a processor' "$text"
check_contains "top: machines" \
  'MACHINE  STATE    CPU%     CPU     MEMORY      LIMIT  PROCESSES  MESSAGES  WEIGHT
' "$text"
check_contains "top: processes" 'store    4294967299  waiting  0.0%  0.00 s  64.0 KiB' "$text"
check "top --json --samples" '[["batch","store"],["batch","store"]]' \
  "$("$ATOLL" top --json --interval 100ms --samples 2 | jq -c '[.machines[].name]' | jq -sc .)"
check "top of a machine, one process" '["store",1]' \
  "$("$ATOLL" top --json --count 1 store | jq -c '[.machines[0].name, (.processes | length)]')"
if command -v script >/dev/null; then
  live=$(TERM=xterm script -qec "stty rows 5 cols 30; '$ATOLL' top --interval 100ms --samples 2" /dev/null)
  check_contains "top on a terminal: another screen, no cursor" $'\x1b[?1049h\x1b[?25l' "$live"
  check "top on a terminal: as much as fits" "2" "$(grep -c $'^MACHINE  STATE    CPU%     CPU\x1b\\[K' <<<"${live//$'\r'/}")"
  check_contains "top on a terminal: all as before at the end" $'\x1b[?25h\x1b[?1049l' "$live"
  interrupted=$(TERM=xterm timeout -s INT 3 script -qec "timeout -s INT 1 '$ATOLL' top" /dev/null)
  check_contains "top, interrupted: all as before" $'\x1b[?25h\x1b[?1049l' "$interrupted"
else
  skip "top on a terminal" "no script(1)"
fi
refused "top: interval" 1 'top: interval: `interval` must be at least 100ms' "$ATOLL" top --interval 1ms

# --- No server ---
refused "no machine" 1 "ps: none: there is no such machine" "$ATOLL" ps none
refused "a name that can't be" 1 "machine: \`machine\` must be a machine's name" "$ATOLL" ps ../x
for command in machines ps top "logs x" "start x" "pause x" "resume x" "kill x" "destroy x" \
  "snapshot x y" "restore y" "create $scratch/files/deep/two.toml"; do
  read -ra words <<<"$command"
  refused "${words[0]} without a server" 1 \
    "${words[0]}: $scratch/none: No such file or directory; no atoll serves there" \
    "$ATOLL" "${words[@]}" --socket "$scratch/none"
  check_contains "${words[0]} --help" "Usage: atoll ${words[0]} [OPTIONS]" "$("$ATOLL" "${words[0]}" --help)"
done
for command in logs start pause resume kill destroy snapshot restore create; do
  refused "$command without arguments" 2 "see \`atoll $command --help\`" "$ATOLL" "$command"
done

tell stop
wait "$server_pid"
check "the server's end" 0 $?
