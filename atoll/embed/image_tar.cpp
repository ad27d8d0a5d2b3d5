#include "atoll/embed/image_tar.hpp"

#include <fmt/format.h>

namespace atollvm {
namespace {

// The header of GNU tar, whose long names are any bytes.
struct Header {
  char name[100];
  char mode[8];
  char uid[8];
  char gid[8];
  char size[12];
  char mtime[12];
  char checksum[8];
  char type;
  char target[100];
  char magic[8];
  char rest[247];
};
static_assert(sizeof(Header) == tar_block);

void put(char* to, usize size, std::string_view text) { text.copy(to, size); }

void add(std::string& tar, char type, std::string_view name, std::string_view bytes,
         std::string_view target) {
  Header header{};
  put(header.name, sizeof header.name, name);
  put(header.mode, sizeof header.mode, type == '5' ? "0000755" : "0000644");
  put(header.uid, sizeof header.uid, "0000000");
  put(header.gid, sizeof header.gid, "0000000");
  put(header.size, sizeof header.size, fmt::format("{:011o}", bytes.size()));
  put(header.mtime, sizeof header.mtime, "00000000000");
  put(header.checksum, sizeof header.checksum, "        ");
  header.type = type;
  put(header.target, sizeof header.target, target);
  put(header.magic, sizeof header.magic, std::string_view("ustar  \0", 8));
  u32 sum = 0;
  const auto* const all = reinterpret_cast<const u8*>(&header);
  for (usize i = 0; i < sizeof header; ++i) sum += all[i];
  put(header.checksum, sizeof header.checksum, fmt::format("{:06o}", sum));
  header.checksum[6] = '\0';
  tar.append(reinterpret_cast<const char*>(&header), sizeof header);
  tar += bytes;
  tar.append((tar_block - bytes.size() % tar_block) % tar_block, '\0');
}

// Before the member that it is about.
void add_long(std::string& tar, char type, std::string_view text) {
  add(tar, type, "././@LongLink", std::string(text) + '\0', {});
}

}  // namespace

void add_member(std::string& tar, TarType type, std::string_view name, std::string_view bytes,
                std::string_view target) {
  constexpr usize most = 100;
  if (target.size() > most) add_long(tar, 'K', target);
  if (name.size() > most) add_long(tar, 'L', name);
  add(tar, static_cast<char>(type), name, bytes, target);
}

void add_end(std::string& tar) { tar.append(2 * tar_block, '\0'); }

std::string signature_tail(std::string_view signature) {
  std::string tail;
  add_member(tail, TarType::file, signature_member, signature);
  add_end(tail);
  return tail;
}

}  // namespace atollvm
