// A module as plain data: what the reader makes, the assembler and the translator build, the
// writer writes, and the verifier checks. Nothing in here can be trusted until verified.
//
// Index spaces (functions, tables, memories, globals) start with the imports of that kind, in
// the order of `imports`, and go on with the module's own definitions.
#pragma once

#include <compare>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "vm/base/types.hpp"
#include "vm/isa/isa.hpp"

namespace atollvm::mod {

// Value types with their numbers in files (WebAssembly's).
enum class ValType : u8 {
  i32 = 0x7f,
  i64 = 0x7e,
  f32 = 0x7d,
  f64 = 0x7c,
  v128 = 0x7b,  // reserved: the verifier refuses it until the operations for it exist
  funcref = 0x70,
  externref = 0x6f,
};

// Its name in every text, "i32"; empty for a number that is no type.
std::string_view name_of(ValType type);

constexpr u32 slots_of(ValType type) { return type == ValType::v128 ? 2 : 1; }
constexpr bool is_reference(ValType type) {
  return type == ValType::funcref || type == ValType::externref;
}

struct FuncType {
  std::vector<ValType> params;
  std::vector<ValType> results;

  bool operator==(const FuncType&) const = default;
  [[nodiscard]] u32 param_slots() const { return slots(params); }
  [[nodiscard]] u32 result_slots() const { return slots(results); }

 private:
  static u32 slots(const std::vector<ValType>& types) {
    u32 sum = 0;
    for (ValType type : types) sum += slots_of(type);
    return sum;
  }
};

// Size range. Units: elements (tables), pages of 1 << page_shift bytes (memories).
struct Range {
  u64 min = 0;
  std::optional<u64> max;

  bool operator==(const Range&) const = default;
};

struct TableType {
  ValType element = ValType::funcref;
  Range size;

  bool operator==(const TableType&) const = default;
};

// page_shift is 16 (WebAssembly's pages) or 0 (byte-granular). A memory never exceeds 2^32 bytes,
// a byte-granular one never 2^32 - 65536, so that its size fits the i32 that memory.size gives.
struct MemoryType {
  Range size;
  u8 page_shift = 0;

  bool operator==(const MemoryType&) const = default;
};

struct GlobalType {
  ValType type = ValType::i32;
  bool is_mutable = false;

  bool operator==(const GlobalType&) const = default;
};

enum class ExternKind : u8 { function = 0, table = 1, memory = 2, global = 3 };

struct Import {
  std::string module;
  std::string name;
  ExternKind kind = ExternKind::function;
  u32 func_type = 0;  // index into types, for functions
  TableType table;
  MemoryType memory;
  GlobalType global;
};

struct Export {
  std::string name;
  ExternKind kind = ExternKind::function;
  u32 index = 0;  // in the kind's index space
};

// A constant expression in reverse Polish order; evaluated at instantiation (WebAssembly's
// constant expressions with the extended-const operations).
struct ConstOp {
  enum class Kind : u8 {
    i32_const,   // value: the number, zero-extended
    i64_const,   // value: the number
    f32_const,   // value: the bits, zero-extended
    f64_const,   // value: the bits
    global_get,  // value: global index
    ref_null,    // value: 0
    ref_func,    // value: function index
    i32_add,
    i32_sub,
    i32_mul,
    i64_add,
    i64_sub,
    i64_mul,
  };
  Kind kind = Kind::i32_const;
  u64 value = 0;

  bool operator==(const ConstOp&) const = default;
};
using ConstExpr = std::vector<ConstOp>;

struct Table {
  TableType type;
  ConstExpr init;  // of each element; empty: null
};

struct Global {
  GlobalType type;
  ConstExpr init;
};

// A branch target. `defined` is the number of slots, counted from slot 0, that hold defined
// values there; at least the function's local_slots.
struct Label {
  u32 pc = 0;  // words from the function's first word
  u16 defined = 0;

  bool operator==(const Label&) const = default;
};

// A function of this module. Frame slots 0 .. local_slots-1 are the locals: parameters, then slots
// that are zero at entry. Slots local_slots .. frame_slots-1 are temporaries.
struct Function {
  u32 type = 0;         // index into types
  u32 code_begin = 0;   // in Module::code, words; functions follow each other without gaps
  u32 code_size = 0;    // words, at least 1
  u32 label_begin = 0;  // in Module::labels; functions follow each other without gaps
  u32 label_count = 0;  // sorted by pc, no pc twice
  u16 local_slots = 0;
  u16 frame_slots = 0;
};

enum class SegmentMode : u8 { active = 0, passive = 1, declared = 2 };  // declared: elements only

struct ElemSegment {
  SegmentMode mode = SegmentMode::passive;
  ValType type = ValType::funcref;
  u32 table = 0;                 // active only
  ConstExpr offset;              // active only
  std::vector<ConstExpr> items;  // one constant expression an element
};

struct DataSegment {
  SegmentMode mode = SegmentMode::passive;
  u32 memory = 0;    // active only
  ConstExpr offset;  // active only
  std::string bytes;
};

// Names are for people: traces, disassembly, inspection. They never decide anything.
enum class NameSpace : u8 { function, global, table, memory, type, data, elem, local };

struct Name {
  NameSpace space = NameSpace::function;
  u32 index = 0;  // in the index space; for locals the function's index
  u32 slot = 0;   // for locals; else 0
  std::string text;
};

struct Line {
  u32 pc = 0;      // word in Module::code
  u32 file = 0;    // in Module::files
  u32 line = 0;    // from 1
  u32 column = 0;  // from 1; 0: unknown

  bool operator==(const Line&) const = default;
};

struct CustomSection {
  std::string name;
  std::string bytes;
};

struct Module {
  std::string name;  // may be empty
  std::vector<FuncType> types;
  std::vector<Import> imports;
  std::vector<Function> functions;
  std::vector<Table> tables;
  std::vector<MemoryType> memories;
  std::vector<Global> globals;
  std::vector<Export> exports;
  std::optional<u32> start;  // function run at instantiation, type () -> ()
  std::vector<ElemSegment> elems;
  std::vector<DataSegment> datas;
  std::vector<isa::Word> code;
  std::vector<Label> labels;
  std::vector<Name> names;         // sorted by space, index, slot; none twice
  std::vector<std::string> files;  // of the line table
  std::vector<Line> lines;         // sorted by pc, none twice; valid up to the next entry
  std::vector<CustomSection> customs;

  // Number of imports of a kind; linear in `imports`.
  [[nodiscard]] u32 imported(ExternKind kind) const;
  // The name that `names` holds, or an empty view. Logarithmic.
  [[nodiscard]] std::string_view name_of(NameSpace space, u32 index, u32 slot = 0) const;
  // The line entry that covers a word of `code`, or nullptr.
  [[nodiscard]] const Line* line_at(u32 pc) const;
};

}  // namespace atollvm::mod
