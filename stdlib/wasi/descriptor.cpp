#include "stdlib/wasi/descriptor.hpp"

#include <fmt/format.h>

#include <charconv>

#include "stdlib/host/socket.hpp"

namespace atollvm::wasi {
namespace {

constexpr u32 on_file = static_cast<u32>(cap::Kind::file);
constexpr u32 on_directory = static_cast<u32>(cap::Kind::directory);
constexpr u32 on_stream = static_cast<u32>(cap::Kind::stream);
constexpr u32 on_datagrams = static_cast<u32>(cap::Kind::datagrams);
constexpr u32 on_listener = static_cast<u32>(cap::Kind::listener);

struct Row {
  Rights right;
  u32 kinds;
  cap::Rights needed;
};
constexpr Row rows[] = {
#define WASI_RIGHT(name, bit, kinds, needed) {right_##name, kinds, needed},
#include "stdlib/wasi/rights.def"
#undef WASI_RIGHT
};

// The rights of the rows for these kinds that Atoll's rights imply.
Rights implied(u32 kinds, cap::Rights rights) {
  Rights result = 0;
  if (only_appends(rights)) rights |= cap::right_write;
  for (const Row& row : rows) {
    if ((row.kinds & kinds) != 0 && (row.needed & ~rights) == 0) result |= row.right;
  }
  return result;
}

// Of Atoll's rights, those that a row for these kinds needs which is not in `rights`.
cap::Rights missing(u32 kinds, Rights rights) {
  cap::Rights result = cap::rights_none;
  for (const Row& row : rows) {
    if ((row.kinds & kinds) != 0 && (row.right & ~rights) != 0) result |= row.needed;
  }
  return result;
}

}  // namespace

Rights rights_on(cap::Kind kind) { return implied(static_cast<u32>(kind), cap::rights_all); }

Rights rights_inheritable() { return implied(on_file | on_directory | on_stream, cap::rights_all); }

cap::Rights atoll_rights(cap::Kind kind, Rights base, Rights inheriting) {
  // Atoll's rights to a directory are rights to what is below it, too.
  cap::Rights lost = missing(static_cast<u32>(kind), base);
  if (kind == cap::Kind::directory) lost |= missing(on_file | on_directory, inheriting);
  if ((lost & cap::right_write) != 0) lost |= cap::right_append;
  cap::Rights known = cap::right_append;
  if (kind != cap::Kind::stream) {
    known |= cap::right_lock;
    if ((lost & cap::right_read) == 0) known |= cap::right_load;
  }
  for (const Row& row : rows) {
    if ((row.kinds &
         (kind == cap::Kind::directory ? on_file | on_directory : static_cast<u32>(kind))) != 0) {
      known |= row.needed;
    }
  }
  return known & ~lost;
}

cap::Capability make_capability(std::shared_ptr<cap::Object> object, Rights base, Rights inheriting,
                                u32 flags, std::shared_ptr<const cap::Revocation> revocation,
                                cap::Rights most) {
  const cap::Kind kind = object->kind();
  auto facet = std::make_shared<Descriptor>();
  facet->base = base & rights_on(kind);
  facet->inheriting = kind == cap::Kind::directory ? inheriting & rights_inheritable() : 0;
  facet->flags = flags;
  const cap::Rights rights =
      atoll_rights(kind, facet->base, facet->inheriting) & (most | ~unsaid_rights);
  return {std::move(object), rights, std::move(revocation), std::move(facet)};
}

Descriptor& descriptor_of(cap::Capability& capability) {
  if (capability.facet == nullptr) {
    const cap::Kind kind = capability.object->kind();
    auto facet = std::make_shared<Descriptor>();
    facet->base = implied(static_cast<u32>(kind), capability.rights);
    if (kind == cap::Kind::directory) {
      facet->inheriting = implied(on_file | on_directory, capability.rights);
    } else if ((facet->base & right_sock_accept) != 0) {
      facet->inheriting = implied(on_stream, host::connection_rights);
    }
    capability.facet = std::move(facet);
  }
  return static_cast<Descriptor&>(*capability.facet);
}

cap::Capability stream(std::shared_ptr<host::Stream> stream, bool writable) {
  Rights base = right_fd_filestat_get | right_fd_fdstat_set_flags | right_poll_fd_readwrite;
  base |= writable ? right_fd_write : right_fd_read;
  // A redirected file has a position.
  if (stream->file() != nullptr) base |= right_fd_seek | right_fd_tell;
  return make_capability(std::move(stream), base, 0, 0, nullptr);
}

cap::Capability preopen(std::shared_ptr<vfs::Directory> directory, std::string name,
                        cap::Rights rights) {
  cap::Capability capability =
      make_capability(std::move(directory), implied(on_directory, rights),
                      implied(on_file | on_directory | on_stream, rights), 0, nullptr, rights);
  descriptor_of(capability).preopen = std::move(name);
  return capability;
}

namespace {

// What all that is opened from a directory may have at most.
struct Most {
  Rights base = 0;
  Rights inheriting = 0;
};
Most most_of(const cap::Capability& capability, cap::Rights rights) {
  const cap::Kind kind = capability.object->kind();
  if (kind == cap::Kind::stream) {
    cap::Capability whole = stream(std::static_pointer_cast<host::Stream>(capability.object),
                                   (rights & cap::right_write) != 0);
    return {descriptor_of(whole).base, 0};
  }
  // Only the rights of the grant count, not the directory.
  cap::Capability whole = preopen(std::make_shared<vfs::Directory>(), "", rights);
  const Descriptor& grant = descriptor_of(whole);
  const Rights below = (grant.base | grant.inheriting) & rights_on(kind);
  return {below, kind == cap::Kind::directory ? grant.inheriting : 0};
}

}  // namespace

std::string describe(const cap::Facet& facet) {
  const auto& own = static_cast<const Descriptor&>(facet);
  std::string text = fmt::format("{} {} {}", own.base, own.inheriting, own.flags);
  if (own.preopen) text += " " + *own.preopen;
  return text;
}

bool restore(std::string_view description, cap::Rights rights, cap::Capability& capability) {
  u64 numbers[3];
  for (usize i = 0; i < 3; ++i) {
    const char* const end = description.data() + description.size();
    const auto [rest, error] = std::from_chars(description.data(), end, numbers[i]);
    if (error != std::errc()) return false;
    description.remove_prefix(static_cast<usize>(rest - description.data()));
    if (i < 2 && !description.starts_with(' ')) return false;
    if (i < 2) description.remove_prefix(1);
  }
  if (!description.empty() && (description[0] != ' ' || description.size() > vfs::max_path)) {
    return false;
  }
  const Most most = most_of(capability, rights);
  auto facet = std::make_shared<Descriptor>();
  facet->base = numbers[0] & most.base;
  facet->inheriting = numbers[1] & most.inheriting;
  facet->flags = static_cast<u32>(numbers[2] & flags_all);
  if (!description.empty()) facet->preopen = std::string(description.substr(1));
  const cap::Kind kind = capability.object->kind();
  capability.rights &= atoll_rights(kind, facet->base, facet->inheriting);
  capability.facet = std::move(facet);
  return true;
}

}  // namespace atollvm::wasi
