// From items to the parts of a module.
#include <algorithm>

#include "assembler/text/data.hpp"
#include "assembler/text/items.hpp"
#include "assembler/text/leave_out.hpp"
#include "vm/module/limits.hpp"

namespace atollvm::text {

namespace {

namespace limits = mod::limits;

// Calls `action` and goes on after a mistake in it.
template <class Action>
void guarded(Action action) {
  try {
    action();
  } catch (Stop&) {
  }
}

class Builder : public Parser {
 public:
  explicit Builder(Unit& unit) : Parser(unit, {0, 0}) {}

  void number() {
    leave_out(unit_);
    number_kind(unit_.memories);
    number_kind(unit_.globals);
    number_kind(unit_.tables);
    for (u32 i = 0; i < unit_.functions.size(); ++i) {
      FuncItem& item = unit_.functions[i];
      if (!item.library) use_function(unit_, i);
    }
    check_unused();
    const Token& anywhere = unit_.files[0]->tokens.back();
    guarded([&] { layout_memory(anywhere); });
    for (MemoryItem& item : unit_.memories) guarded([&] { memory_size(item); });
    for (TableItem& item : unit_.tables) guarded([&] { table_size(item); });
  }

  void build() {
    memories();
    tables();
    globals();
    for (ElemItem& item : unit_.elems) {
      if (item.used) guarded([&] { elements(item); });
    }
    for (u32 i = 0; i < unit_.datas.size(); ++i) {
      const DataItem& item = unit_.datas[i];
      if (item.used && !item.reserved && item.state == State::known) {
        guarded([&] { emit_data(unit_, i); });
      }
    }
    if (unit_.has_start) guarded([&] { start(); });
    for (const ExportItem& item : unit_.exports) add_export(item);
    check_exports();
  }

 private:
  static bool used(const MemoryItem&) { return true; }
  template <class Item>
  static bool used(const Item& item) {
    return item.used;
  }

  template <class Item>
  static void number_kind(std::vector<Item>& items) {
    u32 next = 0;
    for (Item& item : items) {
      if (item.import != own && used(item)) item.index = next++;
    }
    for (Item& item : items) {
      if (item.import == own && used(item)) item.index = next++;
    }
  }

  // What nobody uses is checked all the same.
  void check_unused() {
    for (u32 i = 0; i < unit_.constants.size(); ++i) {
      const Token& token = unit_.token_of(unit_.constants[i].expression);
      go(unit_.constants[i].expression);
      guarded([&] { constant_item(i, token); });
    }
    for (u32 i = 0; i < unit_.structs.size(); ++i) {
      go(unit_.structs[i].name);
      guarded([&] { layout_struct(i, *at_); });
    }
    for (u32 i = 0; i < unit_.datas.size(); ++i) {
      go(unit_.datas[i].name);
      guarded([&] { measure_data(i); });
    }
  }

  // --- Sizes ------------------------------------------------------------------------------------

  void memory_size(MemoryItem& item) {
    go(item.size);
    const Token& token = *at_;
    const i64 min = integer("the size of a memory", 0, i64{1} << 32);
    std::optional<u64> max;
    if (accept(Kind::dots)) {
      max = static_cast<u64>(integer("the largest size of a memory", 0, i64{1} << 32));
    }
    item.type.page_shift = accept(Keyword::pages) ? 16 : 0;
    end_of_size(item.import);
    const bool pages = item.type.page_shift != 0;
    const u64 limit = pages ? limits::memory_pages : limits::memory_bytes;
    if (static_cast<u64>(min) > limit || (max && *max > limit)) {
      fail(token, "a memory cannot be larger than " +
                      (pages ? "65536 pages" : std::to_string(limit) + " bytes"));
    }
    if (max && *max < static_cast<u64>(min)) fail(token, "the range is empty");
    item.type.size = {static_cast<u64>(min), max};
  }

  void table_size(TableItem& item) {
    go(item.size);
    const Token& token = *at_;
    i64 min = 0;
    std::optional<u64> max;
    if (!is(Kind::assign)) {
      min = integer("the size of a table", 0, limits::table_elements);
      if (accept(Kind::dots)) {
        max = static_cast<u64>(integer("the largest size of a table", 0, 0xffffffff));
      }
      if (max && *max < static_cast<u64>(min)) fail(token, "the range is empty");
    } else {
      Parser list(unit_, item.init);
      min = static_cast<i64>(list_length(item.init));
    }
    if (!is(Kind::assign)) end_of_size(item.import);
    item.type.size = {static_cast<u64>(min), max};
  }

