// Decoding of module files. Every read is checked against the section's end, every count against a
// limit and against the bytes that are left, before anything is allocated. The first failure
// sticks: later reads give zeros, and loops stop at the next look.
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <optional>

#include "vm/base/utf8.hpp"
#include "vm/module/codec.hpp"
#include "vm/module/limits.hpp"
#include "vm/module/sections.hpp"

namespace atollvm::mod {

static_assert(std::endian::native == std::endian::little, "words are read as they are");

namespace {

class Reader {
 public:
  explicit Reader(std::span<const u8> bytes)
      : begin_(bytes.data()), at_(begin_), end_(begin_ + bytes.size()), file_end_(end_) {}

  base::Result<Module> read() {
    header();
    u8 last = 0;
    while (!error_ && at_ != file_end_) {
      const u8* section_start = at_;
      section_ = {};
      end_ = file_end_;
      const u8 id = byte();
      if (id == 0 || id >= section_names.size()) {
        at_ = section_start;
        fail("section id {} is unknown", u32{id});
        break;
      }
      section_ = section_names[id];
      if (id < last || (id == last && id != static_cast<u8>(SectionId::custom))) {
        at_ = section_start;
        fail("section {} after section {}: sections have a fixed order, each at most once",
             section_, section_names[last]);
        break;
      }
      last = id;
      const u64 size = number(32);
      if (size > left()) fail("{} bytes of payload, but only {} are left", size, left());
      if (error_) break;
      end_ = at_ + size;
      payload(static_cast<SectionId>(id));
      if (!error_ && at_ != end_) fail("{} bytes too many at the end of the section", left());
    }
    section_ = {};
    if (!error_ && module_.code.size() != code_words_) {
      fail("the functions have {} words of code, but there is no code section", code_words_);
    }
    if (!error_ && module_.labels.size() != label_count_) {
      fail("the functions have {} labels, but there is no labels section", label_count_);
    }
    if (error_) return std::move(*error_);
    return std::move(module_);
  }

 private:
  // --- Errors
  // -------------------------------------------------------------------------------------

  template <class... T>
  [[gnu::cold, gnu::noinline]] void fail(fmt::format_string<T...> format, const T&... parts) {
    fail_as(base::ErrorCode::malformed, fmt::vformat(format, fmt::make_format_args(parts...)));
  }
  [[gnu::cold, gnu::noinline]] void fail_as(base::ErrorCode code, std::string message) {
    if (error_) return;
    const usize offset = static_cast<usize>(at_ - begin_);
    std::string place = section_.empty() ? fmt::format("offset 0x{:x}", offset)
                                         : fmt::format("section {} at 0x{:x}", section_, offset);
    if (entry_) place += fmt::format(", entry {}", *entry_);
    error_ = base::Error{code, std::move(place), std::move(message)};
    at_ = end_;
  }

  // --- Pieces
  // -------------------------------------------------------------------------------------

  [[nodiscard]] usize left() const { return static_cast<usize>(end_ - at_); }

  u8 byte() {
    if (at_ == end_) {
      fail("the data ends too early");
      return 0;
    }
    return *at_++;
  }

  // Unsigned LEB128 in its shortest form, below 2^bits.
  u64 number(u32 bits) {
    u64 value = 0;
    for (u32 shift = 0;; shift += 7) {
      const u8 next = byte();
      const u64 part = next & 0x7f;
      if (shift >= bits || (bits - shift < 7 && part >> (bits - shift) != 0)) {
        fail("a number has more than {} bits", bits);
        return 0;
      }
      value |= part << shift;
      if ((next & 0x80) != 0) continue;
      if (next == 0 && shift != 0) fail("a number is not in its shortest form");
      return error_ ? 0 : value;
    }
  }
  u32 number32() { return static_cast<u32>(number(32)); }
  u16 number16() { return static_cast<u16>(number(16)); }

