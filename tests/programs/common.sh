# What the suites of real programs share: `source "$(dirname "$0")/common.sh"`. Each builds a program
# from its Debian source package with clang-16, native and for wasm32-wasi, in build/programs/NAME,
# and compares what the two do, or runs the program's own tests. Nothing of the sources is kept in
# the repository. Standalone: `tests/programs/X.sh`.
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
programs=$root/build/programs
support=$root/tests/programs/wasi

# Ends the suite, loudly.
leave() {
  skip "$(basename "$0" .sh)" "$1"
  exit 0
}
for needed in clang-16 wasm-ld-16 dpkg-source apt-get make; do
  command -v "$needed" >/dev/null || leave "no $needed"
done
[[ -e /usr/lib/wasm32-wasi/libc.a ]] || leave "no wasi-libc"

# debian_source NAME: downloads and unpacks the source package once; $source is then its folder, and
# $place the folder to build in. The system's own package lists stay as they are.
debian_source() {
  source=$programs/$1/source place=$programs/$1
  [[ -e $source ]] && return
  local state=$programs/apt lists
  mkdir -p "$state"/{lists/partial,archives/partial} "$place"
  lists=(-o Dir::Etc::SourceList="$state/sources.list" -o Dir::Etc::SourceParts=/dev/null
    -o Dir::State::Lists="$state/lists" -o Dir::Cache="$state" -o APT::Sandbox::User=root
    -o Acquire::Languages=none)
  if [[ ! -e $state/sources.list ]]; then
    # The mirror that the system's own packages come from.
    local mirror
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' \
      'Codename: bookworm' 'Component: main' 2>/dev/null | head -1)
    [[ $mirror ]] || leave "no mirror of Debian 12 in apt's sources"
    echo "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror bookworm main" \
      >"$state/sources.list"
    apt-get "${lists[@]}" update >"$scratch/log" 2>&1 || true
  fi
  (cd "$place" && apt-get "${lists[@]}" source --download-only "$1" >"$scratch/log" 2>&1 &&
    rm -rf unpacked && dpkg-source --no-check -x "$1"_*.dsc unpacked >>"$scratch/log" 2>&1 &&
    mv unpacked source) || {
    rm -f "$state/sources.list"
    leave "no source package $1 ($(tail -1 "$scratch/log"))"
  }
}

native=(clang-16 -O2 -w)
wasi=(clang-16 --target=wasm32-wasi -O2 -w -I"$support" -include "$support/posix.h"
  -D_WASI_EMULATED_PROCESS_CLOCKS -D_WASI_EMULATED_SIGNAL -D_WASI_EMULATED_MMAN
  -D_WASI_EMULATED_GETPID)
# In linear memory jq's own test of deep values needs more stack than the 8 MiB that it has natively.
wasi_libraries=(-lwasi-emulated-process-clocks -lwasi-emulated-signal -lwasi-emulated-mman
  -lwasi-emulated-getpid -Wl,-z,stack-size=67108864)

# must NAME COMMAND...: a step of a build. After a failure the suite ends.
must() {
  if ! "${@:2}" >"$scratch/log" 2>&1; then
    not_ok "$1" "$(grep -am3 -E 'error|undefined' "$scratch/log" || tail -3 "$scratch/log")"
    exit 1
  fi
}

# objects NAME ARGUMENTS...: compiles $place/NAME.o and $place/NAME.wasm.o, unless this is done.
objects() {
  local out=$place/$1
  shift
  [[ -e $out.o && $out.wasm.o -nt $support/posix.h ]] && return
  must "compile ${out##*/}" "${native[@]}" "$@" -c -o "$out.o"
  must "compile ${out##*/} for wasm" "${wasi[@]}" "$@" -c -o "$out.wasm.o"
}

# both NAME ARGUMENTS...: compiles and links $place/NAME and $place/NAME.wasm, unless this is done.
# Of an object X.o that is named the second takes X.wasm.o.
both() {
  local out=$place/$1
  shift
  [[ -e $out && $out.wasm -nt $0 && $out.wasm -nt $support/posix.h ]] && return
  must "build ${out##*/}" "${native[@]}" "$@" -o "$out" -lm
  must "build ${out##*/}.wasm" "${wasi[@]}" "${@/%.o/.wasm.o}" -o "$out.wasm" "${wasi_libraries[@]}" -lm
}

# expect_same LABEL FILE FILE: two files are the same.
expect_same() {
  if cmp "$2" "$3" >"$scratch/log" 2>&1; then ok "$1"; else not_ok "$1" "$(cat "$scratch/log")"; fi
}

# The program $place/NAME.wasm with the current and the source directory, and with as much stack as
# Linux gives to native ones.
run() { "$ATOLL" run --stack 8M --dir . --dir "$source" "$place/$1.wasm" "${@:2}"; }

# same LABEL NAME INPUT ARGUMENTS...: native and translated, with standard input from the file INPUT,
# print the same and end with the same status.
same() {
  local status=0 expected
  expected=$("$place/$2" "${@:4}" <"$3" 2>"$scratch/stderr" | base64) || status=$?
  run_expect "$1" "$status" "$expected" run_base64 "$2" "${@:4}" <"$3"
}
run_base64() { run "$@" | base64; }
set -o pipefail
