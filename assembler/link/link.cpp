#include "assembler/link/link.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>
#include <unordered_map>

#include "assembler/link/reach.hpp"
#include "assembler/link/symbols.hpp"
#include "vm/verify/verify.hpp"

namespace atollvm::link {

namespace {

using isa::Op;
using isa::OperandKind;
using mod::ConstOp;
using mod::ExternKind;
using mod::NameSpace;

constexpr u32 none = ~0u;
constexpr usize const_expr_limit = 100;

u64 align_up(u64 value, u64 align) { return (value + align - 1) / align * align; }

base::Error failure(const std::vector<std::string>& mistakes) {
  std::string message;
  for (const std::string& mistake : mistakes) {
    if (!message.empty()) message += '\n';
    message += mistake;
  }
  return {base::ErrorCode::invalid, "", std::move(message)};
}

// Lays out static data; gives the end of all of them.
u64 lay_out(std::vector<Object>& objects, std::vector<std::string>& mistakes) {
  u64 end = 0;
  for (usize i = 0; i < objects.size(); ++i) {
    Object& object = objects[i];
    if (i != 0 && !object.is_object) {
      const auto& datas = object.module.datas;
      const bool has_data = std::any_of(datas.begin(), datas.end(), [](const auto& data) {
        return data.mode == mod::SegmentMode::active && data.memory == 0;
      });
      if (has_data) {
        mistakes.push_back(fmt::format(
            "{}: has data at fixed addresses; only the first input may (assemble it as an object)",
            object.file));
      }
      continue;
    }
    if (object.data_end == 0) continue;
    object.delta = i == 0 ? 0 : align_up(end, object.data_align);
    end = object.delta + object.data_end;
  }
  return align_up(end, 16);
}

class Emitter {
 public:
  Emitter(const std::vector<Object>& objects, const Symbols& symbols, const Needed& needed,
          const Options& options, u64 data_end, std::vector<std::string>& mistakes)
      : objects_(objects),
        symbols_(symbols),
        needed_(needed),
        options_(options),
        data_end_(data_end),
        mistakes_(mistakes) {}

  mod::Module emit() {
    out_.name = options_.name.empty() ? objects_[0].module.name : options_.name;
    number_items();
    imports();
    functions();
    tables();
    memories();
    globals();
    exports();
    start();
    segments();
    names();
    customs();
    return std::move(out_);
  }

 private:
  template <class Action>
  void each_needed(ExternKind kind, bool imported, Action action) {
    for (u32 object = 0; object < objects_.size(); ++object) {
      const u32 imports = objects_[object].imported(kind);
      const u32 begin = imported ? 0 : imports;
      const u32 end = imported ? imports : objects_[object].count(kind);
      for (u32 index = begin; index < end; ++index) {
        if (needed_.item(kind, {object, index})) action(Ref{object, index});
      }
    }
  }

  // --- Numbers ----------------------------------------------------------------------------------

  void number_items() {
    for (const Object& object : objects_) has_memory_0_ |= object.count(ExternKind::memory) != 0;
    for (ExternKind kind :
         {ExternKind::function, ExternKind::table, ExternKind::memory, ExternKind::global}) {
      auto& numbers = numbers_[static_cast<u8>(kind)];
      for (const Object& object : objects_) numbers.emplace_back(object.count(kind), none);
      u32 next = kind == ExternKind::memory && has_memory_0_ ? 1 : 0;
      for (bool imported : {true, false}) {
        each_needed(kind, imported, [&](Ref ref) { numbers[ref.object][ref.index] = next++; });
        if (imported) imported_[static_cast<u8>(kind)] = next;
      }
    }
    u32 elem = 0;
    u32 data = 0;
    for (u32 object = 0; object < objects_.size(); ++object) {
      types_.emplace_back(objects_[object].module.types.size(), none);
      elems_.emplace_back(needed_.elems[object].size(), none);
      datas_.emplace_back(needed_.datas[object].size(), none);
      for (usize i = 0; i < elems_[object].size(); ++i) {
        if (needed_.elems[object][i]) elems_[object][i] = elem++;
      }
      for (usize i = 0; i < datas_[object].size(); ++i) {
        if (needed_.datas[object][i]) datas_[object][i] = data++;
      }
    }
  }