  // Signed LEB128 in its shortest form, of `bits` bits.
  u64 signed_number(u32 bits) {
    u64 value = 0;
    u8 before = 0;
    for (u32 shift = 0;; shift += 7) {
      const u8 next = byte();
      if (shift >= bits) {
        fail("a number has more than {} bits", bits);
        return 0;
      }
      value |= u64{next & 0x7fu} << shift;
      if ((next & 0x80) != 0) {
        before = next;
        continue;
      }
      // Sign bits of the last byte above the number's own must all be the same.
      const u32 own = bits - shift;
      if (own < 7) {
        const u32 sign = (next & 0x7fu) >> (own - 1);
        if (sign != 0 && sign != 0x7fu >> (own - 1)) {
          fail("a number has more than {} bits", bits);
          return 0;
        }
      }
      const bool spare =
          (next == 0 && (before & 0x40) == 0) || (next == 0x7f && (before & 0x40) != 0);
      if (shift != 0 && spare) fail("a number is not in its shortest form");
      if ((next & 0x40) != 0 && shift + 7 < 64) value |= ~u64{0} << (shift + 7);
      return error_ ? 0 : value;
    }
  }

  u64 fixed(u32 size) {
    u64 value = 0;
    if (left() < size) {
      fail("the data ends too early");
      return 0;
    }
    std::memcpy(&value, at_, size);
    at_ += size;
    return value;
  }

  // A number of entries of at least `entry_bytes` each.
  u32 count(const char* what, u64 limit, u64 entry_bytes) {
    const u64 number_of = number(32);
    if (number_of > limit) {
      fail_as(base::ErrorCode::limit,
              fmt::format("{} {} are more than the limit of {}", number_of, what, limit));
    } else if (number_of * entry_bytes > left()) {
      fail("{} {} do not fit into the {} bytes that are left", number_of, what, left());
    }
    return error_ ? 0 : static_cast<u32>(number_of);
  }

  std::string bytes(const char* what) {
    const u64 size = number(32);
    if (size > left()) fail("a {} of {} bytes, but only {} are left", what, size, left());
    if (error_) return {};
    std::string text(reinterpret_cast<const char*>(at_), size);
    at_ += size;
    return text;
  }
  std::string text(const char* what) {
    std::string value = bytes(what);
    if (!base::is_utf8(value)) fail("a {} is not UTF-8", what);
    return value;
  }

  // A byte from 0 to `last`.
  u8 choice(const char* what, u8 last) {
    const u8 value = byte();
    if (value > last) fail("{} {} is unknown", what, u32{value});
    return error_ ? 0 : value;
  }

  ValType value_type() {
    const u8 value = byte();
    const bool known = (value >= 0x7b && value <= 0x7f) || value == 0x70 || value == 0x6f;
    if (!known) fail("value type 0x{:x} is unknown", u32{value});
    return static_cast<ValType>(value);
  }

  // --- Entries
  // ------------------------------------------------------------------------------------

