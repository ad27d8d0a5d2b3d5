#!/usr/bin/env bash
# `atoll serve` and `atoll up`: real machines, and the commands that control them.
source "$(dirname "$0")/../lib.sh"
cd "$scratch" || exit 1
export XDG_RUNTIME_DIR=$scratch
unset NO_COLOR

cat >counter.atoll <<'ATOLL'
module counter
use std.process
use std.sys
data child_name = "child"
data waiting = "up and waiting\n"
data worried = "not well\n"
reserve text 32
reserve nothing 8
/// Waits for ever.
export func child(x: i64) {
    var n: i32
    call receive(1, nothing, 8, -1, 0) -> n
    ret
}
/// Starts two children and does as the argument says: crash, exit (with 3), done; else it waits.
export func main() -> i32 {
    var n: i32, pid: i64, first: i32
    call process_start_i64(child_name, len(child_name), 1, 0) -> pid
    call process_start_i64(child_name, len(child_name), 1, 0) -> pid
    call write(STDERR, worried, len(worried)) -> n
    call write(STDOUT, waiting, len(waiting)) -> n
    call args_get(1, text, 32) -> n
    i32.load8_u first, [text]
    if i32.eq first, 'c' { unreachable }
    if i32.eq first, 'e' { ret 3 }
    if i32.eq first, 'd' { ret 0 }
    call receive(1, nothing, 8, -1, 0) -> n
    ret 0
}
ATOLL
cat >hog.atoll <<'ATOLL'
module hog
export func main() -> i32 {
    var x: i64
    loop { i64.add x, x, 1 }
}
ATOLL
# Each of its processes starts others without end.
cat >bomb.atoll <<'ATOLL'
module bomb
use std.process
use std.sys
data name = "child"
export func child(x: i64) {
    var pid: i64
    loop { call process_start_i64(name, len(name), 1, 0) -> pid }
}
export func main() -> i32 {
    var pid: i64
    loop { call process_start_i64(name, len(name), 1, 0) -> pid }
}
ATOLL
# Takes memory without end, and writes without end. With an argument it ends when it gets no more.
cat >greedy.atoll <<'ATOLL'
module greedy
use std.sys
memory 1 .. 65536 pages
data line = "all work and no play makes a dull machine\n"
export func main() -> i32 {
    var n: i32, pages: i32 = 1
    loop {
        call write(STDOUT, line, len(line)) -> n
        memory.grow n, pages
        if i32.eq n, -1 and i32.gt_s (call args_count()), 1 { ret 7 }
    }
}
ATOLL

# until_true COMMAND...: waits, at most half a minute, until it gives 0.
until_true() {
  local i
  for ((i = 0; i < 600; i++)); do
    "$@" && return 0
    sleep 0.05
  done
  return 1
}
# field MACHINE FILTER: of `atoll machines --json MACHINE`.
field() { "$ATOLL" machines --json "$1" | jq -r ".[0] | $2"; }
is() { [[ $(field "$1" "$2") == "$3" ]]; }
refused() {
  local name=$1 message=$3
  run_expect "$name" "$2" "" "${@:4}"
  check_contains "$name: message" "$message" "$(cat "$scratch/stderr")"
}

cat >base.toml <<'TOML'
policy = "fair"
workers = 2
[[machine]]
name = "store"
module = "counter.atoll"
names = ["store", "root"]
log = "store.log"
[[machine]]
name = "crashes"
module = "counter.atoll"
arguments = ["crash"]
restart = { when = "on-failure", intensity = 3, within = "60s", backoff = "1ms" }
TOML
env --default-signal=INT,TERM,HUP "$ATOLL" serve base.toml 2>serve.err &
server=$!
until_true test -S atoll.sock || not_ok "serve" "$(cat serve.err)"
until_true is store .processes 3
check "the server's socket is its owner's alone" 600 "$(stat -c %a atoll.sock)"
refused "another server on it" 1 "another atoll serves this socket" "$ATOLL" serve

# --- What runs ---
check "machines" '["running",3,0,null]' \
  "$("$ATOLL" machines --json store | jq -c '.[0] | [.state, .processes, .restarts, .exit]')"
check "ps --json" '["root",0,"waiting",4]|["",1,"waiting",0]|["",1,"waiting",0]|' \
  "$("$ATOLL" ps --json store | jq -c '(.[0].pid) as $root | sort_by(.parent)[] |
    [.name, (if .parent == $root then 1 else .parent end), .state, .handles]' | tr '\n' '|')"
check "ps: memory" true "$("$ATOLL" ps --json store | jq 'all(.memory > 0)' | sort -u)"
check_contains "logs" $'atoll: started\nnot well\nup and waiting' "$("$ATOLL" logs store 2>&1)"
root=$(field store .root)
check "logs: who wrote it" "$root" \
  "$("$ATOLL" logs --json store | jq -r 'select(.stream == "stdout") | .pid')"