  [[nodiscard]] u32 number(ExternKind kind, u32 object, u64 index) const {
    const Ref ref = symbols_.target(kind, object, static_cast<u32>(index));
    if (kind == ExternKind::memory && ref == Ref{0, 0}) return 0;
    return numbers_[static_cast<u8>(kind)][ref.object][ref.index];
  }
  [[nodiscard]] bool is_imported(ExternKind kind, u32 index) const {
    return index < imported_[static_cast<u8>(kind)];
  }

  u32 type(const mod::FuncType& wanted) {
    const auto [at, is_new] = type_numbers_.emplace(std::pair(wanted.params, wanted.results),
                                                    static_cast<u32>(out_.types.size()));
    if (is_new) out_.types.push_back(wanted);
    return at->second;
  }
  u32 type(u32 object, u64 index) {
    u32& known = types_[object][index];
    if (known == none) known = type(objects_[object].module.types[index]);
    return known;
  }

  // --- Items ------------------------------------------------------------------------------------

  void imports() {
    if (const mod::Import* memory = symbols_.memory_0_import()) {
      mod::Import import = *memory;
      const mod::MemoryType wanted = memory_0();
      import.memory.size.min = wanted.size.min;
      out_.imports.push_back(std::move(import));
    }
    // In the order of the inputs, kinds mixed as there.
    for (u32 object = 0; object < objects_.size(); ++object) {
      std::array<u32, kind_count> next{};
      for (const mod::Import& import : objects_[object].module.imports) {
        const Ref ref{object, next[static_cast<u8>(import.kind)]++};
        if (import.kind == ExternKind::memory && ref.index == 0) continue;
        if (!needed_.item(import.kind, ref)) continue;
        out_.imports.push_back(import);
        if (import.kind == ExternKind::function) {
          out_.imports.back().func_type = type(object, import.func_type);
        } else {
          out_.imports.back().func_type = 0;
        }
      }
    }
  }

  void functions() {
    each_needed(ExternKind::function, false, [&](Ref ref) {
      const Object& object = objects_[ref.object];
      const mod::Module& m = object.module;
      const mod::Function& from = m.functions[ref.index - object.imported(ExternKind::function)];
      mod::Function made = from;
      made.type = type(ref.object, from.type);
      made.code_begin = static_cast<u32>(out_.code.size());
      made.label_begin = static_cast<u32>(out_.labels.size());
      const auto labels = m.labels.begin() + from.label_begin;
      out_.labels.insert(out_.labels.end(), labels, labels + from.label_count);
      code(ref.object, from);
      lines(ref.object, from, made.code_begin);
      out_.functions.push_back(made);
    });
  }

  void code(u32 object, const mod::Function& from) {
    const auto& code = objects_[object].module.code;
    usize at = out_.code.size();
    const auto begin = code.begin() + from.code_begin;
    out_.code.insert(out_.code.end(), begin, begin + from.code_size);
    while (at < out_.code.size()) {
      isa::Word* words = &out_.code[at];
      const u64 length = isa::length(words);
      instruction(object, words);
      at += length;
    }
  }

  void instruction(u32 object, isa::Word* words) {
    for (const isa::Operand& operand : isa::format_of(isa::op_of(*words)).list()) {
      const u64 index = isa::read_field(words, operand.field);
      u32 made = 0;
      switch (operand.kind) {
        case OperandKind::func:
        case OperandKind::func_import:
          made = number(ExternKind::function, object, index);
          set_import(words, is_imported(ExternKind::function, made));
          break;
        case OperandKind::func_any:
          made = number(ExternKind::function, object, index);
          break;
        case OperandKind::global:
          made = number(ExternKind::global, object, index);
          set_import(words, is_imported(ExternKind::global, made));
          break;
        case OperandKind::table:
          made = number(ExternKind::table, object, index);
          break;
        case OperandKind::memory:
          made = number(ExternKind::memory, object, index);
          break;
        case OperandKind::type:
          made = type(object, index);
          break;
        case OperandKind::elem:
          made = elems_[object][index];
          break;
        case OperandKind::data:
          made = datas_[object][index];
          break;
        default:
          continue;
      }
      if (made > isa::field_limit(operand.field)) {
        mistakes_.push_back(
            fmt::format("{}: too many tables or memories in all", objects_[object].file));
        continue;
      }
      isa::Word mask[2] = {0, 0};
      isa::write_field(mask, operand.field, isa::field_limit(operand.field));
      if (mask[0] != 0) words[0] &= ~mask[0];
      if (mask[1] != 0) words[1] &= ~mask[1];
      isa::write_field(words, operand.field, made);
    }
  }