  void read_into(std::vector<ValType>& types, const char* what, u32 limit) {
    types.resize(count(what, limit, 1));
    for (ValType& type : types) type = value_type();
  }
  void read_into(FuncType& type) {
    read_into(type.params, "parameters", limits::params);
    read_into(type.results, "results", limits::results);
  }
  void read_into(Range& range) {
    const bool has_max = choice("range form", 1) != 0;
    range.min = number(64);
    if (has_max) range.max = number(64);
  }
  void read_into(TableType& type) {
    type.element = value_type();
    read_into(type.size);
  }
  void read_into(MemoryType& type) {
    type.page_shift = byte();
    read_into(type.size);
  }
  void read_into(GlobalType& type) {
    type.type = value_type();
    type.is_mutable = choice("mutability", 1) != 0;
  }
  void read_into(Import& import) {
    import.module = text("module's name");
    import.name = text("name");
    import.kind = static_cast<ExternKind>(choice("kind", 3));
    switch (import.kind) {
      case ExternKind::function:
        import.func_type = number32();
        break;
      case ExternKind::table:
        read_into(import.table);
        break;
      case ExternKind::memory:
        read_into(import.memory);
        break;
      case ExternKind::global:
        read_into(import.global);
        break;
    }
  }
  // Code and labels come later in the file, but their sizes are bounded here.
  void read_into(Function& function) {
    function.type = number32();
    function.code_begin = static_cast<u32>(code_words_);
    function.code_size = number32();
    function.label_begin = static_cast<u32>(label_count_);
    function.label_count = number32();
    function.local_slots = number16();
    function.frame_slots = number16();
    code_words_ += function.code_size;
    label_count_ += function.label_count;
    if (code_words_ > limits::code_words) {
      fail_as(base::ErrorCode::limit, fmt::format("{} words of code are more than the limit of {}",
                                                  code_words_, limits::code_words));
    } else if (code_words_ * sizeof(isa::Word) > static_cast<usize>(file_end_ - end_)) {
      fail("{} words of code do not fit into the {} bytes after this section", code_words_,
           static_cast<usize>(file_end_ - end_));
    } else if (function.label_count > function.code_size) {
      fail("{} labels in {} words of code", function.label_count, function.code_size);
    }
  }
  void read_into(Export& item) {
    item.name = text("name");
    item.kind = static_cast<ExternKind>(choice("kind", 3));
    item.index = number32();
  }
  void read_into(ConstOp& op) {
    op.kind = static_cast<ConstOp::Kind>(
        choice("constant operation", static_cast<u8>(ConstOp::Kind::i64_mul)));
    switch (op.kind) {
      case ConstOp::Kind::i32_const:
        op.value = static_cast<u32>(signed_number(32));
        break;
      case ConstOp::Kind::i64_const:
        op.value = signed_number(64);
        break;
      case ConstOp::Kind::f32_const:
        op.value = fixed(4);
        break;
      case ConstOp::Kind::f64_const:
        op.value = fixed(8);
        break;
      case ConstOp::Kind::global_get:
      case ConstOp::Kind::ref_func:
        op.value = number32();
        break;
      default:
        break;
    }
  }
  void spend_const_ops(u64 number_of) {
    const_ops_ += number_of;
    if (const_ops_ > limits::const_ops) {
      fail_as(base::ErrorCode::limit,
              fmt::format("constant expressions with more than {} operations", limits::const_ops));
    }
  }
  void read_into(ConstExpr& expr) {
    const u32 ops = count("constant operations", limits::const_expr_ops, 1);
    spend_const_ops(ops);
    if (error_) return;
    expr.resize(ops);
    for (ConstOp& op : expr) read_into(op);
  }
  void read_into(Table& table) {
    read_into(table.type);
    read_into(table.init);
  }
  void read_into(Global& global) {
    read_into(global.type);
    read_into(global.init);
  }
  void read_into(ElemSegment& segment) {
    segment.mode = static_cast<SegmentMode>(choice("mode", 2));
    segment.type = value_type();
    if (segment.mode == SegmentMode::active) {
      segment.table = number32();
      read_into(segment.offset);
    }
    const auto form = static_cast<ItemForm>(choice("item form", 1));
    const u32 items =
        count("items", limits::const_ops - std::min<u64>(const_ops_, limits::const_ops), 1);
    if (form == ItemForm::functions) spend_const_ops(items);
    if (error_) return;
    segment.items.resize(items);
    bool only_functions = true;
    for (ConstExpr& item : segment.items) {
      if (error_) return;
      if (form == ItemForm::functions) {
        item = {{ConstOp::Kind::ref_func, number32()}};
      } else {
        read_into(item);
        only_functions &= item.size() == 1 && item[0].kind == ConstOp::Kind::ref_func;
      }
    }
    if (form == ItemForm::expressions && only_functions) {
      fail("items that are all functions must be in the short form");
    }
  }
  void read_into(DataSegment& segment) {
    segment.mode = static_cast<SegmentMode>(choice("mode", 1));
    if (segment.mode == SegmentMode::active) {
      segment.memory = number32();
      read_into(segment.offset);
    }
    segment.bytes = bytes("segment");
  }

  // --- Sections
  // -----------------------------------------------------------------------------------

  void header() {
    if (left() < header_size || std::memcmp(at_, magic, sizeof magic) != 0) {
      fail("not an Atoll module: the first bytes are not \"\\0atb\" and a version");
      return;
    }
    at_ += sizeof magic;
    const u64 version = fixed(4);
    if (version != format_version) {
      at_ -= 4;
      fail_as(base::ErrorCode::unsupported,
              fmt::format("module format {}: this build reads format {} only", version,
                          format_version));
    }
  }

  void payload(SectionId id) {
    switch (id) {
      case SectionId::types:
        return list(module_.types, "types", limits::types, 2);
      case SectionId::imports:
        return list(module_.imports, "imports", limits::imports, 4);
      case SectionId::functions:
        return list(module_.functions, "functions", limits::functions, 5);
      case SectionId::tables:
        return list(module_.tables, "tables", limits::tables, 4);
      case SectionId::memories:
        return list(module_.memories, "memories", limits::memories, 3);
      case SectionId::globals:
        return list(module_.globals, "globals", limits::globals, 3);
      case SectionId::exports:
        return list(module_.exports, "exports", limits::exports, 3);
      case SectionId::start:
        module_.start = number32();
        return;
      case SectionId::elements:
        return list(module_.elems, "segments", limits::elem_segments, 4);
      case SectionId::data:
        return list(module_.datas, "segments", limits::data_segments, 2);
      case SectionId::labels:
        return labels();
      case SectionId::code:
        return code();
      case SectionId::names:
        return names();
      case SectionId::lines:
        return lines();
      case SectionId::custom:
        return custom();
    }
  }

