#!/usr/bin/env bash
# What is installed can be used from outside: by a C program through pkg-config, by a C++ project
# through find_package, and the Debian package has it all. For the build that has $ATOLL.
source "$(dirname "$0")/../lib.sh"
build=$(dirname "$ATOLL")
here=$root/tests/package
cc=$(command -v cc || command -v gcc-12)
prefix=$scratch/prefix

# quietly NAME COMMAND...: COMMAND succeeds; else its output is shown.
quietly() {
  if "${@:2}" >"$scratch/log" 2>&1; then
    ok "$1"
  else
    not_ok "$1" "exit status $?"
    tail -20 "$scratch/log" | sed 's/^/    /'
  fi
}

quietly "install" cmake --install "$build" --prefix "$prefix" --strip
run_expect "the installed command" 0 6 "$prefix/bin/atoll" run --invoke f - \
  <<<'export func f() -> i32 { ret 6 }'

export PKG_CONFIG_PATH=$prefix/lib/pkgconfig
c_output='noted: from the guest
14
lie: out of bounds memory access
spin: time limit reached
lie: trap: out of bounds memory access
to itself'
for standard in c99 c11; do
  # shellcheck disable=SC2046
  run_expect "a $standard program with the shared library" 0 "" "$cc" -std=$standard -Wall -Wextra \
    -Wpedantic -Werror "$here/host.c" -o "$scratch/c_shared" $(pkg-config --cflags --libs atoll)
  LD_LIBRARY_PATH=$prefix/lib run_expect "it runs" 0 "$c_output" "$scratch/c_shared"
done
# shellcheck disable=SC2046
run_expect "a C program with the static library" 0 "" "$cc" "$here/host.c" -o "$scratch/c_static" \
  $(pkg-config --cflags atoll) "$prefix/lib/libatoll.a" \
  $(pkg-config --libs --static atoll | sed 's/-latoll//')
run_expect "it runs" 0 "$c_output" "$scratch/c_static"

# shellcheck disable=SC2046
run_expect "a C program with images" 0 "" "$cc" -std=c99 -Wall -Wextra -Wpedantic -Werror "$here/image.c" \
  -o "$scratch/c_image" $(pkg-config --cflags --libs atoll)
mkdir -p "$scratch/files/pages" "$scratch/out"
echo "a page" >"$scratch/files/pages/index"
"$ATOLL" asm "$root/tests/cli/pack/show.atoll" -o "$scratch/show.atb"
printf '%s\n' 'name = "show"' 'module = "show.atb"' 'root = "files"' '[[mounts]]' 'guest = "/out"' \
  'required = true' >"$scratch/show.toml"
LD_LIBRARY_PATH=$prefix/lib run_expect "it runs" 0 "show, 1 mount
/pages
/pages/index 7
not without a grant
a page
read only" "$scratch/c_image" "$scratch/show.toml" "$scratch/show.atp" "$scratch/out"
check "what the guest wrote" "a pag" "$(cat "$scratch/out/done")"

cpp_output='499500
fails: host function failed: thrown across the library'
for compiler in clang++-19 g++-12; do
  quietly "a C++ project, $compiler" cmake -S "$here" -B "$scratch/$compiler" \
    -DCMAKE_CXX_COMPILER="$compiler" -DCMAKE_PREFIX_PATH="$prefix"
  quietly "built" cmake --build "$scratch/$compiler"
  for program in with_shared with_static; do
    run_expect "$program runs" 0 "$cpp_output" "$scratch/$compiler/$program"
  done
done
# What is inside is not shown.
shown=$(nm -D --defined-only -C "$prefix/lib/libatoll.so" | sed 's/^[0-9a-f]* . //' |
  grep -E '^(atollvm::[a-z]+::|fmt::|uv_)' | grep -Ev '^atollvm::(control|detail|serve|tools)::')
check "symbols of the shared library" "" "$shown"

quietly "cpack" cmake --build "$build" --target package
package=$(echo "$build"/atoll_*.deb)
dpkg-deb -x "$package" "$scratch/deb"
run_expect "the Debian package's command" 0 6 "$scratch/deb/usr/bin/atoll" run --invoke f - \
  <<<'export func f() -> i32 { ret 6 }'
check_contains "its dependencies" "libuv1" "$(dpkg-deb -f "$package" Depends)"
check_contains "what it loads where it is there" "libarchive13" "$(dpkg-deb -f "$package" Suggests)"
check_contains "its files" "./usr/include/atoll.h" "$(dpkg-deb -c "$package")"
check_contains "its files for guests" "./usr/share/atoll/c/atoll.h" "$(dpkg-deb -c "$package")"
dpkg-deb -f "$package" Depends | sed 's/^/# /'
