#!/usr/bin/env bash
# `atoll volume`: making, filling, listing, checking, growing, archives in and out; and mounting.
source "$(dirname "$0")/../lib.sh"
cd "$scratch" || exit 1
volume() { "$ATOLL" volume "$@"; }

run_expect "create" 0 "" volume create a.vol --size 4M
run_expect "create: there is a file" 1 "" volume create a.vol --size 4M
check_contains "create: there is a file: message" "a.vol: File exists" "$(cat stderr)"
run_expect "create: no size" 2 "" volume create b.vol --size x
run_expect "create: too small" 1 "" volume create b.vol --size 1k
check_contains "create: too small: message" "a volume has 1048576 to 17592186044416 bytes, not 1024" "$(cat stderr)"
check "create: nothing is left" "a.vol" "$(ls ./*.vol | sed 's|./||')"

mkdir -p tree/sub/deep "tree/a folder"
printf one >tree/sub/one
ln tree/sub/one tree/second
ln -s sub/one tree/link
head -c 300000 /dev/urandom >tree/sub/deep/random
truncate -s 5M tree/sparse
long=$(printf 'n%.0s' {1..120})
mkdir tree/$long && echo long >tree/$long/$long
find tree -exec touch -h -d '2020-02-02 02:02:02Z' {} +

run_expect "cp: a directory in" 0 "" volume cp a.vol tree :
run_expect "ls" 0 "           -  2020-02-02 02:02  tree/" volume ls a.vol
check_contains "ls: below" "           3  2020-02-02 02:02  tree/sub/one" "$(volume ls -r a.vol)"
check_contains "ls: a link" "link -> sub/one" "$(volume ls a.vol tree)"
check "ls: JSON" '{"path":"sub/one","kind":"file","size":3,"links":2,"modified_ns":1580608922000000000}' \
  "$(volume ls -r --json a.vol /tree | jq -c '.[] | select(.path == "sub/one")')"
run_expect "cp: a directory out" 0 "" volume cp a.vol :tree out
check "cp: a directory out: the same" "" "$(diff -r --no-dereference tree out)"
check "cp: names of one file stay that" 2 "$(stat -c %h out/sub/one)"
run_expect "cp: a file in" 0 "" volume cp a.vol tree/second :/tree/sub/new
run_expect "cp: a file out, into a directory" 0 "" volume cp a.vol :/tree/sub/new out
check "cp: a file out: the same" one "$(cat out/new)"
run_expect "cp: both outside" 2 "" volume cp a.vol tree tree
run_expect "cp: no such file" 1 "" volume cp a.vol :none out
check_contains "cp: no such file: message" "a.vol: none: No such file" "$(cat stderr)"
check_contains "check" "sound: 12 files, directories and links; " "$(volume check a.vol)"
check "check: JSON" "true 0" "$(volume check --json a.vol | jq -r '"\(.sound) \(.faults | length)"')"

run_expect "export" 0 "" volume export a.vol tree -o tree.tar
mkdir untar && tar -x -f tree.tar -C untar
rm out/new tree/sub/new 2>/dev/null
rm untar/sub/new
check "export: tar reads it" "" "$(diff -r --no-dereference tree untar)"
check "export: to standard output" "$(sha256sum <tree.tar)" "$(volume export a.vol tree | sha256sum)"
volume create b.vol --size 8M
run_expect "import: a directory" 0 "" volume import b.vol tree
run_expect "import: into a directory" 0 "" volume import b.vol tree sub
if volume import b.vol tree.tar archive 2>stderr; then
  volume cp b.vol :archive from_tar
  check "import: an archive: the same" "" "$(rm from_tar/sub/new && diff -r --no-dereference tree from_tar)"
elif grep -q libarchive stderr; then
  skip "import: an archive" "there is no libarchive here"
else
  not_ok "import: an archive" "$(cat stderr)"
fi
head -c 9000000 /dev/urandom >large
run_expect "no room" 1 "" volume cp b.vol large :large
check_contains "no room: message" "large: No space left" "$(cat stderr)"
run_expect "grow" 0 "" volume grow b.vol --size 32M
run_expect "grow: room again" 0 "" volume cp b.vol large :large
volume cp b.vol :large large.out
check "grow: what came out" "$(sha256sum <large)" "$(sha256sum <large.out)"
run_expect "grow: less" 1 "" volume grow b.vol --size 2M

# Mistakes, and damage.
run_expect "no volume" 1 "" volume ls tree.tar
check_contains "no volume: message" "tree.tar: it is no volume: \`atoll volume create\` makes them" "$(cat stderr)"
run_expect "not there" 1 "" volume ls none.vol
run_expect "no action" 2 "" volume
run_expect "an unknown action" 2 "" volume remove a.vol
cp b.vol bad.vol
printf '\377\377\377\377\377\377\377\377' | dd of=bad.vol bs=1 seek=$((8192 * 2 + 8)) conv=notrunc status=none
run_expect "check: damage" 1 "" volume check bad.vol
check_contains "check: damage: where" "bad.vol: " "$(cat stderr)"

# Mounted.
cat >keep.atoll <<'ATOLL'
module keep
use std.sys
reserve path 4096
reserve buffer 4096
data text = "new\n"
export func main() -> i32 {
    var n: i32, h: i32, size: i32
    call args_get(1, path, 4096) -> n
    call open(ROOT, path, n, OPEN_CREATE | OPEN_TRUNCATE, RIGHT_WRITE | RIGHT_TRUNCATE) -> h
    if i32.lt_s h, 0 { ret (i32.sub 0, h) }
    call write(h, text, 4) -> size
    call close(h) -> size
    ret 0
}
ATOLL
run_expect "a mount" 0 "" "$ATOLL" run --mount volume:a.vol:/ keep.atoll /kept
run_expect "a mount: it is there" 0 "" volume cp a.vol :kept kept
check "a mount: what it wrote" new "$(cat kept)"
run_expect "a mount to read" 76 "" "$ATOLL" run --mount volume:a.vol:/:ro keep.atoll /kept
run_expect "below an overlay" 0 "" "$ATOLL" run --mount overlay:a.vol:/ keep.atoll /other
run_expect "below an overlay: it stays" 1 "" volume cp a.vol :other other
run_expect "a mount of what is none" 126 "" "$ATOLL" run --mount volume:keep.atoll:/ keep.atoll /x
run_expect "two names of one volume" 0 "" \
  "$ATOLL" run --mount volume:a.vol:/a --mount volume:./a.vol:/b keep.atoll /b/twice
check_contains "two names of one volume: it is there" "twice" "$(volume ls a.vol)"
check_contains "all is sound" "sound" "$(volume check a.vol)"
check "nothing is left beside it" "" "$(ls ./*-wal 2>/dev/null)"
