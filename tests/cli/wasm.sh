#!/usr/bin/env bash
# WebAssembly on the command line: run with --invoke, --argv0 and --unknown-imports, translate, text
# files, and the other tools on WebAssembly.
source "$(dirname "$0")/../lib.sh"
if ! command -v wat2wasm >/dev/null; then
  skip "WebAssembly on the command line" "no wat2wasm (apt-get install wabt)"
  exit 0
fi
cd "$scratch" || exit 1

cat >math.wat <<'WAT'
(module $math
  (memory (export "memory") 1)
  (global (export "count") (mut i32) (i32.const 0))
  (func (export "add") (param $a i32) (param $b i32) (result i32)
    (i32.add (local.get $a) (local.get $b)))
  (func $divide (export "divide") (param i64 i64) (result i64 i64)
    (i64.div_s (local.get 0) (local.get 1))
    (i64.rem_s (local.get 0) (local.get 1)))
  (func (export "half") (param f64) (result f64) (f64.mul (local.get 0) (f64.const 0.5)))
  (func (export "same") (param f32) (result f32) (local.get 0))
  (func (export "nothing"))
  (func (export "nulls") (param funcref externref) (result i32)
    (i32.add (ref.is_null (local.get 0)) (ref.is_null (local.get 1))))
  (func (export "references") (result externref funcref) (ref.null extern) (ref.func $divide))
  (func (export "endless") (loop (br 0))))
WAT
cat >extra.wat <<'WAT'
;; Imports a function that nobody has.
(module
  (import "env" "absent" (func $absent (param i32) (result i32)))
  (func $helper (result i32) (call $absent (i32.const 1)))
  (func (export "calls") (result i32) (call $helper))
  (func (export "five") (result i32) (i32.const 5))
  (func (export "_start")))
WAT
cat >reactor.wat <<'WAT'
(module
  (global $state (mut i32) (i32.const 1))
  (func $start (global.set $state (i32.mul (global.get $state) (i32.const 2))))
  (func (export "_initialize") (global.set $state (i32.add (global.get $state) (i32.const 3))))
  (func (export "state") (result i32) (global.get $state))
  (start $start))
WAT
cat >arguments.wat <<'WAT'
;; Prints its arguments as they lie in memory, each with a NUL.
(module
  (import "wasi_snapshot_preview1" "args_get" (func $args_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $args_sizes_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    (drop (call $args_sizes_get (i32.const 0) (i32.const 12)))
    (drop (call $args_get (i32.const 100) (i32.const 1000)))
    (i32.store (i32.const 8) (i32.const 1000))
    (drop (call $fd_write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 4)))))
WAT
echo '(module (func (export "f") (drop (v128.const i32x4 1 2 3 4))))' >simd.wat
echo '(module (func' >broken.wat
for name in math extra reactor arguments simd; do
  wat2wasm --debug-names $name.wat -o $name.wasm || not_ok "wat2wasm $name.wat" "it failed"
done
head -c 100 math.wasm >cut.wasm
head -c 8 math.wasm >empty.wasm
head -c 7 math.wasm >header.wasm
printf '\0asm\r\0\1\0' >component.wasm

# refused NAME STATUS MESSAGE COMMAND...: nothing on standard output, exactly MESSAGE on standard error.
refused() {
  local name=$1 message=$3
  run_expect "$name" "$2" "" "${@:4}"
  check "$name: message" "$message" "$(cat stderr)"
}
invoke() { "$ATOLL" run --invoke "$@"; }

