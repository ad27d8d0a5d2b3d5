#!/usr/bin/env bash
# samples/mandelbrot writes PNG files that a strict reader takes, with the right pixels.
source "$(dirname "$0")/../lib.sh"
cd "$scratch" || exit 1
mandelbrot=("$ATOLL" run --dir . "$root/samples/mandelbrot/mandelbrot.atoll")

# Reads a PNG strictly (order and checksum of each chunk, one zlib stream without a byte after it)
# and computes each pixel again.
cat >check.py <<'END'
import struct, sys, zlib
blob = open(sys.argv[1], "rb").read()
size = int(sys.argv[2])
assert blob[:8] == b"\x89PNG\r\n\x1a\n", "signature"
at, chunks = 8, []
while at < len(blob):
    n, = struct.unpack(">I", blob[at:at + 4])
    kind, body = blob[at + 4:at + 8], blob[at + 8:at + 8 + n]
    crc, = struct.unpack(">I", blob[at + 8 + n:at + 12 + n])
    assert crc == zlib.crc32(kind + body), "checksum of %r" % kind
    chunks.append((kind, body))
    at += 12 + n
kinds = [kind for kind, body in chunks]
assert kinds == [b"IHDR", b"PLTE"] + [b"IDAT"] * (len(kinds) - 3) + [b"IEND"], kinds
assert struct.unpack(">IIBBBBB", chunks[0][1]) == (size, size, 8, 3, 0, 0, 0), "header"
assert len(chunks[1][1]) == 768 and chunks[1][1][:3] == b"\0\0\0", "palette"
assert len(set(chunks[1][1][i:i + 3] for i in range(0, 768, 3))) > 200, "palette of few colours"
stream = zlib.decompressobj()
rows = stream.decompress(b"".join(body for kind, body in chunks if kind == b"IDAT"))
assert stream.eof and not stream.unused_data, "end of the compressed data"
assert len(rows) == size * (size + 1), "amount of data"
for y in range(size):
    assert rows[y * (size + 1)] == 0, "filter"
    for x in range(size):
        c = complex(x * (2.0 / size) - 1.5, y * (2.0 / size) - 1.0)
        r, i, n = 0.0, 0.0, 0
        while n < 255 and r * r + i * i <= 4.0:
            r, i, n = r * r - i * i + c.real, 2 * r * i + c.imag, n + 1
        expected = 0 if r * r + i * i <= 4.0 else n
        assert rows[y * (size + 1) + 1 + x] == expected, (x, y, expected)
print("good")
END

for size in 1 2 3 64 150; do
  "${mandelbrot[@]}" "$size" >out.png 2>err
  check "mandelbrot/$size" "0 good" "$? $(python3 check.py out.png "$size" 2>&1 | tail -1)"
done
run_expect mandelbrot/file 0 "" "${mandelbrot[@]}" 150 picture.png
check mandelbrot/file/same "$(sha256sum <out.png)" "$(sha256sum <picture.png)"
run_expect mandelbrot/file/again 0 "" "${mandelbrot[@]}" 3 picture.png
check mandelbrot/file/shorter good "$(python3 check.py picture.png 3 2>&1 | tail -1)"

for wrong in "" 0 8193 -5 12x 99999999999999999999; do
  run_expect "mandelbrot/wrong/$wrong" 2 "" "${mandelbrot[@]}" "$wrong"
done
run_expect mandelbrot/none 2 "" "${mandelbrot[@]}"
run_expect mandelbrot/many 2 "" "${mandelbrot[@]}" 3 a b
mkdir directory
run_expect mandelbrot/directory 1 "" "${mandelbrot[@]}" 3 directory
check mandelbrot/directory/message "mandelbrot: directory: Is a directory" "$(cat stderr)"
run_expect mandelbrot/nowhere 1 "" "${mandelbrot[@]}" 3 nowhere/x.png
check mandelbrot/nowhere/message "mandelbrot: nowhere/x.png: No such file or directory" "$(cat stderr)"
run_expect mandelbrot/read-only 1 "" \
  "$ATOLL" run --dir-ro . "$root/samples/mandelbrot/mandelbrot.atoll" 3 new.png
check mandelbrot/read-only/nothing "" "$(ls new.png 2>/dev/null)"
