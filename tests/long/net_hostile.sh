#!/usr/bin/env bash
# Hostile clients of one tenant: slow readers, half-open peers, floods of connections and datagrams, resets. Prints how late the
# other tenant's answers are beside those without a load.
source "$(dirname "$0")/../lib.sh"
source "$root/tests/net/hostile.sh"
hostile 2 9
