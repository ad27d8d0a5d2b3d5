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

# Archives, made by others. `tar` packs by the end of the name.
if "$ATOLL" run --mount archive:none:/a show.atoll /a/x 2>&1 | grep -q libarchive; then
  skip "archives" "there is no libarchive here"
else
  ln -s sub/file data/link
  ln data/file data/hard
  for format in ustar gnu pax; do tar --format=$format -C data -cf $format.tar .; done
  for pack in gz xz zst bz2; do tar -C data -caf packed.tar.$pack .; done
  python3 - <<'PYTHON'
import zipfile
with zipfile.ZipFile("a.zip", "w") as to:
    to.write("data/file", "file")
    to.write("data/sub/file", "sub/file", zipfile.ZIP_DEFLATED)
    to.writestr("bzip2", "below\n" * 1, zipfile.ZIP_BZIP2)
    to.writestr("lzma", "below\n" * 1, zipfile.ZIP_LZMA)
    to.writestr("caf\u00e9", "accent\n")
    to.writestr("bomb", b"0" * 10_000_000, zipfile.ZIP_DEFLATED)
with zipfile.ZipFile("out.zip", "w") as to:
    to.writestr("../out", "out")
PYTHON
  for archive in {ustar,gnu,pax}.tar packed.tar.{gz,xz,zst,bz2} a.zip; do
    run_expect "$archive" 0 inside "$ATOLL" run --mount archive:$archive:/a show.atoll /a/file
    run_expect "$archive: in a directory" 0 below "$ATOLL" run --mount archive:$archive:/a show.atoll /a/sub/file
    run_expect "$archive: only to read" $notcapable "" "$ATOLL" run --mount archive:$archive:/a keep.atoll /a/file
    run_expect "$archive below an overlay" 0 new "$ATOLL" run --mount overlay:$archive:/a keep.atoll /a/sub/file
  done
  for archive in {ustar,gnu,pax}.tar packed.tar.{gz,xz,zst,bz2}; do
    run_expect "$archive: a link" 0 below "$ATOLL" run --mount archive:$archive:/a show.atoll /a/link
    run_expect "$archive: a second name" 0 inside "$ATOLL" run --mount archive:$archive:/a show.atoll /a/hard
  done
  rm data/link data/hard
  for name in bzip2 lzma; do
    run_expect "zip: $name" 0 below "$ATOLL" run --mount archive:a.zip:/a show.atoll /a/$name
  done
  run_expect "zip: a name in UTF-8" 0 accent "$ATOLL" run --mount archive:a.zip:/a show.atoll /a/café
  run_expect "zip: a limit for what is opened" $nospc "" \
    "$ATOLL" run --mount archive:a.zip:/a:size=1M show.atoll /a/bomb
  run_expect "zip: others with that limit" 0 below \
    "$ATOLL" run --mount archive:a.zip:/a:size=1M show.atoll /a/sub/file
  run_expect "no way out" $notcapable "" "$ATOLL" run --mount archive:a.zip:/a show.atoll /a/../../etc/passwd
  cat >archive.toml <<'TOML'
[[machine]]
name = "one"
module = "show.atoll"
arguments = ["/a/sub/file"]
stdout = "read.txt"
mounts = [{ type = "archive", source = "packed.tar.gz", guest = "/a", size = "1 MiB", inodes = 100 }]
TOML
  run_expect "an archive of a machine" 0 "" "$ATOLL" up archive.toml
  check "an archive of a machine: what it read" below "$(cat read.txt)"
  sed -i 's/inodes = 100/access = "rw"/' archive.toml
  text=$("$ATOLL" up archive.toml 2>&1)
  check_contains "an archive of a machine: to write" "a mount of the type archive can only be read" "$text"
  bad() { # NAME MESSAGE MOUNT
    run_expect "$1" 126 "" "$ATOLL" run --mount "$3" show.atoll /x
    check_contains "$1: message" "$2" "$(cat stderr)"
  }
  bad "an archive that is not there" "none.tar: No such file or directory" archive:none.tar:/a
  bad "an archive that is a directory" "data: it is no regular file" archive:data:/a
  bad "what is no archive" "show.atoll: it is neither a tar archive" archive:show.atoll:/a
  bad "a name that leads out" "out.zip: the entry \`../out\`: its name has \`..\` in it" archive:out.zip:/a
  head -c 1000 pax.tar >cut.tar
  bad "an archive that is cut off" "cut.tar: the first entry: " archive:cut.tar:/a
  head -c 60 packed.tar.gz >cut.tar.gz
  bad "a packed one that is cut off" "cut.tar.gz: it can't be unpacked: " archive:cut.tar.gz:/a
  bad "too many bytes" "packed.tar.xz: the archive has more than 1024 bytes when it is unpacked: \`size\`" \
    archive:packed.tar.xz:/a:size=1k
  bad "too many entries" "a.zip: the archive has more than 3 entries: \`inodes\`" archive:a.zip:/a:inodes=3
