#include "assembler/text/assemble.hpp"

#include <algorithm>
#include <tuple>

#include "assembler/text/function.hpp"
#include "assembler/text/raw.hpp"
#include "vm/module/limits.hpp"

namespace atollvm::text {

namespace {

namespace limits = mod::limits;

void compile_functions(Unit& unit) {
  FunctionCompiler compiler(unit);
  // Functions of libraries join the list while their users are compiled.
  for (usize i = 0; i < unit.own_functions.size(); ++i) compiler.compile(unit.own_functions[i]);
}

// Imports of functions come into use in any place: only now is their number known.
void move_own_functions(Unit& unit) {
  const u32 imports = static_cast<u32>(unit.imported_functions.size());
  const auto moved = [imports](u64 number) {
    return number & own_function_bit ? (number & ~u64{own_function_bit}) + imports : number;
  };
  for (const u32 word : unit.own_refs) unit.module.code[word] += u64{imports} << 32;
  for (mod::ElemSegment& segment : unit.module.elems) {
    for (mod::ConstExpr& item : segment.items) {
      if (item[0].kind == mod::ConstOp::Kind::ref_func) item[0].value = moved(item[0].value);
    }
  }
  for (mod::Global& global : unit.module.globals) {
    for (mod::ConstOp& op : global.init) {
      if (op.kind == mod::ConstOp::Kind::ref_func) op.value = moved(op.value);
    }
  }
  for (mod::Export& made : unit.module.exports) {
    if (made.kind == mod::ExternKind::function) made.index = static_cast<u32>(moved(made.index));
  }
  if (unit.has_start) unit.module.start = static_cast<u32>(moved(unit.start_function));
}

void function_imports(Unit& unit) {
  for (const u32 item : unit.imported_functions) {
    const FuncItem& function = unit.functions[item];
    mod::Import made;
    made.module = unit.imports[function.import].module;
    made.name = unit.imports[function.import].name;
    made.func_type = function.type;
    unit.module.imports.push_back(std::move(made));
  }
}

void add_names(Unit& unit) {
  auto& names = unit.module.names;
  const auto text_of = [&](At at) { return std::string(unit.names.text(unit.token_of(at).value)); };
  const u32 imports = static_cast<u32>(unit.imported_functions.size());
  u32 index = 0;
  for (const auto* list : {&unit.imported_functions, &unit.own_functions}) {
    for (const u32 item : *list) {
      names.push_back({mod::NameSpace::function, index++, 0, text_of(unit.functions[item].name)});
    }
  }
  for (usize i = 0; i < unit.types.size(); ++i) {
    if (unit.type_indexes[i] == Unit::unused_type) continue;
    names.push_back({mod::NameSpace::type, unit.type_indexes[i], 0, text_of(unit.types[i])});
  }
  for (const DataItem& item : unit.datas) {
    if (item.segment == ~0u) continue;
    names.push_back({mod::NameSpace::data, item.segment, 0, text_of(item.name)});
  }
  std::stable_sort(names.begin(), names.end(), [](const mod::Name& x, const mod::Name& y) {
    return std::tie(x.space, x.index) < std::tie(y.space, y.index);
  });
  // Two names of one type are one type: the first name stands for it.
  names.erase(std::unique(names.begin(), names.end(),
                          [](const mod::Name& x, const mod::Name& y) {
                            return x.space == y.space && x.index == y.index;
                          }),
              names.end());
  if (names.size() > limits::names) names.resize(limits::names);
  names.reserve(std::min<usize>(names.size() + unit.local_names.size(), limits::names));
  for (const Unit::LocalName& local : unit.local_names) {
    if (names.size() >= limits::names) break;
    names.push_back({mod::NameSpace::local, imports + local.function, local.slot,
                     std::string(unit.names.text(local.name))});
  }
}

void add_relocations(Unit& unit) {
  if (!unit.options.object) return;
  std::string bytes;
  const auto put = [&bytes](u64 value) {
    for (; value >= 0x80; value >>= 7) bytes += static_cast<char>(value | 0x80);
    bytes += static_cast<char>(value);
  };
  put(unit.relocs.size());
  for (const Reloc& reloc : unit.relocs) {
    bytes += static_cast<char>(reloc.kind);
    put(reloc.index);
    if (reloc.kind == 2 || reloc.kind == 4) put(reloc.offset);
  }
  put(unit.data_end);
  u64 align = 1;
  for (const DataItem& item : unit.datas) {
    if (item.used && !item.passive) align = std::max(align, item.align);
  }
  put(align);
  unit.module.customs.push_back({"atoll.reloc", std::move(bytes)});
}

void check_limits(Unit& unit) {
  const mod::Module& module = unit.module;
  usize elements = 0;
  for (const mod::ElemSegment& segment : module.elems) elements += segment.items.size();
  const std::pair<usize, std::pair<usize, const char*>> counts[] = {
      {module.types.size(), {limits::types, "function types"}},
      {module.imports.size(), {limits::imports, "imports"}},
      {module.functions.size(), {limits::functions, "functions"}},
      {module.tables.size(), {limits::tables, "tables"}},
      {module.memories.size(), {limits::memories, "memories"}},
      {module.globals.size(), {limits::globals, "globals"}},
      {module.exports.size(), {limits::exports, "exports"}},
      {module.elems.size(), {limits::elem_segments, "lists of elements"}},
      {module.datas.size(), {limits::data_segments, "data items"}},
      {module.files.size(), {limits::files, "files"}},
      {elements + module.elems.size() + module.datas.size() + module.globals.size(),
       {limits::const_ops, "elements, data items and globals"}},
      {module.code.size(), {limits::code_words, "words of code"}}};
  for (const auto& [count, limit] : counts) {
    if (count <= limit.first) continue;
    unit.reporter.error({0, 0, 1}, "the program has " + std::to_string(count) + " " + limit.second +
                                       "; the limit is " + std::to_string(limit.first));
  }
}

void assemble_unit(Unit& unit) {
  lex(*unit.files[0], 0, unit.names, unit.reporter);
  if (is_raw_program(*unit.files[0])) {
    unit.module = assemble_raw(*unit.files[0], 0, unit.reporter);
    return;
  }
  collect_items(unit, 0);
  number_items(unit);
  build_module(unit);
  compile_functions(unit);
  function_imports(unit);
  move_own_functions(unit);
  if (!unit.reporter.ok()) return;
  add_names(unit);
  add_relocations(unit);
  if (unit.options.line_table) {
    // File names come from outside, a module's texts are UTF-8.
    for (const auto& file : unit.files) unit.module.files.push_back(printable(file->name));
    for (const auto& name : unit.raw_files) unit.module.files.push_back(printable(name));
  }
  check_limits(unit);
}

}  // namespace

Assembly assemble(const Source& main, const Resolver& resolver, const Options& options) {
  Unit unit(resolver, options);
  auto file = std::make_unique<File>();
  file->name = main.name;
  file->text = main.text;
  unit.files.push_back(std::move(file));
  try {
    assemble_unit(unit);
  } catch (Enough&) {
    // What has been found is enough to read.
  }
  std::vector<Test> tests;
  for (const FuncItem& item : unit.functions) {
    if (!unit.keeps_test(item)) continue;
    tests.push_back(
        {std::string(unit.names.text(unit.token_of(item.name).value)), unit.line_of(item.name)});
  }
  return {std::move(unit.module), std::move(tests), unit.reporter.take()};
}

}  // namespace atollvm::text
