// Raw programs: tokens to a module. First all items are read, then what they name is looked up.
#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <tuple>
#include <unordered_map>

#include "assembler/text/floats.hpp"
#include "assembler/text/raw.hpp"
#include "assembler/text/raw_cursor.hpp"

namespace atollvm::text {

namespace {

using isa::OperandKind;
using mod::ConstOp;
using mod::ExternKind;
using mod::NameSpace;

constexpr u32 none = RawFunction::none;

// Index spaces are the name spaces without `local`.
constexpr u32 space_count = 7;

struct SpaceInfo {
  std::string_view word;  // as items are called
  std::string_view what;
};
constexpr std::array<SpaceInfo, space_count> spaces = {{{"func", "a function"},
                                                        {"global", "a global"},
                                                        {"table", "a table"},
                                                        {"memory", "a memory"},
                                                        {"type", "a type"},
                                                        {"data", "a data segment"},
                                                        {"elem", "an element segment"}}};

const SpaceInfo& info(NameSpace space) { return spaces[static_cast<u8>(space)]; }

NameSpace space_of(OperandKind kind) {
  switch (kind) {
    case OperandKind::type:
      return NameSpace::type;
    case OperandKind::global:
      return NameSpace::global;
    case OperandKind::table:
      return NameSpace::table;
    case OperandKind::memory:
      return NameSpace::memory;
    case OperandKind::elem:
      return NameSpace::elem;
    case OperandKind::data:
      return NameSpace::data;
    default:
      return NameSpace::function;
  }
}

NameSpace space_of(ExternKind kind) {
  switch (kind) {
    case ExternKind::function:
      return NameSpace::function;
    case ExternKind::table:
      return NameSpace::table;
    case ExternKind::memory:
      return NameSpace::memory;
    case ExternKind::global:
      return NameSpace::global;
  }
  return NameSpace::function;
}

class ProgramParser {
 public:
  ProgramParser(const File& file, u32 file_number, Reporter& reporter)
      : c_{file, file_number, reporter, 0} {}

  mod::Module parse() {
    while (!c_.is(Kind::end)) {
      if (c_.accept(Kind::newline)) continue;
      const u32 before = c_.at;
      try {
        item();
        c_.end_of_statement();
      } catch (Stop) {
        c_.skip_statement();
      }
      if (c_.is(Kind::rbrace) || c_.at == before) ++c_.at;
    }
    number_items();
    resolve();
    finish();
    return std::move(m_);
  }

 private:
  // What has an index: its place in the index space is known when all imports are.
  struct Item {
    NameSpace space;
    bool imported;
    u32 position;  // among the imports of the space, or among the others
    u32 number;    // token of the index as written, or none
    u32 name;      // token, or none
  };
  // A use of an item: `to` takes its index.
  struct Use {
    NameSpace space;
    u32 token;
    std::function<void(ProgramParser&, u32)> to;
  };
  struct TypeOf {
    bool import;
    u32 position;  // in imports or functions
    u32 token;     // of the type as named, or none
    mod::FuncType signature;
  };
  struct ExplicitName {
    NameSpace space;
    u32 index;
    u32 slot;
    u32 token;  // for mistakes
    std::string text;
  };

  // --- Reading ----------------------------------------------------------------------------------

  void item() {
    const u32 first = c_.at;
    if (!c_.accept_word("raw")) {
      c_.fail_here("all items of a raw program begin with `raw`");
    }
    if (c_.is_word("func")) {
      --c_.at;
      return function();
    }
    if (!c_.is(Kind::name)) c_.fail_here("the kind of item is missing here");
    const std::string_view word = c_.file.spelling(c_.peek());
    ++c_.at;
    if (word == "module") return module_name(first);
    if (word == "type") return type();
    if (word == "import") return import();
    if (word == "table") return table();
    if (word == "memory") return memory();
    if (word == "global") return global();
    if (word == "export") return export_item();
    if (word == "start") return start();
    if (word == "elem") return elem();
    if (word == "data") return data();
    if (word == "file") return m_.files.push_back(c_.string("the file's name"));
    if (word == "custom") return custom();
    if (word == "name") return name();
    if (word == "line") return line();
    NearMiss near(word);
    for (std::string_view known :
         {"module", "type", "import", "func", "table", "memory", "global", "export", "start",
          "elem", "data", "file", "custom", "name", "line"}) {
      near.consider(known);
    }
    c_.fail(first + 1, fmt::format("{} is no item of a raw program", quoted(word)), near.hint());
  }

