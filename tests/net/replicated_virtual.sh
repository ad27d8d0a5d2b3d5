# `source` after lib.sh: replicated_virtual SEED has the three nodes and the client of samples/replicated on a virtual
# network whose links have faults that are drawn from the seed.
replicated_virtual() {
  local seed=$1 folder=$scratch/virtual i
  rm -rf "$folder"
  mkdir "$folder"
  cp "$root"/samples/replicated/*.atoll "$folder"
  RANDOM=$seed
  {
    printf '[network]\nseed = %d\n[switch.lan]\nprefixes = ["10.0.0.0/24"]\n' "$seed"
    for i in 0 1 2; do
      local others=(0 1 2)
      unset "others[$i]"
      printf '[[machine]]\nname = "node%d"\nmodule = "replicated.atoll"\narguments = ["%d", "10.0.0.%d", "7000"' $i $i $((i + 1))
      for j in "${others[@]}"; do printf ', "10.0.0.%d", "7000"' $((j + 1)); done
      printf ']\nnics = [{ switch = "lan", address = "10.0.0.%d", latency = "%dms", jitter = "%dms", loss = "%d%%", duplicate = "%d%%", reorder = "%d%%" }]\n' \
        $((i + 1)) $((RANDOM % 5)) $((RANDOM % 5)) $((RANDOM % 25)) $((RANDOM % 20)) $((RANDOM % 20))
    done
    printf '[[machine]]\nname = "client"\nmodule = "client.atoll"\narguments = ["40", "node0", "7000", "node1", "7000", "node2", "7000"]\n'
    printf 'nics = [{ switch = "lan", address = "10.0.0.9", loss = "%d%%" }]\n' $((RANDOM % 20))
  } >"$folder/machines.toml"
  timeout 200 "$ATOLL" up "$folder/machines.toml" >"$scratch/up" 2>&1
  if grep -q "has no .network." "$scratch/up"; then
    skip "replicated/on a virtual network, seed $seed" "this command has none"
  else
    check_contains "replicated/on a virtual network, seed $seed" "client | 40 entries on 3 nodes" "$(cat "$scratch/up")"
  fi
}