# --- run --invoke ---
run_expect "--invoke" 0 3 invoke add math.wasm 1 2
run_expect "--invoke in text" 0 3 invoke add math.wat 1 2
run_expect "--invoke: from standard input" 0 3 bash -c "'$ATOLL' run --invoke add - 1 2 <math.wasm"
run_expect "--invoke: negative and hexadecimal numbers" 0 -2 invoke add math.wasm -1 0xffffffff
run_expect "--invoke: several results" 0 $'-3\n-1' invoke divide math.wasm -7 2
run_expect "--invoke: limits of i64" 0 $'-9223372036854775808\n0' invoke divide math.wasm 0x8000000000000000 1
run_expect "--invoke: f64" 0 0.75 invoke half math.wasm 1.5
run_expect "--invoke: infinity" 0 -inf invoke half math.wasm -inf
run_expect "--invoke: a NaN with its bits" 0 nan:0x200001 invoke same math.wasm nan:0x200001
run_expect "--invoke: no result" 0 "" invoke nothing math.wasm
run_expect "--invoke: null references" 0 2 invoke nulls math.wasm null null
run_expect "--invoke: references as results" 0 $'null\nfuncref' invoke references math.wasm
run_expect "--invoke: after the start function and _initialize" 0 5 invoke state reactor.wasm
run_expect "--invoke: _initialize itself" 0 "" invoke _initialize reactor.wasm
refused "--invoke: a trap" 134 $'atoll: trap: integer divide by zero\n  at divide (word 1)' invoke divide math.wasm 1 0
refused "--invoke: fuel" 152 "atoll: all fuel consumed" bash -c "'$ATOLL' run --fuel 100 --invoke endless math.wasm 2>&1 | head -1 >&2; exit \${PIPESTATUS[0]}"
run_expect "--invoke: time" 124 "" "$ATOLL" run --time 50ms --invoke endless math.wasm
refused "--invoke: no such function" 126 \
  'atoll: --invoke: the module exports no function `none`; `atoll inspect` lists them' invoke none math.wasm
refused "--invoke: no function" 126 \
  'atoll: --invoke: the module exports no function `count`; `atoll inspect` lists them' invoke count math.wasm
refused "--invoke: too few arguments" 2 'atoll: --invoke: `add` takes 2 arguments, not 1' invoke add math.wasm 1
refused "--invoke: too many arguments" 2 'atoll: --invoke: `add` takes 2 arguments, not 3' invoke add math.wasm 1 2 3
for word in x "" 4294967296 -2147483649 1.5 0x "1 "; do
  refused "--invoke: no i32: '$word'" 2 "atoll: --invoke: \`$word\` is not of type i32" invoke add math.wasm 1 "$word"
done
refused "--invoke: no float" 2 'atoll: --invoke: `one` is not of type f64' invoke half math.wasm one
refused "--invoke: a reference that is not null" 2 'atoll: --invoke: `1` is not of type externref' invoke nulls math.wasm null 1
printf 'export func twice(x: i32) -> i32 { ret (i32.add x, x) }\n' >twice.atoll
run_expect "--invoke in a source" 0 42 invoke twice twice.atoll 21

# --- run: entries, --argv0, --unknown-imports ---
refused "no entry" 126 \
  'atoll: math: no exported function `main` of type () -> i32 or (), nor `_start` or `_initialize` of type ()' \
  "$ATOLL" run math.wasm
