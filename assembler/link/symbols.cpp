#include "assembler/link/symbols.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <tuple>

#include "vm/base/utf8.hpp"

namespace atollvm::link {

namespace {

using mod::ExternKind;

constexpr ExternKind kinds[] = {ExternKind::function, ExternKind::table, ExternKind::memory,
                                ExternKind::global};

bool range_fits(const mod::Range& wanted, const mod::Range& given) {
  if (given.min < wanted.min) return false;
  return !wanted.max || (given.max && *given.max <= *wanted.max);
}

bool same_import(const Object& x, const mod::Import& a, const Object& y, const mod::Import& b) {
  switch (a.kind) {
    case ExternKind::function:
      return x.module.types[a.func_type] == y.module.types[b.func_type];
    case ExternKind::table:
      return a.table == b.table;
    case ExternKind::memory:
      return a.memory == b.memory;
    case ExternKind::global:
      return a.global == b.global;
  }
  return false;
}

}  // namespace

std::string_view kind_name(ExternKind kind) {
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

Symbols::Symbols(const std::vector<Object>& objects, std::vector<std::string>& mistakes)
    : objects_(objects), mistakes_(mistakes) {
  check_exports();
  for (ExternKind kind : kinds) {
    auto& of_kind = targets_[static_cast<u8>(kind)];
    of_kind.resize(objects.size());
    for (u32 object = 0; object < objects.size(); ++object) {
      for (u32 index = 0; index < objects[object].imported(kind); ++index) {
        of_kind[object].push_back({object, index});
      }
    }
  }
  // First one step of each, then to the end of each chain.
  for (ExternKind kind : kinds) {
    for (u32 object = 0; object < objects.size(); ++object) {
      for (u32 index = 0; index < objects[object].imported(kind); ++index) {
        resolve(kind, object, index);
      }
    }
  }
  if (!mistakes.empty()) return;
  std::map<std::tuple<ExternKind, std::string_view, std::string_view>, std::vector<Ref>> staying;
  for (ExternKind kind : kinds) {
    const auto direct = targets_[static_cast<u8>(kind)];
    for (u32 object = 0; object < objects.size(); ++object) {
      for (u32 index = 0; index < objects[object].imported(kind); ++index) {
        Ref at{object, index};
        usize steps = 0;
        while (at.index < objects[at.object].imported(kind) && direct[at.object][at.index] != at) {
          at = direct[at.object][at.index];
          if (++steps > objects.size()) break;
        }
        const Object& end = objects[at.object];
        if (steps > objects.size()) {
          mistakes.push_back(fmt::format("{}: the import {} stands for itself", end.file,
                                         base::printable(end.import(kind, at.index).name)));
          continue;
        }
        if (at.index < end.imported(kind)) {
          const mod::Import& import = end.import(kind, at.index);
          auto& alike = staying[{kind, import.module, import.name}];
          const auto first = std::find_if(alike.begin(), alike.end(), [&](Ref ref) {
            const Object& other = objects[ref.object];
            return same_import(end, import, other, other.import(kind, ref.index));
          });
          if (first == alike.end()) {
            alike.push_back(at);
          } else {
            at = *first;
          }
        }
        check_type(kind, object, index, at);
        targets_[static_cast<u8>(kind)][object][index] = at;
      }
    }
  }
  check_memory_0();
}

Ref Symbols::target(ExternKind kind, u32 object, u32 index) const {
  const auto& imports = targets_[static_cast<u8>(kind)][object];
  const Ref found = index < imports.size() ? imports[index] : Ref{object, index};
  return kind == ExternKind::memory && found.index == 0 ? Ref{0, 0} : found;
}

void Symbols::check_exports() {
  for (u32 object = 0; object < objects_.size(); ++object) {
    for (const mod::Export& item : objects_[object].module.exports) {
      auto& same = exports_[item.name];
      if (!same.empty()) {
        mistakes_.push_back(fmt::format("{}: {} is exported by {} too", objects_[object].file,
                                        base::printable(item.name), objects_[same[0].object].file));
      }
      same.push_back({object, &item});
    }
  }
}

bool Symbols::find(const mod::Import& import, u32 object, Ref& found) const {
  const auto same = exports_.find(import.name);
  if (same == exports_.end()) return false;
  for (const auto& [other, item] : same->second) {
    if (other == object || item->kind != import.kind) continue;
    if (!import.module.empty() && objects_[other].module.name != import.module) continue;
    found = {other, item->index};
    return true;
  }
  return false;
}

void Symbols::resolve(ExternKind kind, u32 object, u32 index) {
  const Object& from = objects_[object];
  const mod::Import& import = from.import(kind, index);
  Ref found;
  if (find(import, object, found)) {
    targets_[static_cast<u8>(kind)][object][index] = found;
    return;
  }
  if (import.module.empty()) {
    is_missing_ = true;
    mistakes_.push_back(fmt::format("{}: no other input exports the {} {}", from.file,
                                    kind_name(kind), base::printable(import.name)));
    return;
  }
  const auto named = std::find_if(objects_.begin(), objects_.end(), [&](const Object& other) {
    return &other != &from && other.module.name == import.module;
  });
  if (named == objects_.end()) return;
  is_missing_ = true;
  mistakes_.push_back(fmt::format("{}: {} does not export the {} {}", from.file, named->file,
                                  kind_name(kind), base::printable(import.name)));
}

void Symbols::check_type(ExternKind kind, u32 object, u32 index, Ref found) {
  const Object& from = objects_[object];
  const Object& to = objects_[found.object];
  bool fits = false;
  switch (kind) {
    case ExternKind::function:
      fits = from.func_type(index) == to.func_type(found.index);
      break;
    case ExternKind::table:
      fits = from.table_type(index).element == to.table_type(found.index).element &&
             range_fits(from.table_type(index).size, to.table_type(found.index).size);
      break;
    case ExternKind::memory:
      fits = from.memory_type(index).page_shift == to.memory_type(found.index).page_shift &&
             range_fits(from.memory_type(index).size, to.memory_type(found.index).size);
      break;
    case ExternKind::global:
      fits = from.global_type(index) == to.global_type(found.index);
      break;
  }
  if (fits) return;
  mistakes_.push_back(fmt::format("{}: the {} {} has another type in {}", from.file,
                                  kind_name(kind), base::printable(from.import(kind, index).name),
                                  to.file));
}

void Symbols::check_memory_0() {
  constexpr ExternKind kind = ExternKind::memory;
  std::optional<Ref> import_at;
  bool other_imports = false;
  for (u32 object = 0; object < objects_.size(); ++object) {
    for (u32 index = 0; index < objects_[object].imported(kind); ++index) {
      const Ref found = targets_[static_cast<u8>(kind)][object][index];
      if (index == 0 && found.index != 0) {
        mistakes_.push_back(fmt::format("{}: memory 0 is a further memory of {}",
                                        objects_[object].file, objects_[found.object].file));
      }
      if (found.index >= objects_[found.object].imported(kind)) continue;
      if (found.index != 0) {
        other_imports = true;
      } else if (import_at && *import_at != found) {
        mistakes_.push_back(fmt::format("{}: memory 0 is imported otherwise than by {}",
                                        objects_[object].file, objects_[import_at->object].file));
      } else {
        import_at = found;
      }
    }
  }
  if (import_at) memory_0_import_ = &objects_[import_at->object].import(kind, import_at->index);
  if (other_imports && !import_at) {
    mistakes_.push_back("a further memory is imported, but memory 0 is not: imports come first");
  }
}

}  // namespace atollvm::link
