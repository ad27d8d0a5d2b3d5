#!/usr/bin/env bash
# 1300 programs of csmith, of which one in five has no answer natively: csmith.sh [--seed N] [--resume POINT] [--count N]; see tests/diff.
exec "$(dirname "$0")/../diff/csmith.sh" --count 1300 "$@"
