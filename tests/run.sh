#!/usr/bin/env bash
# Every suite that a change must pass; called by `./dev test`, which documents the arguments.
# A passing suite prints its summary, a failing one everything. The last line is the sum.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

long=0 seed="" resume="" fuzz_seconds="" filter=""
while (($#)); do
  case $1 in
    --long) long=1 ;;
    --seed) seed=${2:?--seed needs a number} && shift ;;
    --resume) resume=${2:?--resume needs NAME:K} && shift ;;
    --fuzz-seconds) fuzz_seconds=${2:?--fuzz-seconds needs a number} && shift ;;
    -*) echo "tests: unknown option $1" >&2 && exit 2 ;;
    *) filter=$1 ;;
  esac
  shift
done
: "${fuzz_seconds:=$((long ? 300 : 5))}"
# A change is to pass or fail by what it is; what is new is looked for at length.
: "${seed:=$((long ? RANDOM * 32768 + RANDOM : 1))}"

passed=0 failed=0 skipped=0 matched=0 took=""
failures=()
log=$(mktemp)
trap 'rm -f "$log"' EXIT
export UBSAN_OPTIONS=print_stacktrace=1
unset ATOLL_TIER

fail() { # LABEL COUNT REASON: shows the log of the suite that just ran
  failed=$((failed + $2))
  failures+=("FAILED $1: $3")
  # With the first things that it complains of: of a long output often only the end is kept.
  local complaint='^not ok |ERROR: |^TEST CASE: |SUMMARY: ' line
  while read -r line; do
    failures+=("  ${line:0:160}")
  done < <(grep -aE "$complaint" "$log" | head -6)
  sed "s|^|$1: |" "$log"
  echo "$1: FAILED: $3"
}

# True when the suites called LABEL are asked for.
wanted() {
  [[ $1 == *"$filter"* ]] || return 1
  matched=1
}

# Runs COMMAND with its output in the log, for at most SECONDS; leaves in `took` how long it took.
limited() {
  local start=$SECONDS status=0
  timeout --kill-after=10 "$@" >"$log" 2>&1 </dev/null || status=$?
  took="$((SECONDS - start)) s"
  return $status
}