check_contains "the log's file" "stdout up and waiting" "$(cat store.log)"

# --- Crashes ---
until_true is crashes .state failed
check "restarted, and given up" '["failed",3,0,"trap"]' \
  "$("$ATOLL" machines --json crashes | jq -c '.[0] | [.state, .restarts, .processes, .exit.reason]')"
check "each run has written" 4 "$("$ATOLL" logs crashes 2>/dev/null | grep -c waiting)"
check_contains "a crash is in the log, with its place" "at main (" "$("$ATOLL" logs crashes 2>&1)"

# --- Lifecycle ---
child=$("$ATOLL" ps --json store | jq "map(select(.pid != $root))[0].pid")
run_expect "kill a process" 0 2 bash -c '"$0" kill --json store '"$child"' | jq ".[0].processes"' "$ATOLL"
refused "kill what is not there" 1 "kill: store: has no process $child" "$ATOLL" kill store "$child"
run_expect "pause" 0 '"paused"' bash -c '"$0" pause --json store | jq ".[0].state"' "$ATOLL"
check "ps while paused" '["paused"]' "$("$ATOLL" ps --json store | jq -c 'map(.state) | unique')"
refused "pause what is paused" 1 "pause: store: only a running machine can be paused" "$ATOLL" pause store
run_expect "resume" 0 "" "$ATOLL" resume store
run_expect "pause again" 0 "" "$ATOLL" pause store
run_expect "kill a paused machine" 0 '["ended",0,"killed","killed by the operator"]' \
  bash -c '"$0" kill --json store | jq -c ".[0] | [.state, .processes, .exit.reason, .exit.message]"' "$ATOLL"
run_expect "start it again" 0 "" "$ATOLL" start store
until_true is store .processes 3
check "it runs, and has its names" '["running","root"]' \
  "$(field store .state | jq -Rc --arg name "$("$ATOLL" ps --json store | jq -r 'sort_by(.parent)[0].name')" '[., $name]')"
refused "start what runs" 1 "start: store: the machine runs" "$ATOLL" start store
"$ATOLL" logs -f -n 0 store >followed 2>&1 &
follower=$!
until_true eval '"$ATOLL" kill store && "$ATOLL" start store && sleep 0.2 && grep -q waiting followed'
check_contains "logs -f" "up and waiting" "$(cat followed)"
kill "$follower"
wait "$follower" 2>/dev/null

# --- Weights, and guests that mean no good ---
cat >more.toml <<'TOML'
[[machine]]
name = "light"
module = "hog.atoll"
weight = 100
[[machine]]
name = "heavy"
module = "hog.atoll"
weight = 400
[[machine]]
name = "bomb"
module = "bomb.atoll"
[machine.limits]
processes = 500
memory = "512 MiB"
[machine.process]
stack = "64 KiB"
[[machine]]
name = "greedy"
module = "greedy.atoll"
arguments = ["once"]
limits.memory = "64 MiB"
[[machine]]
name = "patient"
module = "greedy.atoll"
limits.memory = "64 MiB"
process.memory = "32 MiB"
process.cpu_time = "300ms"
[[machine]]
name = "short"
module = "hog.atoll"
limits.cpu_time = "100ms"
restart = "always"
[[machine]]
name = "fuel"
module = "hog.atoll"
limits.fuel = 1000000
TOML
run_expect "create" 0 "" "$ATOLL" create more.toml
run_expect "start hogs and worse" 0 "" "$ATOLL" start light heavy bomb greedy patient short fuel
until_true is fuel .exit.reason fuel
check "fuel" '["ended","fuel"]' "$("$ATOLL" machines --json fuel | jq -c '.[0] | [.state, .exit.reason]')"
refused "no fuel left" 1 "used up" "$ATOLL" start fuel
until_true is short .state failed
check "CPU time of a machine" '"time"' "$(field short '.exit.reason | tojson')"
until_true is greedy .state ended
check "a machine's memory has an end, which its process sees" '["code",7]' \
  "$(field greedy '[.exit.reason, .exit.code] | tojson')"
check "nothing is held any more" '[0,0]' "$(field greedy '[.memory, .handles] | tojson')"
check "I/O is counted" true "$(field greedy '(.io_bytes > 40000 and .io_bytes == .io_operations * 42)')"
until_true is patient .state ended
check "a process that gets no more memory has used its time" time "$(field patient .exit.reason)"
check "who floods the log loses old lines only" true \
  "$("$ATOLL" logs --json -n 5 greedy | jq -s 'length == 5')"
