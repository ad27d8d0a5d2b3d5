#!/usr/bin/env bash
# Snapshots of machines: into a file and back, in another server, on another CPU type; the folder of
# state from which a killed server's machines are recovered.
source "$(dirname "$0")/../lib.sh"
cp "$root"/tests/cli/snapshot/* "$scratch"
cd "$scratch" || exit 1
unset NO_COLOR
# The other side: where this is emulated, the native build.
other=$ATOLL
if [[ ${ATOLL_PRESET:-} == aarch64 ]]; then
  other=$root/build/release/atoll
  [[ -x $other ]] || other=$ATOLL
fi

mkdir data a b
cat >work.toml <<'TOML'
[[machine]]
name = "work"
module = "work.atoll"
directories = [{ host = "data", guest = "/data", access = "rw" }]
TOML
numbers=$(seq 300)
sum="the sum is 45150"

until_true() {
  local i
  for ((i = 0; i < 1200; i++)); do
    "$@" && return 0
    sleep 0.05
  done
  return 1
}
refused() {
  local name=$1 message=$3
  run_expect "$name" "$2" "" "${@:4}"
  check_contains "$name: message" "$message" "$(cat "$scratch/stderr")"
}
# begin FOLDER COMMAND ARGUMENTS...: a server whose socket is in FOLDER; its pid is in `server`.
begin() {
  local folder=$1
  shift
  rm -f "$folder/atoll.sock"
  env --default-signal=INT,TERM,HUP XDG_RUNTIME_DIR="$PWD/$folder" "$@" 2>"$folder/err" &
  server=$!
  until_true test -S "$folder/atoll.sock" || { not_ok "serve in $folder" "$(cat "$folder/err")"; exit 1; }
}
on_a() { XDG_RUNTIME_DIR=$PWD/a "$ATOLL" "$@"; }
on_b() { XDG_RUNTIME_DIR=$PWD/b "$other" "$@"; }
# state WHERE MACHINE
state() { "$1" machines --json "$2" 2>/dev/null | jq -r '.[0].state'; }
is() { [[ $(state "$1" "$2") == "$3" ]]; }
# Whether so many numbers are in the file.
has_numbers() { (($(cat data/numbers 2>/dev/null | wc -l) >= $1)); }
# Of the machine's present life two snapshots are kept.
two_of_now() {
  local life
  life=$(grep '"life"' state/machines/work/record)
  (($(grep -la "$life" state/machines/work/*.snap | wc -l) == 2))
}
# With which work ends; without it, it is always somewhere before the middle.
let_go() { touch data/go; }
hold() { rm -f data/go; }
# As the kernel does it when memory is short.
kill_server() {
  kill -9 "$server"
  wait "$server"
} 2>/dev/null
# ends WHERE MACHINE NAME: it does all its work.
ends() {
  let_go
  until_true is "$1" "$2" ended || not_ok "$3" "does not end"
  check "$3: the file" "$numbers" "$(cat data/numbers)"
  check "$3: the sum" "$sum" "$("$1" logs "$2" 2>/dev/null | grep "sum is")"
  hold
}

begin a "$ATOLL" serve work.toml
server_a=$server
begin b "$other" serve
server_b=$server

# --- There and back ---
until_true has_numbers 40
run_expect "snapshot of a running machine" 0 4 \
  bash -c 'XDG_RUNTIME_DIR=$PWD/a "$0" snapshot --json work work.snap | jq .processes' "$ATOLL"
check "it is its owner's alone" 600 "$(stat -c %a work.snap)"
check "nothing else is left" 1 "$(find . -maxdepth 1 -name '*.snap' -o -maxdepth 1 -name '.atoll*' | wc -l)"
refused "where no file can be" 1 "is there already, and is no regular file" on_a snapshot work /dev/null
check "the machine runs on" running "$(state on_a work)"
check_contains "the file says what it is" '"name": "work"' "$(head -c 2000 work.snap | tr -d '\0')"
run_expect "pause" 0 "" on_a pause work
count=$(wc -l <data/numbers)
run_expect "snapshot of a paused machine" 0 "" on_a snapshot work paused.snap
check "it stays paused" paused "$(state on_a work)"
run_expect "kill it" 0 "" on_a kill work
refused "snapshot of an ended machine" 1 "only a running or paused machine can be written" \
  on_a snapshot work ended.snap
check "there is no file" no "$([[ -e ended.snap ]] && echo yes || echo no)"

# Elsewhere, from the earlier one: what was written since is written again.
run_expect "restore elsewhere" 0 '["work","paused",4]' \
  bash -c 'XDG_RUNTIME_DIR=$PWD/b "$0" restore --json --spec work.toml work.snap |
    jq -c ".[0] | [.name, .state, .processes]"' "$other"
refused "a second one of the name" 1 "restore: work: there is a machine of this name" \
  on_b restore work.snap
run_expect "snapshot of a restored machine" 0 "" on_b snapshot work again.snap
run_expect "resume" 0 "" on_b resume work
ends on_b work "restored elsewhere"
# And back: a snapshot of a restored one, by another name, with what the file says.
run_expect "restore by another name" 0 "" on_a restore again.snap --grant --as back
run_expect "resume it" 0 "" on_a resume back
ends on_a back "restored there and back"
run_expect "the paused one" 0 "" on_b restore paused.snap --grant --as paused
check "its handle is where it was" "$count" "$(head -n "$count" data/numbers | wc -l)"
run_expect "resume the paused one" 0 "" on_b resume paused
ends on_b paused "the paused one"

# --- What a snapshot is granted ---
run_expect "restore without a grant" 0 "" on_a restore work.snap --as poor
run_expect "resume it: it has no file" 0 "" on_a resume poor
until_true is on_a poor ended
check_contains "it got an error" "atoll: restored, with 4 processes; 1 handles name nothing any more
atoll: resumed
broken
atoll: ended with exit code 3" "$(on_a logs poor 2>&1)"
printf '[[machine]]\nname = "small"\nmodule = "work.atoll"\nlimits.memory = "16 KiB"\n' >small.toml
refused "more than it is granted" 1 "more memory than the machine may have" on_a restore work.snap --spec small.toml
printf '[[machine]]\nname = "work2"\nmodule = "work.atoll"\ndirectories = [{ host = "none", guest = "/data" }]\n' >none.toml
refused "a directory that is not there" 1 "none: No such file" on_a restore work.snap --spec none.toml
check "there is no such machine" '["back","poor","work"]' "$(on_a machines --json | jq -c '[.[].name]')"

# --- File systems in memory and overlays ---
mkdir -p lower
echo "lower" >lower/changed
echo "as it was" >lower/kept
touch lower/hidden
cat >files.toml <<'TOML'
[[machine]]
name = "files"
module = "files.atoll"
directories = [{ host = "data", guest = "/data", access = "rw" }]
mounts = [{ type = "memory", guest = "/m", size = "1 MiB" }, { type = "overlay", source = "lower", guest = "/o" }]
TOML
run_expect "a machine with files in memory" 0 "" on_a create --start files.toml
at_work() { on_a logs "$1" 2>/dev/null | grep -q "at work"; }
until_true at_work files
run_expect "its snapshot" 0 "" on_a snapshot files files.snap
run_expect "kill it" 0 "" on_a kill files
run_expect "destroy it" 0 "" on_a destroy files
run_expect "restore it elsewhere" 0 "" on_b restore files.snap --spec files.toml
run_expect "and without a grant" 0 "" on_a restore files.snap --as poor-files
check_contains "an overlay needs its directory" "2 handles name nothing any more; 1 file systems in memory have no mount" \
  "$(on_a logs poor-files 2>&1)"
sed 's/1 MiB/4 KiB/' files.toml >tight.toml
sed -i 's/"files"/"tight"/' tight.toml
refused "limits hold" 1 "file system /m: it holds more than the mount may" on_a restore files.snap --spec tight.toml
run_expect "another snapshot, elsewhere" 0 "" on_b snapshot files again.snap
run_expect "and back" 0 "" on_a restore again.snap --grant
let_go
run_expect "resume it" 0 "" on_a resume files
until_true is on_a files ended
check_contains "all of it is there" "first second 
first second 
lower
first second 
as it was" "$(on_a logs files 2>&1)"
check "what was removed stays so" "" "$(on_a logs files 2>&1 | grep hidden)"
check "the directory below is as it was" "lower" "$(cat lower/changed)"
hold
run_expect "destroy them" 0 "" on_a destroy files
run_expect "kill the poor one" 0 "" on_a kill poor-files
run_expect "destroy it as well" 0 "" on_a destroy poor-files

# --- Wrong files ---
refused "no file" 1 "none.snap: No such file" on_a restore none.snap
refused "a foreign file" 1 "work.toml: is no snapshot; \`atoll snapshot\` writes them" on_a restore work.toml
size=$(stat -c %s work.snap)
bad=0
for ((at = 0; at < size; at += size / 20)); do
  head -c "$at" work.snap >cut.snap
  on_a restore cut.snap --as cut 2>err && bad=$((bad + 1))
  grep -qE "is no snapshot|is cut off" err || bad=$((bad + 1))
done
check "cut off anywhere" 0 "$bad"
bad=0
for ((at = 0; at < size; at += size / 40)); do
  cp work.snap flip.snap
  byte=$(od -An -tu1 -j "$at" -N 1 work.snap)
  printf "\\x$(printf %02x $((byte ^ 0x20)))" | dd of=flip.snap bs=1 seek="$at" conv=notrunc status=none
  on_a restore flip.snap --as flip 2>err && bad=$((bad + 1))
  grep -qE "is no snapshot|is cut off|is damaged|version" err || bad=$((bad + 1))
done
check "a byte changed anywhere" 0 "$bad"
cp work.snap newer.snap
printf '\x02' | dd of=newer.snap bs=1 seek=8 conv=notrunc status=none
refused "a newer version" 1 "the snapshot has version 2, and this Atoll reads version 1" on_a restore newer.snap
check "no machine of these" '["back","poor","work"]' "$(on_a machines --json | jq -c '[.[].name]')"
kill "$server_b"
wait "$server_b"

# --- The state folder ---
kill "$server_a"
wait "$server_a"
refused "--every without a folder" 2 "need --state" "$ATOLL" serve --every 3
begin a "$ATOLL" serve --state state --every 0.1 work.toml
check "the folder is its owner's alone" 700 "$(stat -c %a state)"
refused "another server in it" 1 "another atoll keeps its machines there" \
  env XDG_RUNTIME_DIR="$PWD/b" "$ATOLL" serve --state state
until_true has_numbers 60
until_true test -e state/machines/work/3.snap
kill_server
refused "machines are not lost by mistake" 1 "state: holds machines of a server before this one" \
  env XDG_RUNTIME_DIR="$PWD/b" "$ATOLL" serve --state state work.toml
begin a "$ATOLL" serve --state state --every 0.1 --recover
check "nothing to complain of" "" "$(cat a/err)"
check_contains "it goes on" "atoll: restored, with 4 processes" "$(on_a logs work 2>&1)"
ends on_a work "recovered"
until_true grep -q '"state": "ended"' state/machines/work/record
check "two snapshots are kept" 2 "$(find state/machines/work -name '*.snap' | wc -l)"
kill_server
begin a "$ATOLL" serve --state state --recover
check "what has ended stays so" '["ended","normal"]' \
  "$(on_a machines --json work | jq -c '.[0] | [.state, .exit.reason]')"
run_expect "start it anew" 0 "" on_a start work
until_true has_numbers 20
# Ended by a signal, it takes last snapshots.
kill "$server"
wait "$server"
check "the server's end" 0 $?
count=$(wc -l <data/numbers)
begin a "$ATOLL" serve --state state --every 0.1 --recover
check "nothing was done twice" "$count" "$(head -n "$count" data/numbers | wc -l)"
ends on_a work "after a last snapshot"
run_expect "start it once more" 0 "" on_a start work
# The newest snapshot is torn: the one before is good.
until_true has_numbers 100
until_true two_of_now
kill_server
newest=$(find state/machines/work -name '*.snap' | sort -V | tail -1)
truncate -s -9 "$newest"
begin a "$ATOLL" serve --state state --every 0.1 --recover
check_contains "a torn one is told of" "machine work: $PWD/$newest: the snapshot is cut off" "$(cat a/err)"
check_contains "and the one before is used" "it goes on from the one before" "$(cat a/err)"
ends on_a work "from the one before"
run_expect "a machine made meanwhile" 0 "" on_a create --start small.toml
run_expect "destroy" 0 "" on_a destroy work
check "it is forgotten" small "$(ls state/machines)"
kill_server
begin a "$ATOLL" serve --state state --recover
check "the other one is not" '["small"]' "$(on_a machines --json | jq -c '[.[].name]')"
kill "$server"
wait "$server"

# --- A cut that loses what was not synced ---
compiler=$(command -v clang-19 || command -v cc)
if [[ ${ATOLL_PRESET:-release} != release || -z $compiler ]]; then
  skip "cuts" "only with the release build and a C compiler"
  exit 0
fi
"$compiler" -shared -fPIC -O1 -o cut.so cut.c -ldl && "$compiler" -O1 -o orders orders.c || not_ok "the shim" "does not build"
# order CUT ORDER: what of the file is left of a program that is killed.
order() {
  rm -rf place out && mkdir place
  LD_PRELOAD=$PWD/cut.so CUT=$1 CUT_FOLDER=$PWD/place ./orders "$PWD/place" "$2" >out &
  local program=$!
  until_true test -s out
  kill -9 "$program"
  wait "$program" 2>/dev/null
  if [[ -e place/file ]]; then echo "file: $(cat place/file)"; else echo "no file"; fi
}
check "the shim: the right order" "file: whole, file: whole" "$(order data right), $(order names right)"
check "the shim catches a name before its bytes" "file: " "$(order data name-first)"
check "the shim catches a name that is not synced" "no file" "$(order names no-folder)"
complains() { on_a logs work 2>&1 | grep -q "no snapshot could be written: .*No space left"; }
for cut in data names; do
  rm -rf cut-state data/numbers && mkdir cut-state
  chmod 700 cut-state
  options=(--state "$PWD/cut-state" --every 0.1 work.toml)
  preload=(env LD_PRELOAD="$PWD/cut.so" CUT=$cut CUT_FOLDER="$PWD/cut-state")
  begin a "${preload[@]}" "$ATOLL" serve "${options[@]}"
  complaints=""
  for count in 40 70 100 130; do
    until_true has_numbers "$count"
    kill_server
    begin a "${preload[@]}" "$ATOLL" serve --recover "${options[@]}"
    complaints+=$(cat a/err)
  done
  check "cuts ($cut): no snapshot is ever torn" "" "$complaints"
  ends on_a work "cuts ($cut)"
  if [[ $cut == data ]]; then
    run_expect "start it" 0 "" on_a start work
    touch full
    before=$(find cut-state -name '*.snap' | sort)
    refused "a full disk" 1 "No space left on device" on_a snapshot work "$PWD/cut-state/x.snap"
    until_true complains || not_ok "a full disk" "the machine's log says nothing"
    check "leaves what was there" "$before" "$(find cut-state -name '*.snap' | sort)"
    rm full
    run_expect "kill it" 0 "" on_a kill work
  fi
  kill "$server"
  wait "$server"
done
