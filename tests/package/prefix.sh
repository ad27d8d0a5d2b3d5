# What suites share whose programs are built against the installed library:
# `source "$(dirname "$0")/prefix.sh"` installs the build of $ATOLL into $prefix.
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
prefix=$scratch/prefix
cmake --install "$(dirname "$ATOLL")" --prefix "$prefix" --strip >/dev/null || not_ok "install" "failed"

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
