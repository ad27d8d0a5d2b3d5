#!/usr/bin/env bash
# The shell does what the system's tools do, over each kind of file system.
source "$(dirname "$0")/../lib.sh"
source "$root/tests/build_wasm.sh"
cd "$root" || exit 1
build shell samples/shell /usr/lib/wasm32-wasi/libc.a \
  "$clang" "${wasi[@]}" -D_GNU_SOURCE -Wl,-z,stack-size=33554432 samples/shell/{shell,files,grep,tar}.c -o || exit 0
cd "$scratch" || exit 1
export LC_ALL=C

# A tree with what such tools stumble over.
mkdir -p seed/sub/deep seed/none "seed/a folder"
cp "$root/LICENSE" seed/license
printf 'one\ntwo words\nno newline at the end' >seed/sub/lines
head -c 300000 "$BASH" >seed/sub/deep/binary
: >seed/empty
printf x >"seed/a folder/[it]'s *"
long=$(printf 'n%.0s' {1..90})
mkdir -p seed/$long/$long
echo long >seed/$long/$long/file
ln -s ../license seed/sub/link
ln -s nothing seed/dangling
find seed -exec touch -h -d 2020-02-02 {} +
tar -cf seed.tar --format=ustar -C seed .
mkdir given && cp seed.tar given

# The commands that all must do alike, one a line; what they print is compared in its order by lines.
cat >commands <<'END'
ls
ls sub
ls -d sub license
find . -type f
find . -type d -name 'd*'
find sub -type l
cat license sub/lines
cat <license | grep -c .
grep -n Software license
grep -ric 'THE' license sub/lines
grep -v . license
grep -h -E 'a(b|n)+d' license
grep -rl end .
echo 'single' "double  $" and\ more > said ; cat said
echo more >> said && cat said
cat license | grep -i warranty | grep -v NO > found || echo nothing
echo s*/l* "s*" nothing*
mkdir -p made/of/many && mv said made/of && find made
cp license made/of/many/copy ; cp -r sub made ; find made
cat made/sub/deep/binary | cat > made/again
ln -s of/many made/way ; cat made/way/copy
mv made/sub/lines made/lines ; rm made/sub/link ; rm -r made/sub ; find made
rm -f no-such-file && rmdir none && ls
false && echo no ; false || echo yes ; true && echo yes
cat "a folder/[it]'s *"
cat nnnnnnn*/nnnnnnn*/file
END

# script FILE: the same with marks between them.
script() {
  local number=0 line
  while IFS= read -r line; do
    echo "$line"
    echo "echo '--- $((++number))'"
  done <commands >"$1"
}
script script

# by_command FILE: what each command printed, its lines sorted.
by_command() { awk '/^--- [0-9]+$/ { close("sort"); print; next } { print | "sort" }' "$1"; }

# shell ARGS...: in the file system of $mounts.
shell() { "$ATOLL" run "${mounts[@]}" "$built/shell.wasm" "$@"; }

# The system's own, once.
cp -a seed theirs
(cd theirs && bash ../script) >theirs.out 2>/dev/null
by_command theirs.out >theirs.sorted

