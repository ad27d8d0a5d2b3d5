// The name section, also with the kinds of names that later tools added to it (specification,
// section 7.4.1, and the extended name section proposal).
#include <algorithm>
#include <tuple>

#include "assembler/wasm/bytes.hpp"
#include "assembler/wasm/image.hpp"
#include "vm/base/utf8.hpp"
#include "vm/module/limits.hpp"

namespace atollvm::wasm {

namespace {

using mod::NameSpace;

// Empty also where the text is not UTF-8.
std::string read_text(Bytes& in) {
  const std::span<const u8> bytes = in.take(in.leb_u32());
  std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  return base::is_utf8(text) ? text : std::string();
}

bool name_order(const mod::Name& x, const mod::Name& y) {
  return std::tie(x.space, x.index, x.slot) < std::tie(y.space, y.index, y.slot);
}
bool same_thing(const mod::Name& x, const mod::Name& y) {
  return std::tie(x.space, x.index, x.slot) == std::tie(y.space, y.index, y.slot);
}

class Names {
 public:
  explicit Names(Image& image) : image_(image) {}

  void read() {
    Bytes in(image_.bytes.data() + image_.names.begin, image_.bytes.data() + image_.names.end);
    for (u32 next = 0; in.left() != 0;) {
      const u8 kind = in.byte();
      const std::span<const u8> contents = in.take(in.leb_u32());
      // Subsections are ordered, each at most once, and so are the functions in that of locals:
      // so no body's locals are counted twice.
      if (!in.ok() || kind < next) break;
      next = kind + 1u;
      subsection(kind, Bytes(contents.data(), contents.data() + contents.size()));
    }
    sort_out(names_);
    add_export_names();
    sort_out(locals_);
    const usize room = mod::limits::names;
    if (names_.size() > room) names_.resize(room);
    if (locals_.size() > room - names_.size()) locals_.resize(room - names_.size());
    names_.insert(names_.end(), std::make_move_iterator(locals_.begin()),
                  std::make_move_iterator(locals_.end()));
    image_.module.names = std::move(names_);
  }

 private:
  // What a subsection with a mistake says before it is kept.
  void subsection(u8 kind, Bytes in) {
    switch (kind) {
      case 0:
        image_.module.name = read_text(in);
        return;
      case 1:
        return name_map(in, NameSpace::function, image_.function_types.size());
      case 2:
        return local_names(in);
      case 4:
        return name_map(in, NameSpace::type, image_.module.types.size());
      case 5:
        return name_map(in, NameSpace::table, image_.tables.size());
      case 6:
        return name_map(in, NameSpace::memory, image_.memories.size());
      case 7:
        return name_map(in, NameSpace::global, image_.globals.size());
      case 8:
        return name_map(in, NameSpace::elem, image_.module.elems.size());
      case 9:
        return name_map(in, NameSpace::data, image_.module.datas.size());
      default:
        return;  // of labels, fields, tags: Atoll has no such names
    }
  }

  void name_map(Bytes& in, NameSpace space, u64 size) {
    const u32 count = in.leb_u32();
    for (u32 i = 0; i < count && in.ok(); ++i) {
      const u32 index = in.leb_u32();
      std::string text = read_text(in);
      if (!in.ok() || text.empty() || index >= size || full(names_)) continue;
      names_.push_back({space, index, 0, std::move(text)});
    }
  }

  void local_names(Bytes& in) {
    const u32 functions = in.leb_u32();
    u64 next = 0;
    for (u32 i = 0; i < functions && in.ok(); ++i) {
      const u32 function = in.leb_u32();
      if (function < next) return;
      next = u64{function} + 1;
      const u64 size = in.ok() && function < image_.function_types.size() ? locals_of(function) : 0;
      const u32 count = in.leb_u32();
      for (u32 k = 0; k < count && in.ok(); ++k) {
        const u32 local = in.leb_u32();
        std::string text = read_text(in);
        if (!in.ok() || text.empty() || local >= size || full(locals_)) continue;
        locals_.push_back({NameSpace::local, function, local, std::move(text)});
      }
    }
  }

  // The number of a function's locals, parameters included.
  [[nodiscard]] u64 locals_of(u32 function) const {
    u64 number = image_.module.types[image_.function_types[function]].params.size();
    if (function < image_.imported_functions()) return number;
    const Body body = image_.bodies[function - image_.imported_functions()];
    Bytes in(image_.bytes.data() + body.begin, image_.bytes.data() + body.end);
    const u32 groups = in.leb_u32();
    for (u32 i = 0; i < groups && in.ok(); ++i) {
      number += in.leb_u32();
      in.byte();
    }
    return number;
  }

  // Functions without a name get that of their first export.
  void add_export_names() {
    const usize named = names_.size();
    for (const mod::Export& item : image_.module.exports) {
      if (item.kind != mod::ExternKind::function || item.name.empty()) continue;
      mod::Name name{NameSpace::function, item.index, 0, item.name};
      const auto end = names_.begin() + static_cast<std::ptrdiff_t>(named);
      if (!std::binary_search(names_.begin(), end, name, name_order)) {
        names_.push_back(std::move(name));
      }
    }
    sort_out(names_);
  }

  // In order, and of several names of one thing the first.
  static void sort_out(std::vector<mod::Name>& names) {
    if (!std::is_sorted(names.begin(), names.end(), name_order)) {
      std::stable_sort(names.begin(), names.end(), name_order);
    }
    names.erase(std::unique(names.begin(), names.end(), same_thing), names.end());
  }

  [[nodiscard]] static bool full(const std::vector<mod::Name>& names) {
    return names.size() >= mod::limits::names;
  }

  Image& image_;
  std::vector<mod::Name> names_;  // all but those of locals
  std::vector<mod::Name> locals_;
};

}  // namespace

void read_names(Image& image) { Names(image).read(); }

}  // namespace atollvm::wasm
