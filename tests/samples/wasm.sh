#!/usr/bin/env bash
# The samples in C, C++, Rust, Go, AssemblyScript and WebAssembly text do what the system's own
# tools do. Built by the commands of their README.md, into build/wasm, when they have changed.
source "$(dirname "$0")/../lib.sh"
source "$root/tests/build_wasm.sh"
cd "$root" || exit 1

# same NAME INPUT THEIRS COMMAND...: the command prints what the shell command THEIRS prints, with
# the file INPUT as standard input.
same() {
  run_expect "wasm/$1" 0 "$(bash -c "$3" <"$2")" "${@:4}" <"$2"
}
# run NAME ARGS...
run() { "$ATOLL" run --dir-ro . "$built/$1.wasm" "${@:2}"; }

head -c 100000 "$BASH" >"$scratch/binary"
: >"$scratch/empty"

count_words='tr A-Z a-z | tr -cs a-z "\n" | grep . | sort | uniq -c | sort -k1,1nr -k2,2'
if build wordfreq samples/wasm-c/wordfreq.c /usr/lib/wasm32-wasi/libc.a \
  "$clang" "${wasi[@]}" samples/wasm-c/wordfreq.c -o; then
  same c/input docs/assembly.md "$count_words" run wordfreq
  same c/files LICENSE "cat README.md docs/isa.md | $count_words" run wordfreq README.md docs/isa.md
  same c/count docs/format.md "$count_words | head -5" run wordfreq -n 5
  same c/empty "$scratch/empty" true run wordfreq
  run_expect wasm/c/missing 1 "" run wordfreq no-such-file
  check wasm/c/message "wordfreq: no-such-file: No such file or directory" "$(cat "$scratch/stderr")"
fi
if build cat samples/wasm-c/cat.c "$clang" "$clang" --target=wasm32 -O2 -nostdlib \
  -isystem stdlib/guest/c -Wl,--no-entry samples/wasm-c/cat.c -o; then
  same c/cat "$scratch/binary" sha256sum bash -c "'$ATOLL' run '$built/cat.wasm' | sha256sum"
  same c/cat/files LICENSE "cat LICENSE README.md" run cat LICENSE README.md
  run_expect wasm/c/cat/missing 1 "$(cat LICENSE)" run cat no-such-file LICENSE
  check wasm/c/cat/message "cat: no-such-file: no such file" "$(cat "$scratch/stderr")"
  run_expect wasm/c/cat/refused 1 "" run cat /etc/passwd
fi
if build primes samples/wasm-c/primes.c "$clang" "$clang" --target=wasm32 -O2 -nostdlib \
  -isystem stdlib/guest/c -Wl,--no-entry samples/wasm-c/primes.c stdlib/guest/c/atoll_process.c -o; then
  run_expect wasm/c/primes 0 "17984 primes below 200000, 2 crashes" run primes
  run_expect wasm/c/primes/few 0 "4 primes below 10, 0 crashes" run primes 10
  run_expect wasm/c/primes/wrong 2 "" run primes x
fi

if build echo samples/wasm-c/echo.c /usr/lib/wasm32-wasi/libc.a \
  "$clang" "${wasi[@]}" -isystem stdlib/guest/c/sockets -isystem stdlib/guest/c samples/wasm-c/echo.c stdlib/guest/c/atoll_socket.c -o; then
  timeout 60 "$ATOLL" run --net listen:127.0.0.1:0 "$built/echo.wasm" 127.0.0.1 0 >"$scratch/served" 2>&1 &
  server=$!
  for _ in $(seq 300); do
    grep -q port "$scratch/served" && break
    sleep 0.1
  done
  check wasm/c/echo "b'hello' b''" "$(python3 -c 'import socket, sys
one, two = (socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=30) for _ in range(2))
one.sendall(b"hello")
print(one.recv(10), end=" ")
two.sendall(b"quit\n")
print(two.recv(10))' "$(grep -oE '[0-9]+$' "$scratch/served")")"
  wait $server && ok wasm/c/echo/end || not_ok wasm/c/echo/end "$(<"$scratch/served")"
fi

if build json_pretty samples/wasm-cpp/json_pretty.cpp /usr/lib/wasm32-wasi/libc++.a \
  clang++-16 "${wasi[@]}" -isystem /usr/include/wasm32-wasi/c++/v1 -fno-exceptions -std=c++20 \
  samples/wasm-cpp/json_pretty.cpp -o; then
  pretty='python3 -m json.tool --no-ensure-ascii'
  echo '[1, -2.5e+30, 0, [], {}, "a\\b\"c", {"x": {"y": [null, true, false]}}, "ü"]' >"$scratch/json"
  same cpp/values "$scratch/json" "$pretty" run json_pretty
  same cpp/file LICENSE "$pretty CMakePresets.json" run json_pretty CMakePresets.json
  python3 -c 'import json, random; random.seed(1)