fi

# What options leave of a mount.
program add 'call open(ROOT, path, n, OPEN_CREATE, RIGHT_APPEND) -> h
    if i32.lt_s h, 0 { ret (i32.sub 0, h) }
    call write(h, text, 4) -> size
    call close(h) -> size' >add.atoll
program drop 'call remove_at(ROOT, path, n) -> h
    if i32.lt_s h, 0 { ret (i32.sub 0, h) }' >drop.atoll
mkdir logs
run_expect "append: a new file" 0 new "$ATOLL" run --mount dir:logs:/l:append add.atoll /l/log
run_expect "append: at its end" 0 "new
new" "$ATOLL" run --mount dir:logs:/l:append add.atoll /l/log
run_expect "append: not to write anew" $notcapable "" "$ATOLL" run --mount dir:logs:/l:append keep.atoll /l/log
run_expect "append: not to remove" $notcapable "" "$ATOLL" run --mount dir:logs:/l:append drop.atoll /l/log
run_expect "nodelete: not to remove" $notcapable "" "$ATOLL" run --mount dir:logs:/l:nodelete drop.atoll /l/log
run_expect "nodelete: to write" 0 new "$ATOLL" run --mount dir:logs:/l:nodelete keep.atoll /l/log
run_expect "options: in proc" 0 "dir rw,append,nomodules /l
proc ro /proc" "$ATOLL" run --mount dir:logs:/l:append,nomodules --mount proc::/proc show.atoll /proc/self/mounts
run_expect "hidden: no such path" $noent "" "$ATOLL" run --dir-ro data::/d --mount memory::/d/sub:hidden show.atoll /d/sub/file
cat >found.atoll <<'ATOLL'
module found
use std.sys
data name = "file"
export func child(x: i64) { ret }
export func main() -> i32 {
    var h: i32
    call open(4, name, len(name), 0, RIGHT_READ) -> h
    if i32.lt_s h, 0 { ret (i32.sub 0, h) }
    ret 0
}
ATOLL
run_expect "hidden: by its handle" 0 "" "$ATOLL" run --mount dir:data:/d:hidden found.atoll
run_expect "not hidden: no such handle" 8 "" "$ATOLL" run --mount dir:data:/d found.atoll
"$ATOLL" asm found.atoll -o data/found.atb
load=$root/tests/guest/tools/load.atoll
check "modules of files" "/d/found.atb loaded" "$("$ATOLL" run --mount dir:data:/d "$load" 1 /d/found.atb)"
check "nomodules" "/d/found.atb the handle lacks the right" \
  "$("$ATOLL" run --mount dir:data:/d:nomodules "$load" 1 /d/found.atb)"
cat >options.toml <<'TOML'
[[machine]]
name = "one"
module = "drop.atoll"
arguments = ["/l/log"]
mounts = [{ type = "dir", source = "logs", guest = "/l", append = true }]
TOML
run_expect "append: of a machine" $notcapable "" "$ATOLL" up options.toml
sed -i 's/append = true/append = true, access = "ro"/' options.toml
check_contains "append: of a machine that only reads" "a mount that can only be read has no \`append\`" \
  "$("$ATOLL" up options.toml 2>&1)"

