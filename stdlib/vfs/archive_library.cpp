#include "stdlib/vfs/archive_library.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>

#include "stdlib/vfs/path.hpp"
#include "vm/base/utf8.hpp"

#if __has_include(<archive.h>)
#include <archive.h>
#include <archive_entry.h>
#include <dlfcn.h>
#include <errno.h>
#include <locale.h>

namespace atollvm::vfs {
namespace {

using base::Error;
using base::ErrorCode;

// Its functions that are used: the name here, and there.
#define ATOLL_LIBARCHIVE(X)                                       \
  X(read_new, archive_read_new)                                   \
  X(read_free, archive_read_free)                                 \
  X(format_raw, archive_read_support_format_raw)                  \
  X(format_tar, archive_read_support_format_tar)                  \
  X(format_zip, archive_read_support_format_zip_seekable)         \
  X(format_zip_entry, archive_read_support_format_zip_streamable) \
  X(filter_gzip, archive_read_support_filter_gzip)                \
  X(filter_bzip2, archive_read_support_filter_bzip2)              \
  X(filter_xz, archive_read_support_filter_xz)                    \
  X(filter_zstd, archive_read_support_filter_zstd)                \
  X(set_read, archive_read_set_read_callback)                     \
  X(set_skip, archive_read_set_skip_callback)                     \
  X(set_seek, archive_read_set_seek_callback)                     \
  X(set_data, archive_read_set_callback_data)                     \
  X(open, archive_read_open1)                                     \
  X(next_header, archive_read_next_header)                        \
  X(data_block, archive_read_data_block)                          \
  X(error_string, archive_error_string)                           \
  X(set_error, archive_set_error)                                 \
  X(filter_count, archive_filter_count)                           \
  X(filter_bytes, archive_filter_bytes)                           \
  X(format_name, archive_format_name)                             \
  X(pathname, archive_entry_pathname)                             \
  X(symlink, archive_entry_symlink)                               \
  X(hardlink, archive_entry_hardlink)                             \
  X(filetype, archive_entry_filetype)                             \
  X(size, archive_entry_size)                                     \
  X(size_is_set, archive_entry_size_is_set)                       \
  X(mtime, archive_entry_mtime)                                   \
  X(mtime_nsec, archive_entry_mtime_nsec)                         \
  X(sparse_count, archive_entry_sparse_count)                     \
  X(is_encrypted, archive_entry_is_encrypted)

struct Library {
#define ATOLL_MEMBER(name, symbol) decltype(&::symbol) name = nullptr;
  ATOLL_LIBARCHIVE(ATOLL_MEMBER)
#undef ATOLL_MEMBER
  // Of tar and of zip archives' names: see Reader.
  locale_t bytes_locale = nullptr;
  locale_t utf8_locale = nullptr;
  std::string missing;  // why it can't be used; empty: it can
};

Library load() {
  Library library;
  void* const handle = dlopen("libarchive.so.13", RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    library.missing =
        "there is no libarchive on this system, which reads archives: apt-get install libarchive13";
    return library;
  }
  const auto take = [&](auto& function, const char* name) {
    function = reinterpret_cast<std::decay_t<decltype(function)>>(dlsym(handle, name));
    if (function == nullptr) {
      library.missing = fmt::format("the libarchive of this system has no {}", name);
    }
  };
#define ATOLL_TAKE(name, symbol) take(library.name, #symbol);
  ATOLL_LIBARCHIVE(ATOLL_TAKE)
#undef ATOLL_TAKE
  library.bytes_locale = newlocale(LC_ALL_MASK, "C", nullptr);
  library.utf8_locale = newlocale(LC_ALL_MASK, "C.UTF-8", nullptr);
  if (library.bytes_locale == nullptr || library.utf8_locale == nullptr) {
    library.missing = "this system has no locale C.UTF-8, by which names in archives are read";
  }
  return library;
}

const Library& library() {
  static const Library loaded = load();
  return loaded;
}

// One pass over bytes.
//
// The thread's locale decides what libarchive makes of names that say that they are UTF-8. Of tar
// archives it leaves the bytes as they are where they can't be converted, as in the locale C; of
// zip archives it leaves nothing then.
class Reader {
 public:
  enum class Format : u8 { packed, tar, zip, zip_entry };