contents() { find seed seed.tar -printf '%p %y %l %s %T@\n' | sort && find seed -type f -exec sha256sum {} + | sort; }
before=$(contents)
mkdir host
for kind in dir memory volume overlay archive; do
  case $kind in
    dir) mounts=(--mount "dir:host:/" --mount "dir:given:/given:ro") ;;
    memory) mounts=(--mount memory::/ --mount "dir:given:/given:ro") ;;
    volume)
      "$ATOLL" volume create shell.vol --size 64M
      mounts=(--mount volume:shell.vol:/ --mount "dir:given:/given:ro")
      ;;
    overlay) mounts=(--mount "overlay:seed:/") ;;
    archive) mounts=(--mount "overlay:seed.tar:/") ;;
  esac
  if [[ $kind == archive && ${ATOLL_PRESET:-} == aarch64 ]]; then
    skip archive "that build has no libarchive"
    continue
  fi
  # What is there ends with the run, so one run makes the tree, changes it and gives it away.
  {
    if [[ $kind == dir || $kind == memory || $kind == volume ]]; then echo 'tar -x -f /given/seed.tar'; fi
    cat script
  } >both
  shell -c "$(tr '\n' ';' <both | sed 's/;$//') ; tar -c * > /result.tar ; echo '--- tar' ; cat /result.tar" \
    >ours.all 2>ours.err
  check "$kind: status" 0 $?
  sed '/^--- tar$/,$d' ours.all >ours.out
  by_command ours.out >ours.sorted
  if cmp -s theirs.sorted ours.sorted; then
    ok "$kind: all commands print the same"
  else
    not_ok "$kind: all commands print the same" "$(diff theirs.sorted ours.sorted | head -10)"
  fi
  # After the line that announces it.
  size=$(sed '/^--- tar$/q' ours.all | wc -c)
  rm -rf "$kind.tree" && mkdir "$kind.tree"
  tail -c +$((size + 1)) ours.all | tar -x -C "$kind.tree" 2>tar.err
  check "$kind: its archive is read by tar" "0 " "$? $(cat tar.err)"
  rm -f "$kind.tree/result.tar"
  check "$kind: the tree is the same" "" \
    "$(diff -r --no-dereference theirs "$kind.tree" 2>&1 | head -5)"
done
check_contains "volume: it is sound" "sound" "$("$ATOLL" volume check shell.vol)"
check "what lies below overlays has not changed" "$before" "$(contents)"

# --- Mistakes and hostile archives --------------------------------------------------------------
echo 'echo hello' >hello.script
mounts=(--mount memory::/)
refused() { # NAME STATUS MESSAGE COMMANDS
  run_expect "$1" "$2" "" shell -c "$4"
  check_contains "$1: message" "$3" "$(cat stderr)"
}
refused "no such command" 127 'there is no command `vi`' 'vi file'
refused "no end of a quote" 2 "a quote ' has no end" "echo 'x"
refused "no command between bars" 2 "a command is missing" "echo x | | cat"
refused "no file behind >" 2 "need the name of a file" "echo x >"
refused "an unknown option" 2 "rm: there is no option -q" "rm -q x"
deep=$(printf 'd/%.0s' {1..1500})
run_expect "a deep tree" 0 "$(printf '1500\n1501')" shell -c "mkdir -p $deep ; echo x > ${deep}f ; cp -r d e ; find e -type d | grep -c . > n ; find e | grep -c . >> n ; rm -r d e ; ls | grep -v n ; cat n"
refused "a directory into itself" 1 "into itself" "mkdir d ; cp -r d d/e"
refused "a file to itself" 1 "to itself" "echo x > f ; cp f f"
refused "no such file" 1 "cat: x: No such file" "cat x"
refused "a directory that is not empty" 1 "rmdir: d" "mkdir -p d/e ; rmdir d"
refused "a pattern that is none" 2 "grep: " "echo x | grep '('"
run_expect "from a file" 0 "hello" "$ATOLL" run --dir-ro . "$built/shell.wasm" hello.script
printf 'echo x\nexit 7\necho y\n' >stop.script
run_expect "from standard input" 7 "x" shell <stop.script

# Names that lead outside, as no tar makes them without being asked.
mkdir -p out/in && echo outside >out/file && (cd out/in && tar -P -cf ../../bad.tar ../file "$scratch/out/file" 2>/dev/null)
mkdir -p bad && cp bad.tar bad
mounts=(--mount "dir:bad:/")
rm out/file
refused "an archive with .. and absolute names" 1 "leads outside" "tar -x -f bad.tar"
check "an archive with .. and absolute names: nothing came out" "bad.tar" "$(ls bad)"
head -c 600 "$root/LICENSE" >bad/none
refused "an archive that is none" 1 "no archive that it knows" "tar -t -f none"
for size in 1 511 512 1000 5000; do
  head -c $size seed.tar >bad/cut.tar
  run_expect "an archive cut off after $size bytes" $((size % 512 == 0 && size < 1024 ? 0 : 1)) "" shell -c "mkdir -p cut ; tar -x -C cut -f cut.tar"
done
