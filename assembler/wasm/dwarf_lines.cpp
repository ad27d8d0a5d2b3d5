// Hostile input: every length is checked by Bytes, and what a few bytes can make is bounded: rows
// by max_lines, names by a budget in proportion to the sections.
#include "assembler/wasm/dwarf_lines.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <map>
#include <string_view>

#include "assembler/wasm/bytes.hpp"
#include "vm/base/utf8.hpp"
#include "vm/module/limits.hpp"

namespace atollvm::wasm {

namespace {

constexpr usize max_unit_files = 65'536;  // also directories

// Encodings of DWARF 5, section 7.
namespace standard {
constexpr u8 copy = 1;
constexpr u8 advance_pc = 2;
constexpr u8 advance_line = 3;
constexpr u8 set_file = 4;
constexpr u8 set_column = 5;
constexpr u8 const_add_pc = 8;
constexpr u8 fixed_advance_pc = 9;
}  // namespace standard
namespace extended {
constexpr u8 end_sequence = 1;
constexpr u8 set_address = 2;
constexpr u8 define_file = 3;
}  // namespace extended
namespace form {
constexpr u64 data2 = 0x05;
constexpr u64 data4 = 0x06;
constexpr u64 data8 = 0x07;
constexpr u64 string = 0x08;
constexpr u64 block = 0x09;
constexpr u64 data1 = 0x0b;
constexpr u64 strp = 0x0e;
constexpr u64 udata = 0x0f;
constexpr u64 data16 = 0x1e;
constexpr u64 line_strp = 0x1f;
}  // namespace form
namespace content {
constexpr u64 path = 1;
constexpr u64 directory_index = 2;
}  // namespace content

// A text that ends with a zero byte, looked for when it is needed.
struct Text {
  std::span<const u8> section;
  u64 offset = 0;
};

struct FileEntry {
  Text name;
  u64 directory = 0;
  u32 number = unknown;  // in LineTable::files, once it has been used

  static constexpr u32 unknown = std::numeric_limits<u32>::max();
};

struct EntryFormat {
  u64 content = 0;
  u64 form = 0;
};

struct Row {
  u64 address = 0;
  u64 file = 1;
  u64 line = 1;
  u64 column = 0;
};

class LineReader {
 public:
  LineReader(const DebugSections& sections, u32 code_size)
      : sections_(sections),
        code_size_(code_size),
        name_budget_(1'000'000 + 16 * sections.line.size()) {}

  LineTable read() {
    Bytes in = bytes_of(sections_.line);
    while (in.left() != 0 && table_.lines.size() < max_lines) {
      u64 length = in.fixed<u32>();
      wide_ = length == 0xffff'ffff;
      if (wide_) length = in.fixed<u64>();
      if (!in.ok()) break;
      read_unit(bytes_of(in.take(std::min<u64>(length, in.left()))));
    }
    sort_lines(table_);
    return std::move(table_);
  }

 private:
  static Bytes bytes_of(std::span<const u8> bytes) {
    return {bytes.data(), bytes.data() + bytes.size()};
  }

  // --- Header of a unit ---

  void read_unit(Bytes in) {
    version_ = in.fixed<u16>();
    if (version_ < 2 || version_ > 5) return;
    if (version_ == 5) in.take(2);  // sizes of addresses and of segment selectors
    const u64 header_size = offset(in);
    if (!in.ok()) return;
    Bytes header = bytes_of(in.take(std::min<u64>(header_size, in.left())));
    min_instruction_ = header.byte();
    const u8 operations = version_ >= 4 ? header.byte() : 1;
    header.byte();  // whether rows begin as statements
    line_base_ = static_cast<i8>(header.byte());
    line_range_ = header.byte();
    opcode_base_ = header.byte();
    if (!header.ok() || line_range_ == 0 || opcode_base_ == 0 || operations > 1) return;
    operands_.fill(0);
    for (u32 op = 1; op < opcode_base_; ++op) operands_[op] = header.byte();
    directories_.clear();
    files_.clear();
    if (version_ == 5) {
      tables_of_5(header);
    } else {
      tables_of_2_to_4(header);
    }
    if (header.ok()) run(in);
  }

  u64 offset(Bytes& in) const { return wide_ ? in.fixed<u64>() : in.fixed<u32>(); }

  Text inline_text(Bytes& in) const {
    const auto* zero =
        static_cast<const u8*>(in.left() == 0 ? nullptr : std::memchr(in.at(), 0, in.left()));
    if (zero == nullptr) {
      in.fail("unexpected end");
      return {};
    }
    return {in.take(static_cast<usize>(zero - in.at()) + 1), 0};
  }

