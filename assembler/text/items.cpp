#include "assembler/text/items.hpp"

#include <algorithm>
#include <limits>

#include "assembler/text/data.hpp"
#include "vm/module/limits.hpp"

namespace atollvm::text {

namespace {

class ItemParser : public Parser {
 public:
  ItemParser(Unit& unit, u32 file) : Parser(unit, {file, 0}) {}

  void run() {
    for (skip_newlines(); !is(Kind::end); skip_newlines()) {
      const At first = here();
      root_ = false;
      try {
        item();
        expect_end();
        if (is(Kind::rbrace)) fail(*at_, "expected the end of the statement, found `}`");
      } catch (Stop&) {
        skip_item();
      }
      unit_.extents.push_back({first.file, first.token, here().token, exported_ || root_});
    }
  }

 private:
  // To the end of the line that a mistake is on, and of the braces that are open there.
  void skip_item() {
    for (; !at_end(); ++at_) {
      if (is(Kind::lbrace)) at_ = file_->tokens.data() + at_->value;
    }
  }

  void item() {
    export_name_ = std::nullopt;
    exported_ = false;
    if (is(Keyword::export_)) {
      ++at_;
      exported_ = true;
      if (is(Kind::string)) {
        export_name_at_ = at_;
        export_name_ = external_name();
      }
    }
    if (!is(Kind::name)) missing("an item");
    const Token& first = *at_++;
    switch (static_cast<Keyword>(first.value)) {
      case Keyword::func:
        return function(Sort::plain);
      case Keyword::global:
        return global();
      case Keyword::table:
        return table();
      case Keyword::memory:
        return memory(first);
      case Keyword::raw:
        if (accept(Keyword::func)) return function(Sort::raw);
        fail(first, "only functions can be `raw` here",
             "a program that is raw as a whole begins with `raw module`");
      default:
        break;
    }
    if (exported_ && is_item_word(first)) {
      fail(first, "only functions, globals, tables and memories can be exported");
    }
    switch (static_cast<Keyword>(first.value)) {
      case Keyword::test:
        if (accept(Keyword::func)) return function(Sort::test);
        break;
      case Keyword::module:
        return module_name();
      case Keyword::use:
        return use();
      case Keyword::const_:
        return constant_definition();
      case Keyword::enum_:
        return enumeration();
      case Keyword::packed:
        if (accept(Keyword::struct_)) return structure(true);
        break;
      case Keyword::struct_:
        return structure(false);
      case Keyword::data:
        return data();
      case Keyword::reserve:
        return reserve();
      case Keyword::elem:
        return elements();
      case Keyword::type:
        return function_type();
      case Keyword::import_:
        return import();
      case Keyword::extern_:
        return external();
      case Keyword::start:
        return start();
      case Keyword::macro:
        return macro();
      default:
        break;
    }
    unknown_item(first);
  }

  static bool is_item_word(const Token& token) {
    switch (static_cast<Keyword>(token.value)) {
      case Keyword::module:
      case Keyword::use:
      case Keyword::const_:
      case Keyword::enum_:
      case Keyword::packed:
      case Keyword::struct_:
      case Keyword::data:
      case Keyword::reserve:
      case Keyword::elem:
      case Keyword::type:
      case Keyword::import_:
      case Keyword::extern_:
      case Keyword::start:
      case Keyword::macro:
      case Keyword::test:
        return true;
      default:
        return false;
    }
  }

  [[noreturn]] void unknown_item(const Token& token) {
    if (is_operation(token.value, operation_count_) || token.value < reserved_words) {
      fail(token, text_of(token) + " cannot stand outside of a function");
    }
    NearMiss near(text(token.value));
    for (const char* word : {"module", "use",     "const",  "enum",  "struct", "packed", "memory",
                             "data",   "reserve", "global", "table", "elem",   "type",   "import",
                             "func",   "extern",  "start",  "macro", "raw",    "export", "test"}) {
      near.consider(word);
    }
    fail(token, "expected an item, found " + text_of(token), near.hint());
  }

  // --- Definitions ------------------------------------------------------------------------------

  void define(const Token& name, Bind kind, usize index) {
    Binding& bound = unit_.bindings[name.value];
    if (bound.kind != Bind::none) {
      const At first = unit_.defined_at[name.value];
      fail(name, text_of(name) + " is defined twice",
           "the first is at " + printable(unit_.file_of(first).name) + ":" +
               std::to_string(unit_.line_of(first)));
    }
    bound = {kind, static_cast<u32>(index)};
    unit_.defined_at[name.value] = where(&name);
  }

