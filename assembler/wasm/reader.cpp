// The pieces that sections are made of: counts, names, types, limits, indexes (specification,
// sections 5.1 to 5.3 and, for their validation, 3.2).
#include "assembler/wasm/reader.hpp"

#include <limits>

#include "vm/base/utf8.hpp"
#include "vm/module/limits.hpp"

namespace atollvm::wasm {

namespace {

constexpr u64 page_limit = 65'536;  // of a memory
constexpr u64 element_limit = std::numeric_limits<u32>::max();

constexpr const char* simd = "the SIMD proposal";
constexpr const char* exceptions = "the exception handling proposal";
constexpr const char* typed_references = "the typed function references proposal";
constexpr const char* gc = "the garbage collection proposal";
constexpr const char* threads = "the threads proposal";
constexpr const char* memory64 = "the memory64 proposal";

}  // namespace

const char* proposal_of_type(u8 byte) {
  switch (byte) {
    case 0x7b:
      return simd;
    case 0x74:  // noexn
    case 0x69:  // exn
      return exceptions;
    case 0x64:  // ref
    case 0x63:  // ref null
      return typed_references;
    case 0x73:  // nofunc
    case 0x72:  // noextern
    case 0x71:  // none
    case 0x6e:  // any
    case 0x6d:  // eq
    case 0x6c:  // i31
    case 0x6b:  // struct
    case 0x6a:  // array
      return gc;
    default:
      return nullptr;
  }
}

const char* proposal_of_definition(u8 byte) {
  const bool known = byte == 0x5f ||  // struct
                     byte == 0x5e ||  // array
                     byte == 0x50 ||  // sub
                     byte == 0x4f ||  // sub final
                     byte == 0x4e;    // rec
  return known ? gc : nullptr;
}

const char* proposal_of_operation(u8 byte) {
  switch (byte) {
    case 0x06:  // try
    case 0x07:  // catch
    case 0x08:  // throw
    case 0x09:  // rethrow
    case 0x0a:  // throw_ref
    case 0x18:  // delegate
    case 0x19:  // catch_all
    case 0x1f:  // try_table
      return exceptions;
    case 0x14:  // call_ref
    case 0x15:  // return_call_ref
    case 0xd4:  // ref.as_non_null
    case 0xd5:  // br_on_null
    case 0xd6:  // br_on_non_null
      return typed_references;
    case 0xd3:  // ref.eq
    case 0xfb:
      return gc;
    case 0xfd:
      return simd;
    case 0xfe:
      return threads;
    default:
      return nullptr;
  }
}

bool is_operation(u8 byte) {
  return byte <= 0x05 || (byte >= 0x0b && byte <= 0x13) || (byte >= 0x1a && byte <= 0x1c) ||
         (byte >= 0x20 && byte <= 0x26) || (byte >= 0x28 && byte <= 0xc4) ||
         (byte >= 0xd0 && byte <= 0xd2) || byte == 0xfc;
}

// --- Errors ---

std::string Reader::place(const u8* at) const {
  if (section_ == nullptr) return fmt::format("0x{:x}", offset_of(at));
  if (!entry_) return fmt::format("0x{:x} ({} section)", offset_of(at), section_);
  return fmt::format("0x{:x} ({} section, entry {})", offset_of(at), section_, *entry_);
}

void Reader::fail(base::ErrorCode code, std::string message) {
  if (!ok()) return;
  error_ = base::Error{code, place(item_), std::move(message)};
}

base::Error Reader::take_error() {
  if (error_) return std::move(*error_);
  return {base::ErrorCode::malformed, place(in.failed_at()), in.failure()};
}

bool Reader::within(u64 number, u64 limit, const char* what) {
  if (number <= limit) return true;
  fail(base::ErrorCode::limit,
       fmt::format("{} {} are more than the limit of {}", number, what, limit));
  return false;
}

// --- Lists, names, indexes ---

u32 Reader::count(const char* what, u64 limit, usize least) {
  here();
  const u32 number = in.leb_u32();
  if (!ok()) return 0;
  if (number > in.left() / least) {
    malformed("unexpected end: {} {} in {} bytes", number, what, in.left());
    return 0;
  }
  return within(number, limit, what) ? number : 0;
}

std::string Reader::name(const char* what) {
  here();
  const u32 length = in.leb_u32();
  if (length > in.left()) {
    malformed("unexpected end: the {} has {} bytes, {} are left", what, length, in.left());
    return {};
  }
  const std::span<const u8> bytes = in.take(length);
  std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (!base::is_utf8(text)) malformed("malformed UTF-8 encoding of the {}", what);
  return text;
}

u32 Reader::index(const char* what, usize size) {
  here();
  const u32 number = in.leb_u32();
  if (!ok()) return 0;
  if (number < size) return number;
  invalid("unknown {} {}: there are {}", what, number, size);
  return 0;
}

u32 Reader::type_index() { return index("type", image.module.types.size()); }

u32 Reader::declared_function() {
  const u32 function = index("function", image.function_types.size());
  if (ok()) image.declared[function] = true;
  return function;
}

bool Reader::add_const_op() {
  return within(++const_ops_, mod::limits::const_ops, "operations of constant expressions");
}

// --- Types ---

mod::ValType Reader::value_type() {
  here();
  const u8 byte = in.byte();
  switch (static_cast<mod::ValType>(byte)) {
    case mod::ValType::i32:
    case mod::ValType::i64:
    case mod::ValType::f32:
    case mod::ValType::f64:
    case mod::ValType::funcref:
    case mod::ValType::externref:
      return static_cast<mod::ValType>(byte);
    case mod::ValType::v128:
      break;
  }
  if (const char* proposal = proposal_of_type(byte)) {
    unsupported(fmt::format("value type 0x{:02x}", byte).c_str(), proposal);
  } else {
    malformed("malformed value type 0x{:02x}", byte);
  }
  return mod::ValType::i32;
}

mod::ValType Reader::reference_type() {
  here();
  const u8 byte = in.byte();
  const auto type = static_cast<mod::ValType>(byte);
  if (mod::is_reference(type)) return type;
  const char* proposal = proposal_of_type(byte);
  if (proposal != nullptr && type != mod::ValType::v128) {
    unsupported(fmt::format("reference type 0x{:02x}", byte).c_str(), proposal);
  } else {
    malformed("malformed reference type 0x{:02x}", byte);
  }
  return mod::ValType::funcref;
}

mod::Range Reader::range(const char* unit, u8 flags, u64 limit) {
  mod::Range range;
  range.min = in.leb_u32();
  if (flags == 1) range.max = in.leb_u32();
  if (!ok()) return range;
  if (range.min > limit || range.max.value_or(0) > limit) {
    invalid("{} {}: at most {} are allowed", std::max(range.min, range.max.value_or(0)), unit,
            limit);
  } else if (range.max && range.min > *range.max) {
    invalid("the minimum size {} is greater than the maximum {}", range.min, *range.max);
  }
  return range;
}

mod::TableType Reader::table_type() {
  here();
  if (in.left() >= 2 && in.at()[0] == 0x40 && in.at()[1] == 0) {
    unsupported("a table with an initial value", typed_references);
    return {};
  }
  mod::TableType type;
  type.element = reference_type();
  here();
  const u8 flags = in.byte();
  if (flags == 4 || flags == 5) {
    unsupported("a table with 64-bit indexes", memory64);
  } else if (flags > 1) {
    malformed("malformed limits flags 0x{:02x} of a table", flags);
  }
  type.size = range("elements", flags, element_limit);
  if (ok()) within(type.size.min, mod::limits::table_elements, "elements of a table");
  return type;
}

mod::MemoryType Reader::memory_type() {
  here();
  const u8 flags = in.byte();
  if (flags >= 4 && flags <= 7) {
    unsupported("a memory with 64-bit addresses", memory64);
  } else if (flags == 3) {
    unsupported("a shared memory", threads);
  } else if (flags > 1) {
    malformed("malformed limits flags 0x{:02x} of a memory", flags);
  }
  return {.size = range("pages of a memory", flags, page_limit), .page_shift = 16};
}

void Reader::add_memory(const mod::MemoryType& type) {
  image.memories.push_back(type);
  if (image.memories.size() > 1) {
    invalid("multiple memories: only the multi-memory proposal, which is not supported, has them");
  }
}

mod::GlobalType Reader::global_type() {
  mod::GlobalType type;
  type.type = value_type();
  here();
  const u8 mutability = in.byte();
  if (mutability > 1) malformed("malformed mutability 0x{:02x}", mutability);
  type.is_mutable = mutability == 1;
  return type;
}

}  // namespace atollvm::wasm
