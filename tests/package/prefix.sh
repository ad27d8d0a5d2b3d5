# What suites share whose programs are built against the library: `source "$(dirname "$0")/prefix.sh"`
# installs the build of $ATOLL into $prefix. That of a sanitizer is not for others to install: then
# $sanitizer is not empty, and what links with $archives is compiled with $sanitized.
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
prefix=$scratch/prefix
case ${ATOLL_PRESET:-release} in
  asan) sanitizer=address,undefined ;;
  tsan) sanitizer=thread ;;
  *) sanitizer="" ;;
esac
if [[ -n $sanitizer ]]; then
  sanitized="-fsanitize=$sanitizer -fno-sanitize-recover=all -I$root/atoll/include"
  archives="-Wl,--start-group $(find "$(dirname "$ATOLL")" -name "libatoll_*.a" -printf "%p ")\
-Wl,--end-group -luv -lzstd -lsqlite3 -lasmjit -lstdc++ -lm -ldl"
else
  cmake --install "$(dirname "$ATOLL")" --prefix "$prefix" --strip >/dev/null ||
    not_ok "install" "failed"
fi

# build_sample NAME COMPILER: builds the C++ project samples/NAME in $scratch/NAME.COMPILER; prints
# nothing.
build_sample() {
  if ! { cmake -S "$root/samples/$1" -B "$scratch/$1.$2" -DCMAKE_CXX_COMPILER="$2" \
    -DCMAKE_BUILD_TYPE=Release -DCMAKE_CXX_FLAGS=-Werror -DCMAKE_PREFIX_PATH="$prefix" &&
    cmake --build "$scratch/$1.$2"; } >"$scratch/log" 2>&1; then
    not_ok "$1" "does not build with $2"
    tail -20 "$scratch/log" | sed 's/^/    /'
    return 1
  fi
}
