// What the parts of the assembler share about one program: its files, its items, the meaning of
// each name, and the module in the making.
#pragma once

#include <algorithm>
#include <deque>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "assembler/text/assemble.hpp"
#include "assembler/text/diagnostics.hpp"
#include "assembler/text/lexer.hpp"
#include "assembler/text/mnemonics.hpp"

namespace atollvm::text {

using mod::ValType;

// What a name means. Items, then what a function body or macro adds.
enum class Bind : u8 {
  none,
  constant,
  enumeration,
  structure,
  memory,
  data,
  passive_data,
  global,
  table,
  elem,
  type,
  function,
  macro,
  reg,      // a register: index into FunctionCompiler's registers
  label,    // a macro's argument: a label's number
  value,    // a macro's argument: index into macro_values
  address,  // a macro's argument: index into memory operands
};

// What a function body adds belongs to one expansion of a macro, its frame; 0: the body itself.
struct Binding {
  Bind kind = Bind::none;
  u32 index = 0;
  u32 frame = 0;
};

// A token of a file.
struct At {
  u32 file = 0;
  u32 token = 0;
};

// The value of a constant expression.
struct Const {
  enum class Kind : u8 { integer, real, nan, null };
  // In object mode: what the linker adds to an integer.
  enum class Base : u8 { none, data, heap };
  Kind kind = Kind::integer;
  Base base = Base::none;
  bool negative = false;  // nan: its sign
  i64 integer = 0;        // also the payload of a nan; 0: the canonical one
  f64 real = 0;
  At literal;  // real: the literal token if the value is just that, so that an f32 rounds once
  bool is_literal = false;
};

enum class State : u8 { unknown, busy, known, failed };

// An enumerator without a value of its own is the constant number `base` plus `add`.
struct ConstItem {
  static constexpr u32 no_base = ~0u;
  At expression;  // for such an enumerator its name
  u32 base = no_base;
  i64 add = -1;  // -1: the value is the expression's
  State state = State::unknown;
  Const value;
};

enum class Scalar : u8 { i8, u8, i16, u16, i32, u32, i64, u64, f32, f64 };

struct FieldItem {
  Symbol name = 0;
  At type;
  u64 offset = 0;
  u32 structure = ~0u;  // when its type is one (also as an array's element)
};

struct StructItem {
  At name;
  bool packed = false;
  u32 first_field = 0;  // in Unit::fields
  u32 field_count = 0;
  State state = State::unknown;
  u64 size = 0;
  u64 align = 1;
};

struct DataItem {
  At name;
  At values;  // after `=`; for reserved space the size
  bool reserved = false;
  bool passive = false;
  bool used = true;
  State state = State::unknown;
  u64 size = 0;
  u64 align = 1;
  u64 address = 0;
  u32 segment = ~0u;
};

// `index` is the number in the index space (imports first), `import` an index into Unit::imports
// or `own`.
inline constexpr u32 own = ~0u;

struct MemoryItem {
  At name;  // the word `memory` for one without a name
  bool named = false;
  At size;
  mod::MemoryType type;
  u32 import = own;
  u32 index = 0;
};

struct GlobalItem {
  At name;
  mod::GlobalType type;
  At init;
  bool has_init = false;
  u32 import = own;
  u32 index = 0;
  bool used = true;
};

struct TableItem {
  At name;
  At size;
  mod::TableType type;
  At init;  // the `[` of the list
  bool has_init = false;
  u32 import = own;
  u32 index = 0;
  bool used = true;
};

struct ElemItem {
  At name;
  ValType type = ValType::funcref;
  At list;
  bool used = true;
  u32 segment = ~0u;
};

struct FuncItem {
  At name;
  At params;  // the `(` before the parameters
  At body;    // the `{`
  u32 type = 0;
  u32 index = unused;  // imports: in the index space; own ones: after all imports
  u32 import = own;
  bool raw = false;
  bool broken = true;    // its signature is a mistake
  u32 raw_begin = 0;     // token `raw`
  bool library = false;  // left out when nobody uses it
  bool test = false;

  static constexpr u32 unused = ~0u;
};

// Marks the number of an own function in constants and exports while imports are still coming.
inline constexpr u32 own_function_bit = 0x8000'0000;

struct MacroItem {
  At name;
  At params;
  At body;
  u32 param_count = 0;
  bool active = false;  // being expanded
};

struct ExportItem {
  At name;
  std::string text;
  mod::ExternKind kind = mod::ExternKind::function;
  u32 index = 0;  // into the items of that kind
};

struct ImportItem {
  std::string module;
  std::string name;
};

// A place that the linker has to change; see docs/format.md.
struct Reloc {
  u8 kind = 0;
  u32 index = 0;
  u64 offset = 0;
};

// The tokens of an item.
struct Extent {
  u32 file = 0;
  u32 begin = 0;
  u32 end = 0;
  bool root = false;  // needed although nothing names it: an export, a memory, `start`
};

struct Unit {
  Unit(const Resolver& resolve, const Options& opts)
      : resolver(resolve), options(opts), reporter(files, opts.max_errors), names(Names::fixed()) {}

