#include "stdlib/vfs/mount.hpp"

#include <atoll/process.hpp>

#include "atoll/embed/impl.hpp"
#include "atoll/embed/start_up.hpp"

namespace atollvm {

Result<Mount> parse_mount(std::string_view text) {
  auto parsed = vfs::parse_mount(text);
  if (!parsed) return to_public(std::move(parsed).error());
  Mount mount;
  mount.type = std::move(parsed->type);
  mount.source = std::move(parsed->source);
  mount.guest = std::move(parsed->guest);
  mount.writable = parsed->writable;
  mount.upper = std::move(parsed->upper);
  mount.bytes = parsed->bytes;
  mount.inodes = parsed->inodes;
  mount.append_only = parsed->append_only;
  mount.no_delete = parsed->no_delete;
  mount.no_modules = parsed->no_modules;
  mount.hidden = parsed->is_hidden;
  return mount;
}

vfs::Mount to_internal(const Mount& mount) {
  vfs::Mount result;
  result.type = mount.type;
  result.source = mount.source;
  result.guest = mount.guest;
  result.writable = mount.writable;
  result.upper = mount.upper;
  result.bytes = mount.bytes;
  result.inodes = mount.inodes;
  result.append_only = mount.append_only;
  result.no_delete = mount.no_delete;
  result.no_modules = mount.no_modules;
  result.is_hidden = mount.hidden;
  return result;
}

}  // namespace atollvm