  void tables_of_2_to_4(Bytes& in) {
    directories_.push_back({});  // number 0 is where the compiler ran
    while (in.ok()) {
      const Text text = inline_text(in);
      if (text.section.size() <= 1) break;
      if (directories_.size() < max_unit_files) directories_.push_back(text);
    }
    files_.push_back({});  // files are numbered from 1
    while (in.ok()) {
      const Text text = inline_text(in);
      if (text.section.size() <= 1) break;
      add_file(in, text);
    }
  }

  // The rest of a file's entry, up to version 4.
  void add_file(Bytes& in, const Text& name) {
    const u64 directory = in.leb_u64();
    in.leb_u64();  // time
    in.leb_u64();  // size
    if (files_.size() < max_unit_files) files_.push_back({name, directory});
  }

  void tables_of_5(Bytes& in) {
    entries(in, [&](const FileEntry& entry) {
      if (directories_.size() < max_unit_files) directories_.push_back(entry.name);
    });
    entries(in, [&](const FileEntry& entry) {
      if (files_.size() < max_unit_files) files_.push_back(entry);
    });
  }

  // A list of entries whose fields are described before it.
  template <class Add>
  void entries(Bytes& in, const Add& add) {
    std::vector<EntryFormat> formats;
    const u8 fields = in.byte();
    for (u32 i = 0; i < fields; ++i) {
      const u64 what = in.leb_u64();
      formats.push_back({what, in.leb_u64()});
    }
    const u64 count = in.leb_u64();
    if (fields == 0 && count != 0) in.fail("entries without fields");
    for (u64 i = 0; i < count && in.ok(); ++i) {
      FileEntry entry;
      for (const EntryFormat& format : formats) {
        Text text;
        const u64 number = field(in, format.form, text);
        if (format.content == content::path) entry.name = text;
        if (format.content == content::directory_index) entry.directory = number;
      }
      if (in.ok()) add(entry);
    }
  }

  // One field: a number, or a text.
  u64 field(Bytes& in, u64 kind, Text& text) const {
    switch (kind) {
      case form::string:
        text = inline_text(in);
        return 0;
      case form::line_strp:
        text = {sections_.line_str, offset(in)};
        return 0;
      case form::strp:
        text = {sections_.str, offset(in)};
        return 0;
      case form::udata:
        return in.leb_u64();
      case form::data1:
        return in.byte();
      case form::data2:
        return in.fixed<u16>();
      case form::data4:
        return in.fixed<u32>();
      case form::data8:
        return in.fixed<u64>();
      case form::data16:
        in.take(16);
        return 0;
      case form::block:
        in.take(in.leb_u64());
        return 0;
      default:
        in.fail("unknown form");
        return 0;
    }
  }

  // --- Program of a unit ---

  void run(Bytes in) {
    begin_sequence();
    while (in.left() != 0 && table_.lines.size() < max_lines) {
      const u8 op = in.byte();
      if (op >= opcode_base_) {
        const u32 adjusted = op - u32{opcode_base_};
        row_.address += u64{adjusted / line_range_} * min_instruction_;
        row_.line += static_cast<u64>(i64{line_base_} + adjusted % line_range_);
        emit();
      } else if (op == 0) {
        extended_operation(in);
      } else {
        standard_operation(in, op);
      }
    }
    // A sequence without an end is broken.
    table_.lines.resize(sequence_);
  }

  void standard_operation(Bytes& in, u8 op) {
    switch (op) {
      case standard::copy:
        return emit();
      case standard::advance_pc:
        row_.address += in.leb_u64() * min_instruction_;
        return;
      case standard::advance_line:
        row_.line += static_cast<u64>(in.leb_i64());
        return;
      case standard::set_file:
        row_.file = in.leb_u64();
        return;
      case standard::set_column:
        row_.column = in.leb_u64();
        return;
      case standard::const_add_pc:
        row_.address += u64{(255u - opcode_base_) / line_range_} * min_instruction_;
        return;
      case standard::fixed_advance_pc:
        row_.address += in.fixed<u16>();
        return;
      default:
        // It changes nothing that is kept here.
        for (u32 i = 0; i < operands_[op] && in.ok(); ++i) in.leb_u64();
        return;
    }
  }

