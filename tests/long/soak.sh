#!/usr/bin/env bash
# A server whose machines crash, reach their limits, are restarted, paused, killed, destroyed and made
# anew at random, while ledgers count every message and handle: soak.sh [--seed N] [--seconds N].
# Without --seconds 24 minutes of CPU time. At the end nothing is left but what was there at first:
# descriptors, threads, memory.
source "$(dirname "$0")/../lib.sh"
seed=1 seconds=0 minutes=24
while (($#)); do
  case $1 in
    --seed) seed=$2 ;;
    --seconds) seconds=$2 ;;
    --resume) ;;
    *) echo "soak: unknown option $1" >&2 && exit 2 ;;
  esac
  shift 2
done
cd "$scratch" || exit 1
mkdir files && echo text >files/file
for guest in ledger trouble; do
  "$ATOLL" asm "$root/tests/long/soak/$guest.atoll" -o $guest.atb || exit 1
done

cat >soak.py <<'END'
import json, os, random, subprocess, sys, time
atoll, seed, seconds, cpu = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])
rng = random.Random(seed)
LEDGERS, KINDS, TROUBLE = 3, "lrmtfsx", {}

def toml(name, kind):
    if kind is None:
        return (f'[[machine]]\nname = "{name}"\nmodule = "ledger.atb"\nweight = 300\n'
                'directories = [{ host = "files", guest = "/d" }]\n')
    rule = rng.choice(["refuse", "newest", "oldest", "kill"])
    return (f'[[machine]]\nname = "{name}"\nmodule = "trouble.atb"\narguments = ["{kind}"]\n'
            f'weight = {rng.randint(1, 300)}\n'
            f'restart = {{ when = "always", intensity = 100000, within = "1s", '
            f'backoff = "{rng.choice([1, 10, 100])}ms", max_backoff = "200ms" }}\n'
            f'[machine.limits]\nmemory = "128 MiB"\nprocesses = 500\n'
            f'[machine.process]\nmemory = "{rng.choice([1, 16, 64])} MiB"\nstack = "1 MiB"\n'
            f'mailbox_messages = 5000\noverflow = "{rule}"\n')

