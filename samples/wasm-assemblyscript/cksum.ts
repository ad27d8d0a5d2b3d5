// Prints CRC and size of files as POSIX cksum does: cksum [FILE...]. Calls Atoll itself
// (docs/hostcalls.md); no WASI.

// @ts-ignore: decorator
@external("atoll", "args_count")
declare function args_count(): i32;
// @ts-ignore: decorator
@external("atoll", "args_get")
declare function args_get(index: i32, p: usize, n: i32): i32;
// @ts-ignore: decorator
@external("atoll", "open")
declare function open(dir: i32, p: usize, n: i32, flags: i32, rights: i32): i32;
// @ts-ignore: decorator
@external("atoll", "read")
declare function read(h: i32, p: usize, n: i32): i32;
// @ts-ignore: decorator
@external("atoll", "write")
declare function write(h: i32, p: usize, n: i32): i32;
// @ts-ignore: decorator
@external("atoll", "close")
declare function close(h: i32): i32;

const STDIN: i32 = 0;
const STDOUT: i32 = 1;
const STDERR: i32 = 2;
const ROOT: i32 = 3;
const RIGHT_READ: i32 = 1;

const buffer = new ArrayBuffer(1 << 16);

function print(handle: i32, text: string): void {
  const bytes = String.UTF8.encode(text);
  let from = changetype<usize>(bytes);
  let left = bytes.byteLength;
  while (left > 0) {
    const done = write(handle, from, left);
    if (done < 0) return;
    from += done;
    left -= done;
  }
}

function crcTable(): StaticArray<u32> {
  const table = new StaticArray<u32>(256);
  for (let i = 0; i < 256; i++) {
    let crc = (i as u32) << 24;
    for (let bit = 0; bit < 8; bit++) {
      crc = (crc << 1) ^ (crc >> 31 ? 0x04c11db7 : 0);
    }
    table[i] = crc;
  }
  return table;
}
const table = crcTable();

function add(crc: u32, byte: u32): u32 {
  return (crc << 8) ^ table[(crc >> 24) ^ byte];
}

// "CRC SIZE", or "" when the handle can't be read.
function sum(handle: i32): string {
  let crc: u32 = 0;
  let size: u64 = 0;
  for (;;) {
    const got = read(handle, changetype<usize>(buffer), buffer.byteLength);
    if (got < 0) return "";
    if (got == 0) break;
    for (let i = 0; i < got; i++) {
      crc = add(crc, load<u8>(changetype<usize>(buffer) + i));
    }
    size += got;
  }
  for (let rest = size; rest > 0; rest >>= 8) crc = add(crc, (rest & 0xff) as u32);
  return (~crc).toString() + " " + size.toString();
}

function argument(index: i32): string {
  const length = args_get(index, changetype<usize>(buffer), buffer.byteLength);
  return length < 0 ? "" : String.UTF8.decodeUnsafe(changetype<usize>(buffer), length);
}

function sumFile(name: string): string {
  const path = String.UTF8.encode(name);
  const file = open(ROOT, changetype<usize>(path), path.byteLength, 0, RIGHT_READ);
  if (file < 0) return "";
  const line = sum(file);
  close(file);
  return line;
}

export function main(): i32 {
  const count = args_count();
  if (count <= 1) {
    print(STDOUT, sum(STDIN) + "\n");
    return 0;
  }
  let status = 0;
  for (let i = 1; i < count; i++) {
    const name = argument(i);
    const line = sumFile(name);
    if (line.length) {
      print(STDOUT, line + " " + name + "\n");
    } else {
      print(STDERR, "cksum: " + name + ": can't be read\n");
      status = 1;
    }
  }
  return status;
}
