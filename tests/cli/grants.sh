#!/usr/bin/env bash
# --dir and --dir-ro: what a program may do with files, and by which names.
source "$(dirname "$0")/../lib.sh"
cd "$scratch" || exit 1

# `cat PATH` prints a file; `put PATH` writes "new" into it, made when it is not there. The exit code
# is the error's number.
program() { # NAME FLAGS RIGHTS BODY
  cat <<ATOLL
module $1
use std.sys
reserve path 4096
reserve buffer 4096
data text = "new\\n"
export func main() -> i32 {
    var n: i32, h: i32
    call args_get(1, path, 4096) -> n
    call open(ROOT, path, n, $2, $3) -> h
    if i32.lt_s h, 0 { ret (i32.sub 0, h) }
    $4
}
ATOLL
}
program cat 0 RIGHT_READ 'call read(h, buffer, 4096) -> n
    call write(STDOUT, buffer, n) -> n
    ret 0' >cat.atoll
program put "OPEN_CREATE" RIGHT_WRITE 'call write(h, text, 4) -> n
    ret 0' >put.atoll
mkdir -p data/sub outside
echo inside >data/file
echo below >data/sub/file
echo secret >outside/file
ln -s ../outside/file data/escape
ln -s "$scratch/outside/file" data/absolute
ln -s file data/link
noent=44 notcapable=76

run_expect "no file without a grant" $noent "" "$ATOLL" run cat.atoll data/file
run_expect "a granted directory by its own name" 0 inside "$ATOLL" run --dir-ro data cat.atoll data/file
run_expect "below it" 0 below "$ATOLL" run --dir-ro data cat.atoll data/sub/file
run_expect "the working directory" 0 inside "$ATOLL" run --dir-ro . cat.atoll data/file
run_expect "the working directory, with ./" 0 inside "$ATOLL" run --dir-ro . cat.atoll ./data/file
run_expect "another name" 0 inside "$ATOLL" run --dir-ro data::/in cat.atoll /in/file
run_expect "not by the host's name then" $noent "" "$ATOLL" run --dir-ro data::/in cat.atoll data/file
run_expect "an absolute directory" 0 inside "$ATOLL" run --dir-ro "$scratch/data" cat.atoll "$scratch/data/file"
run_expect "two directories" 0 secret "$ATOLL" run --dir-ro data --dir-ro outside::/o cat.atoll /o/file
run_expect "links inside" 0 inside "$ATOLL" run --dir-ro data cat.atoll data/link
for path in data/escape data/absolute data/../outside/file data/sub/../../outside/file ../x /etc/passwd; do
  got=0
  text=$("$ATOLL" run --dir-ro data cat.atoll "$path" 2>&1) || got=$?
  case $got in
    $noent | $notcapable | 32 | 63 | 2) check "not outside: $path" "" "$text" ;;
    *) not_ok "not outside: $path" "exit status $got, output '$text'" ;;
  esac
done

run_expect "reading only" $notcapable "" "$ATOLL" run --dir-ro data put.atoll data/file
check "nothing was written" inside "$(cat data/file)"
run_expect "making a file" 0 "" "$ATOLL" run --dir data put.atoll data/made
check "it was made" new "$(cat data/made)"
run_expect "only where it may write" $notcapable "" \
  "$ATOLL" run --dir data --dir-ro outside put.atoll outside/file
run_expect "one name twice" 2 "" "$ATOLL" run --dir data::/x --dir-ro outside::/x cat.atoll /x/file
run_expect "a name with .." 2 "" "$ATOLL" run --dir .. cat.atoll x
check_contains "a name with ..: message" "atoll: " "$(cat stderr)"
