// The file of a snapshot and its description, from an attacker who knows the checksum: whatever it
// says, reading gives bytes or an error, in bounded memory. What is accepted is read to its end.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

#include "atoll/embed/machine_record.hpp"
#include "scheduler/snapshot/file.hpp"

#define XXH_INLINE_ALL
#include <xxhash.h>

using namespace atollvm;

extern "C" int LLVMFuzzerTestOneInput(const u8* data, usize size) {
  // The start and the checksum are always right.
  static const u8 start[] = {0x89, 'A', 't', 'S', '\r', '\n', 0x1a, '\n', 1, 0, 0, 0};
  std::vector<u8> bytes(std::begin(start), std::end(start));
  bytes.insert(bytes.end(), data, data + size);
  const u64 hash = XXH3_64bits(bytes.data(), bytes.size());
  const u8* const tail = reinterpret_cast<const u8*>(&hash);
  bytes.insert(bytes.end(), tail, tail + sizeof(hash));
  const int fd = memfd_create("snapshot", MFD_CLOEXEC);
  if (fd < 0 || write(fd, bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size()))
    abort();
  auto reader = snapshot::FileReader::open("/proc/self/fd/" + std::to_string(fd), 1);
  if (reader.ok()) {
    if (const auto record = read_record("fuzz", (*reader)->header()); record.ok()) {
      // What has been read is written as the same.
      const auto again = read_record("again", to_text(*record));
      if (!again.ok() || to_text(*again) != to_text(*record)) abort();
    }
    std::vector<u8> piece(1 << 16);
    u64 left = (*reader)->image_bytes();
    bool is_good = true;
    while (left > 0 && is_good) {
      const usize part = std::min<u64>(left, piece.size());
      is_good = (*reader)->read(std::span(piece).first(part)).ok();
      left -= part;
    }
    if (is_good && !(*reader)->end().ok()) abort();
  }
  close(fd);
  return 0;
}
