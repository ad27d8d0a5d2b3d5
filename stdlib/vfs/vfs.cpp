// An implementation that does not have a function inherits its refusal from here.
#include "stdlib/vfs/vfs.hpp"

#include "stdlib/vfs/watch.hpp"

namespace atollvm::vfs {

Outcome<u32> File::read(std::span<u8>, std::optional<u64>, Wait) { return Errno::notsup; }
Outcome<u32> File::write(std::span<const u8>, std::optional<u64>, WriteMode, Wait) {
  return Errno::notsup;
}
Outcome<u64> File::seek(i64, u32) { return Errno::notsup; }
Outcome<Stat> File::stat(Wait) { return Errno::notsup; }
Errno File::truncate(u64, Wait) { return Errno::notsup; }
Errno File::allocate(u64, u64, Wait) { return Errno::notsup; }
Errno File::advise(u64, u64, Advice, Wait) { return Errno::success; }
Errno File::sync(Durability, Wait) { return Errno::notsup; }
Errno File::set_times(const Times&, Wait) { return Errno::notsup; }
std::optional<Origin> File::origin() const { return std::nullopt; }

Outcome<std::shared_ptr<cap::Object>> Directory::open(std::string_view, u32, Access, Wait) {
  return Errno::notsup;
}
Outcome<Stat> Directory::stat(std::string_view, bool, Wait) { return Errno::notsup; }
Errno Directory::set_times(std::string_view, bool, const Times&, Wait) { return Errno::notsup; }
Outcome<std::vector<Entry>> Directory::list(u64, u32, Wait) { return Errno::notsup; }
Errno Directory::make_directory(std::string_view, Wait) { return Errno::notsup; }
Errno Directory::remove_file(std::string_view, Wait) { return Errno::notsup; }
Errno Directory::remove_directory(std::string_view, Wait) { return Errno::notsup; }
Errno Directory::rename(std::string_view, Directory&, std::string_view, Wait) {
  return Errno::notsup;
}
Errno Directory::link(std::string_view, Directory&, std::string_view, Wait) {
  return Errno::notsup;
}
Errno Directory::make_link(std::string_view, std::string_view, Wait) { return Errno::notsup; }
Outcome<std::string> Directory::read_link(std::string_view, Wait) { return Errno::notsup; }
Errno Directory::sync(Wait) { return Errno::notsup; }
Outcome<std::shared_ptr<Watch>> Directory::watch(std::string_view, Wait) { return Errno::notsup; }
std::optional<Origin> Directory::origin() const { return std::nullopt; }
std::unique_ptr<Kept> Directory::kept() { return nullptr; }
std::optional<std::string> Directory::identity() { return std::nullopt; }

}  // namespace atollvm::vfs
