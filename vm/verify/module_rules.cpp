// The rules for everything but code.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <numeric>
#include <tuple>

#include "vm/base/utf8.hpp"
#include "vm/module/limits.hpp"
#include "vm/verify/context.hpp"

namespace atollvm::verify {

namespace {

namespace limits = mod::limits;
using mod::ConstOp;
using mod::ExternKind;
using mod::ValType;

const char* kind_name(ExternKind kind) {
  switch (kind) {
    case ExternKind::function:
      return "function";
    case ExternKind::table:
      return "table";
    case ExternKind::memory:
      return "memory";
    case ExternKind::global:
      return "global";
  }
  return "part";
}

bool known(ValType type) { return !mod::name_of(type).empty(); }

std::string type_name(ValType type) {
  return known(type) ? std::string(mod::name_of(type))
                     : fmt::format("type 0x{:x}", static_cast<u8>(type));
}

class ModuleChecker {
 public:
  explicit ModuleChecker(Context& context) : context_(context), module_(context.module) {}

  bool check() {
    return counts() && types() && imports() && functions() && tables() && memories() && globals() &&
           exports() && start() && elems() && datas() && names() && lines() && customs();
  }

  std::optional<base::Error> error;

 private:
  // --- Errors: the place is the section and the entry being checked ----------------------------

  bool fail_at(std::string place, std::string message,
               base::ErrorCode code = base::ErrorCode::invalid) {
    error = base::Error{code, std::move(place), std::move(message)};
    return false;
  }
  template <class... T>
  bool fail(fmt::format_string<T...> format, const T&... parts) {
    return fail_at(fmt::format("section {}, entry {}", section_, entry_),
                   fmt::vformat(format, fmt::make_format_args(parts...)));
  }
  void enter(const char* section) {
    section_ = section;
    entry_ = 0;
  }

  // --- Limits -----------------------------------------------------------------------------------

  bool count(const char* section, const char* what, u64 number, u64 limit) {
    if (number <= limit) return true;
    return fail_at(fmt::format("section {}", section),
                   fmt::format("{} {} are more than the limit of {}", number, what, limit),
                   base::ErrorCode::limit);
  }

  bool counts() {
    const mod::Module& m = module_;
    return count("types", "types", m.types.size(), limits::types) &&
           count("imports", "imports", m.imports.size(), limits::imports) &&
           count("functions", "functions", m.functions.size(), limits::functions) &&
           count("tables", "tables", m.tables.size(), limits::tables) &&
           count("memories", "memories", m.memories.size(), limits::memories) &&
           count("globals", "globals", m.globals.size(), limits::globals) &&
           count("exports", "exports", m.exports.size(), limits::exports) &&
           count("elements", "segments", m.elems.size(), limits::elem_segments) &&
           count("data", "segments", m.datas.size(), limits::data_segments) &&
           count("code", "words", m.code.size(), limits::code_words) &&
           count("names", "names", m.names.size(), limits::names) &&
           count("lines", "files", m.files.size(), limits::files) &&
           count("custom", "custom sections", m.customs.size(), limits::customs);
  }

  // --- Types ------------------------------------------------------------------------------------

  bool value_type(ValType type) {
    if (!known(type)) return fail("{} is unknown", type_name(type));
    if (type == ValType::v128) {
      return fail_at(fmt::format("section {}, entry {}", section_, entry_),
                     "v128 is reserved, no operation works on it", base::ErrorCode::unsupported);
    }
    return true;
  }

  bool types() {
    enter("types");
    context_.shapes.resize(module_.types.size());
    for (const mod::FuncType& type : module_.types) {
      if (type.params.size() > limits::params || type.results.size() > limits::results) {
        return fail("{} parameters and {} results: at most {} and {} are allowed",
                    type.params.size(), type.results.size(), limits::params, limits::results);
      }
      for (ValType param : type.params) {
        if (!value_type(param)) return false;
      }
      for (ValType result : type.results) {
        if (!value_type(result)) return false;
      }
      context_.shapes[entry_] = {static_cast<u16>(type.param_slots()),
                                 static_cast<u16>(type.result_slots()), 0};
      ++entry_;
    }
    classify_results();
    return true;
  }