  void extended_operation(Bytes& in) {
    const u64 size = in.leb_u64();
    if (size == 0 || size > in.left()) {
      in.fail("an operation without contents");
      return;
    }
    Bytes body = bytes_of(in.take(size));
    switch (body.byte()) {
      case extended::end_sequence:
        row_.line = 0;
        emit();
        sequence_ = table_.lines.size();
        begin_sequence();
        return;
      case extended::set_address:
        row_.address = size == 9 ? body.fixed<u64>() : body.fixed<u32>();
        // The code section begins with the number of functions, never with code.
        dropped_ = row_.address == 0 || row_.address >= code_size_;
        return;
      case extended::define_file:
        if (const Text name = inline_text(body); body.ok()) add_file(body, name);
        return;
      default:
        return;
    }
  }

  void begin_sequence() {
    sequence_ = table_.lines.size();
    row_ = {};
    dropped_ = true;  // until it has an address
  }

  void emit() {
    if (dropped_ || row_.address >= code_size_) return;
    CodeLine line{static_cast<u32>(row_.address), 0, 0, 0};
    const u32 file = row_.line != 0 ? file_number(row_.file) : FileEntry::unknown;
    if (file != FileEntry::unknown && row_.line <= std::numeric_limits<u32>::max()) {
      line.file = file;
      line.line = static_cast<u32>(row_.line);
      if (row_.column <= std::numeric_limits<u32>::max()) {
        line.column = static_cast<u32>(row_.column);
      }
    }
    table_.lines.push_back(line);
  }

  // --- Names of files ---

  // The number in the table of a file of this unit; `unknown` where there is none.
  u32 file_number(u64 file) {
    if (file >= files_.size()) return FileEntry::unknown;
    FileEntry& entry = files_[file];
    if (entry.number != FileEntry::unknown) return entry.number;
    const std::string path = path_of(entry);
    if (path.empty()) return FileEntry::unknown;
    const auto found = numbers_.find(path);
    if (found != numbers_.end()) return entry.number = found->second;
    if (table_.files.size() >= mod::limits::files) return FileEntry::unknown;
    entry.number = static_cast<u32>(table_.files.size());
    numbers_.emplace(path, entry.number);
    table_.files.push_back(path);
    return entry.number;
  }

  std::string path_of(const FileEntry& entry) {
    std::string path(text_of(entry.name));
    if (path.empty()) return path;
    // Directory 0 is where the compiler ran.
    if (path.front() != '/' && entry.directory != 0 && entry.directory < directories_.size()) {
      const std::string_view directory = text_of(directories_[entry.directory]);
      if (!directory.empty()) path = std::string(directory) + '/' + path;
    }
    return base::printable(path, max_file_name);
  }

  std::string_view text_of(const Text& text) {
    if (text.offset >= text.section.size()) return {};
    const u8* begin = text.section.data() + text.offset;
    const usize most =
        std::min<usize>({text.section.size() - text.offset, max_file_name, name_budget_});
    const auto* zero = static_cast<const u8*>(most == 0 ? nullptr : std::memchr(begin, 0, most));
    const usize size = zero != nullptr ? static_cast<usize>(zero - begin) : most;
    name_budget_ -= size;
    return {reinterpret_cast<const char*>(begin), size};
  }

  DebugSections sections_;
  u32 code_size_;
  usize name_budget_;  // bytes of names that may still be looked at
  LineTable table_;
  std::map<std::string, u32> numbers_;  // of table_.files

  // Of the unit that is read.
  bool wide_ = false;
  u16 version_ = 0;
  u8 min_instruction_ = 1;
  i8 line_base_ = 0;
  u8 line_range_ = 1;
  u8 opcode_base_ = 1;
  std::array<u8, 256> operands_{};  // of the standard operations
  std::vector<Text> directories_;
  std::vector<FileEntry> files_;

  // Of the sequence that is read.
  Row row_;
  usize sequence_ = 0;   // where its lines begin
  bool dropped_ = true;  // the linker left its code out
};

}  // namespace

LineTable dwarf_lines(const DebugSections& sections, u32 code_size) {
  return LineReader(sections, code_size).read();
}

LineTable dwarf_lines(const Image& image) {
  const auto contents = [&](const Extent& extent) {
    return image.bytes.subspan(extent.begin, extent.end - extent.begin);
  };
  if (image.bodies.empty()) return {};
  return dwarf_lines({.line = contents(image.debug_line),
                      .line_str = contents(image.debug_line_str),
                      .str = contents(image.debug_str)},
                     image.bodies.back().end - image.code_offset);
}

}  // namespace atollvm::wasm
