#!/usr/bin/env bash
# samples/supervised: a key-value store gives the right answers, whatever crashes are injected, and after a restart.
source "$(dirname "$0")/../lib.sh"
cd "$scratch" || exit 1
store() { timeout 60 "$ATOLL" run --dir . "$root/samples/supervised/supervised.atoll"; }

run_expect supervised/commands 0 "ok
ok
1
two words
store-0: trap: unreachable
1
store-1: killed
two words
store-0: trap: unreachable
ok
2
ok
none
1
none" store <<'INPUT'
set a 1
set b two words
get a
get b
crash a
get a
kill b
get b
tear a
set a 2
get a
del b
get b
count
del c
INPUT
run_expect supervised/again 0 $'2\n1' store <<<$'get a\ncount'
run_expect supervised/wrong 0 "1" store <<<$'set\nfoo bar\ncount'
check supervised/wrong-message 2 "$(grep -c '^a command is one of' stderr)"

# Against a model: random commands with crashes in between, in two runs over the same logs.
cat >model.py <<'PYTHON'
import random, sys
rng, count, keys = random.Random(int(sys.argv[1])), int(sys.argv[2]), {}
def store(key):
    value = 0x811c9dc5
    for byte in key.encode(): value = (value ^ byte) * 0x01000193 % 2**32
    return value % 4
for run in range(2):
    commands, answers = [], []
    for _ in range(count):
        key = "k%d" % rng.randrange(30)
        what = rng.choices(["set", "get", "del", "count", "crash", "tear", "kill"], [40, 40, 12, 2, 2, 2, 2])[0]
        if what == "set":
            value = "v" * rng.randrange(1, 40) + str(rng.randrange(1000))
            keys[key] = value
            answers.append("ok")
            commands.append("set %s %s" % (key, value))
            continue
        commands.append("count" if what == "count" else what + " " + key)
        if what == "get": answers.append(keys.get(key, "none"))
        elif what == "del": answers.append("ok" if keys.pop(key, None) is not None else "none")
        elif what == "count": answers.append(str(len(keys)))
        else: answers.append("store-%d: %s" % (store(key), "killed" if what == "kill" else "trap: unreachable"))
    open("commands%d" % run, "w").write("\n".join(commands) + "\n")
    open("answers%d" % run, "w").write("\n".join(answers) + "\n")
PYTHON
count=2000
[[ ${ATOLL_PRESET:-release} == release ]] || count=200
rm -f store-*.log
python3 model.py 5 $count
for run in 0 1; do
  store <commands$run >got$run 2>errors || not_ok "supervised/random $run" "$(tail -3 errors)"
  if cmp -s got$run answers$run; then
    ok "supervised/random $run"
  else
    not_ok "supervised/random $run" "$(diff got$run answers$run | head -5)"
  fi
done