  // A name that other modules know.
  std::string external_name() {
    const Token& token = *at_;
    std::string name = string();
    if (find_invalid_utf8(name) != std::string_view::npos) {
      report(token, "a name in a module must be valid UTF-8");
    }
    return name;
  }

  // A new name for an item; on a mistake in it, the statement is over.
  const Token& name(const char* what) {
    const Token& token = *at_;
    new_name(what);
    return token;
  }

  void add_export(const Token& name, mod::ExternKind kind, usize index) {
    if (!exported_) return;
    ExportItem item;
    item.name = where(export_name_ ? export_name_at_ : &name);
    item.text = export_name_ ? *export_name_ : std::string(text(name.value));
    item.kind = kind;
    item.index = static_cast<u32>(index);
    unit_.exports.push_back(std::move(item));
  }

  void module_name() {
    const Token& token = *at_;
    if (!is(Kind::name)) missing("the module's name");
    ++at_;
    if (!unit_.module.name.empty() || file_number_ != 0) {
      if (file_number_ == 0) fail(token, "the module has a name already");
      return;
    }
    unit_.module.name = text(token.value);
  }

  void use() {
    const Token& token = *at_;
    const bool library = is(Kind::name);
    std::string wanted;
    if (library) {
      wanted = text(token.value);
      ++at_;
    } else {
      wanted = string();
    }
    expect_end();
    auto source = unit_.resolver ? unit_.resolver(file_->name, wanted, library) : std::nullopt;
    if (!source) {
      if (!library) fail(token, "there is no file " + quoted(wanted));
      std::string hint;
      for (const std::string_view each : unit_.options.libraries) {
        hint += hint.empty() ? "there are " : ", ";
        hint += each;
      }
      fail(token, "there is no library " + quoted(wanted), hint);
    }
    for (const auto& file : unit_.files) {
      if (file->name == source->name) return;
    }
    const Deeper deeper(unit_, place(token));
    auto file = std::make_unique<File>();
    file->name = std::move(source->name);
    file->text = std::move(source->text);
    file->library = (library || file_->library) && !unit_.options.open;
    unit_.files.push_back(std::move(file));
    const u32 number = static_cast<u32>(unit_.files.size() - 1);
    lex(*unit_.files[number], number, unit_.names, unit_.reporter);
    collect_items(unit_, number);
  }

  void constant_definition() {
    const Token& token = name("the constant's name");
    expect(Kind::assign, "`=`");
    ConstItem item;
    item.expression = here();
    define(token, Bind::constant, unit_.constants.size());
    unit_.constants.push_back(item);
    if (at_end()) missing("a value");
    skip_expression();
  }

  // To the end of the statement; expressions are read when their values are needed.
  void skip_expression() {
    while (!at_end() && !is(Kind::rbrace) && !is(Kind::lbrace)) ++at_;
  }

  void enumeration() {
    const Token& token = name("the enumeration's name");
    const std::string prefix = std::string(text(token.value)) + ".";
    define(token, Bind::enumeration, unit_.enums.size());
    unit_.enums.push_back(where(&token));
    expect(Kind::lbrace, "`{`");
    u32 base = ConstItem::no_base;  // the last member with a value of its own
    i64 add = 0;
    for (skip_newlines(); !is(Kind::rbrace); skip_newlines()) {
      const Token& member = name("a member");
      ConstItem item;
      if (accept(Kind::assign)) {
        item.expression = here();
        base = static_cast<u32>(unit_.constants.size());
        add = 0;
        skip_element();
      } else {
        item.base = base;
        item.add = add;
        item.expression = where(&member);
      }
      ++add;
      define_member(member, unit_.made_name(prefix + std::string(text(member.value))), item);
      if (!accept(Kind::comma) && !is(Kind::newline)) break;
    }
    skip_newlines();
    expect(Kind::rbrace, "`,` or `}`");
  }

  void define_member(const Token& member, Symbol symbol, const ConstItem& item) {
    unit_.bind_room();
    if (unit_.bindings[symbol].kind != Bind::none) {
      report(member, quoted(text(symbol)) + " is defined twice");
      return;
    }
    unit_.bindings[symbol] = {Bind::constant, static_cast<u32>(unit_.constants.size())};
    unit_.defined_at[symbol] = where(&member);
    unit_.constants.push_back(item);
  }