  void module_name(u32 first) {
    if (first != 0) c_.fail(first, "`raw module` stands at the beginning only");
    m_.name = c_.string("the module's name");
  }

  // Index and name after the kind of an item.
  void declare(NameSpace space, bool imported) {
    const u32 number = c_.is_number() ? c_.at++ : none;
    const u32 name = c_.optional_name();
    add_item({space, imported, 0, number, name});
  }
  void add_item(Item item) {
    auto& count = counts_[item.imported ? 0 : 1][static_cast<u8>(item.space)];
    item.position = count++;
    if (item.name != none && c_.file.tokens[item.name].kind == Kind::string) {
      c_.decoded(item.name);  // for its mistakes
    }
    items_.push_back(item);
  }

  void use(NameSpace space, std::function<void(ProgramParser&, u32)> to) {
    uses_.push_back({space, c_.reference(info(space).what), std::move(to)});
  }

  void type() {
    declare(NameSpace::type, false);
    c_.expect(Kind::assign, "`=`");
    c_.expect_word("func");
    m_.types.push_back(c_.signature());
  }

  void import() {
    mod::Import import;
    const auto kind = extern_kind();
    import.kind = kind;
    declare(space_of(kind), true);
    TypeOf type{true, static_cast<u32>(m_.imports.size()), none, {}};
    switch (kind) {
      case ExternKind::function:
        type.signature = c_.signature();
        if (c_.accept_word("type")) type.token = c_.reference("a type");
        break;
      case ExternKind::table:
        import.table = table_type();
        break;
      case ExternKind::memory:
        import.memory = memory_type();
        break;
      case ExternKind::global:
        import.global = global_type();
        break;
    }
    c_.expect_word("from");
    import.module = c_.string("the module's name");
    import.name = c_.string("the name of what is imported");
    m_.imports.push_back(std::move(import));
    if (kind == ExternKind::function) types_of_.push_back(std::move(type));
  }

  ExternKind extern_kind() {
    if (c_.accept_word("func")) return ExternKind::function;
    if (c_.accept_word("table")) return ExternKind::table;
    if (c_.accept_word("memory")) return ExternKind::memory;
    if (c_.accept_word("global")) return ExternKind::global;
    c_.fail_here("one of `func`, `table`, `memory`, `global` is missing here");
  }

  mod::Range range() {
    mod::Range range;
    range.min = c_.number(~u64{0}, "the least size");
    if (c_.accept(Kind::dots)) range.max = c_.number(~u64{0}, "the largest size");
    return range;
  }
  mod::TableType table_type() {
    c_.expect(Kind::colon, "`:`");
    const mod::ValType element = c_.value_type();
    return {element, range()};
  }
  mod::MemoryType memory_type() {
    c_.expect(Kind::colon, "`:`");
    mod::MemoryType type{range(), 0};
    if (c_.accept_word("pages")) type.page_shift = 16;
    return type;
  }
  mod::GlobalType global_type() {
    c_.expect(Kind::colon, "`:`");
    const bool is_mutable = c_.accept_word("mut");
    return {c_.value_type(), is_mutable};
  }

  void table() {
    declare(NameSpace::table, false);
    mod::Table table;
    table.type = table_type();
    const u32 at = static_cast<u32>(m_.tables.size());
    if (c_.accept(Kind::assign)) {
      table.init = expression([at](ProgramParser& p) -> auto& { return p.m_.tables[at].init; });
    }
    m_.tables.push_back(std::move(table));
  }
  void memory() {
    declare(NameSpace::memory, false);
    m_.memories.push_back(memory_type());
  }
  void global() {
    declare(NameSpace::global, false);
    mod::Global global;
    global.type = global_type();
    c_.expect(Kind::assign, "`=`");
    const u32 at = static_cast<u32>(m_.globals.size());
    global.init = expression([at](ProgramParser& p) -> auto& { return p.m_.globals[at].init; });
    m_.globals.push_back(std::move(global));
  }

  // A constant expression; `where` finds it again when the indexes in it are known.
  template <class Where>
  mod::ConstExpr expression(Where where) {
    mod::ConstExpr expr;
    c_.expect(Kind::lparen, "`(`");
    if (c_.accept(Kind::rparen)) return expr;
    do {
      const u32 at = static_cast<u32>(expr.size());
      const auto to = [where, at](ProgramParser& p, u32 index) { where(p)[at].value = index; };
      expr.push_back(const_op(to));
    } while (c_.accept(Kind::comma));
    c_.expect(Kind::rparen, "`)`");
    return expr;
  }