  // Changes an operation to its form for imported or own functions and globals.
  static void set_import(isa::Word* words, bool imported) {
    struct Pair {
      Op own, import;
    };
    static constexpr Pair pairs[] = {{Op::call, Op::call_import},
                                     {Op::tail, Op::tail_import},
                                     {Op::global_get, Op::global_get_import},
                                     {Op::global_set, Op::global_set_import}};
    const Op op = isa::op_of(*words);
    for (const Pair& pair : pairs) {
      if (op != pair.own && op != pair.import) continue;
      const Op wanted = imported ? pair.import : pair.own;
      *words = (*words & ~isa::Word{0xffff}) | static_cast<isa::Word>(wanted);
    }
  }

  void lines(u32 object, const mod::Function& from, u32 begin) {
    const mod::Module& m = objects_[object].module;
    const u32 end = from.code_begin + from.code_size;
    const mod::Line* covering = m.line_at(from.code_begin);
    const mod::Line* stop = m.lines.data() + m.lines.size();
    if (covering == nullptr) covering = m.lines.data();
    for (const mod::Line* line = covering; line != stop && line->pc < end; ++line) {
      mod::Line made = *line;
      // An entry of the function before may reach into this one.
      made.pc = begin + (line->pc < from.code_begin ? 0 : line->pc - from.code_begin);
      made.file = file(m.files[line->file]);
      if (!out_.lines.empty() && out_.lines.back().file == made.file &&
          out_.lines.back().line == made.line && out_.lines.back().column == made.column) {
        continue;
      }
      out_.lines.push_back(made);
    }
  }
  u32 file(const std::string& name) {
    const auto [at, is_new] = files_.emplace(name, static_cast<u32>(out_.files.size()));
    if (is_new) out_.files.push_back(name);
    return at->second;
  }

  void tables() {
    each_needed(ExternKind::table, false, [&](Ref ref) {
      const Object& object = objects_[ref.object];
      mod::Table table = object.module.tables[ref.index - object.imported(ExternKind::table)];
      table.init =
          expression(ref.object, table.init, 0, imported_[static_cast<u8>(ExternKind::global)]);
      out_.tables.push_back(std::move(table));
    });
  }

  void globals() {
    u32 earlier = imported_[static_cast<u8>(ExternKind::global)];
    each_needed(ExternKind::global, false, [&](Ref ref) {
      const Object& object = objects_[ref.object];
      mod::Global global = object.module.globals[ref.index - object.imported(ExternKind::global)];
      global.init = expression(ref.object, global.init, 0, earlier++);
      out_.globals.push_back(std::move(global));
    });
  }

  // The memory that all memories 0 become.
  mod::MemoryType memory_0() {
    u64 free = 0;
    std::optional<u64> max;
    std::optional<u8> shift;
    bool has_max = true;
    u64 bytes_min = 0;
    for (const Object& object : objects_) {
      if (object.count(ExternKind::memory) == 0) continue;
      const mod::MemoryType& type = object.memory_type(0);
      const u64 bytes = type.size.min << type.page_shift;
      free = std::max(free, bytes > object.data_end ? bytes - object.data_end : 0);
      bytes_min = std::max(bytes_min, bytes);
      if (shift && *shift != type.page_shift) {
        mistakes_.push_back(
            fmt::format("{}: memory 0 is counted in {}, but not in the inputs before", object.file,
                        type.page_shift == 0 ? "bytes" : "pages"));
        return {};
      }
      shift = type.page_shift;
      if (type.size.max) {
        max = std::max(max.value_or(0), *type.size.max << type.page_shift);
      } else {
        has_max = false;
      }
    }
    mod::MemoryType made;
    made.page_shift = shift.value_or(0);
    const u64 unit = u64{1} << made.page_shift;
    const u64 total = align_up(std::max(data_end_ + free, bytes_min), unit);
    made.size.min = total >> made.page_shift;
    if (has_max && max) made.size.max = std::max(*max, total) >> made.page_shift;
    return made;
  }

  void memories() {
    if (has_memory_0_ && symbols_.memory_0_import() == nullptr) {
      out_.memories.push_back(memory_0());
    }
    each_needed(ExternKind::memory, false, [&](Ref ref) {
      out_.memories.push_back(objects_[ref.object].memory_type(ref.index));
    });
  }