print(json.dumps([{str(k): [random.random(), "text" * (k % 7)]} for k in range(2000)]))' \
    >"$scratch/json"
  same cpp/large "$scratch/json" "$pretty" run json_pretty
  run_expect wasm/cpp/wrong 1 "" run json_pretty LICENSE
  check wasm/cpp/message "json_pretty: a digit was expected at byte 0" "$(cat "$scratch/stderr")"
fi
# The same program by CMake, which also finds the header of Atoll's own calls.
if [[ -e /usr/lib/wasm32-wasi/libc++.a ]]; then
  if cmake -G Ninja -S samples/wasm-cpp -B "$scratch/cmake" -DCMAKE_BUILD_TYPE=Release \
    -DCMAKE_TOOLCHAIN_FILE="$root/stdlib/guest/c/atoll-wasi.cmake" >"$scratch/log" 2>&1 &&
    cmake --build "$scratch/cmake" >>"$scratch/log" 2>&1; then
    same cpp/cmake LICENSE "python3 -m json.tool CMakePresets.json" \
      "$ATOLL" run --dir-ro . "$scratch/cmake/json_pretty.wasm" CMakePresets.json
  else
    not_ok wasm/cpp/cmake "does not build"
    tail -20 "$scratch/log" | sed 's/^/    /'
  fi
fi

rust_library=(/usr/lib/rustlib/wasm32-wasi/lib/libstd-*.rlib)
if build base64 samples/wasm-rust/base64.rs "${rust_library[0]}" /usr/bin/rustc --edition 2021 \
  --target wasm32-wasi -O -C linker=wasm-ld-16 samples/wasm-rust/base64.rs -o; then
  for file in "$scratch/binary" "$scratch/empty" LICENSE; do
    same "rust/${file##*/}" "$file" base64 run base64
  done
  same rust/columns LICENSE "base64 -w 0 docs/isa.md" run base64 -w 0 docs/isa.md
  base64 <"$scratch/binary" >"$scratch/text"
  same rust/decode "$scratch/text" "base64 -d | sha256sum" \
    bash -c "'$ATOLL' run '$built/base64.wasm' -d | sha256sum"
  run_expect wasm/rust/wrong 1 "" run base64 -d LICENSE
  check wasm/rust/message "base64: invalid input" "$(cat "$scratch/stderr")"
  run_expect wasm/rust/missing 1 "" run base64 no-such-file
fi

if build processes samples/wasm-rust/processes.rs "${rust_library[0]}" /usr/bin/rustc --edition 2021 \
  --target wasm32-wasi -O -C linker=wasm-ld-16 -C link-arg=--export=worker samples/wasm-rust/processes.rs -o; then
  # As many workers as one likes, and one more that panics.
  run_expect wasm/rust/processes 0 "17647 takes 278 steps; 4 results, 1 worker failed" run processes
  run_expect wasm/rust/processes/workers 0 "2919 takes 216 steps; 7 results, 1 worker failed" run processes 3000 7
  run_expect wasm/rust/processes/wrong 1 "" run processes 3 7
fi

# Go from 1.21 on knows wasip1. It finds files below directories with absolute names only.
go_run() { "$ATOLL" run --dir-ro .::/ "$built/sumtree.wasm" "$@"; }
if ! go tool dist list 2>/dev/null | grep -qx wasip1/wasm; then
  skip wasm/sumtree "no Go 1.21 or later (see samples/wasm-go/README.md)"
elif build sumtree samples/wasm-go/sumtree.go go \
  env GOOS=wasip1 GOARCH=wasm go build -C samples/wasm-go -o; then
  same go/input "$scratch/binary" sha512sum go_run
  # In the order of Go: directories and files by name.
  same go/tree LICENSE 'find stdlib/host -type f | sort | xargs sha512sum' go_run stdlib/host
  same go/skip LICENSE 'find docs vm/base ! -name "*.md" -type f | sort | xargs sha512sum' \
    go_run -skip '*.md' docs vm/base
  run_expect wasm/go/missing 1 "" go_run no-such-directory
fi

asc=$root/build/npm/node_modules/.bin/asc
if build cksum samples/wasm-assemblyscript/cksum.ts "$asc" \
  "$asc" samples/wasm-assemblyscript/cksum.ts -O --use abort= -o; then
  same assemblyscript/input "$scratch/binary" cksum run cksum
  same assemblyscript/empty "$scratch/empty" cksum run cksum
  same assemblyscript/files LICENSE "cksum LICENSE docs/isa.md" run cksum LICENSE docs/isa.md
  run_expect wasm/assemblyscript/missing 1 "" run cksum no-such-file
fi

if build rot13 samples/wasm-wat/rot13.wat wat2wasm wat2wasm samples/wasm-wat/rot13.wat -o; then
  same wat/module docs/isa.md "tr A-Za-z N-ZA-Mn-za-m" run rot13
  same wat/text docs/isa.md "tr A-Za-z N-ZA-Mn-za-m" "$ATOLL" run samples/wasm-wat/rot13.wat
  same wat/binary "$scratch/binary" "tr A-Za-z N-ZA-Mn-za-m | sha256sum" \
    bash -c "'$ATOLL' run '$built/rot13.wasm' | sha256sum"
fi
