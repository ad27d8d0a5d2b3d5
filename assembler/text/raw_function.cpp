// Raw functions: tokens to code words.
#include <algorithm>
#include <unordered_map>

#include "assembler/text/raw.hpp"
#include "assembler/text/raw_cursor.hpp"

namespace atollvm::text {

namespace {

using isa::OperandKind;
using isa::Word;

constexpr u32 max_code = 1u << 28;

class FunctionParser {
 public:
  FunctionParser(RawCursor& cursor, RawFunction& out) : c_(cursor), out_(out) {}

  void parse() {
    head();
    c_.expect(Kind::lbrace, "`{`");
    const u32 end = c_.file.tokens[c_.at - 1].value;
    while (c_.at < end) {
      if (c_.accept(Kind::newline)) continue;
      try {
        statement();
        c_.end_of_statement();
      } catch (Stop) {
        forget_unfinished();
        c_.skip_statement();
      }
      if (c_.is(Kind::rbrace) && c_.at < end) ++c_.at;
    }
    c_.at = end + 1;
    bind_labels();
    if (out_.code.empty()) c_.report(out_.item, "a function needs at least one instruction");
    sort_by_place();
  }

 private:
  struct Fixup {
    u32 word;              // first word of the branch
    isa::Operand operand;  // targets: of br_table
    u32 index;             // of the target in a br_table
    u32 token;             // the label
  };
  struct LabelPlace {
    u32 token;
    u32 pc;
  };

  void head() {
    c_.expect_word("raw");
    out_.item = c_.at;
    c_.expect_word("func");
    if (c_.is_number()) out_.number = c_.at++;
    out_.name = c_.optional_name();
    out_.signature = c_.signature();
    if (c_.accept_word("type")) out_.type = c_.reference("a type");
    c_.expect_word("locals");
    out_.local_slots = static_cast<u16>(c_.number(0xffff, "the number of local slots"));
    c_.expect_word("frame");
    out_.frame_slots = static_cast<u16>(c_.number(0xffff, "the number of slots of the frame"));
  }

  // Drops what refers to an instruction that was not completed.
  void forget_unfinished() {
    const auto unfinished = [this](const auto& place) { return place.word >= here(); };
    std::erase_if(out_.references, unfinished);
    std::erase_if(fixups_, unfinished);
  }

  [[nodiscard]] u32 here() const { return static_cast<u32>(out_.code.size()); }

  void statement() {
    const u32 first = c_.at;
    if (!c_.is(Kind::name)) c_.fail_here("an operation, a label or a directive is missing here");
    const std::string_view word = c_.file.spelling(c_.peek());
    if (c_.peek(1).kind == Kind::lparen) return label();
    ++c_.at;
    if (const auto op = isa::find(word)) return instruction(*op);
    if (word == "line") return line();
    if (word == "name") return name();
    if (word == "word") {
      out_.code.push_back(c_.number(~u64{0}, "a word of code"));
      return;
    }
    if (word == "label") {
      const u32 pc = static_cast<u32>(c_.number(~u32{0}, "a word of the function"));
      const u16 defined = static_cast<u16>(c_.number(0xffff, "a number of slots"));
      out_.labels.push_back({pc, defined});
      return;
    }
    NearMiss near(word);
    for (const isa::OpInfo& op : isa::op_table) near.consider(op.name);
    c_.fail(first, fmt::format("{} is no operation", quoted(word)), near.hint());
  }

  void label() {
    const u32 token = c_.at++;
    c_.expect(Kind::lparen, "`(`");
    const u16 defined = static_cast<u16>(c_.number(0xffff, "the number of defined slots"));
    c_.expect(Kind::rparen, "`)`");
    c_.expect(Kind::colon, "`:`");
    const std::string_view text = c_.file.spelling(c_.file.tokens[token]);
    if (!label_places_.emplace(text, LabelPlace{token, here()}).second) {
      c_.report(token, fmt::format("there is a label {} already", quoted(text)));
    } else if (here() == last_label_) {
      c_.report(token, "there is a label at this place already");
    } else {
      out_.labels.push_back({here(), defined});
      last_label_ = here();
    }
    if (c_.is(Kind::name)) return statement();
  }