# Devices, and what a process sees of itself.
run_expect "dev: null" 0 "" "$ATOLL" run --mount dev::/dev keep.atoll /dev/null
run_expect "dev: full" $nospc "" "$ATOLL" run --mount dev::/dev keep.atoll /dev/full
check "dev: the program's own output" "new" "$(
  cat >tell.atoll <<'ATOLL'
module tell
use std.sys
data path = "/dev/stdout"
data text = "new\n"
export func main() -> i32 {
    var h: i32, n: i32
    call open(ROOT, path, len(path), OPEN_TRUNCATE, RIGHT_WRITE) -> h
    call write(h, text, len(text)) -> n
    ret 0
}
ATOLL
  "$ATOLL" run --mount dev::/dev tell.atoll
)"
run_expect "dev: to read" $notcapable "" "$ATOLL" run --mount dev::/dev:ro keep.atoll /dev/null
run_expect "dev: none but these" $noent "" "$ATOLL" run --mount dev::/dev show.atoll /dev/mem
run_expect "proc: mounts" 0 "dir ro /d
dev rw /dev
proc ro /proc" "$ATOLL" run --dir-ro data::/d --mount dev::/dev --mount proc::/proc show.atoll /proc/self/mounts
text=$("$ATOLL" run --mount proc::/proc --fuel 1000000 show.atoll /proc/self/status)
check_contains "proc: fuel" "fuel 99" "$text"
check "proc: no path of the host" "" "$(for file in self/{status,limits,mounts,children,handles} machine/{status,limits}; do
  "$ATOLL" run --dir-ro data::/d --mount proc::/proc show.atoll /proc/$file
done | grep -F "$scratch")"
cat >own.toml <<'TOML'
[[machine]]
name = "one"
module = "show.atoll"
arguments = ["/proc/machine/limits"]
stdout = "limits.txt"
limits = { memory = "64 MiB", processes = 3 }
mounts = [{ type = "proc", guest = "/proc" }, { type = "dev", guest = "/dev" }]
TOML
run_expect "proc: of a machine" 0 "" "$ATOLL" up own.toml
check "proc: of a machine: what it read" "processes 3
cpu_ns unlimited
memory_bytes 67108864" "$(head -3 limits.txt)"
run_expect "proc: only to read" $notcapable "" "$ATOLL" run --mount proc::/proc keep.atoll /proc/self/status
cat >zero.atoll <<'ATOLL'
module zero
use std.sys
data path = "/dev/zero"
reserve buffer 1048576
export func main() -> i32 {
    var h: i32, n: i32
    call open(ROOT, path, len(path), 0, RIGHT_READ) -> h
    loop { call read(h, buffer, 1048576) -> n }
}
ATOLL
run_expect "dev: reading for ever is stopped" 124 "" \
  timeout -s KILL 20 "$ATOLL" run --time 300ms --mount dev::/dev zero.atoll

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
wrong "no such type" 2 "there is no type of mount \`disk\`; there are dir, memory, overlay, archive, image, volume, dev, proc" --mount disk:a:/b
wrong "an archive to write" 2 "a mount of the type archive can only be read" --mount archive:a.tar:/a:rw
wrong "devices with a source" 2 "a mount of the type dev has no directory of the host" --mount dev:/dev:/dev
wrong "processes to write" 2 "a mount of the type proc can only be read" --mount proc::/proc:rw
wrong "too few parts" 2 "memory:/tmp: a mount is written TYPE:SOURCE:GUEST" --mount memory:/tmp
wrong "a wrong size" 2 "\`x\` is not a size" --mount memory::/tmp:size=x
wrong "a directory that is not there" 126 "not/there" --mount overlay:not/there:/o
wrong "an upper directory that is not there" 126 "not/there" --mount overlay:data:/o:upper=not/there
wrong "changes inside of what they change" 2 "give another \`upper\`" --mount overlay:data:/o:upper=data/sub
wrong "one name twice" 2 "something is mounted there already" --mount memory::/x --dir data::/x