  Reader(std::shared_ptr<const ArchiveBytes> bytes, u64 begin, Format format);
  ~Reader();
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  [[nodiscard]] bool is_open() const { return is_open_; }
  // False: there is no other one, or what there is can't be read; then error() says why.
  bool next();
  [[nodiscard]] archive_entry* entry() const { return entry_; }
  // Of what the entry has: false at the end, and at an error.
  bool next_block(std::span<const u8>& block, u64& offset);
  [[nodiscard]] bool has_failed() const { return has_failed_; }
  // What is wrong is about the entry itself, which is there.
  [[nodiscard]] bool has_warned() const { return has_warned_; }
  [[nodiscard]] bool is_unknown_format() const {
    return has_failed_ && error() == "Unrecognized archive format";
  }
  [[nodiscard]] std::string error() const {
    const char* const text = archive_ == nullptr ? nullptr : lib_.error_string(archive_);
    return text == nullptr ? "libarchive can't read it" : base::printable(text, 300);
  }
  // What was taken of the bytes up to here, after filters.
  [[nodiscard]] u64 position() const { return static_cast<u64>(lib_.filter_bytes(archive_, 0)); }
  [[nodiscard]] bool is_packed() const { return lib_.filter_count(archive_) > 1; }
  [[nodiscard]] bool is_stored() const {
    const char* const name = lib_.format_name(archive_);
    return name != nullptr && std::string_view(name).ends_with("(uncompressed)");
  }

 private:
  static la_ssize_t read(archive* self, void* data, const void** block);
  static la_int64_t skip(archive* self, void* data, la_int64_t size);
  static la_int64_t seek(archive* self, void* data, la_int64_t offset, int whence);
  bool note(int status);

