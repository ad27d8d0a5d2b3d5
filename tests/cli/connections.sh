#!/usr/bin/env bash
# Many connections at once, each served by its own process; tests/long/connections.sh has 9,000.
source "$(dirname "$0")/../lib.sh"
source "$root/tests/net/connections.sh"
connections 300 0.2