  // Numbers the different lists of results.
  void classify_results() {
    std::vector<u32> order(module_.types.size());
    std::iota(order.begin(), order.end(), 0);
    const auto results = [&](u32 type) -> const auto& { return module_.types[type].results; };
    std::sort(order.begin(), order.end(), [&](u32 x, u32 y) { return results(x) < results(y); });
    for (usize i = 1; i < order.size(); ++i) {
      const u32 before = context_.shapes[order[i - 1]].result_class;
      const bool same = results(order[i]) == results(order[i - 1]);
      context_.shapes[order[i]].result_class = same ? before : before + 1;
    }
  }

  bool func_type(u32 type) {
    if (type >= module_.types.size()) {
      return fail("type {} does not exist: there are {}", type, module_.types.size());
    }
    return true;
  }

  bool range(const char* unit, const mod::Range& range, u64 min_limit, u64 max_limit) {
    const u64 max = range.max.value_or(0);
    if (range.min > min_limit || max > max_limit) {
      const bool least = range.min > min_limit;
      return fail("{} {} are more than the limit of {}", least ? range.min : max, unit,
                  least ? min_limit : max_limit);
    }
    if (range.max && range.min > *range.max) {
      return fail("the least size {} is above the largest, {}", range.min, *range.max);
    }
    return true;
  }

  bool table_type(const mod::TableType& type) {
    if (!mod::is_reference(type.element)) {
      return fail("a table of {}: only references can be in a table", type_name(type.element));
    }
    return range("elements", type.size, limits::table_elements, limits::table_maximum);
  }

  bool memory_type(const mod::MemoryType& type) {
    if (type.page_shift == 16)
      return range("pages", type.size, limits::memory_pages, limits::memory_pages);
    if (type.page_shift == 0)
      return range("bytes", type.size, limits::memory_bytes, limits::memory_bytes);
    return fail("a page shift of {}: only 16 and 0 are allowed", u32{type.page_shift});
  }

  // --- Index spaces -----------------------------------------------------------------------------

  bool text(const char* what, const std::string& value) {
    return base::is_utf8(value) || fail("the {} is not UTF-8", what);
  }

  bool imports() {
    enter("imports");
    for (const mod::Import& import : module_.imports) {
      if (!text("module's name", import.module) || !text("name", import.name)) return false;
      switch (import.kind) {
        case ExternKind::function:
          if (!func_type(import.func_type)) return false;
          context_.functions.push_back(import.func_type);
          break;
        case ExternKind::table:
          if (!table_type(import.table)) return false;
          context_.tables.push_back(import.table.element);
          break;
        case ExternKind::memory:
          if (!memory_type(import.memory)) return false;
          ++context_.memories;
          break;
        case ExternKind::global:
          if (!value_type(import.global.type)) return false;
          context_.globals.push_back(import.global);
          break;
        default:
          return fail("kind {} is unknown", static_cast<u32>(import.kind));
      }
      ++entry_;
    }
    context_.imported_functions = static_cast<u32>(context_.functions.size());
    context_.imported_tables = static_cast<u32>(context_.tables.size());
    context_.imported_memories = context_.memories;
    context_.imported_globals = static_cast<u32>(context_.globals.size());
    return true;
  }

  // Functions cover code and labels exactly, in order.
  bool functions() {
    enter("functions");
    context_.functions.reserve(context_.functions.size() + module_.functions.size());
    u64 code = 0;
    u64 labels = 0;
    for (const mod::Function& function : module_.functions) {
      if (!func_type(function.type)) return false;
      if (function.code_size == 0) return fail("a function without code");
      if (function.code_begin != code || function.label_begin != labels) {
        return fail("code from word {} and labels from {}; the function before ends at {} and {}",
                    function.code_begin, function.label_begin, code, labels);
      }
      code += function.code_size;
      labels += function.label_count;
      if (code > module_.code.size() || labels > module_.labels.size()) {
        return fail("code up to word {} and labels up to {}; the module has {} and {}", code,
                    labels, module_.code.size(), module_.labels.size());
      }
      context_.functions.push_back(function.type);
      ++entry_;
    }
    if (code != module_.code.size()) {
      return fail_at("section code",
                     fmt::format("{} words, but the functions have {}", module_.code.size(), code));
    }
    if (labels != module_.labels.size()) {
      return fail_at("section labels", fmt::format("{} labels, but the functions have {}",
                                                   module_.labels.size(), labels));
    }
    return true;
  }