  template <class T>
  void list(std::vector<T>& entries, const char* what, u64 limit, u64 entry_bytes) {
    const u32 number_of = count(what, limit, entry_bytes);
    if (number_of == 0) fail("a section without entries must be left out");
    if (error_) return;
    entries.resize(number_of);
    entry_ = 0;
    for (T& entry : entries) {
      read_into(entry);
      if (error_) return;
      ++*entry_;
    }
    entry_.reset();
  }

  void labels() {
    if (label_count_ == 0) return fail("no function has labels");
    if (label_count_ * 2 > left()) {
      return fail("{} labels do not fit into the {} bytes of the section", label_count_, left());
    }
    module_.labels.reserve(label_count_);
    entry_ = 0;
    for (const Function& function : module_.functions) {
      u32 pc = 0;
      for (u32 i = 0; i < function.label_count; ++i, ++*entry_) {
        pc += number32();
        const u16 defined = number16();
        if (error_) return;
        module_.labels.push_back({pc, defined});
      }
    }
    entry_.reset();
  }

  void code() {
    if (code_words_ == 0) return fail("no function has code");
    const u32 padding = code_padding(static_cast<u64>(at_ - begin_));
    const u64 size = code_words_ * sizeof(isa::Word);
    if (left() != padding + size) {
      return fail("{} bytes, but {} of padding and {} of code are needed", left(), padding, size);
    }
    for (u32 i = 0; i < padding; ++i) {
      if (byte() != 0) return fail("padding that is not zero");
    }
    module_.code.resize(code_words_);
    std::memcpy(module_.code.data(), at_, size);
    at_ = end_;
  }

  void names() {
    module_.name = text("module's name");
    const u32 number_of = count("names", limits::names, 3);
    if (number_of == 0 && module_.name.empty()) fail("a section without entries must be left out");
    if (error_) return;
    module_.names.resize(number_of);
    entry_ = 0;
    const Name* before = nullptr;
    for (Name& name : module_.names) {
      name.space = static_cast<NameSpace>(choice("name space", static_cast<u8>(NameSpace::local)));
      name.index = number32();
      if (before != nullptr && before->space == name.space) name.index += before->index;
      if (name.space == NameSpace::local) name.slot = number32();
      name.text = text("name");
      if (error_) return;
      before = &name;
      ++*entry_;
    }
    entry_.reset();
  }

  void lines() {
    const u32 files = count("files", limits::files, 1);
    if (error_) return;
    module_.files.resize(files);
    for (std::string& file : module_.files) {
      file = text("file's name");
      if (error_) return;
    }
    // A line entry stands for a word of code at least, so code in the file pays for its memory.
    const u32 number_of = count("line entries", code_words_, 4);
    if (number_of == 0 && files == 0) fail("a section without entries must be left out");
    if (error_) return;
    module_.lines.resize(number_of);
    entry_ = 0;
    Line before;
    for (Line& line : module_.lines) {
      line.pc = before.pc + number32();
      line.file = before.file + unzigzag(number32());
      line.line = before.line + unzigzag(number32());
      line.column = number32();
      if (error_) return;
      before = line;
      ++*entry_;
    }
    entry_.reset();
  }

  void custom() {
    if (module_.customs.size() == limits::customs) {
      return fail_as(base::ErrorCode::limit,
                     fmt::format("more than {} custom sections", limits::customs));
    }
    CustomSection section;
    section.name = text("name");
    section.bytes.assign(reinterpret_cast<const char*>(at_), left());
    at_ = end_;
    module_.customs.push_back(std::move(section));
  }

  const u8* begin_;
  const u8* at_;
  const u8* end_;  // of the section
  const u8* file_end_;
  std::string_view section_;  // being read; empty between sections
  std::optional<u64> entry_;  // being read
  u64 code_words_ = 0;        // sums over the functions
  u64 label_count_ = 0;
  u64 const_ops_ = 0;
  Module module_;
  std::optional<base::Error> error_;
};

}  // namespace

base::Result<Module> read(std::span<const u8> bytes) { return Reader(bytes).read(); }

}  // namespace atollvm::mod