# doctest_suite LABEL COMMAND...
doctest_suite() {
  local label=$1 status=0 line
  shift
  limited 1500 "$@" --no-colors || status=$?
  line=$(grep '^\[doctest\] test cases:' "$log" | tail -1)
  local numbers
  read -r -a numbers <<<"$(tr -cd '0-9 \n' <<<"$line")"
  # The summary's numbers: all, passed, failed, skipped.
  if [[ -z $line ]] || ((${#numbers[@]} < 4)); then
    fail "$label" 1 "no summary, exit status $status"
  elif ((status != 0 || numbers[2] > 0)); then
    passed=$((passed + numbers[1]))
    fail "$label" "$((numbers[2] > 0 ? numbers[2] : 1))" "exit status $status"
  else
    passed=$((passed + numbers[1]))
    echo "$label: ${line#\[doctest\] } ($took)"
    if ((numbers[3] > 0)) && [[ $* == *--source-file-exclude=* ]]; then
      echo "$label: ${numbers[3]} test cases run elsewhere only: ${*##*--source-file-exclude=}"
    elif ((numbers[3] > 0)); then
      skipped=$((skipped + numbers[3]))
      echo "$label: SKIPPED: ${numbers[3]} test cases left out"
    fi
  fi
}

# line_suite LABEL COMMAND...: counts lines 'ok', 'not ok' and 'skip'.
line_suite() {
  local label=$1 status=0 good bad left
  shift
  limited $((long ? 86400 : 900)) "$@" || status=$?
  good=$(grep -c '^ok ' "$log")
  bad=$(grep -c '^not ok ' "$log")
  left=$(grep -c '^skip ' "$log")
  passed=$((passed + good))
  skipped=$((skipped + left))
  if ((bad > 0)); then
    fail "$label" "$bad" "$bad checks"
  elif ((status != 0)); then
    fail "$label" 1 "exit status $status after $good checks"
  elif ((good + left == 0)); then
    fail "$label" 1 "nothing was checked"
  else
    echo "$label: $good ok ($took)"
    grep '^skip ' "$log" | sed "s|^skip|$label: SKIPPED:|"
  fi
}

# What is built of a preset; else everything.
targets_tsan="unit_tests atoll"
targets_gcc="atoll wast-runner isa_tests diff_tests"  # of the tests' sources, the AArch64 build is gcc's, too

compile() { # PRESET
  local targets=targets_$1
  # Unquoted: a list of words.
  ./dev build "$1" ${!targets:-}
}

# Most suites use one CPU, so the presets after the first are built meanwhile, at a low priority:
# $ahead/PRESET.log is what the build printed, $ahead/PRESET its exit status and seconds.
ahead=""
build_ahead() {
  ahead=$(mktemp -d)
  set -m  # a process group of its own, to end it as a whole
  (
    for preset in "$@"; do
      start=$SECONDS status=0
      nice -n 10 "$BASH" -c "$(declare -p targets_tsan targets_gcc; declare -f compile); compile $preset" \
        >"$ahead/$preset.log" 2>&1 </dev/null || status=$?
      echo "$status $((SECONDS - start))" >"$ahead/$preset.new"
      mv "$ahead/$preset.new" "$ahead/$preset"
    done
  ) &
  builder=$!
  set +m
  trap 'kill -- -"$builder" 2>/dev/null; rm -rf "$log" "$ahead"' EXIT
}

# Builds PRESET once; a failed build fails once and its suites are left out.
declare -A built=()
build() {
  local preset=$1 start=$SECONDS status=0 seconds
  if [[ -z ${built[$preset]:-} ]]; then
    built[$preset]=yes
    if [[ -n $ahead ]]; then
      while [[ ! -e $ahead/$preset ]] && kill -0 "$builder" 2>/dev/null; do sleep 1; done
      cp "$ahead/$preset.log" "$log"
      read -r status seconds <"$ahead/$preset" || status=1
    else
      compile "$preset" >"$log" 2>&1 || status=$?
      seconds=$((SECONDS - start))
    fi
    if ((status == 0)); then
      echo "$preset: built in $seconds s"
    else
      built[$preset]=failed
      fail "$preset/build" 1 "does not build; its suites did not run"
    fi
  fi
  [[ ${built[$preset]} == yes ]]
}

# in_tier TIER PRESET KIND ARGUMENT...: the suites of KIND (doctest or shell) once more, in that tier.
in_tier() {
  local -x ATOLL_TIER=$1
  "$3_suites" "$2" "${@:4}"
}

# doctest_suites PRESET SUITES [COMMAND-PREFIX...]: programs of the test folders that SUITES names.
# Neither ThreadSanitizer nor the emulator lets a child of a program with threads start its own. Under
# ThreadSanitizer, files of tests that have no second thread are left out, too; for AArch64 there are
# neither libarchive nor libcrypto.
leaves_tsan="*policy_test*,*vnet_*_test*,*sched_sim_test*,*wasm_*_test*,*vfs_volume_loss_test*"
leaves_aarch64="*vfs_volume_loss_test*,*vnet_property_test*,*/image_test*,*/c_image_test*"
every_suite="unit isa verify link asm diff"
doctest_suites() {
  local preset=$1 suites=$2 suite label leaves=leaves_$1
  shift 2
  for suite in $suites; do
    label=$preset/$suite${ATOLL_TIER:+, $ATOLL_TIER}
    compgen -G "tests/$suite/*.cpp" >/dev/null || continue
    wanted "$label" && build "$preset" || continue
    doctest_suite "$label" "$@" "build/$preset/bin/${suite}_tests" \
      ${!leaves:+"--source-file-exclude=${!leaves}"}
  done
}

# shell_suites PRESET ATOLL PLACE...: a place is a folder of scripts, or one script without its .sh.
shell_suites() {
  local preset=$1 atoll=$2 place script label
  for place in "${@:3}"; do
    for script in tests/"$place"/*.sh tests/"$place".sh; do
      label=$preset/${script#tests/} label=${label%.sh}${ATOLL_TIER:+, $ATOLL_TIER}
      if [[ -e $script && ! -x $script ]] && wanted "$label" && grep -q '^#!' "$script"; then
        : >"$log"
        fail "$label" 1 "$script is not executable"
      fi
      [[ -x $script ]] && wanted "$label" && build "$preset" || continue
      ATOLL=$atoll ATOLL_PRESET=$preset line_suite "$label" "$script"
    done
  done
}

echo "seed $seed"

if [[ -z $filter ]]; then
  build release
  build_ahead asan tsan gcc aarch64
fi
doctest_suites release "$every_suite"
shell_suites release "$PWD/build/release/atoll" house docs cli guest samples diff conformance stress package
in_tier jit release doctest unit
in_tier jit release shell "$PWD/build/release/atoll" guest samples stress/guests
in_tier interp release shell "$PWD/build/release/atoll" guest samples

ATOLL_GENERATED_COUNT=300 ATOLL_DAMAGES=300 doctest_suites asan "$every_suite"
shell_suites asan "$PWD/build/asan/atoll" cli samples conformance package/samples package/kvstore
for source in tests/fuzz/*_fuzz.cpp; do
  name=$(basename "$source" _fuzz.cpp)
  [[ -e $source ]] && wanted "asan/fuzz/$name" && build asan || continue
  if limited $((fuzz_seconds + 300)) tests/fuzz.sh "$name" "$fuzz_seconds" "$seed"; then
    passed=$((passed + 1))
    echo "asan/fuzz/$name: $(grep -a '^Done' "$log" || echo "ran $fuzz_seconds s")"
  else
    fail "asan/fuzz/$name" 1 "see the input that it names"
  fi
done

# Only what has threads: the scheduler, the event loop and its pool, host calls, interrupts.
doctest_suites tsan unit
shell_suites tsan "$PWD/build/tsan/atoll" cli/limits package/samples package/kvstore
# ThreadSanitizer puts signals off until code that it has instrumented runs: in machine code, for ever.
in_tier interp tsan shell "$PWD/build/tsan/atoll" cli/interrupt

doctest_suites gcc "isa diff"
shell_suites gcc "$PWD/build/gcc/atoll" conformance/spec cli/run

# -R: qemu-user keeps a record of each page of address space ever used, 24 MiB for each memory of
# 4 GiB; inside a fixed range it uses addresses again. Such a memory still takes 50 ms to make. It
# looks for them downward from where it found the last, and at the range's lower end qemu 7.2 gives up.
emulator="qemu-aarch64 -R 128G -L /usr/aarch64-linux-gnu"
# The verifier and the assembler are the same code for all CPUs, and slow to emulate.
ATOLL_EMULATED=1 ATOLL_GENERATED_COUNT=100 ATOLL_WASM_COUNT=10 \
  doctest_suites aarch64 "unit isa link diff" $emulator
if [[ -e build/aarch64/atoll ]]; then
  # A program of its own, as suites call $ATOLL by name.
  printf '#!/bin/sh\nexec %s %q "$@"\n' "$emulator" "$PWD/build/aarch64/atoll" \
    >build/aarch64/atoll-emulated
  chmod +x build/aarch64/atoll-emulated
  shell_suites aarch64 "$PWD/build/aarch64/atoll-emulated" samples cli/snapshot
fi

if wanted format; then
  if ./dev fmt --check >"$log" 2>&1; then
    passed=$((passed + 1))
    echo "format: ok"
  else
    fail format 1 "run ./dev fmt"
  fi
fi

if ((long)); then
  for preset in asan tsan; do in_tier jit $preset doctest unit; done
  in_tier auto release doctest unit
  for script in tests/long/*.sh tests/programs/*.sh; do
    name=$(basename "$script" .sh)
    [[ -x $script ]] && wanted "long/$name" && build release || continue
    # --resume NAME:K goes on inside NAME and leaves out what ran before it.
    point=0
    if [[ -n $resume ]]; then
      [[ $name == "${resume%%:*}" ]] || continue
      point=${resume#*:} resume=""
    fi
    ATOLL=$PWD/build/release/atoll line_suite "long/$name" "$script" --seed "$seed" --resume "$point"
  done
fi

if ((!matched)); then
  echo "no suite has '$filter' in its label"
  failed=1
fi
echo
for failure in "${failures[@]}"; do echo "$failure"; done
summary="$passed passed, $failed failed"
((skipped)) && summary+=", $skipped skipped"
echo "$summary"
((failed == 0))