  void line() {
    RawLine line;
    if (c_.is(Kind::string)) {
      file_ = c_.at++;
    } else if (c_.is_number() && (c_.peek(1).kind == Kind::integer) &&
               c_.peek(2).kind == Kind::integer) {
      file_ = c_.at++;
    }
    if (file_ == RawFunction::none) c_.fail_here("the first `line` of a function names the file");
    line.file = file_;
    line.line = static_cast<u32>(c_.number(~u32{0}, "a line number"));
    line.column = static_cast<u32>(c_.number(~u32{0}, "a column number"));
    line.pc = here();
    if (c_.accept_word("at")) {
      line.pc = static_cast<u32>(c_.number(max_code, "a word of the function"));
    }
    out_.lines.push_back(line);
  }

  void name() {
    if (!c_.is(Kind::dollar)) c_.fail_here("a register is missing here");
    const u32 slot = reg();
    if (!c_.is_name()) c_.fail_here("the register's name is missing");
    const u32 token = c_.at++;
    if (c_.file.tokens[token].kind == Kind::string) c_.decoded(token);
    out_.locals.push_back({mod::NameSpace::local, 0, slot, item_name(c_.file, token)});
  }

  u32 reg() {
    if (!c_.is(Kind::dollar))
      c_.fail_here("a register is missing here", "registers are `$0`, `$1`, ...");
    const u32 value = c_.peek().value;
    if (value > 0xffff) c_.fail_here("registers are at most $65535");
    ++c_.at;
    return value;
  }

  void comma(bool& first) {
    if (!first) c_.expect(Kind::comma, "`,`");
    first = false;
  }

  void instruction(isa::Op op) {
    const isa::FormatInfo& format = isa::format_of(op);
    if (out_.code.size() >= max_code) c_.fail(c_.at - 1, "the function is too long");
    const u32 at = here();
    std::vector<Word> words(std::max<usize>(format.words, 1));
    words[0] = isa::encode(op);
    bool first = true;
    for (const isa::Operand& operand : format.list()) {
      if (operand.kind == OperandKind::window_copy) {
        isa::write_field(words.data(), operand.field, isa::field_a(words[0]));
        continue;
      }
      comma(first);
      operand_bits(op, operand, at, words);
    }
    out_.code.insert(out_.code.end(), words.begin(), words.end());
  }

  void operand_bits(isa::Op op, const isa::Operand& operand, u32 at, std::vector<Word>& words) {
    u64 bits = 0;
    switch (operand.kind) {
      case OperandKind::use:
      case OperandKind::def:
      case OperandKind::use_def:
      case OperandKind::use_range:
      case OperandKind::def_range:
      case OperandKind::window:
        bits = reg();
        break;
      case OperandKind::window_copy:
        return;
      case OperandKind::count:
        bits = c_.number(isa::field_limit(operand.field), "a count");
        break;
      case OperandKind::imm16:
        bits = c_.immediate(16, true);
        break;
      case OperandKind::imm32:
        bits = c_.immediate(32, isa::info(op).signature.starts_with('I'));
        break;
      case OperandKind::imm64:
        bits = c_.immediate(64, false);
        break;
      case OperandKind::bits32:
        bits = c_.float_bits(false);
        break;
      case OperandKind::bits64:
        bits = c_.float_bits(true);
        break;
      case OperandKind::offset:
        bits = c_.number(isa::field_limit(operand.field), "an offset");
        break;
      case OperandKind::forward:
      case OperandKind::backward:
        fixups_.push_back({at, operand, 0, label_name()});
        return;
      case OperandKind::targets:
        return targets(operand, at, words);
      case OperandKind::func:
      case OperandKind::func_import:
      case OperandKind::func_any:
      case OperandKind::type:
      case OperandKind::global:
      case OperandKind::table:
      case OperandKind::memory:
      case OperandKind::elem:
      case OperandKind::data:
        out_.references.push_back({at, operand, c_.reference("what the operand names")});
        return;
    }
    isa::write_field(words.data(), operand.field, bits);
  }

