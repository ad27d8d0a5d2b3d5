"""The comparisons of float.sh: float.py ATOLL TOOL."""

import math
import random
import struct
import subprocess
import sys
from fractions import Fraction

random.seed(20250)
atoll, tool = sys.argv[1:]


def run(mode, data):
    return subprocess.run([atoll, "run", tool, mode], input=data, stdout=subprocess.PIPE, check=True).stdout


def report(name, wrong, count):
    if wrong or not count:
        print(f"not ok {name}: {len(wrong)} of {count}, for example {wrong[:5]}")
    else:
        print(f"ok {name}")


def f64(bits):
    return struct.unpack("<d", struct.pack("<Q", bits))[0]


def f32(bits):
    return struct.unpack("<f", struct.pack("<I", bits))[0]


# --- f64 as text ----------------------------------------------------------------------------------
values = [f64(random.getrandbits(64)) for _ in range(120_000)]
values += [f64(random.getrandbits(52)) for _ in range(2_000)]  # subnormal
values += [float(f"{random.randrange(10**random.randint(1, 17))}e{random.randint(-30, 30)}") for _ in range(40_000)]
values += [random.random() for _ in range(10_000)]
values += [float(random.randrange(2**random.randint(1, 64))) for _ in range(10_000)]
values += [10.0**k for k in range(-323, 309)]
for e in range(2047):  # both ends of each power of two
    values += [f64(e << 52), f64((e << 52) + 1), f64((e << 52) + (1 << 52) - 1)]
values += [0.0, -0.0, math.inf, -math.inf, math.nan, 5e-324, 1.7976931348623157e308, 2.2250738585072014e-308,
           9007199254740993.0, 1e16, 9999999999999998.0, 0.0001, 0.00001, 1e23, 9e-265, 5.764607523034235e39]
lines = run("put64", struct.pack(f"<{len(values)}d", *values)).decode().split("\n")[:-1]
wrong = [(v, line) for v, line in zip(values, lines) if repr(v) != line]
report("float-f64-printed-as-python-does", wrong if len(lines) == len(values) else ["lines"], len(values))

# --- f32 as text ----------------------------------------------------------------------------------
bits = [random.getrandbits(32) for _ in range(100_000)] + [random.getrandbits(23) for _ in range(2_000)]
bits += [(e << 23) + d for e in range(255) for d in (0, 1, (1 << 23) - 1)]
bits = [b for b in bits if b >> 23 & 0xFF != 0xFF]


def shortest32(b):
    """By trying: the fewest digits that read back, the nearest of those."""
    value = f32(b & 0x7FFFFFFF)
    if value == 0:
        return "0.0"
    for n in range(1, 18):
        # The neighbours too: the nearest decimal need not be the only one in the interval.
        text = f"{value:.{n - 1}e}"
        mantissa, exponent = text.split("e")
        whole = int(mantissa.replace(".", ""))
        fits = []
        for candidate in (whole - 1, whole, whole + 1):
            spelled = f"{candidate}e{int(exponent) - n + 1}"
            try:
                back = struct.unpack("<I", struct.pack("<f", float(spelled)))[0]
            except OverflowError:
                continue
            # Rounded twice: let half-way f64 be decided by the exact value.
            exact = abs(Fraction(spelled) - Fraction(value))
            low, high = f32((b & 0x7FFFFFFF) - 1), (b & 0x7FFFFFFF) + 1
            above = Fraction(f32(high)) if high < 0x7F800000 else Fraction(2)**128
            middle_low, middle_high = (Fraction(low) + Fraction(value)) / 2, (above + Fraction(value)) / 2
            inside = middle_low < Fraction(spelled) < middle_high or (
                b % 2 == 0 and Fraction(spelled) in (middle_low, middle_high))
            if inside:
                fits.append((exact, candidate % 2, spelled))
        if fits:
            return min(fits)[2]
    raise AssertionError(value)


lines = run("put32", struct.pack(f"<{len(bits)}I", *bits)).decode().split("\n")[:-1]
wrong = [] if len(lines) == len(bits) else ["lines"]
for b, line in list(zip(bits, lines))[::5]:
    expected = ("-" if b >> 31 else "") + repr(float(shortest32(b)))
    if line != expected:
        wrong.append((hex(b), line, expected))
report("float-f32-printed-shortest", wrong, len(bits))

# --- Text as f64 ----------------------------------------------------------------------------------
texts = [repr(v) for v in values if not math.isnan(v)]
texts += [f"{random.getrandbits(random.randint(1, 200))}e{random.randint(-400, 330)}" for _ in range(20_000)]
texts += [f"{random.random():.{random.randint(1, 60)}f}" for _ in range(5_000)]


