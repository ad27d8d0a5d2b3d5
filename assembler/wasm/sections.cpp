// The sections of definitions, in the order of the file (specification, sections 5.5.4 to 5.5.11,
// validated as 3.4 says).
#include <set>
#include <string_view>

#include "assembler/wasm/reader.hpp"
#include "vm/module/limits.hpp"

namespace atollvm::wasm {

namespace {

namespace limits = mod::limits;
using mod::ExternKind;

std::vector<mod::ValType> value_types(Reader& reader, const char* what, u64 limit) {
  std::vector<mod::ValType> types(reader.count(what, limit, 1));
  for (mod::ValType& type : types) {
    if (!reader.ok()) break;
    type = reader.value_type();
  }
  return types;
}

void read_import_description(Reader& reader, mod::Import& import) {
  Image& image = reader.image;
  reader.here();
  const u8 kind = reader.in.byte();
  if (!reader.ok()) return;
  switch (kind) {
    case 0:
      import.kind = ExternKind::function;
      import.func_type = reader.type_index();
      image.function_types.push_back(import.func_type);
      return;
    case 1:
      import.kind = ExternKind::table;
      import.table = reader.table_type();
      image.tables.push_back(import.table);
      return;
    case 2:
      import.kind = ExternKind::memory;
      import.memory = reader.memory_type();
      reader.add_memory(import.memory);
      return;
    case 3:
      import.kind = ExternKind::global;
      import.global = reader.global_type();
      image.globals.push_back(import.global);
      return;
    case 4:
      // A tag: an attribute, always 0, and a type index.
      if (reader.in.left() >= 2 && *reader.in.at() == 0) {
        reader.unsupported("the import of a tag", "the exception handling proposal");
        return;
      }
      break;
    default:
      break;
  }
  reader.malformed("malformed import kind 0x{:02x}", kind);
}

}  // namespace

void read_types(Reader& reader) {
  const u32 number = reader.count("types", limits::types, 3);
  reader.image.module.types.resize(number);
  for (u32 i = 0; i < number && reader.ok(); ++i) {
    reader.begin_entry(i);
    const u8 form = reader.in.byte();
    if (form != 0x60) {
      const char* proposal = proposal_of_definition(form);
      if (proposal != nullptr) {
        reader.unsupported("a type that is not of a function", proposal);
      } else {
        reader.malformed("malformed type definition 0x{:02x}", form);
      }
      return;
    }
    mod::FuncType& type = reader.image.module.types[i];
    type.params = value_types(reader, "parameters", limits::params);
    type.results = value_types(reader, "results", limits::results);
  }
}

void read_imports(Reader& reader) {
  Image& image = reader.image;
  const u32 number = reader.count("imports", limits::imports, 4);
  image.module.imports.resize(number);
  for (u32 i = 0; i < number && reader.ok(); ++i) {
    reader.begin_entry(i);
    mod::Import& import = image.module.imports[i];
    import.module = reader.name("module's name");
    import.name = reader.name("name");
    read_import_description(reader, import);
  }
  image.declared.resize(image.function_types.size());
  reader.imported_globals = static_cast<u32>(image.globals.size());
}

void read_functions(Reader& reader) {
  Image& image = reader.image;
  const u32 number = reader.count("functions", limits::functions, 1);
  image.module.functions.resize(number);
  image.function_types.reserve(image.function_types.size() + number);
  for (u32 i = 0; i < number && reader.ok(); ++i) {
    reader.begin_entry(i);
    const u32 type = reader.type_index();
    image.module.functions[i].type = type;
    image.function_types.push_back(type);
  }
  image.declared.resize(image.function_types.size());
}

void read_tables(Reader& reader) {
  Image& image = reader.image;
  const u32 number = reader.count("tables", limits::tables, 3);
  image.module.tables.resize(number);
  for (u32 i = 0; i < number && reader.ok(); ++i) {
    reader.begin_entry(i);
    image.module.tables[i].type = reader.table_type();
    image.tables.push_back(image.module.tables[i].type);
  }
}

void read_memories(Reader& reader) {
  Image& image = reader.image;
  const u32 number = reader.count("memories", limits::memories, 2);
  image.module.memories.resize(number);
  for (u32 i = 0; i < number && reader.ok(); ++i) {
    reader.begin_entry(i);
    image.module.memories[i] = reader.memory_type();
    reader.add_memory(image.module.memories[i]);
  }
}

void read_globals(Reader& reader) {
  Image& image = reader.image;
  const u32 number = reader.count("globals", limits::globals, 3);
  image.module.globals.resize(number);
  for (u32 i = 0; i < number && reader.ok(); ++i) {
    reader.begin_entry(i);
    mod::Global& global = image.module.globals[i];
    global.type = reader.global_type();
    global.init = reader.constant(global.type.type);
    image.globals.push_back(global.type);
  }
}

void read_exports(Reader& reader) {
  Image& image = reader.image;
  const u32 number = reader.count("exports", limits::exports, 3);
  image.module.exports.resize(number);
  std::set<std::string_view> seen;  // into module.exports
  for (u32 i = 0; i < number && reader.ok(); ++i) {
    reader.begin_entry(i);
    mod::Export& item = image.module.exports[i];
    item.name = reader.name("name");
    if (reader.ok() && !seen.insert(item.name).second) {
      reader.invalid("duplicate export name");
      return;
    }
    reader.here();
    const u8 kind = reader.in.byte();
    if (!reader.ok()) return;
    switch (kind) {
      case 0:
        item.index = reader.declared_function();
        break;
      case 1:
        item.index = reader.index("table", image.tables.size());
        break;
      case 2:
        item.index = reader.index("memory", image.memories.size());
        break;
      case 3:
        item.index = reader.index("global", image.globals.size());
        break;
      case 4:
        reader.unsupported("the export of a tag", "the exception handling proposal");
        return;
      default:
        reader.malformed("malformed export kind 0x{:02x}", kind);
        return;
    }
    item.kind = static_cast<ExternKind>(kind);
  }
}

void read_start(Reader& reader) {
  Image& image = reader.image;
  const u32 function = reader.index("function", image.function_types.size());
  if (!reader.ok()) return;
  const mod::FuncType& type = image.module.types[image.function_types[function]];
  if (!type.params.empty() || !type.results.empty()) {
    reader.invalid("start function {} has {} parameters and {} results instead of none", function,
                   type.params.size(), type.results.size());
  }
  image.module.start = function;
}

void read_code(Reader& reader) {
  Image& image = reader.image;
  image.code_offset = static_cast<u32>(reader.offset());
  const u32 number = reader.count("function bodies", limits::functions, 1);
  if (reader.ok() && number != image.module.functions.size()) {
    reader.malformed("function and code section have inconsistent lengths: {} and {}",
                     image.module.functions.size(), number);
  }
  image.bodies.reserve(number);
  for (u32 i = 0; i < number && reader.ok(); ++i) {
    reader.begin_entry(i);
    const u32 size = reader.in.leb_u32();
    const u32 begin = static_cast<u32>(reader.offset());
    if (reader.ok() && size > reader.in.left()) {
      reader.malformed("unexpected end: a body of {} bytes, {} are left", size, reader.in.left());
    }
    reader.in.take(size);
    image.bodies.push_back({begin, begin + size});
  }
}

}  // namespace atollvm::wasm