  void end_of_size(u32 import) {
    if (import != own && is(Keyword::from)) return;
    expect_end();
  }

  // Number of elements of a list, by its commas.
  u64 list_length(At list) {
    Parser parser(unit_, list);
    const Token* token = &unit_.token_of(list) + 1;
    u64 count = 0;
    for (bool comma = true; token->kind != Kind::rbracket && token->kind != Kind::end; ++token) {
      if (comma) ++count;
      comma = token->kind == Kind::comma;
    }
    return count;
  }

  // --- The parts --------------------------------------------------------------------------------

  mod::Import import_of(u32 import, mod::ExternKind kind) {
    mod::Import made;
    made.module = unit_.imports[import].module;
    made.name = unit_.imports[import].name;
    made.kind = kind;
    return made;
  }

  void memories() {
    for (MemoryItem& item : unit_.memories) {
      if (item.index == 0) {
        const u64 unit = u64{1} << item.type.page_shift;
        const u64 needed = (unit_.data_end + unit - 1) / unit;
        item.type.size.min = std::max(item.type.size.min, needed);
        if (item.type.size.max && *item.type.size.max < needed) {
          unit_.reporter.error(unit_.place_of(item.name),
                               "the data need " + std::to_string(unit_.data_end) +
                                   " bytes, more than the memory may have");
        }
      }
      if (item.import != own) {
        mod::Import made = import_of(item.import, mod::ExternKind::memory);
        made.memory = item.type;
        unit_.module.imports.push_back(std::move(made));
      } else {
        unit_.module.memories.push_back(item.type);
      }
      if (item.named) name(mod::NameSpace::memory, item.index, item.name);
    }
    if (unit_.memories.empty() && unit_.has_memory()) {
      mod::MemoryType type;
      type.size.min = unit_.data_end;
      unit_.module.memories.push_back(type);
    }
  }

  void name(mod::NameSpace space, u32 index, At at) {
    unit_.module.names.push_back({space, index, 0, std::string(text(unit_.token_of(at).value))});
  }

  void tables() {
    for (const TableItem& item : unit_.tables) {
      if (!item.used) continue;
      if (item.import != own) {
        mod::Import made = import_of(item.import, mod::ExternKind::table);
        made.table = item.type;
        unit_.module.imports.push_back(std::move(made));
      } else {
        unit_.module.tables.push_back({item.type, {}});
      }
      name(mod::NameSpace::table, item.index, item.name);
      if (item.has_init) guarded([&] { table_elements(item); });
    }
  }

  void table_elements(const TableItem& item) {
    mod::ElemSegment segment;
    segment.mode = mod::SegmentMode::active;
    segment.type = item.type.element;
    segment.table = item.index;
    segment.offset = {{mod::ConstOp::Kind::i32_const, 0}};
    list(item.init, item.type.element, segment.items);
    if (segment.items.size() > item.type.size.min) {
      fail(unit_.token_of(item.name), std::to_string(segment.items.size()) +
                                          " elements do not fit a table of " +
                                          std::to_string(item.type.size.min));
    }
    if (!segment.items.empty()) unit_.module.elems.push_back(std::move(segment));
  }

  void list(At at, ValType type, std::vector<mod::ConstExpr>& items) {
    go(at);
    expect(Kind::lbracket, "`[`");
    if (accept(Kind::rbracket)) return;
    do {
      if (is(Kind::rbracket)) break;
      items.push_back(reference(type));
    } while (accept(Kind::comma));
    expect(Kind::rbracket, "`,` or `]`");
  }

  // `null`, or a function for a funcref.
  mod::ConstExpr reference(ValType type) {
    if (accept(Keyword::null)) return {{mod::ConstOp::Kind::ref_null, 0}};
    const Token& token = *at_;
    const u32 function = item(Bind::function, "function");
    if (type != ValType::funcref) fail(token, "a function is not an externref");
    return {{mod::ConstOp::Kind::ref_func, use_function(unit_, function)}};
  }

