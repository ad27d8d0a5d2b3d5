// Bytes of WebAssembly modules, for tests. Nothing is checked, so that broken ones can be built
// too.
//
//   WasmBytes module;
//   module.section(1, list({func_type({0x7f}, {})})).section(3, list({leb(0)}));
//   auto image = wasm::read_image(module.bytes);
#pragma once

#include <initializer_list>
#include <string_view>
#include <vector>

#include "vm/base/types.hpp"

namespace atollvm::test {

using ByteString = std::vector<u8>;

inline ByteString operator+(ByteString left, const ByteString& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

inline ByteString leb(u64 number) {
  ByteString bytes;
  for (; number >= 0x80; number >>= 7) bytes.push_back(static_cast<u8>(number | 0x80));
  bytes.push_back(static_cast<u8>(number));
  return bytes;
}

inline ByteString raw(std::string_view text) { return {text.begin(), text.end()}; }

// With the length before it.
inline ByteString sized(const ByteString& contents) { return leb(contents.size()) + contents; }
inline ByteString text(std::string_view value) { return sized(raw(value)); }

// With the number of entries before them.
inline ByteString list(std::initializer_list<ByteString> entries) {
  ByteString bytes = leb(entries.size());
  for (const ByteString& entry : entries) bytes = bytes + entry;
  return bytes;
}

inline ByteString func_type(const ByteString& params, const ByteString& results) {
  return ByteString{0x60} + sized(params) + sized(results);
}

struct WasmBytes {
  ByteString bytes = {0x00, 'a', 's', 'm', 0x01, 0x00, 0x00, 0x00};

  WasmBytes& section(u8 id, const ByteString& contents) {
    bytes = bytes + ByteString{id} + sized(contents);
    return *this;
  }
  WasmBytes& custom(std::string_view name, const ByteString& contents) {
    return section(0, text(name) + contents);
  }
};

}  // namespace atollvm::test
