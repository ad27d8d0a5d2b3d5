#!/usr/bin/env bash
# std.time against Python's datetime: generated moments read, written and formatted.
source "$(dirname "$0")/../lib.sh"
cd "$scratch" || exit 1
"$ATOLL" asm "$root/tests/guest/tools/time.atoll" -o time.atb || exit 1

cat >check.py <<'PYTHON'
import datetime, random, subprocess, sys
rng = random.Random(4)
utc = datetime.timezone.utc
epoch = datetime.datetime(1970, 1, 1, tzinfo=utc)
layout = "%F %T %e|%j|%I %p %a %A %b %B %u %G-W%V %d/%m/%Y %H.%M.%S %N %%"
arguments, want = [], []
for case in range(1500):
    when = datetime.datetime(rng.choice([1, 1583, 1900, 1969, 1970, 2000, 2024, 9998, rng.randrange(2, 9998)]),
                             rng.randrange(1, 13), rng.randrange(1, 29), rng.randrange(24), rng.randrange(60),
                             rng.randrange(60), rng.choice([0, 1, 999999, rng.randrange(1000000)]), utc)
    when += datetime.timedelta(days=rng.randrange(0, 4))
    text = when.strftime("%%04d-%m-%dT%H:%M:%S.%f") % when.year
    if case % 3 == 0: text += "Z"
    if case % 3 == 1 and 1 < when.year < 9999:
        minutes = rng.randrange(-23 * 60 - 59, 24 * 60)
        sign = "-" if minutes < 0 else "+"
        text += "%s%02d:%02d" % (sign, abs(minutes) // 60, abs(minutes) % 60)
        when -= datetime.timedelta(minutes=minutes)
    arguments.append(text)
    delta = when - epoch
    want.append(when.strftime("%%04d-%m-%dT%H:%M:%S.%f000Z") % when.year)
    want.append(str(delta.days * 86400 + delta.seconds))
    iso = when.isocalendar()
    want.append(when.strftime("%%04d-%m-%d %H:%M:%S ") % when.year + "%2d" % when.day
                + when.strftime("|%j|%I %p %a %A %b %B %u ") + "%04d-W%02d" % (iso[0], iso[1])
                + when.strftime(" %d/%m/%%04d %H.%M.%S %f000 %%%%") % when.year)
got = subprocess.run([sys.argv[1], "run", "time.atb", layout] + arguments, capture_output=True).stdout.decode()
pairs = [(a, b) for a, b in zip(want, got.split("\n")) if a != b]
for a, b in pairs[:5]: print("%r\n%r" % (a, b))
print("%d of %d" % (len(want) - len(pairs), len(got.split("\n")) - 1))
PYTHON
check time/python "4500 of 4500" "$(python3 check.py "$ATOLL")"