  bool tables() {
    enter("tables");
    for (const mod::Table& table : module_.tables) {
      if (!table_type(table.type)) return false;
      // Tables are made before this module's own globals.
      if (!table.init.empty() &&
          !expression(table.init, table.type.element, context_.imported_globals)) {
        return false;
      }
      context_.tables.push_back(table.type.element);
      ++entry_;
    }
    return true;
  }

  bool memories() {
    enter("memories");
    for (const mod::MemoryType& memory : module_.memories) {
      if (!memory_type(memory)) return false;
      ++context_.memories;
      ++entry_;
    }
    return true;
  }

  bool globals() {
    enter("globals");
    for (const mod::Global& global : module_.globals) {
      if (!value_type(global.type.type)) return false;
      const u32 earlier = static_cast<u32>(context_.globals.size());
      if (!expression(global.init, global.type.type, earlier)) return false;
      context_.globals.push_back(global.type);
      ++entry_;
    }
    return true;
  }

  [[nodiscard]] u64 number_of(ExternKind kind) const {
    switch (kind) {
      case ExternKind::function:
        return context_.functions.size();
      case ExternKind::table:
        return context_.tables.size();
      case ExternKind::memory:
        return context_.memories;
      case ExternKind::global:
        return context_.globals.size();
    }
    return 0;
  }

  bool exports() {
    enter("exports");
    for (const mod::Export& item : module_.exports) {
      if (!text("name", item.name)) return false;
      if (static_cast<u8>(item.kind) > static_cast<u8>(ExternKind::global)) {
        return fail("kind {} is unknown", static_cast<u32>(item.kind));
      }
      if (item.index >= number_of(item.kind)) {
        return fail("{} {} does not exist: there are {}", kind_name(item.kind), item.index,
                    number_of(item.kind));
      }
      ++entry_;
    }
    std::vector<u32> order(module_.exports.size());
    std::iota(order.begin(), order.end(), 0);
    const auto name = [&](u32 at) -> const std::string& { return module_.exports[at].name; };
    std::sort(order.begin(), order.end(), [&](u32 x, u32 y) {
      const int way = name(x).compare(name(y));
      return way != 0 ? way < 0 : x < y;
    });
    for (usize i = 1; i < order.size(); ++i) {
      if (name(order[i - 1]) != name(order[i])) continue;
      entry_ = order[i];
      return fail("the name {} is that of entry {}", base::printable(name(order[i])), order[i - 1]);
    }
    return true;
  }

  bool start() {
    enter("start");
    if (!module_.start) return true;
    const u32 index = *module_.start;
    if (index >= context_.functions.size()) {
      return fail("function {} does not exist: there are {}", index, context_.functions.size());
    }
    const Shape shape = context_.shapes[context_.functions[index]];
    if (shape.params != 0 || shape.results != 0) {
      return fail("function {} has {} parameters and {} results, a start function has none", index,
                  shape.params, shape.results);
    }
    return true;
  }

  // --- Constant expressions ---------------------------------------------------------------------