  const Library& lib_ = library();
  const std::shared_ptr<const ArchiveBytes> bytes_;
  u64 at_;
  const locale_t outer_;
  archive* const archive_;
  archive_entry* entry_ = nullptr;
  const bool has_raw_names_;
  bool is_open_ = false;
  bool has_failed_ = false;
  bool has_warned_ = false;
  std::vector<u8> buffer_;
};

Reader::Reader(std::shared_ptr<const ArchiveBytes> bytes, u64 begin, Format format)
    : bytes_(std::move(bytes)),
      at_(begin),
      outer_(uselocale(format == Format::tar ? lib_.bytes_locale : lib_.utf8_locale)),
      archive_(lib_.read_new()),
      has_raw_names_(format == Format::tar),
      // Each entry of a zip archive is sought by itself.
      buffer_(format == Format::zip ? usize{1} << 12 : usize{1} << 16) {
  if (archive_ == nullptr) {
    has_failed_ = true;
    return;
  }
  bool well = lib_.set_read(archive_, read) == ARCHIVE_OK &&
              lib_.set_skip(archive_, skip) == ARCHIVE_OK &&
              lib_.set_data(archive_, this) == ARCHIVE_OK;
  // Filters that would start another program give ARCHIVE_WARN.
  switch (format) {
    case Format::packed:
      well = well && lib_.filter_gzip(archive_) == ARCHIVE_OK &&
             lib_.filter_bzip2(archive_) == ARCHIVE_OK && lib_.filter_xz(archive_) == ARCHIVE_OK &&
             lib_.filter_zstd(archive_) == ARCHIVE_OK && lib_.format_raw(archive_) == ARCHIVE_OK;
      break;
    case Format::tar:
      well = well && lib_.format_tar(archive_) == ARCHIVE_OK;
      break;
    case Format::zip:
      well = well && lib_.set_seek(archive_, seek) == ARCHIVE_OK &&
             lib_.format_zip(archive_) == ARCHIVE_OK;
      break;
    case Format::zip_entry:
      well = well && lib_.format_zip_entry(archive_) == ARCHIVE_OK;
      break;
  }
  is_open_ = well && lib_.open(archive_) == ARCHIVE_OK;
  has_failed_ = !is_open_;
}

Reader::~Reader() {
  if (archive_ != nullptr) lib_.read_free(archive_);
  uselocale(outer_);
}

la_ssize_t Reader::read(archive* self, void* data, const void** block) {
  auto& reader = *static_cast<Reader*>(data);
  const Outcome<u32> size = reader.bytes_->read(reader.buffer_, reader.at_, Wait::allowed);
  if (std::holds_alternative<Errno>(size)) {
    reader.lib_.set_error(self, EIO, "%s", "the file can't be read");
    return -1;
  }
  reader.at_ += std::get<u32>(size);
  *block = reader.buffer_.data();
  return static_cast<la_ssize_t>(std::get<u32>(size));
}

la_int64_t Reader::skip(archive*, void* data, la_int64_t size) {
  auto& reader = *static_cast<Reader*>(data);
  if (size <= 0 || reader.at_ >= reader.bytes_->size()) return 0;
  const u64 some = std::min(static_cast<u64>(size), reader.bytes_->size() - reader.at_);
  reader.at_ += some;
  return static_cast<la_int64_t>(some);
}

la_int64_t Reader::seek(archive*, void* data, la_int64_t offset, int whence) {
  auto& reader = *static_cast<Reader*>(data);
  const auto size = static_cast<la_int64_t>(reader.bytes_->size());
  la_int64_t from = 0;
  if (whence == SEEK_CUR) from = static_cast<la_int64_t>(reader.at_);
  if (whence == SEEK_END) from = size;
  if (offset < -from || offset > size - from) return ARCHIVE_FATAL;
  reader.at_ = static_cast<u64>(from + offset);
  return from + offset;
}

bool Reader::note(int status) {
  if (status == ARCHIVE_OK) return true;
  if (status == ARCHIVE_EOF) return false;
  // Then the bytes stay as they are, which is what is wanted.
  if (status == ARCHIVE_WARN && has_raw_names_ &&
      error().find("can't be converted from UTF-8") != std::string::npos) {
    return true;
  }
  has_failed_ = true;
  has_warned_ = status == ARCHIVE_WARN;
  return false;
}

bool Reader::next() { return note(lib_.next_header(archive_, &entry_)); }

bool Reader::next_block(std::span<const u8>& block, u64& offset) {
  const void* data = nullptr;
  usize size = 0;
  la_int64_t at = 0;
  const int status = lib_.data_block(archive_, &data, &size, &at);
  if (status != ARCHIVE_OK || at < 0) {
    has_failed_ |= status != ARCHIVE_EOF;
    return false;
  }
  block = {static_cast<const u8*>(data), size};
  offset = static_cast<u64>(at);
  return true;
}

i64 to_ns(i64 seconds, i64 nanoseconds) {
  constexpr i64 most = std::numeric_limits<i64>::max() / 1'000'000'000 - 1;
  return std::clamp(seconds, -most, most) * 1'000'000'000 +
         std::clamp<i64>(nanoseconds, 0, 999'999'999);
}

// What the passes over one archive share.
class Filler {
 public:
  Filler(std::shared_ptr<const ArchiveBytes> bytes, const std::string& place,
         const ArchiveLimits& limits)
      : bytes_(std::move(bytes)), place_(place), limits_(limits) {}

  base::Result<std::shared_ptr<ArchiveTree>> run();

 private:
  [[nodiscard]] Error refuse(ErrorCode code, std::string why) const {
    return {code, place_, std::move(why)};
  }
  std::optional<Error> unpack();
  // Nothing, and no tree: it is another format.
  std::optional<Error> fill(Reader::Format format);
  std::optional<Error> add(Reader& reader, bool is_zip);
  // What is wrong with where a regular file's bytes are; "": nothing.
  std::string find_bytes(Reader& reader, bool is_zip, ArchiveEntry& entry);
  [[nodiscard]] bool has(u64 at, u64 size) const {
    return at <= bytes_->size() && size <= bytes_->size() - at;
  }

