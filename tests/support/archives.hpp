// Archives made byte by byte, for tests of what no packer makes.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>

#include "vm/base/types.hpp"

namespace atollvm::test {

struct TarEntry {
  std::string name;
  std::string text{};
  char type = '0';  // '0' a file, '1' a hard link, '2' a symbolic one, '5' a directory, ...
  std::string target{};
  u64 size = ~u64{0};  // what the header says, if not the text's size
};

inline std::string tar_block(const TarEntry& entry) {
  std::string block(512, '\0');
  const auto put = [&block](usize at, std::string_view text) {
    block.replace(at, text.size(), text);
  };
  const u64 size = entry.size == ~u64{0} ? entry.text.size() : entry.size;
  put(0, entry.name.substr(0, 100));
  put(100, "0000644");
  put(108, "0000000");
  put(116, "0000000");
  put(124, fmt::format("{:011o}", size));
  put(136, "00000000012");
  put(148, "        ");
  block[156] = entry.type;
  put(157, entry.target.substr(0, 100));
  put(257, std::string_view("ustar\0", 6));
  put(263, "00");
  u32 sum = 0;
  for (const char each : block) sum += static_cast<u8>(each);
  put(148, fmt::format("{:06o}", sum));
  block[154] = '\0';
  block += entry.text;
  block.resize((block.size() + 511) / 512 * 512, '\0');
  return block;
}

// Attributes of pax, for the entry after them.
inline std::string pax(std::initializer_list<std::pair<std::string_view, std::string_view>> all) {
  std::string text;
  for (const auto& [key, value] : all) {
    const usize rest = key.size() + value.size() + 3;  // a space, '=' and the line's end
    usize size = rest;
    while (rest + std::to_string(size).size() != size) size = rest + std::to_string(size).size();
    text += fmt::format("{} {}={}\n", size, key, value);
  }
  return tar_block({"pax", text, 'x'});
}
// A GNU long name, for the entry after it.
inline std::string gnu_name(std::string_view name) {
  return tar_block({"././@LongLink", std::string(name) + '\0', 'L'});
}

inline std::string tar_of(std::initializer_list<TarEntry> entries) {
  std::string bytes;
  for (const TarEntry& each : entries) bytes += tar_block(each);
  return bytes + std::string(1024, '\0');
}

struct ZipEntry {
  std::string name;
  std::string bytes{};  // as they lie in the archive
  u16 method = 0;       // 8: deflated
  u32 size = ~u32{0};   // unpacked; if not that of the bytes
  u32 crc = 0;
  u16 flags = 0;
  u32 mode = 0100644;
  u32 offset = ~u32{0};       // of the local header, as the directory says; if not where it is
  std::string local_name{};   // if it is another one
  u32 packed_size = ~u32{0};  // as the directory says
};

inline u32 crc32(std::string_view text) {
  u32 crc = ~u32{0};
  for (const char each : text) {
    crc ^= static_cast<u8>(each);
    for (int i = 0; i < 8; ++i) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0xedb88320u : 0);
  }
  return ~crc;
}

// A file of less than 64 KiB as a deflated one, though in one block that is not smaller.
inline ZipEntry deflated(std::string name, std::string_view text) {
  const u32 size = static_cast<u32>(text.size());
  std::string bytes = "\1";
  for (const u32 each : {size, size >> 8, ~size, ~size >> 8}) bytes += static_cast<char>(each);
  bytes += text;
  ZipEntry entry{std::move(name), std::move(bytes), 8};
  entry.size = size;
  entry.crc = crc32(text);
  return entry;
}

inline std::string zip_of(std::initializer_list<ZipEntry> entries) {
  std::string bytes;
  std::string folder;
  const auto half = [](std::string& to, u32 value) {
    to += static_cast<char>(value);
    to += static_cast<char>(value >> 8);
  };
  const auto word = [&half](std::string& to, u32 value) {
    half(to, value & 0xffff);
    half(to, value >> 16);
  };
  for (const ZipEntry& each : entries) {
    const u32 at = each.offset == ~u32{0} ? static_cast<u32>(bytes.size()) : each.offset;
    const u32 own = static_cast<u32>(each.bytes.size());
    const u32 size = each.size == ~u32{0} ? own : each.size;
    const auto common = [&](std::string& to, const std::string& name, u32 packed) {
      half(to, 20);
      half(to, each.flags);
      half(to, each.method);
      word(to, 0x21);
      word(to, each.crc);
      word(to, packed);
      word(to, size);
      half(to, static_cast<u32>(name.size()));
      half(to, 0);
    };
    const std::string& local = each.local_name.empty() ? each.name : each.local_name;
    bytes += "PK\3\4";
    common(bytes, local, own);
    bytes += local + each.bytes;
    folder += "PK\1\2";
    half(folder, 0x0314);  // by Unix
    common(folder, each.name, each.packed_size == ~u32{0} ? own : each.packed_size);
    half(folder, 0);
    half(folder, 0);
    half(folder, 0);
    word(folder, each.mode << 16);
    word(folder, at);
    folder += each.name;
  }
  const u32 begin = static_cast<u32>(bytes.size());
  bytes += folder + "PK\5\6";
  half(bytes, 0);
  half(bytes, 0);
  half(bytes, static_cast<u32>(entries.size()));
  half(bytes, static_cast<u32>(entries.size()));
  word(bytes, static_cast<u32>(folder.size()));
  word(bytes, begin);
  half(bytes, 0);
  return bytes;
}

}  // namespace atollvm::test