  template <class To>
  ConstOp const_op(To to) {
    using enum ConstOp::Kind;
    if (c_.accept_word("i32.const")) return {i32_const, c_.immediate(32, false)};
    if (c_.accept_word("i64.const")) return {i64_const, c_.immediate(64, false)};
    if (c_.accept_word("f32.const")) return {f32_const, c_.float_bits(false)};
    if (c_.accept_word("f64.const")) return {f64_const, c_.float_bits(true)};
    if (c_.accept_word("ref.null")) return {ref_null, 0};
    if (c_.accept_word("i32.add")) return {i32_add, 0};
    if (c_.accept_word("i32.sub")) return {i32_sub, 0};
    if (c_.accept_word("i32.mul")) return {i32_mul, 0};
    if (c_.accept_word("i64.add")) return {i64_add, 0};
    if (c_.accept_word("i64.sub")) return {i64_sub, 0};
    if (c_.accept_word("i64.mul")) return {i64_mul, 0};
    if (c_.accept_word("global.get")) {
      use(NameSpace::global, to);
      return {global_get, 0};
    }
    if (c_.accept_word("ref.func")) {
      use(NameSpace::function, to);
      return {ref_func, 0};
    }
    c_.fail_here("this is no operation of constant expressions",
                 "they are i32.const, i64.const, f32.const, f64.const, global.get, ref.null, "
                 "ref.func, and add, sub, mul of i32 and i64");
  }

  void export_item() {
    mod::Export item;
    item.kind = extern_kind();
    const u32 at = static_cast<u32>(m_.exports.size());
    use(space_of(item.kind), [at](ProgramParser& p, u32 index) { p.m_.exports[at].index = index; });
    item.name = c_.string("the name to export under");
    m_.exports.push_back(std::move(item));
  }

  void start() {
    const u32 first = c_.at - 1;
    if (has_start_) c_.report(first, "there is a `raw start` already");
    has_start_ = true;
    use(NameSpace::function, [](ProgramParser& p, u32 index) { p.m_.start = index; });
  }

  void elem() {
    declare(NameSpace::elem, false);
    c_.expect(Kind::colon, "`:`");
    mod::ElemSegment segment;
    segment.type = c_.value_type();
    const u32 at = static_cast<u32>(m_.elems.size());
    if (c_.accept_word("at")) {
      segment.mode = mod::SegmentMode::active;
      c_.expect_word("table");
      use(NameSpace::table, [at](ProgramParser& p, u32 index) { p.m_.elems[at].table = index; });
      segment.offset =
          expression([at](ProgramParser& p) -> auto& { return p.m_.elems[at].offset; });
    } else if (c_.accept_word("declared")) {
      segment.mode = mod::SegmentMode::declared;
    } else {
      c_.expect_word("passive");
    }
    c_.expect(Kind::assign, "`=`");
    c_.expect(Kind::lbracket, "`[`");
    if (!c_.accept(Kind::rbracket)) {
      do {
        const usize i = segment.items.size();
        segment.items.push_back(
            expression([at, i](ProgramParser& p) -> auto& { return p.m_.elems[at].items[i]; }));
      } while (c_.accept(Kind::comma));
      c_.expect(Kind::rbracket, "`]`");
    }
    m_.elems.push_back(std::move(segment));
  }

  void data() {
    declare(NameSpace::data, false);
    c_.expect(Kind::colon, "`:`");
    mod::DataSegment segment;
    const u32 at = static_cast<u32>(m_.datas.size());
    if (c_.accept_word("at")) {
      segment.mode = mod::SegmentMode::active;
      c_.expect_word("memory");
      use(NameSpace::memory, [at](ProgramParser& p, u32 index) { p.m_.datas[at].memory = index; });
      segment.offset =
          expression([at](ProgramParser& p) -> auto& { return p.m_.datas[at].offset; });
    } else {
      c_.expect_word("passive");
    }
    c_.expect(Kind::assign, "`=`");
    segment.bytes = strings();
    m_.datas.push_back(std::move(segment));
  }

  std::string strings() {
    std::string bytes;
    do bytes += c_.string("text");
    while (c_.accept(Kind::comma));
    return bytes;
  }

  void custom() {
    mod::CustomSection section;
    section.name = c_.string("the section's name");
    c_.expect(Kind::assign, "`=`");
    section.bytes = strings();
    m_.customs.push_back(std::move(section));
  }

