#include "stdlib/wasi/descriptor.hpp"

namespace atollvm::wasi {
namespace {

constexpr u32 on_nothing = 0;
constexpr u32 on_file = static_cast<u32>(cap::Kind::file);
constexpr u32 on_directory = static_cast<u32>(cap::Kind::directory);
constexpr u32 on_stream = static_cast<u32>(cap::Kind::stream);

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
  for (const Row& row : rows) {
    if ((row.kinds & (kind == cap::Kind::directory ? ~0u : static_cast<u32>(kind))) != 0) {
      known |= row.needed;
    }
  }
  return known & ~lost;
}

cap::Capability make_capability(std::shared_ptr<cap::Object> object, Rights base, Rights inheriting,
                                u32 flags, std::shared_ptr<const bool> revoked) {
  const cap::Kind kind = object->kind();
  auto facet = std::make_shared<Descriptor>();
  facet->base = base & rights_on(kind);
  facet->inheriting = kind == cap::Kind::directory ? inheriting & rights_inheritable() : 0;
  facet->flags = flags;
  const cap::Rights rights = atoll_rights(kind, facet->base, facet->inheriting);
  return {std::move(object), rights, std::move(revoked), std::move(facet)};
}

Descriptor& descriptor_of(cap::Capability& capability) {
  if (capability.facet == nullptr) {
    const cap::Kind kind = capability.object->kind();
    auto facet = std::make_shared<Descriptor>();
    facet->base = implied(static_cast<u32>(kind), capability.rights);
    if (kind == cap::Kind::directory) {
      facet->inheriting = implied(on_file | on_directory, capability.rights);
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
                        bool writable) {
  constexpr Rights look = right_path_open | right_fd_readdir | right_path_readlink |
                          right_path_filestat_get | right_fd_filestat_get;
  constexpr Rights read = look | right_fd_read | right_fd_seek | right_fd_tell | right_fd_advise |
                          right_fd_fdstat_set_flags | right_poll_fd_readwrite;
  const Rights base = writable ? rights_on(cap::Kind::directory) : look;
  const Rights inheriting = writable ? rights_inheritable() : read;
  cap::Capability capability = make_capability(std::move(directory), base, inheriting, 0, nullptr);
  descriptor_of(capability).preopen = std::move(name);
  return capability;
}

}  // namespace atollvm::wasi
