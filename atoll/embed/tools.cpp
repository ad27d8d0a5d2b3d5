#include <atoll/tools.hpp>

#include <algorithm>
#include <map>
#include <optional>
#include <span>
#include <utility>

#include "assembler/link/link.hpp"
#include "assembler/text/assemble.hpp"
#include "assembler/text/disassemble.hpp"
#include "assembler/text/format.hpp"
#include "assembler/wasm/wasm.hpp"
#include "atoll/embed/impl.hpp"
#include "atoll/embed/read.hpp"
#include "atoll/embed/sources.hpp"
#include "stdlib/host/host.hpp"
#include "vm/jit/jit.hpp"
#include "vm/module/codec.hpp"
#include "vm/verify/verify.hpp"

namespace atollvm::tools {

// What the assembler makes is verified too: a rule that it does not know would else be found only
// when the program runs.
Assembly assemble(const Source& source, const AssembleOptions& options) {
  text::Options inner;
  inner.object = options.object;
  inner.line_table = options.line_table;
  inner.local_names = options.local_names;
  inner.libraries = host::library_names();
  inner.tests = options.tests;
  inner.open = options.open;
  text::Assembly assembly =
      text::assemble({source.name, source.text}, make_resolver(options.reader), inner);
  Assembly result;
  if (!assembly.ok()) {
    result.diagnostics = to_public(std::move(assembly.diagnostics));
    return result;
  }
  auto verified = verify::verify(std::move(assembly.module));
  if (verified) {
    result.bytes = mod::write(**verified);
    for (text::Test& test : assembly.tests) {
      result.tests.push_back({std::move(test.name), test.line});
    }
  } else {
    Diagnostic diagnostic;
    diagnostic.file = source.name;
    diagnostic.message = verified.error().text();
    result.diagnostics.push_back(std::move(diagnostic));
  }
  return result;
}

Result<std::string> disassemble(std::string_view bytes) {
  auto verified = read_verified(bytes);
  if (!verified) return to_public(std::move(verified).error());
  return text::disassemble(**verified);
}

Result<std::string> disassemble_native(std::string_view bytes, std::string_view name,
                                       const NativeOptions& native) {
  auto verified = read_verified(bytes);
  if (!verified) return to_public(std::move(verified).error());
  const auto program = runtime::Program::make(*std::move(verified));
  const mod::Module& module = program->module();
  const u32 imported = program->imported_functions();
  const u32 count = static_cast<u32>(program->functions().size());
  u32 index = imported;
  for (; index < count; ++index) {
    if (program->function_name(index) == name || std::to_string(index) == name) break;
  }
  if (index == count) {
    index = program->find_export(name, mod::ExternKind::function).value_or(count);
    if (index < imported || index >= count) {
      return Error{ErrorCode::not_found, std::string(name), "is no function of the module's own"};
    }
  }
  const auto listing = jit::list(*program, index,
                                 {.guarded = native.memory == MemoryStrategy::guarded,
                                  .counts_fuel = native.fuel,
                                  .hardened = native.hardened});
  if (!listing) return to_public(listing.error());
  std::map<u32, std::string> behind;
  for (const jit::Listed& each : *listing) {
    for (std::string_view rest = each.text; !rest.empty();) {
      const usize end = std::min(rest.find('\n'), rest.size() - 1) + 1;
      behind[each.pc] += "            ";
      behind[each.pc] += rest.substr(0, end);
      rest.remove_prefix(end);
    }
  }
  text::DisassembleOptions options;
  options.annotate = true;
  options.function = index - imported;
  options.behind = [&behind](u32 pc) { return std::exchange(behind[pc], {}); };
  std::string text = text::disassemble(module, options);
  for (const auto& [pc, rest] : behind) text += rest;
  return text;
}

Result<std::string> translate(std::string_view bytes, const TranslateOptions& options) {
  wasm::TranslateOptions inner;
  inner.line_table = options.line_table;
  inner.names = options.names;
  auto module =
      wasm::translate(std::span(reinterpret_cast<const u8*>(bytes.data()), bytes.size()), inner);
  if (!module) return to_public(std::move(module).error());
  auto verified = verify::verify(*std::move(module));
  if (!verified) return to_public(std::move(verified).error());
  return mod::write(**verified);
}

Formatted format(const Source& source) {
  text::Formatted formatted = text::format_source({source.name, source.text});
  return {std::move(formatted.text), to_public(std::move(formatted.diagnostics))};
}

Result<std::string> link(std::span<const LinkInput> inputs) {
  if (inputs.empty()) return Error{ErrorCode::usage, "", "nothing to link"};
  std::vector<atollvm::link::Input> modules;
  for (const LinkInput& each : inputs) {
    auto module = read_any(each.bytes);
    if (!module) {
      Error error = to_public(std::move(module).error());
      error.place = each.name + (error.place.empty() ? "" : ": " + error.place);
      return error;
    }
    modules.push_back({each.name, *std::move(module)});
  }
  auto linked = atollvm::link::link(std::move(modules));
  if (!linked) return to_public(std::move(linked).error());
  return mod::write(*linked);
}

}  // namespace atollvm::tools