  void name() {
    ExplicitName name{NameSpace::local, 0, 0, c_.at, {}};
    if (!c_.accept_word("local")) {
      for (u32 i = 0; i < space_count; ++i) {
        if (c_.is_word(spaces[i].word)) name.space = static_cast<NameSpace>(i);
      }
      if (name.space == NameSpace::local) c_.fail_here("what is named is missing here");
      ++c_.at;
    }
    name.index = static_cast<u32>(c_.number(~u32{0}, "an index"));
    if (name.space == NameSpace::local) {
      name.slot = static_cast<u32>(c_.number(~u32{0}, "a register's number"));
    }
    name.text = c_.string("the name");
    names_.push_back(std::move(name));
  }

  void line() {
    mod::Line line;
    line.pc = static_cast<u32>(c_.number(~u32{0}, "a word of the code"));
    line.file = static_cast<u32>(c_.number(~u32{0}, "the number of a file"));
    line.line = static_cast<u32>(c_.number(~u32{0}, "a line number"));
    line.column = static_cast<u32>(c_.number(~u32{0}, "a column number"));
    m_.lines.push_back(line);
  }

  void function() {
    RawFunction function = parse_raw_function(c_.file, c_.file_number, c_.at, c_.reporter);
    add_item({NameSpace::function, false, 0, function.number, function.name});
    types_of_.push_back(
        {false, static_cast<u32>(m_.functions.size()), function.type, function.signature});
    mod::Function made;
    made.code_begin = static_cast<u32>(m_.code.size());
    made.code_size = static_cast<u32>(function.code.size());
    made.label_begin = static_cast<u32>(m_.labels.size());
    made.label_count = static_cast<u32>(function.labels.size());
    made.local_slots = function.local_slots;
    made.frame_slots = function.frame_slots;
    m_.functions.push_back(made);
    m_.code.insert(m_.code.end(), function.code.begin(), function.code.end());
    m_.labels.insert(m_.labels.end(), function.labels.begin(), function.labels.end());
    bodies_.push_back(std::move(function));
  }

  // --- Looking up -------------------------------------------------------------------------------

  [[nodiscard]] u32 imported(NameSpace space) const { return counts_[0][static_cast<u8>(space)]; }
  [[nodiscard]] u32 count(NameSpace space) const {
    return imported(space) + counts_[1][static_cast<u8>(space)];
  }

  void number_items() {
    for (const Item& item : items_) {
      const u32 index = item.position + (item.imported ? 0 : imported(item.space));
      if (item.number != none) {
        const Token& token = c_.file.tokens[item.number];
        if (token.kind != Kind::integer || token.value != index) {
          c_.report(item.number, fmt::format("the index of this item is {}", index),
                    "the number may be left out");
        }
      }
      if (item.name == none) continue;
      std::string text = item_name(c_.file, item.name);
      auto [at, is_new] = by_name_[static_cast<u8>(item.space)].emplace(text, index);
      if (!is_new) at->second = none;
      names_.push_back({item.space, index, 0, item.name, std::move(text)});
    }
  }

  // The index of what a token names; reports what does not exist and gives 0 for it.
  u32 find(NameSpace space, u32 at) {
    const Token& token = c_.file.tokens[at];
    if (token.kind == Kind::wide) {
      c_.report(at, "an index has 32 bits");
      return 0;
    }
    if (token.kind == Kind::integer) return token.value;
    const auto& table = by_name_[static_cast<u8>(space)];
    const std::string text = item_name(c_.file, at);
    const auto found = table.find(text);
    if (found == table.end()) {
      NearMiss near(text);
      for (const auto& [name, index] : table) near.consider(name);
      c_.report(at,
                fmt::format("there is no {} with this name",
                            info(space).what.substr(info(space).what.find(' ') + 1)),
                near.hint());
      return 0;
    }
    if (found->second == none) {
      c_.report(at, "several items have this name", "use the index");
      return 0;
    }
    return found->second;
  }

  void resolve() {
    for (Use& use : uses_) {
      const u32 index = find(use.space, use.token);
      // An item with a mistake in it is not in the module.
      if (c_.reporter.ok()) use.to(*this, index);
    }
    for (usize i = 0; i < bodies_.size(); ++i) {
      const RawFunction& body = bodies_[i];
      isa::Word* code = m_.code.data() + m_.functions[i].code_begin;
      for (const RawReference& reference : body.references) {
        const u32 index = find(space_of(reference.operand.kind), reference.token);
        if (index > isa::field_limit(reference.operand.field)) {
          c_.report(reference.token, "the index does not fit the instruction");
          continue;
        }
        isa::write_field(code + reference.word, reference.operand.field, index);
      }
    }
    resolve_types();
    for (usize i = 0; i < bodies_.size(); ++i) add_debug_info(i);
  }

