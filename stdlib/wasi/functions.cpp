// The table of functions, made from wasi.def, with WASI's part of the gate.
#include <algorithm>
#include <iterator>

#include "stdlib/wasi/support.hpp"
#include "vm/base/utf8.hpp"

namespace atollvm::wasi {
namespace {

struct Row {
  std::string_view name;
  std::string_view parameters;
  u32 handle;
  Kind kinds;
  Errno wrong;
  Rights rights;
  bool restartable;
  HostResult (*call)(Call&);
};

// The words that the columns of wasi.def are written in.
constexpr u32 no_handle = ~0u;
constexpr Kind nothing{};
constexpr Kind stream = Kind::stream;
constexpr Kind file = Kind::file;
constexpr Kind directory = Kind::directory;
constexpr Kind listener = Kind::listener;
constexpr Kind datagrams = Kind::datagrams;
constexpr Kind anything = stream | file | directory | listener | datagrams;
constexpr bool again = true;
constexpr bool canceled = false;

constexpr Row rows[] = {
#define WASI_AREA(title)
#define WASI_CALL(name, parameters, handle, kinds, wrong, rights, restart) \
  {#name, parameters, handle, kinds, Errno::wrong, rights, restart, call_##name},
#include "stdlib/wasi/wasi.def"
};

std::string_view module_name(Edition edition) {
  return edition == Edition::unstable ? "wasi_unstable" : "wasi_snapshot_preview1";
}

mod::FuncType type_of(const Row& row) {
  mod::FuncType type;
  for (const char letter : row.parameters) {
    type.params.push_back(letter == 'l' ? mod::ValType::i64 : mod::ValType::i32);
  }
  // Only proc_exit does not return.
  if (row.name != "proc_exit") type.results.push_back(mod::ValType::i32);
  return type;
}

// Whether a call looks at or changes descriptors only, and not what they name.
bool is_about_descriptors(std::string_view name) {
  constexpr std::string_view beginnings[] = {"fd_close", "fd_renumber", "fd_prestat", "fd_fdstat"};
  return std::any_of(std::begin(beginnings), std::end(beginnings),
                     [&](std::string_view each) { return name.starts_with(each); });
}

// Atoll's gate has found the handle and checked its kind; the rights are finer than Atoll's.
HostResult checked_call(const Row& row, Call& call) {
  if (row.handle != no_handle) {
    cap::Capability* const found = call.context.handles().find(call.u32_at(row.handle));
    call.descriptor = &descriptor_of(*found);
    if ((call.descriptor->base & row.rights) != row.rights) return give(call, Errno::notcapable);
  }
  return row.call(call);
}

}  // namespace

std::optional<Edition> edition_of(std::string_view module) {
  for (const Edition each : {Edition::snapshot_preview1, Edition::unstable}) {
    if (module == module_name(each)) return each;
  }
  return std::nullopt;
}

std::vector<runtime::HostFunction> functions(Environment& environment, Edition edition) {
  std::vector<runtime::HostFunction> result;
  result.reserve(std::size(rows));
  for (const Row& row : rows) {
    if (edition == Edition::unstable && row.name == "sock_accept") continue;  // came later
    runtime::HostFunction& function = result.emplace_back();
    function.module = module_name(edition);
    function.name = row.name;
    function.type = type_of(row);
    function.call = [&row, &environment, edition](HostContext& context) {
      Call call{environment, context, edition};
      return checked_call(row, call);
    };
    function.takes_handle = row.handle != no_handle;
    function.is_io = function.takes_handle && !is_about_descriptors(row.name);
    function.handle_index = static_cast<u8>(function.takes_handle ? row.handle : 0);
    function.kind = row.kinds;
    function.wrong_kind = row.wrong;
    function.errors = runtime::ErrorSign::positive;
    function.restartable = row.restartable;
  }
  return result;
}

Outcome<std::string> path_at(const Call& call, u32 index) {
  const auto bytes = bytes_at(call.context, call.u32_at(index), call.u32_at(index + 1));
  if (!bytes) return Errno::fault;
  if (bytes->size() > vfs::max_path) return Errno::nametoolong;
  std::string path(bytes->begin(), bytes->end());
  if (!base::is_utf8(path)) return Errno::ilseq;
  return path;
}

u32 filestat_size(Edition edition) { return edition == Edition::unstable ? 56 : max_filestat; }

HostResult put_filestat(HostContext& context, Edition edition, u32 address,
                        const Outcome<vfs::Stat>& outcome) {
  if (const Errno* error = error_of(outcome)) return give(context, *error);
  const auto to = context.memory(address, filestat_size(edition));
  if (!to) return give(context, Errno::fault);
  const vfs::Stat& stat = std::get<vfs::Stat>(outcome);
  memset(to->data(), 0, to->size());
  store<u64>(*to, 0, stat.device);
  store<u64>(*to, 8, stat.inode);
  store<u8>(*to, 16, static_cast<u8>(stat.type));
  usize at = 24;
  if (edition == Edition::unstable) {
    store<u32>(*to, 20, static_cast<u32>(stat.links));
  } else {
    store<u64>(*to, at, stat.links);
    at += 8;
  }
  store<u64>(*to, at, stat.size);
  // WASI's times begin in 1970.
  for (const i64 time : {stat.accessed_ns, stat.modified_ns, stat.changed_ns}) {
    store<u64>(*to, at += 8, time < 0 ? 0 : static_cast<u64>(time));
  }
  return give(context, Errno::success);
}

Outcome<vfs::Times> times_from(u64 accessed, u64 modified, u32 flags) {
  constexpr u32 set_accessed = 1;
  constexpr u32 accessed_now = 2;
  constexpr u32 set_modified = 4;
  constexpr u32 modified_now = 8;
  constexpr u32 both_accessed = set_accessed | accessed_now;
  constexpr u32 both_modified = set_modified | modified_now;
  if ((flags & ~(both_accessed | both_modified)) != 0) return Errno::inval;
  if ((flags & both_accessed) == both_accessed) return Errno::inval;
  if ((flags & both_modified) == both_modified) return Errno::inval;
  constexpr u64 most = static_cast<u64>(INT64_MAX);
  vfs::Times times;
  if ((flags & set_accessed) != 0) {
    if (accessed > most) return Errno::overflow;
    times.accessed_ns = static_cast<i64>(accessed);
  }
  if ((flags & set_modified) != 0) {
    if (modified > most) return Errno::overflow;
    times.modified_ns = static_cast<i64>(modified);
  }
  times.accessed_now = (flags & accessed_now) != 0;
  times.modified_now = (flags & modified_now) != 0;
  return times;
}

}  // namespace atollvm::wasi
