# What shell suites share: `source "$(dirname "$0")/../lib.sh"`. A suite runs the command as $ATOLL,
# keeps files in $scratch (removed at the end), and prints one line for each check:
#   ok NAME | not ok NAME: why | skip NAME: why
# It ends with status 1 when any check failed. Standalone: `tests/cli/X.sh` uses the release build.
set -u
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
ATOLL=${ATOLL:-$root/build/release/atoll}
export LC_ALL=C
scratch=$(mktemp -d)
lib_failures=0
trap 'status=$?; rm -rf "$scratch"; ((status == 0 && lib_failures > 0)) && status=1; exit $status' EXIT

ok() { echo "ok $1"; }
not_ok() {
  echo "not ok $1: $2"
  lib_failures=$((lib_failures + 1))
}
skip() { echo "skip $1: $2"; }

# check NAME EXPECTED ACTUAL: two strings are the same.
check() {
  if [[ $2 == "$3" ]]; then
    ok "$1"
  else
    not_ok "$1" "texts differ (< expected, > actual)"
    diff <(printf '%s\n' "$2") <(printf '%s\n' "$3") | head -40 | sed 's/^/    /'
  fi
}

# check_contains NAME PART ACTUAL: ACTUAL has PART in it.
check_contains() {
  if [[ $3 == *"$2"* ]]; then
    ok "$1"
  else
    not_ok "$1" "'$2' is not in:"
    printf '%s\n' "$3" | head -40 | sed 's/^/    /'
  fi
}

# run_expect NAME STATUS OUTPUT COMMAND...: COMMAND ends with STATUS and writes exactly OUTPUT (less
# the newlines at its end) to standard output. Its standard error is left in $scratch/stderr.
run_expect() {
  local name=$1 status=$2 output=$3 actual
  shift 3
  local got=0
  actual=$("$@" 2>"$scratch/stderr") || got=$?
  if ((got != status)); then
    not_ok "$name" "exit status $got, expected $status"
    head -20 "$scratch/stderr" | sed 's/^/    /'
  else
    check "$name" "$output" "$actual"
  fi
}

# seeded_options COUNT ARGS...: of a suite that is started with [--seed N] [--resume POINT] [--count N];
# sets seed, point and count.
seeded_options() {
  seed=1 point=0 count=$1
  shift
  while (($#)); do
    case $1 in
      --seed) seed=$2 ;;
      --resume) point=$2 ;;
      --count) count=$2 ;;
      *) echo "$(basename "$0"): unknown option $1" >&2 && exit 2 ;;
    esac
    shift 2
  done
}