  void resolve_types() {
    std::map<std::pair<std::vector<mod::ValType>, std::vector<mod::ValType>>, u32> first;
    for (u32 i = 0; i < m_.types.size(); ++i) {
      first.emplace(std::pair(m_.types[i].params, m_.types[i].results), i);
    }
    for (const TypeOf& of : types_of_) {
      u32 index = 0;
      if (of.token != none) {
        index = find(NameSpace::type, of.token);
        if (index < m_.types.size() && m_.types[index] != of.signature) {
          c_.report(of.token, "this type has other parameters or results");
        }
      } else {
        const auto [at, is_new] =
            first.emplace(std::pair(of.signature.params, of.signature.results),
                          static_cast<u32>(m_.types.size()));
        if (is_new) m_.types.push_back(of.signature);
        index = at->second;
      }
      if (of.import) {
        if (of.position < m_.imports.size()) m_.imports[of.position].func_type = index;
      } else {
        m_.functions[of.position].type = index;
      }
    }
  }

  // The number of a file in the line table's list, which grows with new ones.
  u32 file_number(u32 at) {
    const Token& token = c_.file.tokens[at];
    if (token.kind == Kind::integer) return token.value;
    std::string text = item_name(c_.file, at);
    if (!files_known_) {
      files_known_ = true;
      for (u32 i = 0; i < m_.files.size(); ++i) files_.emplace(m_.files[i], i);
    }
    const auto [found, is_new] = files_.emplace(text, static_cast<u32>(m_.files.size()));
    if (is_new) m_.files.push_back(std::move(text));
    return found->second;
  }

  void add_debug_info(usize i) {
    const RawFunction& body = bodies_[i];
    for (const RawLine& line : body.lines) {
      m_.lines.push_back(
          {m_.functions[i].code_begin + line.pc, file_number(line.file), line.line, line.column});
    }
    const u32 index = imported(NameSpace::function) + static_cast<u32>(i);
    for (const mod::Name& local : body.locals) {
      names_.push_back({NameSpace::local, index, local.slot, body.item, local.text});
    }
  }

  void finish() {
    const auto key = [](const ExplicitName& name) {
      return std::tie(name.space, name.index, name.slot);
    };
    std::sort(names_.begin(), names_.end(), [&](const auto& x, const auto& y) {
      return std::pair(key(x), x.token) < std::pair(key(y), y.token);
    });
    for (usize i = 0; i < names_.size(); ++i) {
      ExplicitName& name = names_[i];
      if (i != 0 && key(names_[i - 1]) == key(name)) {
        c_.report(name.token, "this has a name already");
      }
      m_.names.push_back({name.space, name.index, name.slot, std::move(name.text)});
    }
    std::sort(m_.lines.begin(), m_.lines.end(),
              [](const mod::Line& x, const mod::Line& y) { return x.pc < y.pc; });
    const auto twice =
        std::adjacent_find(m_.lines.begin(), m_.lines.end(),
                           [](const mod::Line& x, const mod::Line& y) { return x.pc == y.pc; });
    if (twice != m_.lines.end()) {
      c_.report(0, fmt::format("two lines for word {} of the code", twice->pc));
    }
  }

  RawCursor c_;
  mod::Module m_;
  std::vector<Item> items_;
  std::vector<Use> uses_;
  std::vector<TypeOf> types_of_;
  std::vector<RawFunction> bodies_;  // of m_.functions
  std::vector<ExplicitName> names_;
  u32 counts_[2][space_count] = {};  // of imports, of own items
  std::array<std::unordered_map<std::string, u32>, space_count> by_name_;  // none: several
  std::unordered_map<std::string, u32> files_;
  bool files_known_ = false;
  bool has_start_ = false;
};

}  // namespace

bool is_raw_program(const File& file) {
  return file.tokens.size() >= 2 && file.tokens[0].kind == Kind::name &&
         file.tokens[1].kind == Kind::name && file.spelling(file.tokens[0]) == "raw" &&
         file.spelling(file.tokens[1]) == "module";
}

mod::Module assemble_raw(const File& file, u32 file_number, Reporter& reporter) {
  return ProgramParser(file, file_number, reporter).parse();
}

}  // namespace atollvm::text
