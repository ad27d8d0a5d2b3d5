#include "assembler/wasm/form.hpp"

#include <fmt/format.h>

#include <limits>
#include <vector>

#include "assembler/wasm/bytes.hpp"
#include "assembler/wasm/reader.hpp"

namespace atollvm::wasm {

namespace {

bool is_value_type(u8 byte) {
  return (byte >= 0x7c && byte <= 0x7f) || byte == 0x70 || byte == 0x6f;
}

class FormChecker {
 public:
  explicit FormChecker(const Image& image) : image_(image) {}

  bool body(const Body& body) {
    in_ = Bytes(image_.bytes.data() + body.begin, image_.bytes.data() + body.end);
    locals();
    blocks_.assign(1, false);
    while (in_.ok() && !blocks_.empty()) {
      if (!instruction(in_.byte())) return false;
    }
    if (in_.left() != 0) in_.fail("the code goes on after the function's end");
    return in_.ok();
  }
  // Of a body that is not well-formed: the bytes where it fails; none if it is another proposal's.
  [[nodiscard]] const Bytes* failed() const { return in_.ok() || unknown_ ? nullptr : &in_; }

 private:
  void locals() {
    u64 total = 0;
    for (u32 runs = in_.leb_u32(); runs > 0 && in_.ok(); --runs) {
      total += in_.leb_u32();
      if (total > std::numeric_limits<u32>::max()) in_.fail("too many locals");
      value_type();
    }
  }

  void value_type() {
    const u8 byte = in_.byte();
    if (is_value_type(byte)) return;
    if (proposal_of_type(byte) != nullptr) unknown_ = true;
    in_.fail("unknown value type");
  }

  void zero_bytes(int count) {
    for (; count > 0; --count) {
      if (in_.byte() != 0) in_.fail("zero byte expected");
    }
  }
  void indexes(int count) {
    for (; count > 0; --count) in_.leb_u32();
  }

  void block(bool is_if) {
    blocks_.push_back(is_if);
    if (in_.left() == 0) return in_.fail("unexpected end");
    const u8 first = *in_.at();
    if (first == 0x40 || is_value_type(first)) {
      in_.byte();
    } else if (proposal_of_type(first) != nullptr) {
      value_type();
    } else if (in_.leb_i33() < 0) {
      in_.fail("unknown block type");
    }
  }

  // False for another proposal's.
  bool instruction(u8 code) {
    if (code >= 0x45 && code <= 0xc4) return true;
    if (code >= 0x28 && code <= 0x3e) {
      if (in_.leb_u32() >= 32) in_.fail("malformed memory operation flags");
      in_.leb_u32();
      return true;
    }
    switch (code) {
      case 0x00:
      case 0x01:
      case 0x0f:
      case 0x1a:
      case 0x1b:
      case 0xd1:
        return true;
      case 0x02:
      case 0x03:
      case 0x04:
        return block(code == 0x04), true;
      case 0x05:
        if (!blocks_.back()) in_.fail("else without an if");
        blocks_.back() = false;
        return true;
      case 0x0b:
        return blocks_.pop_back(), true;
      case 0x0c:
      case 0x0d:
      case 0x10:
      case 0x12:
      case 0x20:
      case 0x21:
      case 0x22:
      case 0x23:
      case 0x24:
      case 0x25:
      case 0x26:
      case 0xd2:
        return indexes(1), true;
      case 0x11:
      case 0x13:
        return indexes(2), true;
      case 0x0e:
        for (u32 count = in_.leb_u32(); count > 0 && in_.ok(); --count) in_.leb_u32();
        return indexes(1), true;
      case 0x1c:
        for (u32 count = in_.leb_u32(); count > 0 && in_.ok(); --count) value_type();
        return true;
      case 0x3f:
      case 0x40:
        return zero_bytes(1), true;
      case 0x41:
        return in_.leb_i32(), true;
      case 0x42:
        return in_.leb_i64(), true;
      case 0x43:
        return in_.take(4), true;
      case 0x44:
        return in_.take(8), true;
      case 0xd0: {
        const u8 type = in_.byte();
        if (type == 0x70 || type == 0x6f) return true;
        return other(proposal_of_type(type), "unknown reference type");
      }
      case 0xfc:
        return prefixed(in_.leb_u32());
      default:
        return other(proposal_of_operation(code), "illegal opcode");
    }
  }

  // What this translator does not know: another proposal's, or malformed.
  bool other(const char* proposal, const char* failure) {
    if (proposal == nullptr) in_.fail(failure);
    return proposal == nullptr;
  }

  bool prefixed(u32 code) {
    if (code < 8) return true;
    switch (code) {
      case 8:
      case 9:
        indexes(1);
        if (code == 8) zero_bytes(1);
        if (!image_.data_count && !image_.module.datas.empty()) {
          in_.fail("data count section required");
        }
        return true;
      case 10:
        return zero_bytes(2), true;
      case 11:
        return zero_bytes(1), true;
      case 12:
      case 14:
        return indexes(2), true;
      case 13:
      case 15:
      case 16:
      case 17:
        return indexes(1), true;
      default:
        return other(nullptr, "illegal opcode");
    }
  }

  const Image& image_;
  Bytes in_{nullptr, nullptr};
  bool unknown_ = false;      // another proposal's type came
  std::vector<bool> blocks_;  // around this place: whether an else may come
};

}  // namespace

std::optional<base::Error> find_malformed(const Image& image, u32 first) {
  FormChecker checker(image);
  for (u32 i = first; i < image.bodies.size(); ++i) {
    if (checker.body(image.bodies[i])) continue;
    const Bytes* const failed = checker.failed();
    if (failed == nullptr) return std::nullopt;
    return base::Error{base::ErrorCode::malformed,
                       fmt::format("0x{:x} ({})", failed->failed_at() - image.bytes.data(),
                                   image.function_label(image.imported_functions() + i)),
                       failed->failure()};
  }
  return std::nullopt;
}

}  // namespace atollvm::wasm