  std::shared_ptr<const ArchiveBytes> bytes_;
  const std::string& place_;
  const ArchiveLimits limits_;
  std::shared_ptr<ArchiveTree> tree_;
};

std::optional<Error> Filler::unpack() {
  Reader reader(bytes_, 0, Reader::Format::packed);
  if (reader.is_unknown_format()) return std::nullopt;  // it is empty
  const auto damaged = [&] {
    return refuse(ErrorCode::malformed, fmt::format("it can't be unpacked: {}", reader.error()));
  };
  if (!reader.is_open()) return damaged();
  if (!reader.is_packed()) return std::nullopt;
  if (!reader.next() && reader.has_failed()) return damaged();
  auto unpacked = std::make_shared<UnpackedBytes>();
  std::span<const u8> block;
  u64 offset = 0;
  while (reader.next_block(block, offset)) {
    if (block.size() > limits_.bytes - unpacked->size()) {
      return refuse(ErrorCode::limit,
                    fmt::format("the archive has more than {} bytes when it is unpacked: `size` of "
                                "the mount is the limit",
                                limits_.bytes));
    }
    unpacked->append(block);
  }
  if (reader.has_failed()) return damaged();
  bytes_ = std::move(unpacked);
  return std::nullopt;
}

std::string Filler::find_bytes(Reader& reader, bool is_zip, ArchiveEntry& entry) {
  const Library& lib = library();
  const i64 size = lib.size(reader.entry());
  if (lib.size_is_set(reader.entry()) == 0 || size < 0) return "it does not say its size";
  ArchiveNode& node = entry.node;
  node.size = static_cast<u64>(size);
  node.at = reader.position();
  if (is_zip) {
    if (size == 0) return {};
    if (!reader.is_stored()) {
      node.body = ArchiveNode::Body::packed;
      return {};
    }
  } else if (lib.sparse_count(reader.entry()) > 0) {
    node.body = ArchiveNode::Body::parts;
    std::span<const u8> block;
    u64 offset = 0;
    while (reader.next_block(block, offset)) {
      if (block.empty()) continue;
      const u64 at = reader.position();
      const u64 end = entry.parts.empty() ? 0 : entry.parts.back().offset + entry.parts.back().size;
      if (offset < end || offset > node.size || block.size() > node.size - offset ||
          !has(at, block.size())) {
        return "its parts are not in order, or go past its end";
      }
      ArchivePart* const last = entry.parts.empty() ? nullptr : &entry.parts.back();
      if (last != nullptr && end == offset && last->at + last->size == at) {
        last->size += block.size();
      } else if (entry.parts.size() < limits_.entries) {
        entry.parts.push_back({offset, block.size(), at});
      } else {
        return fmt::format("it has more than {} parts: `inodes` of the mount is the limit",
                           limits_.entries);
      }
    }
    return reader.has_failed() ? reader.error() : std::string();
  }
  return has(node.at, node.size) ? std::string() : "it goes past the end of the archive";
}

std::optional<Error> Filler::add(Reader& reader, bool is_zip) {
  const Library& lib = library();
  archive_entry* const from = reader.entry();
  ArchiveEntry entry;
  const auto text = [](const char* words) { return std::string(words == nullptr ? "" : words); };
  entry.path = text(lib.pathname(from));
  const auto wrong = [&](std::string_view why) {
    return refuse(ErrorCode::malformed,
                  fmt::format("the entry `{}`: {}", base::printable(entry.path, 200), why));
  };
  entry.node.modified_ns = to_ns(lib.mtime(from), lib.mtime_nsec(from));
  if (lib.is_encrypted(from) != 0) return wrong("it is encrypted");
  if (const char* const hard = lib.hardlink(from)) {
    entry.is_hard_link = true;
    entry.target = text(hard);
    return tree_->add(std::move(entry));
  }
  switch (lib.filetype(from)) {
    case AE_IFDIR:
      entry.node.type = FileType::directory;
      break;
    case AE_IFLNK:
      entry.node.type = FileType::link;
      entry.target = text(lib.symlink(from));
      break;
    case AE_IFREG:
    case 0:
      if (const std::string why = find_bytes(reader, is_zip, entry); !why.empty()) {
        return wrong(why);
      }
      break;
    default:
      return tree_->leave_out();  // devices, pipes and sockets
  }
  return tree_->add(std::move(entry));
}

std::optional<Error> Filler::fill(Reader::Format format) {
  Reader reader(bytes_, 0, format);
  if (reader.is_unknown_format()) return std::nullopt;
  if (!reader.is_open()) return refuse(ErrorCode::malformed, reader.error());
  auto tree = std::make_shared<ArchiveTree>(bytes_, place_, limits_);
  tree_ = tree;
  std::string last;  // the entry before
  const auto take_name = [&] {
    const char* const path = library().pathname(reader.entry());
    last = path == nullptr ? "" : base::printable(path, 200);
  };
  while (reader.next()) {
    if (auto error = add(reader, format == Reader::Format::zip)) return error;
    take_name();
  }
  if (reader.has_failed()) {
    const bool is_first = last.empty();
    if (reader.has_warned()) take_name();
    const std::string where = reader.has_warned() ? fmt::format("the entry `{}`", last)
                              : is_first          ? "the first entry"
                                                  : fmt::format("the entry behind `{}`", last);
    return refuse(ErrorCode::malformed, fmt::format("{}: {}", where, reader.error()));
  }
  tree->finish();
  return std::nullopt;
}

base::Result<std::shared_ptr<ArchiveTree>> Filler::run() {
  if (auto loaded = load_archives(); !loaded)
    return refuse(loaded.error().code, loaded.error().message);
  if (auto error = unpack()) return *std::move(error);
  for (const auto format : {Reader::Format::tar, Reader::Format::zip}) {
    if (auto error = fill(format)) return *std::move(error);
    if (tree_ != nullptr) return std::move(tree_);
  }
  return refuse(
      ErrorCode::malformed,
      "it is neither a tar archive, plain or packed by gzip, bzip2, xz or zstd, nor a zip "
      "archive");
}

// Where the local header is whose entry's bytes begin at `at`; nothing: there is none.
std::optional<u64> find_local_header(const ArchiveBytes& bytes, u64 at) {
  constexpr u64 fixed = 30;
  constexpr std::array<u8, 4> signature{'P', 'K', 3, 4};
  const u64 most = fixed + 2 * u64{0xffff};  // a name and extra fields
  for (const u64 reach : {u64{1024}, most}) {
    const u64 begin = at - std::min(at, reach);
    std::vector<u8> before(static_cast<usize>(at - begin));
    for (usize done = 0; done < before.size();) {
      const auto some = bytes.read(std::span(before).subspan(done), begin + done, Wait::allowed);
      if (!std::holds_alternative<u32>(some) || std::get<u32>(some) == 0) return std::nullopt;
      done += std::get<u32>(some);
    }
    for (usize i = before.size() < fixed ? 0 : before.size() - fixed + 1; i-- > 0;) {
      const auto half = [&](usize offset) {
        return usize{before[i + offset]} | usize{before[i + offset + 1]} << 8;
      };
      if (std::equal(signature.begin(), signature.end(),
                     before.begin() + static_cast<std::ptrdiff_t>(i)) &&
          i + fixed + half(26) + half(28) == before.size()) {
        return begin + i;
      }
    }
  }
  return std::nullopt;
}

}  // namespace

base::Status load_archives() {
  if (library().missing.empty()) return {};
  return Error{ErrorCode::unsupported, "", library().missing};
}

base::Result<std::shared_ptr<ArchiveTree>> read_archive(std::shared_ptr<const ArchiveBytes> bytes,
                                                        const std::string& place,
                                                        const ArchiveLimits& limits) {
  return Filler(std::move(bytes), place, limits).run();
}

std::shared_ptr<const ArchiveBytes> unpack_zip_entry(
    const std::shared_ptr<const ArchiveBytes>& bytes, u64 at, u64 size) {
  const std::optional<u64> header = find_local_header(*bytes, at);
  if (!header) return nullptr;
  Reader reader(bytes, *header, Reader::Format::zip_entry);
  if (!reader.is_open() || !reader.next()) return nullptr;
  auto unpacked = std::make_shared<UnpackedBytes>();
  std::span<const u8> block;
  u64 offset = 0;
  while (reader.next_block(block, offset)) {
    if (block.size() > size - unpacked->size()) return nullptr;
    unpacked->append(block);
  }
  if (reader.has_failed() || unpacked->size() != size) return nullptr;
  return unpacked;
}

}  // namespace atollvm::vfs

#else  // no libarchive

namespace atollvm::vfs {

base::Status load_archives() {
  return base::Error{base::ErrorCode::unsupported, "",
                     "this atoll was built without archives: build it where libarchive-dev is "
                     "installed"};
}

base::Result<std::shared_ptr<ArchiveTree>> read_archive(std::shared_ptr<const ArchiveBytes>,
                                                        const std::string& place,
                                                        const ArchiveLimits&) {
  return base::Error{base::ErrorCode::unsupported, place, load_archives().error().message};
}

std::shared_ptr<const ArchiveBytes> unpack_zip_entry(const std::shared_ptr<const ArchiveBytes>&,
                                                     u64, u64) {
  return nullptr;
}

}  // namespace atollvm::vfs

#endif
