# Builds samples of other languages to WebAssembly, by the commands of their README.md, into
# build/wasm, when they have changed. For tests to source, after lib.sh.
built=$root/build/wasm
mkdir -p "$built"
clang=clang-16
wasi=(--target=wasm32-wasi --sysroot=/usr -O2)

# build NAME SOURCE NEEDED COMMAND...: builds $built/NAME.wasm by COMMAND and the file's name. SOURCE is a
# file or a folder; NEEDED is a program or file: without it, or after a failure, the checks of NAME
# are left out.
build() {
  local name=$1 source=$2 needed=$3 out=$built/$1.wasm
  shift 3
  if [[ $needed == /* ]]; then [[ -e $needed ]]; else command -v "$needed" >/dev/null; fi || {
    skip "wasm/$name" "no $needed (see ${source%/*}/README.md)"
    return 1
  }
  [[ -e $out && -z $(find "$source" "$0" -newer "$out") ]] && return
  # Under another name first: another suite may use the old one.
  if "$@" "$built/$name.$$.wasm" >"$scratch/log" 2>&1; then
    mv "$built/$name.$$.wasm" "$out"
  else
    not_ok "wasm/$name" "does not build: $*"
    tail -20 "$scratch/log" | sed 's/^/    /'
    return 1
  fi
}