  const Resolver& resolver;
  const Options& options;
  std::vector<std::unique_ptr<File>> files;
  Reporter reporter;
  Names names;
  std::vector<Binding> bindings;  // by symbol
  std::vector<At> defined_at;     // by symbol: the item's name

  std::vector<ConstItem> constants;
  std::vector<StructItem> structs;
  std::vector<FieldItem> fields;
  std::vector<At> enums;
  std::vector<DataItem> datas;
  std::vector<MemoryItem> memories;
  std::vector<GlobalItem> globals;
  std::vector<TableItem> tables;
  std::vector<ElemItem> elems;
  std::vector<At> types;          // names; parallel to type_indexes
  std::vector<u32> type_indexes;  // or unused_type
  static constexpr u32 unused_type = ~0u;
  std::vector<FuncItem> functions;
  std::vector<MacroItem> macros;
  std::vector<ExportItem> exports;
  std::vector<ImportItem> imports;
  std::vector<Extent> extents;
  At start;  // the name after `start`
  bool has_start = false;

  mod::Module module;
  std::vector<Reloc> relocs;
  struct LocalName {
    u32 function;  // own function
    u32 slot;
    Symbol name;
  };
  std::vector<LocalName> local_names;
  std::vector<std::string> raw_files;  // that only `line` names, after all others
  // The words of `module.code` whose bc is an own function's number, to be moved behind the
  // imports when all of those are known.
  std::vector<u32> own_refs;
  std::vector<u32> own_functions;       // items that are the module's functions, in order
  std::vector<u32> imported_functions;  // items, as they came into use

  u32 start_function = 0;  // as use_function gives it

  State layout_state = State::unknown;  // of memory 0
  u64 data_end = 0;
  u32 depth = 0;       // of everything that nests
  u64 statements = 0;  // expanded by macros
  u32 frame = 0;       // the macro expansion whose names are known now
  std::vector<Const> macro_values;

  [[nodiscard]] bool has_memory() const {
    return !memories.empty() || std::any_of(datas.begin(), datas.end(), [](const DataItem& item) {
      return item.used && !item.passive;
    });
  }

  // Makes room for all names in `bindings` and `defined_at`.
  void bind_room() {
    if (bindings.size() >= names.size()) return;
    bindings.resize(names.size());
    defined_at.resize(names.size());
  }
  // A name that does not stand in a source as such.
  Symbol made_name(std::string text) {
    made_names_.push_back(std::move(text));
    return names.intern(made_names_.back());
  }
  u32 intern_type(const std::vector<ValType>& params, const std::vector<ValType>& results);
  // Whether a function is a test that this module keeps.
  [[nodiscard]] bool keeps_test(const FuncItem& item) const {
    return item.test && options.tests && item.name.file == 0;
  }
  [[nodiscard]] const File& file_of(At at) const { return *files[at.file]; }
  [[nodiscard]] const Token& token_of(At at) const { return files[at.file]->tokens[at.token]; }
  // From 1.
  [[nodiscard]] u32 line_of(At at) const {
    const std::vector<u32>& begins = file_of(at).line_begins;
    return static_cast<u32>(std::upper_bound(begins.begin(), begins.end(), token_of(at).begin) -
                            begins.begin());
  }
  // The number in the line table of a file that a `line` names.
  u32 line_file(const std::string& name) {
    for (u32 i = 0; i < files.size(); ++i) {
      if (files[i]->name == name) return i;
    }
    const auto [at, is_new] =
        raw_file_numbers_.try_emplace(name, static_cast<u32>(files.size() + raw_files.size()));
    if (is_new) raw_files.push_back(name);
    return at->second;
  }
  [[nodiscard]] Place place_of(At at) const {
    const Token& token = token_of(at);
    return {at.file, token.begin, token.length};
  }

 private:
  std::unordered_map<std::string, u32> type_numbers_;
  std::unordered_map<std::string, u32> raw_file_numbers_;
  std::deque<std::string> made_names_;
};

inline constexpr u32 max_depth = 256;
inline constexpr u64 max_statements = 4'000'000;

// Counts what nests; reports at the limit.
class Deeper {
 public:
  Deeper(Unit& unit, Place place) : unit_(unit) {
    if (unit.depth >= max_depth) {
      unit.reporter.error(place, "this is nested more than 256 deep");
      throw Stop{};
    }
    ++unit.depth;
  }
  ~Deeper() { --unit_.depth; }
  Deeper(const Deeper&) = delete;
  Deeper& operator=(const Deeper&) = delete;

 private:
  Unit& unit_;
};

}  // namespace atollvm::text
