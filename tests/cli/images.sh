#!/usr/bin/env bash
# Images in place of modules: `atoll inspect`, machine files, servers; what other commands say.
source "$(dirname "$0")/../lib.sh"
cp "$root"/tests/cli/pack/* "$root"/tests/cli/images/* "$scratch"
cd "$scratch" || exit 1
unset NO_COLOR
"$ATOLL" asm show.atoll -o show.atb && "$ATOLL" asm hold.atoll -o hold.atb || exit 1
mkdir -p files/pages out run
echo "a page" >files/pages/index
ln -s index files/pages/link
cat >show.toml <<'TOML'
name = "show"
module = "show.atb"
modules = ["hold.atb"]
root = "files"
limits = { memory = "1 MiB", fuel = 100000 }
[[mounts]]
guest = "/out"
about = "what is written"
TOML
sed 's/about/required = true\nabout/' show.toml >needs.toml
"$ATOLL" pack show.toml && "$ATOLL" pack needs.toml || exit 1
refused() {
  run_expect "$1" "$2" "" "${@:4}"
  check_contains "$1: message" "$3" "$(cat stderr)"
}
has_openssl=1
if ! command -v openssl >/dev/null || [[ ${ATOLL_PRESET:-release} == aarch64 ]]; then has_openssl=; fi

# --- inspect ---
module=$(stat -c %s show.atb)
plugin=$(stat -c %s hold.atb)
check "inspect" "show
  root        its own files at /, to read
  memory      1 MiB
  fuel        100000
  asks for    /out: dir, to read and write: what is written (--grant /out=PATH)
  signature   none

modules, and capabilities that their host calls work on:
  module: $module bytes, N of code, N of data
    directory or name space: open
    stream or file: read, write or append
  /modules/hold.atb: $plugin bytes, N of code, N of data
    directory or name space: open
    stream or file: read, write or append

files, with their bytes:
             /modules/
  $(printf %10d "$plugin") /modules/hold.atb
             /pages/
           7 /pages/index
             /pages/link -> index" "$("$ATOLL" inspect show.atp | sed 's/[0-9]* of \(code\|data\)/N of \1/g; s/, truncate//')"
check "inspect as JSON" '["show",false,false,["module","/modules/hold.atb"],"show",["/modules","/modules/hold.atb","/pages","/pages/index","/pages/link"],7,"index",1048576,"/out"]' \
  "$("$ATOLL" inspect --json show.atp | jq -c '[.name, .signed, .verified, [.modules[].path], .modules[0].info.name, [.files[].path], .files[3].size, .files[4].target, .limits.memory, .mounts[0].guest]')"
refused "--verify of a module" 2 "show.atb: --verify is for images" "$ATOLL" inspect --verify none show.atb
{ head -c 512 show.atp; head -c 5000 /dev/zero; } >broken.atp
refused "inspect a broken one" 1 "broken.atp" "$ATOLL" inspect broken.atp
if [[ $has_openssl ]]; then
  for key in own other; do
    openssl genpkey -algorithm ed25519 -out $key.pem && openssl pkey -in $key.pem -pubout -out $key.pub
  done 2>/dev/null
  "$ATOLL" pack show.toml --sign own.pem -o signed.atp || exit 1
  check_contains "a signature that was not checked" "signature   not checked" "$("$ATOLL" inspect signed.atp)"
  check_contains "a good one" "signature   good, by the owner of own.pub" "$("$ATOLL" inspect --verify own.pub signed.atp)"
  check "a good one as JSON" "true true" "$("$ATOLL" inspect --json --verify own.pub signed.atp | jq -r '"\(.signed) \(.verified)"')"
  refused "a bad one" 1 "its signature is not by this key" "$ATOLL" inspect --verify other.pub signed.atp
fi

# --- Commands that take no image ---
for command in dis check asm translate fmt doc test link sched up serve; do
  more=()
  [[ $command == link ]] && more=(-o out.atb)
  got=$("$ATOLL" $command show.atp "${more[@]}" 2>&1) && got="exit code 0: $got"
  check_contains "$command" "show.atp: it is an image, which this command does not take" "$got"
done
check_contains "dis of standard input" "<stdin>: it is an image" "$("$ATOLL" dis - <show.atp 2>&1)"
refused "run of standard input" 126 "<stdin>: an image must be named as a file" "$ATOLL" run - <show.atp

# --- Machine files ---
machine() {
  printf '[[machine]]\nname = "m"\nmodule = "%s"\n' "$1"
  shift
  printf '%s\n' "$@"
}
up() { "$ATOLL" up machine.toml 2>&1; }
machine show.atp >machine.toml
got=$(up)
check_contains "without a grant it runs" "a page" "$got"
check_contains "and the log says what is missing" "the image asks for /out, what is written: it was not granted" "$got"
machine show.atp 'grants = [{ guest = "/out", source = "out" }]' >machine.toml
got=$(up)
check_contains "with a grant" "read only" "$got"
check "what it wrote" "a pag" "$(cat out/done)"
check "nothing is missing" "" "$(grep -o "granted" <<<"$got")"
rm out/done
machine show.atp 'grants = [{ guest = "/out", source = "out", access = "ro" }]' >machine.toml
check_contains "a grant to read" "no /out" "$(up)"
machine show.atp 'grants = [{ guest = "/etc", source = "/etc" }]' >machine.toml
check_contains "a grant of what it does not ask for" "show.atp: /etc: the image asks for nothing of this name" "$(up)"
machine needs.atp >machine.toml
check_contains "what it needs" 'needs.atp: it needs /out, what is written, and the machine'"'"'s `grants` have none: { guest = "/out", source = PATH }' "$(up)"
machine show.atb 'grants = [{ guest = "/out", source = "out" }]' >machine.toml
check_contains "a grant for a module" "show.atb: it is no image" "$(up)"
machine none.atp 'grants = [{ guest = "/out", source = "out" }]' >machine.toml
check_contains "an image that is not there" "none.atp: No such file" "$(up)"
machine show.atp 'grants = [{ guest = "/out", source = "out" }, { guest = "/out" }]' >machine.toml
check_contains "two grants for one" "this guest path has a grant already" "$(up)"
machine show.atp 'limits = { fuel = 50 }' >machine.toml
check_contains "the machine's limits hold" "used up its fuel" "$(up)"
machine show.atp 'mounts = [{ type = "memory", guest = "/" }]' >machine.toml
check_contains "two file systems at one path" "/: something is mounted there already" "$(up)"
if [[ $has_openssl ]]; then
  machine signed.atp 'verify = "own.pub"' >machine.toml
  check_contains "signed" "a page" "$(up)"
  machine signed.atp 'verify = "other.pub"' >machine.toml
  check_contains "by another" "signed.atp: its signature is not by this key" "$(up)"
  machine show.atp 'verify = "own.pub"' >machine.toml
  check_contains "not signed" "show.atp: it has no signature" "$(up)"
  machine signed.atp 'verify = "own.pem"' >machine.toml
  check_contains "no key" "own.pem: is no public ed25519 key" "$(up)"
  machine signed.atp 'verify = "none.pub"' >machine.toml
  check_contains "no key file" "none.pub: No such file" "$(up)"
fi

# --- Servers ---
export XDG_RUNTIME_DIR=$PWD/run
env --default-signal=INT,TERM,HUP "$ATOLL" serve 2>serve.err &
server=$!
for ((i = 0; i < 400; i++)); do [[ -S run/atoll.sock ]] && break; sleep 0.05; done
machine show.atp 'grants = [{ guest = "/out", source = "out" }]' >machine.toml
run_expect "create" 0 "" "$ATOLL" create --start machine.toml
for ((i = 0; i < 400; i++)); do [[ $("$ATOLL" machines --json m | jq -r '.[0].state') == ended ]] && break; sleep 0.05; done
check_contains "its log" "a page" "$("$ATOLL" logs m)"
check "what it wrote for the server" "a pag" "$(cat out/done)"
rm out/done
run_expect "start it again" 0 "" "$ATOLL" start m
for ((i = 0; i < 400; i++)); do [[ -s out/done ]] && break; sleep 0.05; done
check "it wrote again" "a pag" "$(cat out/done)"
"$ATOLL" destroy m
machine needs.atp >machine.toml
refused "create without a grant" 1 "needs.atp: it needs /out" "$ATOLL" create machine.toml

# --- Snapshots ---
# What is open in an image, with and without an overlay, and what a machine file names differently.
sed 's/show/hold/; s/module = "show.atb"/module = "hold.atb"/' show.toml >hold.toml
echo "0123456789" >files/pages/index
"$ATOLL" pack hold.toml || exit 1
sed 's/root = "files"/&\noverlay = true/' hold.toml >over.toml
"$ATOLL" pack over.toml || exit 1
says() { [[ $("$ATOLL" logs "$1" 2>/dev/null) == *"$2"* ]]; }
within() {
  local i
  for ((i = 0; i < 600; i++)); do "$@" && return 0; sleep 0.05; done
  return 1
}
ends() {
  within eval '[[ $("$ATOLL" machines --json '"$1"' | jq -r ".[0].state") == ended ]]'
  "$ATOLL" logs "$1"
}
for kind in hold over; do
  machine $kind.atp >machine.toml
  "$ATOLL" create --start machine.toml && within says m begun || not_ok "$kind: it runs" "$("$ATOLL" logs m)"
  run_expect "$kind: snapshot" 0 "" "$ATOLL" snapshot m $kind.snap
  "$ATOLL" destroy m
  run_expect "$kind: restore with its grants" 0 "" "$ATOLL" restore --grant $kind.snap
  "$ATOLL" resume m
  check_contains "$kind: it reads on" "23456789" "$(ends m)"
  "$ATOLL" destroy m
  run_expect "$kind: restore with a machine file" 0 "" "$ATOLL" restore --spec machine.toml $kind.snap
  "$ATOLL" resume m
  check_contains "$kind: it reads on there" "23456789" "$(ends m)"
  "$ATOLL" destroy m
  run_expect "$kind: restore without a grant" 0 "" "$ATOLL" restore $kind.snap
  "$ATOLL" resume m
  got=$(ends m)
  check_contains "$kind: the file is lost" "lost" "$got"
  check_contains "$kind: the log counts it" "handles name nothing any more" "$got"
  "$ATOLL" destroy m
  # The same names and sizes, another byte; then none at all.
  cp $kind.atp kept.atp
  echo "0123456780" >files/pages/index
  "$ATOLL" pack $kind.toml
  run_expect "$kind: restore with another image" 0 "" "$ATOLL" restore --grant $kind.snap
  "$ATOLL" resume m
  check_contains "$kind: the file of the other one is lost" "lost" "$(ends m)"
  "$ATOLL" destroy m
  echo "0123456789" >files/pages/index
  rm $kind.atp
  refused "$kind: restore without the image" 1 "$kind.atp: No such file" "$ATOLL" restore --grant $kind.snap
  cp kept.atp $kind.atp
done
# Somebody else's snapshot must not have an image of the host opened that its description names.
sed -i 's/hold/none/' machine.toml
run_expect "a snapshot without grants opens no image" 0 "" "$ATOLL" restore over.snap
"$ATOLL" start m 2>/dev/null
"$ATOLL" kill m
refused "nor when it is started again" 1 "" "$ATOLL" resume m
"$ATOLL" start m
got=$(ends m)
check_contains "its image's files are not there" "exit code 3" "$got"
"$ATOLL" destroy m
kill "$server"
wait "$server"
