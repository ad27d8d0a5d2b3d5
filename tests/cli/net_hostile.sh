#!/usr/bin/env bash
# Hostile clients of one tenant beside another one, for a moment each; tests/long/net_hostile.sh for longer.
source "$(dirname "$0")/../lib.sh"
source "$root/tests/net/hostile.sh"
hostile 0.3 1
