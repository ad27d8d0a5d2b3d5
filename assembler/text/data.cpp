#include "assembler/text/data.hpp"

#include <algorithm>
#include <cstring>

#include "assembler/text/parser.hpp"

namespace atollvm::text {

namespace {

// Longer runs of zeros split a data item into segments instead of standing in the file.
constexpr u64 split_zeros = 256;

class DataParser : public Parser {
 public:
  DataParser(Unit& unit, u32 index) : Parser(unit, unit.datas[index].values), index_(index) {}

  DataSize measure() {
    DataSize size;
    u64 widest = 1;
    if (unit_.datas[index_].reserved) {
      size.bytes = static_cast<u64>(integer("the size", 0, max_memory));
      if (accept(Keyword::align)) widest = alignment();
    } else {
      const u64 asked = accept(Keyword::align) ? alignment() : 0;
      expect(Kind::assign, "`=` and the data");
      values(
          [&](Scalar scalar) {
            skip_value();
            widest = std::max<u64>(widest, size_of(scalar));
            add(size, size_of(scalar));
          },
          [&](const std::string& bytes) { add(size, bytes.size()); },
          [&](u64 count) { add(size, count); });
      if (asked != 0) widest = asked;
    }
    expect_end();
    size.align = widest;
    return size;
  }

  void emit() {
    const DataItem item = unit_.datas[index_];
    if (accept(Keyword::align)) alignment();
    expect(Kind::assign, "`=` and the data");
    values([&](Scalar scalar) { number(scalar); },
           [&](const std::string& bytes) { append(bytes.data(), bytes.size()); },
           [&](u64 count) { zeros_ += count; });
    if (item.passive) {
      bytes_.append(zeros_, '\0');
      finish_segment();
      if (unit_.datas[index_].segment == ~0u) new_segment("");
    } else {
      finish_segment();
    }
  }

 private:
  u64 alignment() {
    const Token& token = *at_;
    const i64 align = integer("the alignment", 1, 1 << 16);
    if ((align & (align - 1)) != 0) fail(token, "the alignment must be a power of two");
    return static_cast<u64>(align);
  }

  void add(DataSize& size, u64 bytes) {
    size.bytes += bytes;
    const bool passive = unit_.datas[index_].passive;
    if (size.bytes > (passive ? max_passive : max_memory)) {
      fail(unit_.token_of(unit_.datas[index_].name),
           passive ? "passive data of more than 64 MiB" : "the data do not fit a memory of 4 GiB");
    }
  }

  template <class Number, class Bytes, class Zeros>
  void values(Number number, Bytes bytes, Zeros zeros) {
    std::optional<Scalar> type;
    do {
      if (is(Kind::string)) {
        bytes(string());
      } else if (is(Keyword::zero)) {
        ++at_;
        zeros(static_cast<u64>(integer("the number of zero bytes", 0, max_memory)));
      } else if (is(Keyword::file)) {
        ++at_;
        bytes(file_bytes());
      } else {
        if (const auto scalar = scalar_of(*at_)) {
          type = scalar;
          ++at_;
        }
        if (!type) {
          fail(*at_, "the type of the number is missing", "as in `data x = i32 1, 2, u8 3`");
        }
        number(*type);
      }
    } while (accept(Kind::comma));
  }

  std::string file_bytes() {
    const Token& token = *at_;
    const std::string name = string();
    auto source = unit_.resolver(file_->name, name, false);
    if (!source) fail(token, "there is no file " + quoted(name));
    return std::move(source->text);
  }

  // To the comma after a value.
  void skip_value() {
    if (is(Kind::comma) || at_end()) missing("a value");
    u32 depth = 0;
    for (; !at_end(); ++at_) {
      if (depth == 0 && is(Kind::comma)) return;
      if (is(Kind::lparen) || is(Kind::lbracket)) ++depth;
      if (is(Kind::rparen) || is(Kind::rbracket)) depth -= depth != 0;
      if (is(Kind::lbrace) || is(Kind::rbrace)) return;
    }
  }

  void number(Scalar scalar) {
    const Token& token = *at_;
    const Const value = constant();
    u64 raw = 0;
    const u32 size = size_of(scalar);
    if (scalar == Scalar::f32 || scalar == Scalar::f64) {
      raw = bits(value, scalar == Scalar::f32 ? ValType::f32 : ValType::f64, token);
    } else {
      if (value.base != Const::Base::none) {
        if (size != 4) fail(token, "an address needs 4 bytes", "put `i32` before it");
        relocate(value.base);
        raw = static_cast<u32>(value.integer);
      } else {
        const i64 number = as_integer(value, token);
        const u32 width = size * 8;
        const i64 low = width == 64 ? number : -(i64{1} << (width - 1));
        const i64 high = width == 64 ? number : (i64{1} << width) - 1;
        if (number < low || number > high) {
          fail(token, std::to_string(number) + " does not fit " + std::to_string(size) +
                          (size == 1 ? " byte" : " bytes"));
        }
        raw = static_cast<u64>(number);
      }
    }
    char bytes[8];
    std::memcpy(bytes, &raw, 8);
    append(bytes, size);
  }

  void relocate(Const::Base base) {
    if (zeros_ > 0) flush_zeros();
    // The segment is made when its bytes are complete; its number is known already.
    const u32 segment = static_cast<u32>(unit_.module.datas.size());
    unit_.relocs.push_back(
        {static_cast<u8>(base == Const::Base::heap ? 4 : 2), segment, bytes_.size()});
  }

  void flush_zeros() {
    if (zeros_ > split_zeros && !unit_.datas[index_].passive) {
      const u64 next = begin_ + bytes_.size() + zeros_;
      finish_segment();
      begin_ = next;
    } else {
      bytes_.append(zeros_, '\0');
    }
    zeros_ = 0;
  }

  void append(const char* bytes, usize size) {
    if (size == 0) return;
    if (zeros_ > 0) flush_zeros();
    bytes_.append(bytes, size);
  }

  void finish_segment() {
    if (bytes_.empty()) return;
    new_segment(std::move(bytes_));
    bytes_.clear();
  }

  void new_segment(std::string bytes) {
    DataItem& item = unit_.datas[index_];
    mod::DataSegment segment;
    if (!item.passive) {
      segment.mode = mod::SegmentMode::active;
      segment.offset = {{mod::ConstOp::Kind::i32_const, item.address + begin_}};
    }
    segment.bytes = std::move(bytes);
    if (item.segment == ~0u) item.segment = static_cast<u32>(unit_.module.datas.size());
    unit_.module.datas.push_back(std::move(segment));
  }

  u32 index_;
  std::string bytes_;
  u64 zeros_ = 0;  // not yet written
  u64 begin_ = 0;  // of bytes_ in the item
};

}  // namespace

DataSize data_size(Unit& unit, u32 index) { return DataParser(unit, index).measure(); }

void emit_data(Unit& unit, u32 index) { DataParser(unit, index).emit(); }

}  // namespace atollvm::text