arguments() { "$ATOLL" run "$@" | tr '\0' ' '; }
run_expect "arguments of a program" 0 "arguments.wasm one two " arguments arguments.wasm one two
run_expect "--argv0" 0 "another name one " arguments --argv0 "another name" arguments.wasm one
run_expect "--argv0: empty" 0 " one " arguments --argv0 "" arguments.wasm one
message='atoll: import "env" "absent": unknown import: nothing here gives a function of type (i32) -> i32'
refused "an unknown import" 126 "$message" "$ATOLL" run extra.wasm
refused "--unknown-imports error" 126 "$message" "$ATOLL" run --unknown-imports error extra.wasm
run_expect "--unknown-imports=trap" 0 "" "$ATOLL" run --unknown-imports=trap extra.wasm
run_expect "--unknown-imports trap: others can be called" 0 5 "$ATOLL" run --unknown-imports trap --invoke five extra.wasm
run_expect "--unknown-imports trap: a call of it" 134 "" "$ATOLL" run --unknown-imports trap --invoke calls extra.wasm
check_contains "--unknown-imports trap: message" "atoll: trap: call of an import that nobody provides
  at helper (word " "$(cat stderr)"
refused "--unknown-imports: something else" 2 \
  'atoll: run: --unknown-imports: error or trap; see `atoll run --help`' "$ATOLL" run --unknown-imports maybe extra.wasm

# --- translate ---
run_expect "translate" 0 "" "$ATOLL" translate math.wasm
run_expect "a translated module runs" 0 3 invoke add math.atb 1 2
run_expect "translate: text" 0 "" "$ATOLL" translate math.wat -o text.atb
cmp -s math.atb text.atb && ok "text and binary become the same module" || not_ok "text and binary become the same module" "they differ"
"$ATOLL" translate - -o - <math.wasm >piped.atb
cmp -s math.atb piped.atb && ok "translate in a pipe" || not_ok "translate in a pipe" "it gives another module"
"$ATOLL" translate --strip math.wasm -o stripped.atb
[[ $(stat -c %s stripped.atb) -lt $(stat -c %s math.atb) ]] && ok "translate --strip is smaller" ||
  not_ok "translate --strip is smaller" "$(stat -c %s stripped.atb math.atb | tr '\n' ' ')"
run_expect "a stripped module runs" 0 3 invoke add stripped.atb 1 2
run_expect "translated modules verify" 0 "" "$ATOLL" check math.atb stripped.atb
refused "translate: a source" 1 'atoll: twice.atoll: 0x0: magic header not detected: WebAssembly begins with "\0asm"' \
  "$ATOLL" translate twice.atoll
refused "translate: a module file" 1 'atoll: math.atb: 0x0: magic header not detected: WebAssembly begins with "\0asm"' \
  "$ATOLL" translate math.atb -o x.atb
refused "translate: a missing file" 1 "atoll: none.wasm: No such file or directory" "$ATOLL" translate none.wasm
[[ ! -e x.atb && ! -e twice.atb && ! -e none.atb ]] && ok "nothing is written after mistakes" ||
  not_ok "nothing is written after mistakes" "$(ls -- *.atb)"

# --- dis, check, inspect ---
"$ATOLL" dis math.wasm -o math.atoll
check_contains "dis shows names" 'export func add "add"' "$(cat math.atoll)"
"$ATOLL" asm math.atoll -o again.atb
cmp -s math.atb again.atb && ok "dis and asm give the translation" || not_ok "dis and asm give the translation" "they differ"
check "dis of text" "$(cat math.atoll)" "$("$ATOLL" dis math.wat)"
run_expect "check" 0 "" "$ATOLL" check math.wasm math.wat extra.wasm empty.wasm
run_expect "inspect of WebAssembly shows its translation" 0 "$("$ATOLL" inspect math.atb)" "$ATOLL" inspect math.wasm
check_contains "inspect shows types" "function divide (i64, i64) -> i64, i64" "$("$ATOLL" inspect math.wat)"
check_contains "inspect shows unknown imports" "function env.absent (i32) -> i32  [not a host call]" "$("$ATOLL" inspect extra.wasm)"

# --- What is no WebAssembly that Atoll knows: the same message from all ---
# all_refuse FILE MESSAGE
all_refuse() {
  refused "run $1" 126 "atoll: $1: $2" "$ATOLL" run "$1"
  for command in check dis inspect translate; do
    refused "$command $1" 1 "atoll: $1: $2" "$ATOLL" $command "$1"
  done
}
simd="0x1e (function \$f (0)): an instruction belongs to the SIMD proposal, which is not supported"
all_refuse simd.wasm "$simd"
all_refuse simd.wat "$simd"
all_refuse cut.wasm "$("$ATOLL" check cut.wasm 2>&1 | sed 's/^atoll: cut.wasm: //')"
check_contains "a truncated module: place and reason" "unexpected end: the export section has" "$(cat stderr)"
all_refuse header.wasm "0x4: unexpected end"
all_refuse component.wasm "0x4: a component belongs to the component model, which is not supported"
for command in run check dis inspect translate; do
  run_expect "$command: broken text" $([[ $command == run ]] && echo 126 || echo 1) "" "$ATOLL" $command broken.wat
  check_contains "$command: broken text: message" "atoll: broken.wat: wat2wasm refused it" "$(cat stderr)"
  [[ $(grep -o broken.wat stderr | wc -l) == 1 ]] && ok "$command: the file is named once" ||
    not_ok "$command: the file is named once" "$(cat stderr)"
done
no_wabt="WebAssembly text needs wabt's wat2wasm (apt-get install wabt): No such file or directory"
refused "run: no wat2wasm" 126 "atoll: math.wat: $no_wabt" env PATH=/nonexistent "$ATOLL" run math.wat
for command in check dis inspect translate; do
  refused "$command: no wat2wasm" 1 "atoll: math.wat: $no_wabt" env PATH=/nonexistent "$ATOLL" $command math.wat
done
run_expect "binaries need no wat2wasm" 0 3 env PATH=/nonexistent "$ATOLL" run --invoke add math.wasm 1 2