  void exports() {
    std::set<std::string> missing(options_.exports.begin(), options_.exports.end());
    for (u32 object = 0; object < objects_.size(); ++object) {
      for (const mod::Export& item : objects_[object].module.exports) {
        if (!is_kept(options_.exports, item.name)) continue;
        missing.erase(item.name);
        out_.exports.push_back({item.name, item.kind, number(item.kind, object, item.index)});
      }
    }
    for (const std::string& name : missing) {
      mistakes_.push_back(fmt::format("no input exports {}", name));
    }
  }

  void start() {
    std::vector<u32> starts;
    for (u32 object = 0; object < objects_.size(); ++object) {
      const auto& start = objects_[object].module.start;
      if (start) starts.push_back(number(ExternKind::function, object, *start));
    }
    if (starts.empty()) return;
    if (starts.size() == 1) {
      out_.start = starts[0];
      return;
    }
    // A function that calls them in turn, behind all others.
    mod::Function made;
    made.type = type(mod::FuncType{});
    made.code_begin = static_cast<u32>(out_.code.size());
    made.label_begin = static_cast<u32>(out_.labels.size());
    made.frame_slots = 1;
    for (u32 function : starts) {
      const bool imported = is_imported(ExternKind::function, function);
      out_.code.push_back(isa::encode_wide(imported ? Op::call_import : Op::call, 1, function));
    }
    out_.code.push_back(isa::encode(Op::ret));
    made.code_size = static_cast<u32>(out_.code.size()) - made.code_begin;
    out_.start =
        imported_[static_cast<u8>(ExternKind::function)] + static_cast<u32>(out_.functions.size());
    out_.functions.push_back(made);
  }

  // Rewrites indexes. A global that an input imports may come to stand where it cannot be read
  // (not below `usable`): its own constant takes its place.
  mod::ConstExpr expression(u32 object, const mod::ConstExpr& from, u32 depth, u32 usable) {
    mod::ConstExpr made;
    for (const ConstOp& op : from) {
      if (op.kind == ConstOp::Kind::ref_func) {
        made.push_back({op.kind, number(ExternKind::function, object, op.value)});
      } else if (op.kind == ConstOp::Kind::global_get) {
        const u32 index = number(ExternKind::global, object, op.value);
        if (index < usable) {
          made.push_back({op.kind, index});
          continue;
        }
        const Ref ref = symbols_.target(ExternKind::global, object, static_cast<u32>(op.value));
        const Object& owner = objects_[ref.object];
        const mod::ConstExpr& init =
            owner.module.globals[ref.index - owner.imported(ExternKind::global)].init;
        if (depth == const_expr_limit || made.size() + init.size() > const_expr_limit) {
          mistakes_.push_back(fmt::format("{}: the first value of a global depends on itself",
                                          objects_[object].file));
          return made;
        }
        const mod::ConstExpr value = expression(ref.object, init, depth + 1, usable);
        made.insert(made.end(), value.begin(), value.end());
      } else {
        made.push_back(op);
      }
    }
    return made;
  }

  void segments() {
    for (u32 object = 0; object < objects_.size(); ++object) {
      const mod::Module& m = objects_[object].module;
      for (usize i = 0; i < m.elems.size(); ++i) {
        if (elems_[object][i] == none) continue;
        mod::ElemSegment segment = m.elems[i];
        if (segment.mode == mod::SegmentMode::active) {
          segment.table = number(ExternKind::table, object, segment.table);
        }
        segment.offset = expression(object, segment.offset, 0, none);
        for (mod::ConstExpr& item : segment.items) item = expression(object, item, 0, none);
        out_.elems.push_back(std::move(segment));
      }
      for (usize i = 0; i < m.datas.size(); ++i) {
        if (datas_[object][i] == none) continue;
        mod::DataSegment segment = m.datas[i];
        if (segment.mode == mod::SegmentMode::active) {
          segment.memory = number(ExternKind::memory, object, segment.memory);
        }
        segment.offset = expression(object, segment.offset, 0, none);
        out_.datas.push_back(std::move(segment));
      }
    }
  }

