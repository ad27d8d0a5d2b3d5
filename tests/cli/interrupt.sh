#!/usr/bin/env bash
# Ctrl-C and its kin, and pipes that close.
source "$(dirname "$0")/../lib.sh"
cd "$scratch" || exit 1
limits=$root/tests/bench/atoll/limits
# Milliseconds that mean a hang. How fast programs really end is a benchmark figure.
hang=20000
mkfifo silent && exec 8<>silent
mkfifo full && exec 9<>full

# interrupted NAME SIGNAL STATUS [OPTION...] FILE: sends SIGNAL once the program runs. It ends with
# STATUS and does not hang. Shells start background commands with SIGINT ignored, so it is set back.
interrupted() {
  local name=$1 signal=$2 status=$3 pid begin took got
  shift 3
  env --default-signal=INT,TERM,HUP "$ATOLL" run "$@" <&8 >&9 2>stderr &
  pid=$!
  wait_until_running "$pid" || { not_ok "$name" "did not start" && return; }
  begin=${EPOCHREALTIME/./}
  kill -"$signal" "$pid"
  wait "$pid" 2>/dev/null
  got=$?
  took=$(((${EPOCHREALTIME/./} - begin) / 1000))
  if ((got != status)); then
    not_ok "$name" "exit status $got, expected $status: $(head -3 stderr)"
  elif ((took > hang)); then
    not_ok "$name" "hung: ended after $took ms"
  else
    ok "$name"
  fi
}

# The command catches SIGINT only while a program runs: bit 1 of SigCgt. Before it is executed, the
# process is a shell's copy that may catch it too, so its name is asked first.
wait_until_running() {
  local i caught
  for ((i = 0; i < 1000; i++)); do
    [[ -e /proc/$1/status ]] || return 1
    if [[ $(cat "/proc/$1/comm" 2>/dev/null) == "$(basename "$ATOLL")" ]]; then
      caught=$(sed -n 's/^SigCgt:\s*//p' "/proc/$1/status" 2>/dev/null)
      [[ -n $caught ]] && ((0x$caught & 2)) && sleep 0.02 && return 0
    fi
    sleep 0.01
  done
  return 1
}

for program in loop sleep read flood; do
  interrupted "SIGINT: $program" INT 130 "$limits/$program.atoll"
  check "SIGINT: $program: message" "atoll: interrupted" "$(cat stderr)"
done
interrupted "SIGTERM" TERM 143 "$limits/loop.atoll"
interrupted "SIGHUP" HUP 129 "$limits/sleep.atoll"
interrupted "SIGINT with a time limit too" INT 130 --time 1m "$limits/loop.atoll"
interrupted "SIGINT with fuel" INT 130 --fuel 1000000000000000 "$limits/loop.atoll"

# A terminal's own Ctrl-C.
if command -v script >/dev/null; then
  {
    sleep 0.5
    printf '\003'
    sleep 2
  } | timeout 20 script -qefc "exec $ATOLL run $limits/read.atoll" /dev/null >terminal 2>&1
  check "Ctrl-C on a terminal" 130 "${PIPESTATUS[1]}"
  check_contains "Ctrl-C on a terminal: message" "atoll: interrupted" "$(cat terminal)"
else
  skip "Ctrl-C on a terminal" "no script(1)"
fi

# A signal that was ignored at the start stays ignored.
(trap '' INT && exec "$ATOLL" run --time 300ms "$limits/loop.atoll" 2>stderr) &
pid=$!
sleep 0.1
kill -INT $pid
wait $pid
check "an ignored SIGINT stays ignored" 124 $?

# The first signal ends the guest. When the command then hangs (here its message does not fit the
# pipe), the second one ends the command.
mkfifo clogged && exec 7<>clogged
dd if=/dev/zero of=clogged bs=4096 oflag=nonblock 2>/dev/null  # until it is full
env --default-signal=INT "$ATOLL" run "$limits/loop.atoll" 2>&7 7>&- &
pid=$!
wait_until_running $pid || not_ok "a second SIGINT" "the program did not start"
kill -INT $pid
# The guest computes all the time: once the process sleeps, it waits for the pipe.
state() { cut -d' ' -f3 "/proc/$pid/stat"; }
for ((i = 0; i < hang / 100; i++)); do [[ $(state) == S ]] && break || sleep 0.1; done
sleep 0.2
check "after a first SIGINT the command still writes" S "$(state)"
kill -INT $pid
for ((i = 0; i < hang / 100; i++)); do kill -0 $pid 2>/dev/null && sleep 0.1 || break; done
kill -KILL $pid 2>/dev/null
wait $pid 2>/dev/null
check "a second SIGINT ends it" 130 $?
exec 7>&-

# While the source is still being read, nothing is caught: the signal's default ends the command.
env --default-signal=INT "$ATOLL" run - <&8 2>stderr &
pid=$!
sleep 0.2
kill -INT $pid
wait $pid 2>/dev/null
check "SIGINT before the program runs" 130 $?

# --- Closed pipes ---
"$ATOLL" run "$limits/flood.atoll" 2>stderr | head -1 >first
check "a program sees that its pipe closed" "1 0" "${PIPESTATUS[*]}"
check "and what was read arrived" y "$(cat first)"
check "and nothing is said of it" "" "$(cat stderr)"

printf 'module m\nexport func main() { ret }\n' >m.atoll
"$ATOLL" asm m.atoll
for command in "dis m.atb" "fmt m.atoll" "inspect m.atb" "inspect --json m.atb" "--help" "run --help"; do
  "$ATOLL" $command 2>stderr | (exec <&-)
  # The reader may close after all was written.
  case ${PIPESTATUS[0]} in
    0 | 141) ok "closed pipe: $command" ;;
    *) not_ok "closed pipe: $command" "exit status ${PIPESTATUS[0]}" ;;
  esac
  check "closed pipe: $command: silent" "" "$(cat stderr)"
done