def control(*words, text=None):
    done = subprocess.run([atoll, words[0], "--socket", "socket", *words[1:]], input=text, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
    return done.returncode, done.stdout

def must(*words, text=None):
    status, said = control(*words, text=text)
    if status:
        failures.append(f"{' '.join(words)}: {status}: {said.strip()[:300]}")
    return said

def now_of(pid):
    page = os.sysconf("SC_PAGESIZE")
    with open(f"/proc/{pid}/statm") as file:
        resident = int(file.read().split()[1]) * page
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    ticks = os.sysconf("SC_CLK_TCK")
    return {"resident": resident, "cpu": (int(fields[11]) + int(fields[12])) / ticks,
            "threads": int(fields[17]), "files": len(os.listdir(f"/proc/{pid}/fd"))}

def check(name, right, why=""):
    print(f"ok {name}" if right else f"not ok {name}: {why}", flush=True)

failures, log = [], open("server.log", "w")
server = subprocess.Popen([atoll, "serve", "--workers", "2", "--socket", "socket"], stdout=log,
                          stderr=log)
try:
    for _ in range(600):
        if control("machines")[0] == 0:
            break
        time.sleep(0.1)
    # What is made once and kept is there after the first machine.
    must("create", "--start", "-", text=toml("first", "x"))
    time.sleep(1)
    must("destroy", "first")
    first = now_of(server.pid)
    for i in range(LEDGERS):
        must("create", "--start", "-", text=toml(f"ledger{i}", None))
    begin, number, counts, samples, paused = time.monotonic(), 0, {}, [], set()
    while server.poll() is None:
        at = now_of(server.pid)
        samples.append((at["cpu"], at["resident"]))
        if time.monotonic() - begin > seconds if seconds else at["cpu"] > cpu:
            break
        deed = rng.choice(["create", "create", "destroy", "pause", "resume", "kill", "one", "rest"])
        some = rng.choice(sorted(TROUBLE)) if TROUBLE else None
        ledger = f"ledger{rng.randrange(LEDGERS)}"
        if deed == "create" and len(TROUBLE) < 8:
            number += 1
            name = f"trouble{number}"
            TROUBLE[name] = rng.choice(KINDS)
            must("create", "--start", "-", text=toml(name, TROUBLE[name]))
        elif deed == "destroy" and some and len(TROUBLE) > 3:
            must("destroy", some)
            del TROUBLE[some]
            paused.discard(some)
        elif deed == "pause":
            target = rng.choice([some, ledger]) or ledger
            # It may be between two runs.
            if control("pause", target)[0] == 0:
                paused.add(target)
        elif deed == "resume" and paused:
            target = rng.choice(sorted(paused))
            control("resume", target)
            paused.discard(target)
        elif deed == "kill" and some:
            control("kill", some)
            control("start", some)
            paused.discard(some)
        elif deed == "one" and some:
            status, said = control("ps", "--json", some)
            pids = [each["pid"] for each in json.loads(said)] if status == 0 else []
            for pid in rng.sample(pids, min(len(pids), 5)):
                control("kill", some, str(pid))
        else:
            deed = "rest"
            time.sleep(rng.random() * 0.3)
        counts[deed] = counts.get(deed, 0) + 1
        if len(paused) > 3:
            for target in sorted(paused):
                control("resume", target)
            paused.clear()
    check("the server lives", server.poll() is None, open("server.log").read()[-500:])
    for target in sorted(paused):
        control("resume", target)
    machines = {each["name"]: each for each in json.loads(must("machines", "--json"))}
    print(f"    {counts}, {sum(m['restarts'] for m in machines.values())} restarts of those that are left")
    # A ledger goes on, and has never ended: it ends when a sum is wrong.
    before = {}
    for i in range(LEDGERS):
        one = machines[f"ledger{i}"]
        said = must("logs", f"ledger{i}")
        rounds = [int(line.split()[-1]) for line in said.splitlines() if "rounds" in line]
        check(f"ledger {i}: each message and handle was counted once, {max(rounds, default=0)} rounds",
              one["state"] == "running" and rounds, f"{one['state']} {one['exit']}: {said[-300:]}")
    for name in sorted(machines):
        must("destroy", name)
    check("all that was asked for was done", not failures, "; ".join(failures[:5]))
    time.sleep(2)
    last = now_of(server.pid)
    check("no descriptor is left open", last["files"] <= first["files"], f"{first} {last}")
    check("no thread is left", last["threads"] <= first["threads"] + 4, f"{first} {last}")
    grown = last["resident"] - first["resident"]
    check(f"what is left takes {grown >> 20} MiB more", grown < 64 << 20, f"{first} {last}")
    quarter = max(len(samples) // 4, 1)
    early = max(size for _, size in samples[quarter:2 * quarter] or samples)
    late = max(size for _, size in samples[-quarter:])
    check(f"resident memory is flat: {early >> 20} MiB early, {late >> 20} MiB late, "
          f"{samples[-1][0]:.0f} s of CPU", late < early * 1.3 + (64 << 20), "it grows")
finally:
    server.terminate()
    try:
        check("the server ends", server.wait(60) is not None)
    except subprocess.TimeoutExpired:
        check("the server ends", False, "not within a minute")
        server.kill()
END
timeout --kill-after=10 $((seconds ? seconds + 300 : minutes * 600)) \
  python3 soak.py "$ATOLL" "$seed" "$seconds" $((minutes * 60)) >out 2>err
status=$?
cat out
lib_failures=$(grep -c '^not ok' out)
if ((status != 0)); then not_ok "soak" "exit status $status: $(tail -3 err)"; fi