  // The index in the output, or `none`.
  [[nodiscard]] u32 renumbered(u32 object, const mod::Name& name) const {
    switch (name.space) {
      case NameSpace::function:
      case NameSpace::local:
        return number(ExternKind::function, object, name.index);
      case NameSpace::global:
        return number(ExternKind::global, object, name.index);
      case NameSpace::table:
        return number(ExternKind::table, object, name.index);
      case NameSpace::memory:
        return number(ExternKind::memory, object, name.index);
      case NameSpace::type:
        return types_[object][name.index];
      case NameSpace::data:
        return datas_[object][name.index];
      case NameSpace::elem:
        return elems_[object][name.index];
    }
    return none;
  }

  // Where a definition and the imports of it have different names, that of the definition counts.
  [[nodiscard]] bool names_definition(u32 object, const mod::Name& name) const {
    const Object& from = objects_[object];
    switch (name.space) {
      case NameSpace::function:
      case NameSpace::local:
        return name.index >= from.imported(ExternKind::function);
      case NameSpace::global:
        return name.index >= from.imported(ExternKind::global);
      case NameSpace::table:
        return name.index >= from.imported(ExternKind::table);
      case NameSpace::memory:
        return name.index >= from.imported(ExternKind::memory);
      default:
        return true;
    }
  }

  void names() {
    std::map<std::tuple<NameSpace, u32, u32>, const std::string*> chosen;
    for (bool definitions : {true, false}) {
      for (u32 object = 0; object < objects_.size(); ++object) {
        for (const mod::Name& name : objects_[object].module.names) {
          if (names_definition(object, name) != definitions) continue;
          // Parameters of an import are named by its definition or not at all.
          if (!definitions && name.space == NameSpace::local && is_defined(object, name.index)) {
            continue;
          }
          const u32 index = renumbered(object, name);
          if (index != none) chosen.emplace(std::tuple(name.space, index, name.slot), &name.text);
        }
      }
    }
    for (const auto& [key, text] : chosen) {
      out_.names.push_back({std::get<0>(key), std::get<1>(key), std::get<2>(key), *text});
    }
  }
  [[nodiscard]] bool is_defined(u32 object, u32 function) const {
    const u32 index = number(ExternKind::function, object, function);
    return index == none || !is_imported(ExternKind::function, index);
  }

  void customs() {
    for (const Object& object : objects_) {
      out_.customs.insert(out_.customs.end(), object.module.customs.begin(),
                          object.module.customs.end());
    }
  }

  const std::vector<Object>& objects_;
  const Symbols& symbols_;
  const Needed& needed_;
  const Options& options_;
  const u64 data_end_;
  std::vector<std::string>& mistakes_;
  mod::Module out_;
  bool has_memory_0_ = false;
  std::array<std::vector<std::vector<u32>>, kind_count> numbers_;  // by kind, input, index
  std::array<u32, kind_count> imported_{};
  std::vector<std::vector<u32>> types_, elems_, datas_;  // by input, index
  std::map<std::pair<std::vector<mod::ValType>, std::vector<mod::ValType>>, u32> type_numbers_;
  std::unordered_map<std::string, u32> files_;
};

}  // namespace

base::Result<mod::Module> link(std::vector<Input> inputs, const Options& options) {
  if (inputs.empty()) {
    return base::Error{base::ErrorCode::usage, "", "nothing to link: no inputs"};
  }
  std::vector<Object> objects;
  std::vector<std::string> mistakes;
  std::optional<base::Error> refused;
  for (Input& input : inputs) {
    auto object = open_object(std::move(input.file), std::move(input.module));
    if (object.ok()) {
      objects.push_back(std::move(*object));
    } else {
      mistakes.push_back(object.error().text());
      if (!refused) refused = object.error();
    }
  }
  if (refused) return mistakes.size() == 1 ? *refused : failure(mistakes);
  const u64 data_end = lay_out(objects, mistakes);
  const Symbols symbols(objects, mistakes);
  if (symbols.is_missing()) {
    base::Error error = failure(mistakes);
    error.code = base::ErrorCode::not_found;
    return error;
  }
  if (!mistakes.empty()) return failure(mistakes);
  for (Object& object : objects) relocate(object, data_end);
  const Needed needed = find_needed(objects, symbols, options.exports);
  mod::Module module = Emitter(objects, symbols, needed, options, data_end, mistakes).emit();
  if (!mistakes.empty()) return failure(mistakes);
  auto verified = verify::verify(std::move(module));
  if (!verified.ok()) {
    return base::Error{verified.error().code, "the linked module", verified.error().text()};
  }
  return **verified;
}

}  // namespace atollvm::link