  void structure(bool packed) {
    const Token& token = name("the structure's name");
    StructItem item;
    item.name = where(&token);
    item.packed = packed;
    item.first_field = static_cast<u32>(unit_.fields.size());
    define(token, Bind::structure, unit_.structs.size());
    unit_.structs.push_back(item);
    const usize index = unit_.structs.size() - 1;
    expect(Kind::lbrace, "`{`");
    for (skip_newlines(); !is(Kind::rbrace); skip_newlines()) {
      const Token& field = name("a field's name");
      expect(Kind::colon, "`:` and the field's type");
      for (u32 i = item.first_field; i < unit_.fields.size(); ++i) {
        if (unit_.fields[i].name == field.value) {
          report(field, "the field " + text_of(field) + " is defined twice");
        }
      }
      FieldItem made;
      made.name = field.value;
      made.type = here();
      unit_.fields.push_back(made);
      unit_.structs[index].field_count++;
      skip_element();
      if (!accept(Kind::comma) && !is(Kind::newline)) break;
    }
    skip_newlines();
    expect(Kind::rbrace, "`,` or `}`");
  }

  // To the comma or end after a member or field.
  void skip_element() {
    if (is(Kind::comma) || at_end()) missing("a value or type");
    for (u32 depth = 0; !at_end() && !is(Kind::rbrace) && !is(Kind::lbrace); ++at_) {
      if (depth == 0 && is(Kind::comma)) return;
      if (is(Kind::lbracket) || is(Kind::lparen)) ++depth;
      if (is(Kind::rbracket) || is(Kind::rparen)) depth -= depth != 0;
    }
  }

  // --- Memory and data --------------------------------------------------------------------------

  void memory(const Token& word) {
    MemoryItem item;
    root_ = true;
    item.name = where(&word);
    item.import = import_;
    // `pages` and `from` are words of this statement, not names.
    const Token* named = nullptr;
    if (is(Kind::name) && !is_value_word()) named = &name("the memory's name");
    if (named != nullptr) {
      item.name = where(named);
      item.named = true;
      define(*named, Bind::memory, unit_.memories.size());
    }
    item.size = here();
    add_export(named != nullptr ? *named : word, mod::ExternKind::memory, unit_.memories.size());
    unit_.memories.push_back(item);
    skip_to_from();
  }

  // Whether a name that follows `memory` begins its size.
  [[nodiscard]] bool is_value_word() const {
    const Token& next = at_[1];
    if (is(Keyword::sizeof_) || is(Keyword::alignof_) || is(Keyword::len))
      return next.kind == Kind::lparen;
    // `memory scratch 4096` has a value after the name, `memory size` and `memory a .. b` don't.
    switch (next.kind) {
      case Kind::newline:
      case Kind::end:
      case Kind::dots:
      case Kind::plus:
      case Kind::minus:
      case Kind::star:
      case Kind::slash:
      case Kind::percent:
      case Kind::shl:
      case Kind::shr:
        return true;
      case Kind::name:
        return next.value == static_cast<Symbol>(Keyword::pages) ||
               next.value == static_cast<Symbol>(Keyword::from);
      default:
        return false;
    }
  }

  void skip_to_from() {
    while (!at_end() && !is(Kind::rbrace) && !is(Kind::lbrace) &&
           !(import_ != own && is(Keyword::from))) {
      ++at_;
    }
  }

  void data() {
    DataItem item;
    item.passive = accept(Keyword::passive);
    const Token& token = name("the name of the data");
    item.name = where(&token);
    item.values = here();
    add_data(token, item);
  }

  void reserve() {
    DataItem item;
    const Token& token = name("the name of the space");
    item.name = where(&token);
    item.values = here();
    item.reserved = true;
    add_data(token, item);
  }

  void add_data(const Token& token, DataItem item) {
    define(token, item.passive ? Bind::passive_data : Bind::data, unit_.datas.size());
    unit_.datas.push_back(item);
    if (at_end()) missing(item.reserved ? "the size" : "`=` and the data");
    skip_expression();
  }

  // --- Globals, tables, types -------------------------------------------------------------------

