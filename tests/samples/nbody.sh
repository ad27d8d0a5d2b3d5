#!/usr/bin/env bash
# samples/nbody prints the energies that the same arithmetic gives in Python.
source "$(dirname "$0")/../lib.sh"
nbody=("$ATOLL" run "$root/samples/nbody/nbody.atoll")

cat >"$scratch/nbody.py" <<'END'
import math, sys
SM = 4 * math.pi * math.pi
DP = 365.24
b = [[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, SM],
     [4.84143144246472090e+00, -1.16032004402742839e+00, -1.03622044471123109e-01,
      1.66007664274403694e-03 * DP, 7.69901118419740425e-03 * DP, -6.90460016972063023e-05 * DP,
      9.54791938424326609e-04 * SM],
     [8.34336671824457987e+00, 4.12479856412430479e+00, -4.03523417114321381e-01,
      -2.76742510726411938e-03 * DP, 4.99852801234917238e-03 * DP, 2.30417297573763929e-05 * DP,
      2.85885980666130812e-04 * SM],
     [1.28943695621391310e+01, -1.51111514016986312e+01, -2.23307578892655734e-01,
      2.96460137564761618e-03 * DP, 2.37847173959480950e-03 * DP, -2.96589568540237556e-05 * DP,
      4.36624404335156298e-05 * SM],
     [1.53796971148509165e+01, -2.59193146099879641e+01, 1.79258772950371181e-01,
      2.68067772490389322e-03 * DP, 1.62824170038242295e-03 * DP, -9.51592254519715870e-05 * DP,
      5.15138902046611451e-05 * SM]]

def energy():
    e = 0.0
    for i, p in enumerate(b):
        e += 0.5 * p[6] * (p[3] ** 2 + p[4] ** 2 + p[5] ** 2)
        for q in b[i + 1:]:
            e -= p[6] * q[6] / math.dist(p[:3], q[:3])
    return e

for k in range(3):
    b[0][3 + k] = -sum(p[3 + k] * p[6] for p in b) / SM
print("%.9f" % energy())
for _ in range(int(sys.argv[1])):
    for i, p in enumerate(b):
        for q in b[i + 1:]:
            d = [p[k] - q[k] for k in range(3)]
            d2 = d[0] * d[0] + d[1] * d[1] + d[2] * d[2]
            strength = 0.01 / (d2 * math.sqrt(d2))
            for k in range(3):
                p[3 + k] -= d[k] * (q[6] * strength)
                q[3 + k] += d[k] * (p[6] * strength)
    for p in b:
        for k in range(3):
            p[k] += 0.01 * p[3 + k]
print("%.9f" % energy())
END

# What the Computer Language Benchmarks Game gives for 1000 steps.
run_expect nbody/known 0 $'-0.169075164\n-0.169087605' "${nbody[@]}" 1000
for steps in 0 1 7 3000; do
  run_expect "nbody/$steps" 0 "$(python3 "$scratch/nbody.py" $steps)" "${nbody[@]}" $steps
done
for wrong in "" x 1x -1 1.5 2147483648 99999999999999999999; do
  run_expect "nbody/wrong/$wrong" 2 "" "${nbody[@]}" "$wrong"
done
run_expect nbody/none 2 "" "${nbody[@]}"
check_contains nbody/none/usage "usage: nbody STEPS" "$(cat "$scratch/stderr")"
run_expect nbody/two 2 "" "${nbody[@]}" 1 2
