#!/usr/bin/env bash
# `atoll sched`.
source "$(dirname "$0")/../lib.sh"
cd "$scratch" || exit 1
workloads=$root/samples/workloads

cat >two.toml <<'TOML'
slice = "1ms"
[[group]]
name = "a"
weight = 3
[[group]]
name = "b <&>"
[[task]]
group = "a"
arrivals = { at = ["0s", "0s"] }
service = { list = ["3ms", "2ms"] }
TOML
run_expect "table" 0 'two.toml
policy         done per second  busy    response         p99     waiting         p99 fairness
rr                2        400  100%      4.5 ms        5 ms        2 ms        2 ms    0.992
fcfs              2        400  100%        4 ms        5 ms      1.5 ms        3 ms    0.845

CPU share of       weight     due        rr      fcfs
a                       3   2.91%   100.00%   100.00%
b <&>                 100  97.09%     0.00%     0.00%' "$ATOLL" sched --policy rr,fcfs two.toml

cat >queue.toml <<'TOML'
duration = "20s"
seed = 1
[[task]]
arrivals = { poisson = 500.0 }
service = { exponential = "1ms" }
TOML
text=$("$ATOLL" sched queue.toml)
for policy in fair rr fcfs sjf priority; do check_contains "a row of $policy" $'\n'"$policy " "$text"; done
check_contains "theory of fcfs" 'fcfs: M/M/1 predicts a mean response of 2 ms; replayed ' "$text"
check_contains "theory of rr" 'rr: M/M/1-PS predicts a mean response of 2 ms; replayed ' "$text"
check "the same each time" "$text" "$("$ATOLL" sched - <queue.toml | sed 's/<stdin>/queue.toml/')"
check_contains "two files" $'\n\ntwo.toml\n' "$("$ATOLL" sched queue.toml two.toml)"
check_contains "help names the policies" 'priority  the highest' "$("$ATOLL" sched --help)"

"$ATOLL" sched --json --svg two.svg two.toml >two.json
"$ATOLL" sched --json queue.toml --svg queue.svg >queue.json
python3 - <<'PYTHON' && ok "--json and --svg" || not_ok "--json and --svg" "see above"
import json
import xml.etree.ElementTree as xml
two, queue = json.load(open("two.json")), json.load(open("queue.json"))
assert [w["workload"] for w in two + queue] == ["two.toml", "queue.toml"]
rows = {p["policy"]: p for p in two[0]["policies"]}
assert list(rows) == ["fair", "rr", "fcfs", "sjf", "priority"]
assert rows["fcfs"]["mean_response"] == 0.004 and rows["fcfs"]["theory"] is None
assert rows["fair"]["groups"][1]["name"] == "b <&>" and len(rows["fair"]["groups"][0]["parts"]) == 50
theory = {p["policy"]: p["theory"] for p in queue[0]["policies"]}
assert theory["fcfs"]["model"] == "M/M/1" and abs(theory["fcfs"]["mean_response"] - 0.002) < 1e-9
assert abs(theory["fcfs"]["difference"]) < 0.1
for name, lines in ("two", 5 + 10), ("queue", 5):
    root = xml.parse(name + ".svg").getroot()
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    paths = [p for p in root.iter("{http://www.w3.org/2000/svg}path")]
    assert sum(p.get("class").startswith("line") and len(p.get("d")) > 100 for p in paths) == lines, name
    assert "prefers-color-scheme: dark" in root.find("{http://www.w3.org/2000/svg}style").text
PYTHON

for file in "$workloads"/*.toml; do
  [[ $ATOLL == *release* ]] || break # minutes under an emulator or sanitizers
  "$ATOLL" sched --policy fair,fcfs "$file" >out 2>err && ok "sample $(basename "$file")" ||
    not_ok "sample $(basename "$file")" "$(cat err)"
done

# hostile NAME MESSAGE TEXT
hostile() {
  printf '%s' "$3" >hostile.toml
  run_expect "$1" 1 "" timeout 20 "$ATOLL" sched hostile.toml
  check_contains "$1: message" "$2" "$(cat stderr)"
}
task=$'[[task]]\nservice = "1ms"\narrivals ='
hostile "no TOML" 'atoll: hostile.toml:1:' 'a = = b'
hostile "an empty file" 'atoll: hostile.toml:1:1: there is no [[task]]' ''
hostile "control characters" 'atoll: hostile.toml:1:' $'\x01\x1b[31m = 1'
hostile "a missing key" 'hostile.toml:1:1: a task needs `service`' '[[task]]'
hostile "an unknown key" 'hostile.toml:4:1: a task has no `x`' "$task { closed = 1 }"$'\nx = 1'
hostile "no end" 'has no end: give it a `count`, or the workload a `duration`' "$task { poisson = 1.0 }"
hostile "a negative rate" 'hostile.toml:3:24: `poisson` must be' "$task { poisson = -1.0 }"
hostile "not a number" 'hostile.toml:3:24: `poisson` must be' "$task { poisson = nan }"
hostile "a huge rate" 'too large' $'duration = "9999s"\n'"$task { poisson = 1e9 }"
hostile "a huge count" 'hostile.toml:4:9: `count` must be' "$task { closed = 1 }"$'\ncount = 99999999999'
hostile "a count beyond all" 'hostile.toml:4:' "$task { closed = 1 }"$'\ncount = 99999999999999999999'
hostile "many processes" 'must be an integer from 1 to 1000000' "$task { closed = 1000000000 }"$'\ncount = 1'
hostile "deep nesting" 'hostile.toml:1:' "a = $(printf '[%.0s' {1..5000})"
head -c 5000000 /dev/zero >zero.toml
run_expect "a large file" 1 "" "$ATOLL" sched zero.toml
check_contains "a large file: message" 'larger than 4096 KiB' "$(cat stderr)"

run_expect "no such file" 1 "" "$ATOLL" sched none.toml
run_expect "no such policy" 2 "" "$ATOLL" sched --policy fair,best two.toml
check_contains "no such policy: message" 'there is no policy `best`; there are fair, rr, fcfs, sjf, priority' "$(cat stderr)"
run_expect "one plot, two workloads" 2 "" "$ATOLL" sched --svg x.svg two.toml queue.toml
run_expect "no workload" 2 "" "$ATOLL" sched

# Ctrl-C in a long replay: nothing is left behind, and nothing printed.
cat >long.toml <<'TOML'
duration = "10000s"
slice = "100us"
[[task]]
arrivals = { closed = 2 }
service = "9000s"
TOML
env --default-signal=INT "$ATOLL" sched --policy rr,fair,priority --svg long.svg long.toml >long.out &
pid=$!
sleep 0.3
kill -INT $pid
wait $pid
check "Ctrl-C" 130 $?
check "Ctrl-C: no output" "" "$(cat long.out)$(ls long.svg 2>/dev/null)"
