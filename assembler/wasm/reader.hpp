// What the readers of sections share: the bytes of one section, the image so far, the first error
// and its place. The first failure sticks: later reads give zeros, and loops stop at the next
// look at ok(). Internal to this folder.
#pragma once

#include <fmt/format.h>

#include <optional>
#include <string>
#include <vector>

#include "assembler/wasm/bytes.hpp"
#include "assembler/wasm/image.hpp"

namespace atollvm::wasm {

// The proposal beyond WebAssembly 2.0 that defines a byte, or null: as a value or reference type,
// as the start of a type definition, as the start of an instruction.
const char* proposal_of_type(u8 byte);
const char* proposal_of_definition(u8 byte);
const char* proposal_of_operation(u8 byte);

// Whether an instruction of WebAssembly 2.0 or of the tail call proposal begins with this byte.
bool is_operation(u8 byte);

class Reader {
 public:
  explicit Reader(std::span<const u8> bytes)
      : in(bytes.data(), bytes.data() + bytes.size()), item_(bytes.data()) {
    image.bytes = bytes;
  }

  // Goes on with the bytes begin .. end-1 of the file, under this section's name.
  void enter(const char* section, usize begin, usize end) {
    in = Bytes(image.bytes.data() + begin, image.bytes.data() + end);
    section_ = section;
    entry_.reset();
    item_ = in.at();
  }
  // The entries of a section or of a list are numbered from 0.
  void begin_entry(u32 number) {
    entry_ = number;
    here();
  }
  void end_entries() { entry_.reset(); }
  // Errors other than of the encoding itself are placed at what is read next.
  void here() { item_ = in.at(); }
  void at(const u8* place) { item_ = place; }

  [[nodiscard]] bool ok() const { return !error_ && in.ok(); }
  [[nodiscard]] usize offset() const { return offset_of(in.at()); }
  base::Error take_error();

  // --- Errors, placed at the last here(). What one of them did not begin, ok() ends.
  // --------------

  template <class... T>
  [[gnu::cold, gnu::noinline]] void malformed(fmt::format_string<T...> format, const T&... parts) {
    fail(base::ErrorCode::malformed, fmt::vformat(format, fmt::make_format_args(parts...)));
  }
  template <class... T>
  [[gnu::cold, gnu::noinline]] void invalid(fmt::format_string<T...> format, const T&... parts) {
    fail(base::ErrorCode::invalid, fmt::vformat(format, fmt::make_format_args(parts...)));
  }
  [[gnu::cold, gnu::noinline]] void unsupported(const char* what, const char* proposal) {
    fail(base::ErrorCode::unsupported,
         fmt::format("{} belongs to {}, which is not supported", what, proposal));
  }
  // False, with an error, where `number` things are more than a module of Atoll can have.
  bool within(u64 number, u64 limit, const char* what);

  // --- Pieces ---

  // The length of a list of at most `limit` things: 0 once something failed, and never more than
  // there are bytes left for, `least` bytes each.
  u32 count(const char* what, u64 limit, usize least);
  std::string name(const char* what);  // UTF-8
  mod::ValType value_type();
  mod::ValType reference_type();
  mod::TableType table_type();
  mod::MemoryType memory_type();
  mod::GlobalType global_type();
  // A type index that exists; 0 once something failed.
  u32 type_index();
  // An index into a space of `size` things; 0 once something failed.
  u32 index(const char* what, usize size);
  // A constant expression for a value of this type; notes its functions as declared.
  mod::ConstExpr constant(mod::ValType wanted);
  // A function index where a reference to it is made: noted as declared.
  u32 declared_function();

  // Adds a constant operation to the module's total. False, with an error, beyond the limit.
  bool add_const_op();

  // The image's index spaces, as imports and definitions add to them.
  void add_memory(const mod::MemoryType& type);

  Bytes in;
  Image image;
  u32 imported_globals = 0;

 private:
  [[nodiscard]] usize offset_of(const u8* at) const {
    return static_cast<usize>(at - image.bytes.data());
  }
  [[nodiscard]] std::string place(const u8* at) const;
  void fail(base::ErrorCode code, std::string message);
  mod::Range range(const char* unit, u8 flags, u64 limit);

  const u8* item_;
  const char* section_ = nullptr;
  std::optional<u32> entry_;
  std::optional<base::Error> error_;
  u64 const_ops_ = 0;
};

// --- Sections: each reads the contents of one into the image -------------------------------------

void read_types(Reader& reader);
void read_imports(Reader& reader);
void read_functions(Reader& reader);
void read_tables(Reader& reader);
void read_memories(Reader& reader);
void read_globals(Reader& reader);
void read_exports(Reader& reader);
void read_start(Reader& reader);
void read_elements(Reader& reader);
void read_data_count(Reader& reader);
void read_code(Reader& reader);
void read_data(Reader& reader);

}  // namespace atollvm::wasm