  u32 label_name() {
    if (!c_.is(Kind::name)) c_.fail_here("a label is missing here");
    return c_.at++;
  }

  void targets(const isa::Operand& operand, u32 at, std::vector<Word>& words) {
    std::vector<u32> tokens;
    c_.expect(Kind::lbracket, "`[`");
    if (!c_.accept(Kind::rbracket)) {
      do tokens.push_back(label_name());
      while (c_.accept(Kind::comma));
      c_.expect(Kind::rbracket, "`]`");
    }
    c_.expect(Kind::comma, "`,`");
    tokens.push_back(label_name());
    isa::write_field(words.data(), operand.field, tokens.size());
    words.resize(1 + isa::target_words(tokens.size()));
    for (u32 i = 0; i < tokens.size(); ++i) fixups_.push_back({at, operand, i, tokens[i]});
  }

  void bind_labels() {
    for (const Fixup& fixup : fixups_) {
      const std::string_view text = c_.file.spelling(c_.file.tokens[fixup.token]);
      const auto found = label_places_.find(text);
      if (found == label_places_.end()) {
        NearMiss near(text);
        for (const auto& [name, place] : label_places_) near.consider(name);
        c_.report(fixup.token, fmt::format("there is no label {} here", quoted(text)), near.hint());
        continue;
      }
      bind(fixup, found->second.pc);
    }
  }

  void bind(const Fixup& fixup, u32 target) {
    Word* code = &out_.code[fixup.word];
    const bool back = fixup.operand.kind == OperandKind::backward;
    if (back ? target > fixup.word : target <= fixup.word) {
      c_.report(fixup.token,
                back ? "the label must not come after this branch"
                     : "the label must come after this branch",
                back ? "`br` goes forward" : "`back` goes backward");
      return;
    }
    const u32 distance = back ? fixup.word - target : target - fixup.word;
    if (fixup.operand.kind == OperandKind::targets) {
      code[1 + fixup.index / 2] |= Word{distance} << (fixup.index % 2 * 32);
      return;
    }
    if (distance > isa::field_limit(fixup.operand.field)) {
      c_.report(fixup.token, "the label is too far away for this branch");
      return;
    }
    isa::write_field(code, fixup.operand.field, distance);
  }

  void sort_by_place() {
    sort_unique(out_.labels, "labels", "word", [](const mod::Label& label) { return label.pc; });
    sort_unique(out_.lines, "lines", "word", [](const RawLine& line) { return line.pc; });
    sort_unique(out_.locals, "names", "register", [](const mod::Name& name) { return name.slot; });
  }

  template <class T, class Key>
  void sort_unique(std::vector<T>& list, std::string_view what, std::string_view unit, Key key) {
    const auto less = [&](const T& x, const T& y) { return key(x) < key(y); };
    if (!std::is_sorted(list.begin(), list.end(), less)) std::sort(list.begin(), list.end(), less);
    const auto twice = std::adjacent_find(list.begin(), list.end(),
                                          [&](const T& x, const T& y) { return key(x) == key(y); });
    if (twice == list.end()) return;
    c_.report(out_.item, fmt::format("two {} for {} {}", what, unit, key(*twice)));
  }

  RawCursor& c_;
  RawFunction& out_;
  std::unordered_map<std::string_view, LabelPlace> label_places_;
  std::vector<Fixup> fixups_;
  u32 file_ = RawFunction::none;  // token of the last `line` that named one
  u32 last_label_ = RawFunction::none;
};

}  // namespace

RawFunction parse_raw_function(const File& file, u32 file_number, u32& at, Reporter& reporter) {
  RawFunction function;
  RawCursor cursor{file, file_number, reporter, at};
  function.item = at;
  try {
    FunctionParser(cursor, function).parse();
  } catch (Stop) {
    cursor.skip_statement();
  }
  at = cursor.at;
  return function;
}

}  // namespace atollvm::text