  void global() {
    GlobalItem item;
    const Token& token = name("the global's name");
    item.name = where(&token);
    item.import = import_;
    expect(Kind::colon, "`:` and the global's type");
    item.type.is_mutable = accept(Keyword::mut);
    item.type.type = value_type();
    define(token, Bind::global, unit_.globals.size());
    add_export(token, mod::ExternKind::global, unit_.globals.size());
    if (unit_.options.open && import_ == own) {
      unit_.exports.push_back({where(&token), "global " + std::string(text(token.value)),
                               mod::ExternKind::global, static_cast<u32>(unit_.globals.size())});
    }
    // What is defined must be there whatever comes after it.
    unit_.globals.push_back(item);
    if (import_ == own) {
      expect(Kind::assign, "`=` and the first value");
      if (at_end()) missing("a value");
      unit_.globals.back().init = here();
      unit_.globals.back().has_init = true;
      skip_expression();
    }
  }

  ValType reference_type() {
    const Token& token = *at_;
    const ValType type = value_type();
    if (!mod::is_reference(type))
      fail(token, "expected funcref or externref, found " + text_of(token));
    return type;
  }

  void table() {
    TableItem item;
    const Token& token = name("the table's name");
    item.name = where(&token);
    item.import = import_;
    expect(Kind::colon, "`:` and the type of the elements");
    item.type.element = reference_type();
    define(token, Bind::table, unit_.tables.size());
    add_export(token, mod::ExternKind::table, unit_.tables.size());
    item.size = here();
    unit_.tables.push_back(item);
    while (!at_end() && !is(Kind::rbrace) && !is(Kind::lbrace) && !is(Kind::assign) &&
           !(import_ != own && is(Keyword::from))) {
      ++at_;
    }
    if (import_ == own && accept(Kind::assign)) {
      unit_.tables.back().has_init = true;
      unit_.tables.back().init = here();
      skip_list();
    }
  }

  void skip_list() {
    expect(Kind::lbracket, "`[` and the elements");
    while (!at_end() && !is(Kind::rbracket)) ++at_;
    expect(Kind::rbracket, "`]`");
  }

  void elements() {
    ElemItem item;
    if (!accept(Keyword::passive)) missing("`passive`");
    const Token& token = name("the name of the elements");
    item.name = where(&token);
    expect(Kind::colon, "`:` and the type of the elements");
    item.type = reference_type();
    expect(Kind::assign, "`=`");
    item.list = here();
    define(token, Bind::elem, unit_.elems.size());
    unit_.elems.push_back(item);
    skip_list();
  }

  void function_type() {
    const Token& token = name("the type's name");
    expect(Kind::assign, "`=`");
    if (!accept(Keyword::func)) missing("`func`");
    const u32 type = signature(false);
    define(token, Bind::type, unit_.types.size());
    unit_.types.push_back(where(&token));
    unit_.type_indexes.push_back(type);
  }

  // --- Functions --------------------------------------------------------------------------------

  // `(a: i32, b: i32) -> i32, i64`; without names in types and raw functions.
  u32 signature(bool names) {
    params_.clear();
    results_.clear();
    expect(Kind::lparen, "`(` and the parameters");
    if (!is(Kind::rparen)) {
      do {
        const Token& token = *at_;
        if (params_.size() >= mod::limits::params) fail(token, "more than 1000 parameters");
        if (names || (is(Kind::name) && at_[1].kind == Kind::colon)) {
          new_name("a parameter's name");
          expect(Kind::colon, "`:` and the parameter's type");
        }
        params_.push_back(value_type());
      } while (accept(Kind::comma));
    }
    expect(Kind::rparen, "`,` or `)` after the parameter");
    if (accept(Kind::arrow)) {
      const bool parens = accept(Kind::lparen);
      do {
        if (results_.size() >= mod::limits::results) fail(*at_, "more than 1000 results");
        results_.push_back(value_type());
      } while (accept(Kind::comma));
      if (parens) expect(Kind::rparen, "`)`");
    }
    return unit_.intern_type(params_, results_);
  }

