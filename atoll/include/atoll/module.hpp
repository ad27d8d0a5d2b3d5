// Modules: verified code with its types, imports, exports and data.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <atoll/diagnostic.hpp>
#include <atoll/engine.hpp>
#include <atoll/result.hpp>
#include <atoll/value.hpp>

#pragma GCC visibility push(default)
namespace atollvm {

enum class ExternKind : std::uint8_t { function, table, memory, global };
// "function", "table", "memory" or "global".
std::string_view to_text(ExternKind kind) noexcept;

// A section of the module file (docs/format.md).
struct SectionInfo {
  std::string name;
  std::uint64_t offset = 0;  // of its contents in the file, bytes
  std::uint64_t size = 0;    // of its contents, bytes
};

struct ImportInfo {
  std::string module;
  std::string name;
  ExternKind kind = ExternKind::function;
  std::string type;  // as in source: "(i32, i32) -> i32", "funcref 0 .. 10", "65536", "mut i32"
  // For a function: whether this build's host calls have it, with this type.
  bool is_host_call = false;
  // For a host call on a handle: the kind of object and the rights that the handle must have,
  // e.g. "stream" and "read", or "write or append" if one of several will do. Empty without a
  // handle.
  std::string object;
  std::vector<std::string> rights;
};

struct ExportInfo {
  std::string name;
  ExternKind kind = ExternKind::function;
  std::uint32_t index = 0;  // in the index space of its kind
  std::string type;
};

// A function that the module defines.
struct FunctionInfo {
  std::uint32_t index = 0;  // in the function index space: imports first
  std::string name;         // "func[12]" when it has none
  std::string type;
  std::uint64_t code_bytes = 0;
  std::uint32_t frame_slots = 0;  // of 8 bytes
  std::string location;           // "file:line" of its first instruction, or empty
};

struct MemoryInfo {
  std::uint64_t min_bytes = 0;
  std::optional<std::uint64_t> max_bytes;
};

// What a module holds and needs.
struct ModuleInfo {
  std::string name;              // may be empty
  std::uint64_t file_bytes = 0;  // of the whole module file
  std::uint64_t code_bytes = 0;
  std::uint64_t data_bytes = 0;  // of all data segments
  std::vector<SectionInfo> sections;
  std::vector<ImportInfo> imports;
  std::vector<ExportInfo> exports;
  std::vector<FunctionInfo> functions;
  std::vector<MemoryInfo> memories;  // those that it defines
  std::vector<std::string> sources;  // files of the line table
  bool has_start = false;            // a function that runs before all others
};

struct LoadOptions {
  std::string name;  // of the file, for the reader
  // Finds the source map of a WebAssembly module without DWARF, for the lines in traces: a file
  // beside the module, by a name without "/". None: there are no lines then. A text that is no
  // source map is ignored.
  FileReader reader;
};

// A module that passed the verifier. Immutable and shared: copies mean the same module, and any
// number of processes run it at once.
// Threads: any, at once.
class Module {
 public:
  struct Impl;  // opaque

  // Reads and verifies a module file, or translates and verifies a WebAssembly module (2.0
  // without SIMD, with tail calls and extended constant expressions). The bytes are copied. Uses
  // at most 64 MiB + 4 x the input, for a WebAssembly module 64 MiB + 16 x. Errors: malformed,
  // unsupported (also: it needs another WebAssembly proposal, named), invalid, limit; with the
  // place in the file.
  static Result<Module> load(const Engine& engine, std::string_view bytes,
                             const LoadOptions& options = {});

  // Assembles and verifies a program's source. All mistakes go to `diagnostics` when given.
  // Errors: invalid, with the first mistake.
  static Result<Module> assemble(const Engine& engine, const Source& source,
                                 const FileReader& reader = read_source_file,
                                 std::vector<Diagnostic>* diagnostics = nullptr);

  // Loads or assembles what is in a file: a module file, a WebAssembly module, or else source.
  // `reader` finds the files that a source uses and source maps: no_source_files for files that
  // you don't trust. Errors: those of load and assemble, and not_found, denied, io (also: no
  // regular file), limit (256 MiB); with the path.
  static Result<Module> open(const Engine& engine, const std::string& path,
                             const FileReader& reader = read_source_file,
                             std::vector<Diagnostic>* diagnostics = nullptr);

  // What it holds and needs; made anew at each call, in time linear in the module's size.
  [[nodiscard]] ModuleInfo info() const;

  // The type of an exported function; nothing: there is no such export. Linear in the exports.
  [[nodiscard]] std::optional<FunctionType> function_type(std::string_view name) const;

  // The module file. The same module always gives the same bytes.
  [[nodiscard]] std::string bytes() const;

 private:
  friend struct Access;
  explicit Module(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}
  std::shared_ptr<const Impl> impl_;
};

// Whether bytes begin as a module file does, or as a WebAssembly module or component: then
// Module::load is for them.
bool is_module_file(std::string_view bytes) noexcept;
bool is_wasm_file(std::string_view bytes) noexcept;
// Or as an image does, which is no module: see image.hpp.
bool is_image_file(std::string_view bytes) noexcept;

}  // namespace atollvm
#pragma GCC visibility pop