  void elements(ElemItem& item) {
    mod::ElemSegment segment;
    segment.type = item.type;
    list(item.list, item.type, segment.items);
    item.segment = static_cast<u32>(unit_.module.elems.size());
    name(mod::NameSpace::elem, item.segment, item.name);
    unit_.module.elems.push_back(std::move(segment));
  }

  void globals() {
    for (const GlobalItem& item : unit_.globals) {
      if (!item.used) continue;
      name(mod::NameSpace::global, item.index, item.name);
      if (item.import != own) {
        mod::Import made = import_of(item.import, mod::ExternKind::global);
        made.global = item.type;
        unit_.module.imports.push_back(std::move(made));
        continue;
      }
      guarded([&] { own_global(item); });
    }
  }

  void own_global(const GlobalItem& item) {
    if (!item.has_init) return;  // a mistake, reported
    go(item.init);
    mod::Global made;
    made.type = item.type;
    const Token& token = *at_;
    const Binding bound = token.kind == Kind::name ? binding(token.value) : Binding{};
    if (mod::is_reference(item.type.type)) {
      made.init = reference(item.type.type);
    } else if (bound.kind == Bind::global) {
      const GlobalItem& other = unit_.globals[bound.index];
      if (other.import == own || other.type.is_mutable) {
        fail(token, "only an imported global that cannot change may be the first value");
      }
      if (other.type.type != item.type.type) fail(token, text_of(token) + " has another type");
      ++at_;
      made.init = {{mod::ConstOp::Kind::global_get, other.index}};
    } else {
      made.init = number_value(item.type.type);
    }
    expect_end();
    unit_.module.globals.push_back(std::move(made));
  }

  mod::ConstExpr number_value(ValType type) {
    const Token& token = *at_;
    const Const value = constant();
    if (value.base != Const::Base::none) {
      fail(token, "an address cannot be a global's first value in an object",
           "set the global in a start function");
    }
    const u64 raw = bits(value, type, token);
    using Kind = mod::ConstOp::Kind;
    const Kind kind = type == ValType::i32   ? Kind::i32_const
                      : type == ValType::i64 ? Kind::i64_const
                      : type == ValType::f32 ? Kind::f32_const
                                             : Kind::f64_const;
    return {{kind, raw}};
  }

  void start() {
    go(unit_.start);
    const Token& token = *at_;
    const u32 function = item(Bind::function, "function");
    const mod::FuncType& type = unit_.module.types[unit_.functions[function].type];
    if (!type.params.empty() || !type.results.empty()) {
      fail(token, "the start function must have neither parameters nor results");
    }
    unit_.start_function = use_function(unit_, function);
  }

  void add_export(const ExportItem& item) {
    mod::Export made;
    made.name = item.text;
    made.kind = item.kind;
    switch (item.kind) {
      case mod::ExternKind::function:
        made.index = use_function(unit_, item.index);
        break;
      case mod::ExternKind::table:
        made.index = unit_.tables[item.index].index;
        break;
      case mod::ExternKind::memory:
        made.index = unit_.memories[item.index].index;
        break;
      case mod::ExternKind::global:
        made.index = unit_.globals[item.index].index;
        break;
    }
    unit_.module.exports.push_back(std::move(made));
  }

  void check_exports() {
    std::vector<const ExportItem*> sorted;
    for (const ExportItem& item : unit_.exports) sorted.push_back(&item);
    std::stable_sort(sorted.begin(), sorted.end(),
                     [](const ExportItem* x, const ExportItem* y) { return x->text < y->text; });
    for (usize i = 1; i < sorted.size(); ++i) {
      if (sorted[i]->text != sorted[i - 1]->text) continue;
      unit_.reporter.error(unit_.place_of(sorted[i]->name),
                           "two exports have the name " + quoted(sorted[i]->text));
    }
  }
};

}  // namespace

u32 use_function(Unit& unit, u32 index) {
  FuncItem& item = unit.functions[index];
  if (item.index == FuncItem::unused) {
    auto& list = item.import != own ? unit.imported_functions : unit.own_functions;
    item.index = static_cast<u32>(list.size());
    list.push_back(index);
  }
  return item.import != own ? item.index : item.index | own_function_bit;
}

void number_items(Unit& unit) { Builder(unit).number(); }

void build_module(Unit& unit) { Builder(unit).build(); }

}  // namespace atollvm::text
