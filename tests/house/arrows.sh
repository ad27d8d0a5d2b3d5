#!/usr/bin/env bash
# The layering, by the linker: each library links against its declared dependencies alone.
source "$(dirname "$0")/../lib.sh"

if ninja -C "$root/build/release" arrows >"$scratch/log" 2>&1; then
  ok "each library links with its declared dependencies alone"
else
  not_ok "each library links with its declared dependencies alone" "see the linker's message"
  grep -v '^\[' "$scratch/log" | head -60 | sed 's/^/    /'
fi
