#!/usr/bin/env bash
# samples/chat: who is in a room sees what is said there, and who joins, leaves and crashes.
source "$(dirname "$0")/../lib.sh"
cd "$root" || exit 1

# chat NAME EXPECTED < INPUT. What a line lets several people see comes in any order; so it is sorted, from one
# question for the rooms to the next, which are put after each line.
chat() {
  local got
  got=$(sed 'a rooms' | timeout 60 "$ATOLL" run samples/chat/chat.atoll 2>"$scratch/err" |
    python3 -c '
import re, sys
seen = []
for line in sys.stdin:
    if re.match("[a-z]+: [0-9]+$", line):
        sys.stdout.writelines(sorted(seen))
        seen = []
        print(line, end="")
    else:
        seen.append(line)
')
  check "chat/$1" "$2" "$got"
}

chat rooms "lagoon: 1
ada <- lagoon: bo joins
lagoon: 2
bo <- lagoon: ada: hello
lagoon: 2
lagoon: 2
reef: 1
ada <- lagoon: bo: hi all
lagoon: 2
reef: 1
bo <- reef: cy joins
lagoon: 2
reef: 2
ada <- lagoon: bo leaves
lagoon: 1
reef: 2
cy <- reef: bo: bye
lagoon: 1
reef: 2" <<'INPUT'
ada joins lagoon
bo joins lagoon
ada says hello
bo joins reef
bo says hi all
cy joins reef
bo leaves lagoon
bo says bye
INPUT

chat crashes "reef: 1
a <- reef: b joins
reef: 2
a <- reef: c joins
b <- reef: c joins
reef: 3
a <- reef: b is gone, trap: unreachable
c <- reef: b is gone, trap: unreachable
reef: 2
a <- reef: c: where is b?
reef: 2
a <- reef: b joins
c <- reef: b joins
reef: 3
a <- reef: c is gone, ended
b <- reef: c is gone, ended
reef: 2" <<'INPUT'
a joins reef
b joins reef
c joins reef
b crashes
c says where is b?
b joins reef
c quits
INPUT

chat twice "x: 1
x: 1
x: 1
x: 0
x: 0" <<'INPUT'
a joins x
a joins x
a says nobody hears this
a leaves x
a leaves x
INPUT

out=$(printf 'ada dances\nada joins\n\n' | "$ATOLL" run samples/chat/chat.atoll 2>&1)
check chat/wrong "NAME joins ROOM, NAME leaves ROOM, NAME says TEXT, NAME crashes, NAME quits, or rooms
NAME joins ROOM, NAME leaves ROOM, NAME says TEXT, NAME crashes, NAME quits, or rooms" "$out"

# A hundred people in one room.
{
  for i in $(seq 100); do echo "p$i joins hall"; done
  echo "p7 says hello"
} >"$scratch/crowd"
check chat/crowd "99 4950" "$("$ATOLL" run samples/chat/chat.atoll <"$scratch/crowd" |
  awk '/p7: hello/ { a++ } / joins/ { b++ } END { print a, b }')"