check "others are not held up" 3 "$(field store .processes)"
check "a bomb is held in bounds" true "$(field bomb '(.processes <= 500)')"
run_expect "a bomb can be destroyed" 0 "" "$ATOLL" destroy bomb
light=$(field light .cpu) heavy=$(field heavy .cpu)
progress() {
  jq -en "[$(field light .cpu) - $light, $(field heavy .cpu) - $heavy] | min > 0.02" >/dev/null
}
until_true progress
check "weights: both make progress" 0 $?
check "top" true "$("$ATOLL" top --json --count 3 | jq '[.processes[].machine] | index("heavy") != null')"
run_expect "destroy" 0 "" "$ATOLL" destroy light heavy greedy patient short fuel
check "they are gone" '["crashes","store"]' "$("$ATOLL" machines --json | jq -c '[.[].name]')"

# --- Refused ---
printf 'export func main( {' >broken.atoll
printf '[[machine]]\nname = "broken"\nmodule = "broken.atoll"\n' >broken.toml
refused "a module with a mistake" 1 "broken.atoll:1:" "$ATOLL" create broken.toml
printf '[[machine]]\nname = "none"\nmodule = "none.atb"\n' >none.toml
refused "no module" 1 "none.atb: No such file" "$ATOLL" create none.toml
check "there is none of these" '["crashes","store"]' "$("$ATOLL" machines --json | jq -c '[.[].name]')"

# --- The end ---
kill -TERM "$server"
wait "$server"
check "SIGTERM ends the server" 0 $?
check "its socket is gone" no "$([[ -e atoll.sock ]] && echo yes || echo no)"
refused "nobody serves" 1 "no atoll serves there" "$ATOLL" ps
refused "a file with a mistake" 1 "broken.atoll:1:" "$ATOLL" serve broken.toml
refused "a policy that is none" 1 "no such scheduling policy; there are fair" "$ATOLL" serve --policy best

# --- up ---
cat >up.toml <<'TOML'
[[machine]]
name = "a"
module = "counter.atoll"
arguments = ["done"]
[[machine]]
name = "b"
module = "counter.atoll"
arguments = ["exit"]
TOML
"$ATOLL" up up.toml >out 2>err
check "up: the exit code of the one that failed" 3 $?
check "up: output" $'a | up and waiting\nb | up and waiting' "$(sort out)"
check "up: errors" $'a | atoll: ended normally\na | atoll: started\na | not well
b | atoll: ended with exit code 3\nb | atoll: started\nb | not well' "$(sort err)"
sed -i '/"b"/,$d' up.toml && sed -i '$d' up.toml
"$ATOLL" up up.toml >/dev/null 2>&1
check "up: all is well" 0 $?
printf '[[machine]]\nname = "hog"\nmodule = "hog.atoll"\n[[machine]]\nname = "s"\nmodule = "counter.atoll"\n' >hog.toml
env --default-signal=INT,TERM,HUP "$ATOLL" up hog.toml >hog.out 2>&1 &
up=$!
until_true grep -qs waiting hog.out
kill -INT "$up"
wait "$up"
check "up: Ctrl-C" 130 $?
# More than a pipe, or the log, holds.
cat >much.atoll <<'ATOLL'
module much
use std.sys
data line = "0123456789 0123456789 0123456789 0123456789 0123456789 0123456789\n"
export func main() -> i32 {
    var n: i32
    for i: i32 in 0 .. 60000 { call write(STDOUT, line, len(line)) -> n }
    ret 0
}
ATOLL
printf '[[machine]]\nname = "much"\nmodule = "much.atoll"\n' >much.toml
check "up: a slow reader gets all" 60000 "$("$ATOLL" up much.toml 2>/dev/null | (sleep 0.5 && wc -l))"
# A child's mailbox is no larger than that of its parent, whatever is asked for: exit code 3.
cat >mailbox.atoll <<'ATOLL'
module mailbox
use std.process
use std.sys
data child_name = "child"
reserve nothing 8
reserve options sizeof(SpawnOptions) align 8
export func child(x: i64) {
    var n: i32
    call receive(1, nothing, 8, -1, 0) -> n
    ret
}
export func main() -> i32 {
    var pid: i64, error: i32, sent: i32
    i32.store [options + SpawnOptions.mailbox_messages], 1000
    call process_start_i64(child_name, len(child_name), 1, options) -> pid
    loop {
        call process_send(pid, 2, nothing, 8) -> error
        if i32.eq error, -E_AGAIN or i32.eq sent, 100 { ret sent }
        if error { ret (i32.sub 100, error) }
        i32.add sent, sent, 1
    }
}
ATOLL
printf '[[machine]]\nname = "box"\nmodule = "mailbox.atoll"\nprocess.mailbox_messages = 3\n' >box.toml
run_expect "a child's mailbox" 3 "" "$ATOLL" up box.toml