def digits(fraction):
    """A fraction whose denominator is a power of two, exactly."""
    power = fraction.denominator.bit_length() - 1
    return f"{fraction.numerator * 5**power}e-{power}"


hard = []
for _ in range(700):
    b = random.getrandbits(63)
    if b >> 52 == 0x7FF:
        continue
    middle = (Fraction(f64(b)) + Fraction(f64(b + 1) if (b + 1) >> 52 != 0x7FF else 2.0**1023 * 2)) / 2 \
        if (b + 1) >> 52 != 0x7FF else Fraction(f64(b))
    hard.append(digits(middle))
    whole, power = hard[-1].split("e")
    hard += [f"{int(whole) * 10**9 + d}e{int(power) - 9}" for d in (-1, 1)]
    hard.append(whole + "0" * 900 + "1e" + str(int(power) - 901))
for b in (0, 1, 2, (1 << 52) - 1, 1 << 52, (0x7FE << 52) + (1 << 52) - 2):
    hard.append(digits((Fraction(f64(b)) + Fraction(f64(b + 1))) / 2))
hard += ["1.7976931348623158e308", "1.7976931348623159e308", "179769313486231580793" + "0" * 288, "2.4703282292062327e-324",
         "2.4703282292062328e-324", "0." + "0" * 400 + "1e401", "1" + "0" * 400 + "e-400", "1e400", "1e-400",
         "1e99999999999999999999", "1e-99999999999999999999", "0e999999999999", "." + "0" * 5000 + "12345e5000",
         "9007199254740993", "9007199254740993.0000000000000000000000000000001", "8" * 1000, "+1.5", "-.5", "5.",
         "2.2250738585072011e-308", "2.2250738585072012e-308", "6.631236846766476e-316", "3.2378839133029012895883524125015321748630094439600e-319",
         "INF", "-Infinity", "1" * 19, "1" * 20, "99999999999999999999", "9" * 40 + "e-20"]
texts += hard
got = run("get64", "".join(t + "\n" for t in texts).encode())
expected = b"".join(struct.pack("<d", float(t)) for t in texts)
wrong = [t[:60] for i, t in enumerate(texts) if got[i * 8:i * 8 + 8] != expected[i * 8:i * 8 + 8]]
report("float-f64-parsed-as-python-does", wrong if len(got) == len(expected) else ["length"], len(texts))

bad = ["", "+", "-", ".", "e5", "1e", "1e+", "1 ", " 1", "1..2", "1.2.3", "0x10", "1_0", "nanx", "in", "infinit", "--1", "1e5.0", "-e"]
got = struct.unpack(f"<{len(bad)}Q", run("get64", "".join(t + "\n" for t in bad).encode()))
report("float-refused", [t for t, b in zip(bad, got) if b != 0x7FF0000000000BAD], len(bad))


# --- Text as f32 ----------------------------------------------------------------------------------
def nearest32(text):
    """The bits of the f32 nearest to a positive number, by its exact value."""
    exact = Fraction(text)
    low, high = 0, 0x7F800000  # the greatest f32 that is not above it
    while high - low > 1:
        middle = (low + high) // 2
        if Fraction(f32(middle)) <= exact:
            low = middle
        else:
            high = middle
    below = Fraction(f32(low))
    above = Fraction(f32(low + 1)) if low + 1 < 0x7F800000 else Fraction(2)**128
    if exact - below != above - exact:
        return low if exact - below < above - exact else low + 1
    return low + low % 2


texts = []
for _ in range(1_500):
    b = random.getrandbits(31) % 0x7F7FFFFF
    middle = (Fraction(f32(b)) + Fraction(f32(b + 1))) / 2
    whole, power = digits(middle).split("e")
    texts += [f"{whole}e{power}"] + [f"{int(whole) * 10**30 + d}e{int(power) - 30}" for d in (-1, 1)]
    texts.append(f"{random.getrandbits(80)}e{random.randint(-70, 20)}")
texts += ["3.4028235677973366e38", "3.4028235677973365e38", "1e39", "7.006492321624085e-46", "7.006492321624086e-46", "0.1"]
got = struct.unpack(f"<{len(texts)}I", run("get32", "".join(t + "\n" for t in texts).encode()))
report("float-f32-parsed-once-rounded", [t[:60] for t, b in zip(texts, got) if b != nearest32(t)], len(texts))