  // Checks types by a stack; `usable_globals`: those below may be read. A null reference fits both
  // reference types.
  bool expression(const mod::ConstExpr& expr, ValType wanted, u32 usable_globals) {
    const_ops_ += expr.size();
    if (expr.size() > limits::const_expr_ops || const_ops_ > limits::const_ops) {
      return fail_at(fmt::format("section {}, entry {}", section_, entry_),
                     fmt::format("constant expressions have at most {} operations, {} in all",
                                 limits::const_expr_ops, limits::const_ops),
                     base::ErrorCode::limit);
    }
    std::array<ValType, limits::const_expr_ops> stack{};
    usize depth = 0;
    for (const ConstOp& op : expr) {
      switch (op.kind) {
        case ConstOp::Kind::i32_const:
        case ConstOp::Kind::f32_const:
          if (op.value > 0xffff'ffff) return fail("constant {:#x} has more than 32 bits", op.value);
          stack[depth++] = op.kind == ConstOp::Kind::i32_const ? ValType::i32 : ValType::f32;
          break;
        case ConstOp::Kind::i64_const:
          stack[depth++] = ValType::i64;
          break;
        case ConstOp::Kind::f64_const:
          stack[depth++] = ValType::f64;
          break;
        case ConstOp::Kind::global_get:
          if (op.value >= usable_globals) {
            return fail("global {} cannot be read here: only {} come before", op.value,
                        usable_globals);
          }
          if (context_.globals[op.value].is_mutable) {
            return fail("global {} can change, so it is no constant", op.value);
          }
          stack[depth++] = context_.globals[op.value].type;
          break;
        case ConstOp::Kind::ref_null:
          if (op.value != 0) return fail("a null reference with value {}", op.value);
          stack[depth++] = mod::is_reference(wanted) ? wanted : ValType::funcref;
          break;
        case ConstOp::Kind::ref_func:
          if (op.value >= function_count()) {
            return fail("function {} does not exist: there are {}", op.value, function_count());
          }
          stack[depth++] = ValType::funcref;
          break;
        case ConstOp::Kind::i32_add:
        case ConstOp::Kind::i32_sub:
        case ConstOp::Kind::i32_mul:
        case ConstOp::Kind::i64_add:
        case ConstOp::Kind::i64_sub:
        case ConstOp::Kind::i64_mul: {
          const ValType type = op.kind < ConstOp::Kind::i64_add ? ValType::i32 : ValType::i64;
          if (op.value != 0) return fail("an operation with value {}", op.value);
          if (depth < 2 || stack[depth - 1] != type || stack[depth - 2] != type) {
            return fail("constant arithmetic needs two operands of type {}", type_name(type));
          }
          --depth;
          break;
        }
        default:
          return fail("constant operation {} is unknown", static_cast<u32>(op.kind));
      }
    }
    if (depth != 1) return fail("a constant expression leaves {} values instead of 1", depth);
    if (stack[0] != wanted) {
      return fail("a constant of type {} where {} is needed", type_name(stack[0]),
                  type_name(wanted));
    }
    return true;
  }

  [[nodiscard]] u64 function_count() const {
    return u64{context_.imported_functions} + module_.functions.size();
  }

  // --- Segments ---------------------------------------------------------------------------------

  bool elems() {
    enter("elements");
    for (const mod::ElemSegment& segment : module_.elems) {
      if (segment.mode > mod::SegmentMode::declared) {
        return fail("mode {} is unknown", static_cast<u32>(segment.mode));
      }
      if (!mod::is_reference(segment.type)) {
        return fail("a segment of {}: only references can be in a table", type_name(segment.type));
      }
      if (segment.mode == mod::SegmentMode::active) {
        if (segment.table >= context_.tables.size()) {
          return fail("table {} does not exist: there are {}", segment.table,
                      context_.tables.size());
        }
        if (context_.tables[segment.table] != segment.type) {
          return fail("a segment of {} for table {} of {}", type_name(segment.type), segment.table,
                      type_name(context_.tables[segment.table]));
        }
        if (!expression(segment.offset, ValType::i32, global_count())) return false;
      } else if (segment.table != 0 || !segment.offset.empty()) {
        return fail("only an active segment has a table and an offset");
      }
      for (const mod::ConstExpr& item : segment.items) {
        if (!expression(item, segment.type, global_count())) return false;
      }
      ++entry_;
    }
    return true;
  }

  bool datas() {
    enter("data");
    for (const mod::DataSegment& segment : module_.datas) {
      if (segment.mode == mod::SegmentMode::active) {
        if (segment.memory >= context_.memories) {
          return fail("memory {} does not exist: there are {}", segment.memory, context_.memories);
        }
        if (!expression(segment.offset, ValType::i32, global_count())) return false;
      } else if (segment.mode != mod::SegmentMode::passive) {
        return fail("mode {} is not active or passive", static_cast<u32>(segment.mode));
      } else if (segment.memory != 0 || !segment.offset.empty()) {
        return fail("only an active segment has a memory and an offset");
      }
      ++entry_;
    }
    return true;
  }

  [[nodiscard]] u32 global_count() const { return static_cast<u32>(context_.globals.size()); }

  // --- Names, lines, custom sections ------------------------------------------------------------

  // Number of indexes of a name space; for locals of functions.
  [[nodiscard]] u64 name_indexes(mod::NameSpace space) const {
    switch (space) {
      case mod::NameSpace::function:
      case mod::NameSpace::local:
        return context_.functions.size();
      case mod::NameSpace::global:
        return context_.globals.size();
      case mod::NameSpace::table:
        return context_.tables.size();
      case mod::NameSpace::memory:
        return context_.memories;
      case mod::NameSpace::type:
        return module_.types.size();
      case mod::NameSpace::data:
        return module_.datas.size();
      case mod::NameSpace::elem:
        return module_.elems.size();
    }
    return 0;
  }

  // Slots of a function that can have names.
  [[nodiscard]] u32 name_slots(const mod::Name& name) const {
    if (name.space != mod::NameSpace::local) return 1;
    if (name.index < context_.imported_functions) {
      return context_.shapes[context_.functions[name.index]].params;
    }
    return module_.functions[name.index - context_.imported_functions].frame_slots;
  }

  bool names() {
    enter("names");
    if (!base::is_utf8(module_.name)) return fail_at("section names", "the name is not UTF-8");
    const mod::Name* before = nullptr;
    for (const mod::Name& name : module_.names) {
      if (name.space > mod::NameSpace::local) {
        return fail("name space {} is unknown", static_cast<u32>(name.space));
      }
      if (name.index >= name_indexes(name.space)) {
        return fail("index {} does not exist: there are {}", name.index, name_indexes(name.space));
      }
      if (name.slot >= name_slots(name)) {
        return fail("slot {} does not exist: there are {}", name.slot, name_slots(name));
      }
      if (!text("name", name.text)) return false;
      if (name.text.empty()) return fail("an empty name");
      if (before != nullptr && std::tie(before->space, before->index, before->slot) >=
                                   std::tie(name.space, name.index, name.slot)) {
        return fail("not in order: sorted by name space, index and slot, none twice");
      }
      before = &name;
      ++entry_;
    }
    return true;
  }

  bool lines() {
    enter("lines");
    for (const std::string& file : module_.files) {
      if (!base::is_utf8(file)) {
        return fail_at("section lines", "the name of a file is not UTF-8");
      }
    }
    const mod::Line* before = nullptr;
    for (const mod::Line& line : module_.lines) {
      if (line.pc >= module_.code.size()) {
        return fail("word {} does not exist: there are {}", line.pc, module_.code.size());
      }
      if (line.file >= module_.files.size()) {
        return fail("file {} does not exist: there are {}", line.file, module_.files.size());
      }
      if (line.line == 0) return fail("lines are counted from 1");
      if (before != nullptr && before->pc >= line.pc) {
        return fail("not in order: word {} comes after word {}", line.pc, before->pc);
      }
      before = &line;
      ++entry_;
    }
    return true;
  }

  bool customs() {
    enter("custom");
    for (const mod::CustomSection& custom : module_.customs) {
      if (!text("name", custom.name)) return false;
      ++entry_;
    }
    return true;
  }

  Context& context_;
  const mod::Module& module_;
  const char* section_ = "";
  usize entry_ = 0;
  u64 const_ops_ = 0;
};

}  // namespace

std::optional<base::Error> check_module(Context& context) {
  ModuleChecker checker(context);
  if (!checker.check()) return std::move(checker.error);
  return std::nullopt;
}

}  // namespace atollvm::verify
