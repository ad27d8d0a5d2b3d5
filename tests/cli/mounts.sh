#!/usr/bin/env bash
# --mount: file systems of each type, alone and together, and what is wrong with a command line.
source "$(dirname "$0")/../lib.sh"
cd "$scratch" || exit 1

# `keep PATH` writes "new" into a file, made when it is not there, and prints what it then holds.
# `show PATH` only prints. The exit code is the error's number.
program() { # NAME BODY
  cat <<ATOLL
module $1
use std.sys
reserve path 4096
reserve buffer 4096
data text = "new\\n"
export func main() -> i32 {
    var n: i32, h: i32, size: i32
    call args_get(1, path, 4096) -> n
    $2
    call open(ROOT, path, n, 0, RIGHT_READ) -> h
    if i32.lt_s h, 0 { ret (i32.sub 0, h) }
    call read(h, buffer, 4096) -> n
    call write(STDOUT, buffer, n) -> n
    ret 0
}
ATOLL
}
program show '' >show.atoll
program keep 'call open(ROOT, path, n, OPEN_CREATE | OPEN_TRUNCATE, RIGHT_WRITE | RIGHT_TRUNCATE) -> h
    if i32.lt_s h, 0 { ret (i32.sub 0, h) }
    call write(h, text, 4) -> size
    if i32.lt_s size, 0 { ret (i32.sub 0, size) }
    call close(h) -> size' >keep.atoll
mkdir -p data/sub changes
echo inside >data/file
echo below >data/sub/file
noent=44 notcapable=76 nospc=51

run_expect "memory" 0 new "$ATOLL" run --mount memory::/tmp keep.atoll /tmp/file
run_expect "memory: new each time" $noent "" "$ATOLL" run --mount memory::/tmp show.atoll /tmp/file
run_expect "memory: a limit of bytes" $nospc "" "$ATOLL" run --mount memory::/tmp:size=4k keep.atoll /tmp/file
run_expect "memory: a limit of files" $nospc "" "$ATOLL" run --mount memory::/tmp:inodes=0 keep.atoll /tmp/file
run_expect "memory: not out of it" $notcapable "" "$ATOLL" run --mount memory::/tmp keep.atoll /tmp/../../etc/passwd
run_expect "memory: by a relative name" 0 new "$ATOLL" run --mount memory::. keep.atoll file
run_expect "a directory" 0 inside "$ATOLL" run --mount dir:data:/d show.atoll /d/file
run_expect "a directory, to read" $notcapable "" "$ATOLL" run --mount dir:data:/d:ro keep.atoll /d/file
check "nothing was written" inside "$(cat data/file)"
run_expect "an overlay" 0 new "$ATOLL" run --mount overlay:data:/o keep.atoll /o/file
run_expect "an overlay: in a directory of below" 0 new "$ATOLL" run --mount overlay:data:/o keep.atoll /o/sub/file
run_expect "an overlay: what is below" 0 below "$ATOLL" run --mount overlay:data:/o show.atoll /o/sub/file
run_expect "an overlay, to read" $notcapable "" "$ATOLL" run --mount overlay:data:/o:ro keep.atoll /o/file
check "what is below stays" "inside below" "$(cat data/file data/sub/file | xargs)"
run_expect "an overlay that keeps changes" 0 new "$ATOLL" run --mount overlay:data:/o:upper=changes keep.atoll /o/sub/file
run_expect "an overlay that keeps changes: again" 0 new "$ATOLL" run --mount overlay:data:/o:upper=changes show.atoll /o/sub/file
check "an overlay that keeps changes: where" "new below" "$(cat changes/sub/file data/sub/file | xargs)"
run_expect "several: the longest name counts" 0 new \
  "$ATOLL" run --dir-ro data::/ --mount memory::/tmp keep.atoll /tmp/file
run_expect "several: the others stay" 0 inside \
  "$ATOLL" run --dir-ro data::/ --mount memory::/tmp show.atoll /file

# Of machines: each has its own, and a restart begins with a new one.
cat >machines.toml <<'TOML'
[[machine]]
name = "one"
module = "keep.atoll"
arguments = ["/tmp/file"]
stdout = "one.txt"
mounts = [{ type = "memory", guest = "/tmp", size = "64 KiB" }]
[[machine]]
name = "two"
module = "keep.atoll"
arguments = ["/o/file"]
stdout = "two.txt"
mounts = [{ type = "overlay", source = "data", guest = "/o" }]
TOML
run_expect "machines" 0 "" "$ATOLL" up machines.toml
check "machines: what they wrote" "new new" "$(cat one.txt two.txt | xargs)"
check "machines: what is below stays" inside "$(cat data/file)"
sed -i 's/"64 KiB"/"1 KiB"/' machines.toml
run_expect "machines: a limit of bytes" $nospc "" "$ATOLL" up machines.toml
sed -i 's/source = "data"/source = "none"/' machines.toml
got=0
text=$("$ATOLL" up machines.toml 2>&1) || got=$?
check_contains "machines: a directory that is not there" "none: No such file or directory" "$text"

wrong() { # NAME STATUS MESSAGE ARGUMENTS...
  local name=$1 status=$2 message=$3
  shift 3
  run_expect "$name" "$status" "" "$ATOLL" run "$@" show.atoll /x
  check_contains "$name: message" "$message" "$(cat stderr)"
}
wrong "no such type" 2 "there is no type of mount \`disk\`; there are dir, memory, overlay" --mount disk:a:/b
wrong "too few parts" 2 "memory:/tmp: a mount is written TYPE:SOURCE:GUEST" --mount memory:/tmp
wrong "a wrong size" 2 "\`x\` is not a size" --mount memory::/tmp:size=x
wrong "a directory that is not there" 126 "not/there" --mount overlay:not/there:/o
wrong "an upper directory that is not there" 126 "not/there" --mount overlay:data:/o:upper=not/there
wrong "changes inside of what they change" 2 "give another \`upper\`" --mount overlay:data:/o:upper=data/sub
wrong "one name twice" 2 "something is mounted there already" --mount memory::/x --dir data::/x
