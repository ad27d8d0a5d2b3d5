#!/usr/bin/env python3
"""Prints stdlib/guest/float_powers.atoll: stdlib/guest/float_powers.py > stdlib/guest/float_powers.atoll"""

FIRST, LAST = -342, 324

print("""// The powers of ten that std.float needs; made by stdlib/guest/float_powers.py.

/// For each k from -342 to 324 the 128-bit number g, its low half first, with
/// 2^127 <= g = 10^k * 2^(127 - floor(log2(10^k))) < 2^128, rounded up. Exact for 0 <= k <= 55.
const float_powers_first = -342
const float_powers_last = 324
data float_powers align 8 =""")
lines = []
for k in range(FIRST, LAST + 1):
    if k >= 0:
        value, divisor = 10**k, 1
        log2 = value.bit_length() - 1
    else:
        value, divisor = 1, 10**-k
        log2 = -divisor.bit_length()
    shift = 127 - log2
    if shift >= 0:
        value <<= shift
    else:
        divisor <<= -shift
    g = -(-value // divisor)
    assert 2**127 <= g < 2**128
    lines.append(f"    i64 {g % 2**64:#018x}, {g >> 64:#018x}")
print(",\n".join(lines))
