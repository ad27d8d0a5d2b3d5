// A module's frame: header, sections in their order, custom sections, and what must agree between
// sections (specification, sections 5.5.2, 5.5.3 and 5.5.17).
#include "assembler/wasm/image.hpp"

#include <array>
#include <cstring>
#include <limits>

#include "assembler/wasm/reader.hpp"
#include "vm/base/utf8.hpp"

namespace atollvm::wasm {

namespace {

constexpr std::array<u8, 4> magic = {0x00, 0x61, 0x73, 0x6d};
constexpr std::array<u8, 4> version = {0x01, 0x00, 0x00, 0x00};

struct Section {
  const char* name;
  u8 rank;  // place in the file; 0: anywhere
  void (*read)(Reader&);
};

constexpr u8 custom_id = 0;
constexpr u8 tag_id = 13;

// By id.
constexpr std::array<Section, 14> sections = {{
    {"custom", 0, nullptr},
    {"type", 1, read_types},
    {"import", 2, read_imports},
    {"function", 3, read_functions},
    {"table", 4, read_tables},
    {"memory", 5, read_memories},
    {"global", 7, read_globals},
    {"export", 8, read_exports},
    {"start", 9, read_start},
    {"element", 10, read_elements},
    {"code", 12, read_code},
    {"data", 13, read_data},
    {"data count", 11, read_data_count},
    {"tag", 6, nullptr},
}};

// Keeps where the contents of a custom section are; of several of a name those of the first.
void read_custom(Reader& reader) {
  const std::string name = reader.name("name of a custom section");
  if (!reader.ok()) return;
  Image& image = reader.image;
  Extent* kept = name == "name"               ? &image.names
                 : name == ".debug_line"      ? &image.debug_line
                 : name == ".debug_line_str"  ? &image.debug_line_str
                 : name == ".debug_str"       ? &image.debug_str
                 : name == "sourceMappingURL" ? &image.source_map_url
                                              : nullptr;
  const u32 begin = static_cast<u32>(reader.offset());
  const std::span<const u8> contents = reader.in.take(reader.in.left());
  if (kept != nullptr && kept->end == 0) {
    *kept = {begin, begin + static_cast<u32>(contents.size())};
  }
}

bool begins_with(std::span<const u8> bytes, std::span<const u8> what) {
  return bytes.size() >= what.size() && std::memcmp(bytes.data(), what.data(), what.size()) == 0;
}

void read_header(Reader& reader) {
  const std::span<const u8> bytes = reader.image.bytes;
  if (bytes.size() > std::numeric_limits<u32>::max()) {
    reader.within(bytes.size(), std::numeric_limits<u32>::max(), "bytes of a module");
    return;
  }
  if (bytes.size() < magic.size()) {
    reader.malformed("unexpected end: {} bytes are no module", bytes.size());
    return;
  }
  if (!begins_with(bytes, magic)) {
    reader.malformed("magic header not detected: WebAssembly begins with \"\\0asm\"");
    return;
  }
  reader.in.take(magic.size());
  reader.here();
  const std::span<const u8> found = reader.in.take(version.size());
  if (!reader.ok() || begins_with(found, version)) return;
  // Components: a version, not 0 so far, and layer 1.
  if (found[0] != 0 && found[1] == 0 && found[2] == 1 && found[3] == 0) {
    reader.unsupported("a component", "the component model");
  } else {
    reader.malformed("unknown binary version {}.{}.{}.{}", found[0], found[1], found[2], found[3]);
  }
}

// One section; `last` is the rank of the one before.
void read_section(Reader& reader, u8& last) {
  reader.enter(nullptr, reader.offset(), reader.image.bytes.size());
  const u8 id = reader.in.byte();
  if (id >= sections.size()) {
    reader.malformed("malformed section id {}", id);
    return;
  }
  const Section& section = sections[id];
  if (id != custom_id && section.rank <= last) {
    reader.malformed(
        "unexpected content: the {} section here, sections have a fixed order, each at "
        "most once",
        section.name);
    return;
  }
  const u32 size = reader.in.leb_u32();
  if (reader.ok() && size > reader.in.left()) {
    reader.malformed("unexpected end: the {} section has {} bytes, {} are left", section.name, size,
                     reader.in.left());
  }
  if (!reader.ok()) return;
  const usize begin = reader.offset();
  reader.enter(section.name, begin, begin + size);
  if (id == tag_id) {
    reader.unsupported("the tag section", "the exception handling proposal");
  } else if (id == custom_id) {
    read_custom(reader);
  } else {
    section.read(reader);
    last = section.rank;
  }
  if (!reader.ok()) return;
  if (reader.in.left() != 0) {
    reader.end_entries();
    reader.here();
    reader.malformed("section size mismatch: {} bytes too many", reader.in.left());
  }
}

// What the sections that are there say of others.
void check_agreement(Reader& reader) {
  const Image& image = reader.image;
  reader.enter(nullptr, image.bytes.size(), image.bytes.size());
  if (image.bodies.size() != image.module.functions.size()) {
    reader.malformed("function and code section have inconsistent lengths: {} and {}",
                     image.module.functions.size(), image.bodies.size());
  }
  const usize datas = image.module.datas.size();
  if (image.data_count.value_or(datas) != datas) {
    reader.malformed("data count and data section have inconsistent lengths: {} and {}",
                     *image.data_count, datas);
  }
}

}  // namespace

std::string Image::function_label(u32 index) const {
  const std::string_view name = module.name_of(mod::NameSpace::function, index);
  if (name.empty()) return fmt::format("function {}", index);
  return fmt::format("function ${} ({})", base::printable(name), index);
}

bool is_wasm(std::span<const u8> bytes) { return begins_with(bytes, magic); }

base::Result<Image> read_image(std::span<const u8> bytes) {
  Reader reader(bytes);
  read_header(reader);
  u8 last = 0;
  while (reader.ok() && reader.offset() != bytes.size()) read_section(reader, last);
  if (reader.ok()) check_agreement(reader);
  if (!reader.ok()) return reader.take_error();
  return std::move(reader.image);
}

}  // namespace atollvm::wasm