  enum class Sort : u8 { plain, raw, test };
  void function(Sort sort) {
    const bool raw = sort == Sort::raw;
    FuncItem item;
    const Token& token = name("the function's name");
    item.name = where(&token);
    item.raw = raw;
    // `raw func` before the name.
    item.raw_begin = item.name.token - (raw ? 2 : 0);
    item.test = sort == Sort::test;
    item.library = item.test ? !unit_.keeps_test(item) : file_->library && !exported_;
    define(token, Bind::function, unit_.functions.size());
    add_export(token, mod::ExternKind::function, unit_.functions.size());
    if (unit_.keeps_test(item)) {
      unit_.exports.push_back({item.name, "test " + std::string(text(token.value)),
                               mod::ExternKind::function,
                               static_cast<u32>(unit_.functions.size())});
    }
    item.params = here();
    // The name stays known after a mistake, so that its uses are not mistakes too.
    unit_.functions.push_back(item);
    const usize index = unit_.functions.size() - 1;
    unit_.functions[index].type = signature(!raw);
    if (item.test && (!params_.empty() || !results_.empty())) {
      report(token, "a test must have neither parameters nor results");
    }
    unit_.functions[index].broken = false;
    unit_.functions[index].body = here();
    if (raw) {
      while (!at_end() && !is(Kind::lbrace)) ++at_;
    }
    if (!is(Kind::lbrace)) missing("`{` and the function's body");
    at_ = file_->tokens.data() + at_->value + 1;
  }

  void external() {
    if (!accept(Keyword::func)) missing("`func`");
    const Token& token = name("the function's name");
    if (!unit_.options.object) {
      fail(token, "`extern` functions exist only in objects for the linker",
           "assemble with --object, or use `import func ... from \"module\" \"name\"`");
    }
    FuncItem item;
    item.name = where(&token);
    item.import = static_cast<u32>(unit_.imports.size());
    unit_.imports.push_back({"", std::string(text(token.value))});
    define(token, Bind::function, unit_.functions.size());
    item.params = here();
    unit_.functions.push_back(item);
    const usize index = unit_.functions.size() - 1;
    unit_.functions[index].type = signature(true);
    unit_.functions[index].broken = false;
  }

  void import() {
    import_ = static_cast<u32>(unit_.imports.size());
    unit_.imports.emplace_back();
    struct Reset {
      u32& value;
      ~Reset() { value = own; }
    } reset{import_};
    const Token& kind = *at_;
    if (accept(Keyword::func)) {
      FuncItem item;
      const Token& token = name("the function's name");
      item.name = where(&token);
      item.import = import_;
      item.library = file_->library;
      define(token, Bind::function, unit_.functions.size());
      item.params = here();
      unit_.functions.push_back(item);
      const usize index = unit_.functions.size() - 1;
      unit_.functions[index].type = signature(false);
      unit_.functions[index].broken = false;
    } else if (accept(Keyword::global)) {
      global();
    } else if (accept(Keyword::table)) {
      table();
    } else if (accept(Keyword::memory)) {
      memory(kind);
    } else {
      missing("`func`, `global`, `table` or `memory`");
    }
    if (!accept(Keyword::from)) missing("`from`, the module and the name");
    std::string module = external_name();
    unit_.imports[import_] = {std::move(module), external_name()};
  }

  void start() {
    if (unit_.has_start) fail(*at_, "there is a start function already");
    unit_.start = here();
    unit_.has_start = true;
    root_ = true;
    if (!is(Kind::name)) missing("the name of a function");
    ++at_;
  }

  void macro() {
    MacroItem item;
    const Token& token = name("the macro's name");
    item.name = where(&token);
    expect(Kind::lparen, "`(` and the parameters");
    item.params = here();
    std::vector<Symbol> seen;
    if (!is(Kind::rparen)) {
      do {
        const Token& param = *at_;
        const Symbol symbol = new_name("a parameter's name");
        if (std::find(seen.begin(), seen.end(), symbol) != seen.end()) {
          report(param, "the parameter " + text_of(param) + " stands twice");
        }
        if (seen.size() >= 64) fail(param, "more than 64 parameters of a macro");
        seen.push_back(symbol);
        ++item.param_count;
      } while (accept(Kind::comma));
    }
    expect(Kind::rparen, "`,` or `)` after the parameter");
    item.body = here();
    define(token, Bind::macro, unit_.macros.size());
    unit_.macros.push_back(item);
    if (!is(Kind::lbrace)) missing("`{` and the macro's body");
    at_ = file_->tokens.data() + at_->value + 1;
  }

 private:
  const Token* export_name_at_ = nullptr;
  std::optional<std::string> export_name_;
  bool exported_ = false;
  bool root_ = false;
  u32 import_ = own;
  std::vector<ValType> params_;
  std::vector<ValType> results_;
};

}  // namespace

void collect_items(Unit& unit, u32 file) {
  unit.bind_room();
  ItemParser parser(unit, file);
  parser.run();
}

}  // namespace atollvm::text
