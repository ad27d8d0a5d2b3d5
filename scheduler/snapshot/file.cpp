#include "scheduler/snapshot/file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <zstd.h>
#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <thread>

#include "scheduler/snapshot/atomic_file.hpp"
#include "scheduler/snapshot/blocks.hpp"
#include "vm/base/utf8.hpp"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace atollvm::snapshot {

static_assert(std::endian::native == std::endian::little);

using base::Error;
using base::ErrorCode;

namespace {

// As PNG's: no text file, and what changes line ends on the way shows.
constexpr std::array<u8, 8> magic = {0x89, 'A', 't', 'S', '\r', '\n', 0x1a, '\n'};
constexpr usize start_bytes = 16;        // magic, version, size of the header
constexpr usize block_head = 8;          // sizes of a block, unpacked and packed
constexpr usize tail_bytes = 16;         // size of the image, hash
constexpr usize read_bytes = 128 << 10;  // at a time, to be hashed while they are in the cache
constexpr u32 max_threads = 16;
constexpr int level = 1;
constexpr usize max_packed = ZSTD_COMPRESSBOUND(block_bytes);

struct Sizes {
  u32 plain = 0;
  u32 packed = 0;
};

template <class T>
std::span<const u8> bytes_of(const T& value) {
  return {reinterpret_cast<const u8*>(&value), sizeof(T)};
}

class Hash {
 public:
  Hash() { XXH3_64bits_reset(&state_); }
  void add(std::span<const u8> bytes) { XXH3_64bits_update(&state_, bytes.data(), bytes.size()); }
  [[nodiscard]] u64 value() const { return XXH3_64bits_digest(&state_); }

 private:
  XXH3_state_t state_;
};

u32 threads_for(u32 wanted) {
  const u32 most = std::clamp(std::thread::hardware_concurrency(), 1u, max_threads);
  return wanted == 0 ? most : std::min(wanted, max_threads);
}

struct Packer {
  Packer() : context(ZSTD_createCCtx()) {
    if (context == nullptr) return;
    ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, level);
    ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
  }
  ~Packer() { ZSTD_freeCCtx(context); }
  Packer(const Packer&) = delete;
  Packer& operator=(const Packer&) = delete;
  ZSTD_CCtx* context;
};

void pack(Packer& packer, Block& block) {
  if (packer.context == nullptr) {
    block.error = "no memory to pack it";
    return;
  }
  block.out.resize(ZSTD_compressBound(block.in.size()));
  const usize size = ZSTD_compress2(packer.context, block.out.data(), block.out.size(),
                                    block.in.data(), block.in.size());
  if (ZSTD_isError(size) != 0) {
    block.error = ZSTD_getErrorName(size);
  } else {
    block.out.resize(size);
  }
}

struct Unpacker {
  Unpacker() : context(ZSTD_createDCtx()) {}
  ~Unpacker() { ZSTD_freeDCtx(context); }
  Unpacker(const Unpacker&) = delete;
  Unpacker& operator=(const Unpacker&) = delete;
  ZSTD_DCtx* context;
};

// `out` has the size that is to come out.
void unpack(Unpacker& unpacker, Block& block) {
  if (unpacker.context == nullptr) {
    block.error = "no memory to unpack it";
    return;
  }
  const usize size = ZSTD_decompressDCtx(unpacker.context, block.out.data(), block.out.size(),
                                         block.in.data(), block.in.size());
  if (ZSTD_isError(size) != 0) {
    block.error = ZSTD_getErrorName(size);
  } else if (size != block.out.size()) {
    block.error = "it has another size than it says";
  }
}

}  // namespace

// --- Writing ------------------------------------------------------------------------------

struct FileWriter::Impl {
  explicit Impl(u32 threads) : line(threads, pack) {}

  std::string path;
  std::unique_ptr<AtomicFile> file;
  Hash hash;
  u64 written = 0;
  u64 image = 0;
  Line<Packer> line;

  base::Status put(std::span<const u8> bytes) {
    hash.add(bytes);
    written += bytes.size();
    return file->write(bytes);
  }
  base::Status put_oldest() {
    const Block& block = line.take();
    if (block.error != nullptr) {
      return Error{ErrorCode::limit, base::printable(path, 200), block.error};
    }
    const Sizes sizes{static_cast<u32>(block.in.size()), static_cast<u32>(block.out.size())};
    if (base::Status status = put(bytes_of(sizes)); !status) return status;
    return put(block.out);
  }
};

FileWriter::FileWriter(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
FileWriter::~FileWriter() = default;

base::Result<std::unique_ptr<FileWriter>> FileWriter::create(const std::string& path,
                                                             std::string_view header, u32 threads) {
  if (header.size() > max_header) {
    return Error{ErrorCode::limit, base::printable(path, 200),
                 fmt::format("a description of more than {} bytes", max_header)};
  }
  auto file = AtomicFile::create(path);
  if (!file) return std::move(file).error();
  auto impl = std::make_unique<Impl>(threads_for(threads));
  impl->path = path;
  impl->file = *std::move(file);
  impl->line.next().in.clear();
  const u32 version = file_version;
  const u32 size = static_cast<u32>(header.size());
  const std::span<const u8> text(reinterpret_cast<const u8*>(header.data()), header.size());
  for (const std::span<const u8> each :
       {std::span<const u8>(magic), bytes_of(version), bytes_of(size), text}) {
    if (base::Status status = impl->put(each); !status) return std::move(status).error();
  }
  return std::unique_ptr<FileWriter>(new FileWriter(std::move(impl)));
}

base::Status FileWriter::write(std::span<const u8> bytes) {
  Impl& impl = *impl_;
  impl.image += bytes.size();
  while (!bytes.empty()) {
    std::vector<u8>& in = impl.line.next().in;
    const usize part = std::min(bytes.size(), block_bytes - in.size());
    in.insert(in.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(part));
    bytes = bytes.subspan(part);
    if (in.size() < block_bytes) break;
    impl.line.bring();
    if (impl.line.is_full()) {
      if (base::Status status = impl.put_oldest(); !status) return status;
    }
    impl.line.next().in.clear();
  }
  return {};
}

base::Status FileWriter::seal() {
  Impl& impl = *impl_;
  if (!impl.line.next().in.empty()) impl.line.bring();
  while (!impl.line.is_empty()) {
    if (base::Status status = impl.put_oldest(); !status) return status;
  }
  if (base::Status status = impl.put(bytes_of(Sizes{})); !status) return status;
  if (base::Status status = impl.put(bytes_of(impl.image)); !status) return status;
  return impl.put(bytes_of(impl.hash.value()));
}

base::Result<u64> FileWriter::finish() {
  base::Status status = impl_->file->commit();
  if (!status) return std::move(status).error();
  return impl_->written;
}

// --- Reading ------------------------------------------------------------------------------

struct FileReader::Impl {
  explicit Impl(u32 threads) : line(threads, unpack) {}
  ~Impl() {
    if (fd >= 0) close(fd);
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  std::string path;
  int fd = -1;
  std::string header;
  u64 image = 0;
  u64 first = 0;             // where the blocks begin
  u64 at = 0;                // of the next block in the file
  bool is_last = false;      // there is none
  std::span<const u8> rest;  // of the block that is being read
  Line<Unpacker> line;

  [[nodiscard]] Error error(ErrorCode code, std::string message) const {
    return {code, base::printable(path, 200), std::move(message)};
  }
  [[nodiscard]] Error damaged(u64 where, std::string_view what) const {
    return error(
        ErrorCode::malformed,
        fmt::format("the snapshot is damaged at byte {}: {}; use another copy", where, what));
  }
  [[nodiscard]] Error cut_off(u64 where) const {
    return error(
        ErrorCode::malformed,
        fmt::format("the snapshot is cut off: there are {} bytes, and more must follow; use "
                    "another copy",
                    where));
  }

  // All of `bytes`, from `where` on. Errors also: malformed (there are fewer).
  base::Status fill(std::span<u8> bytes, u64 where) const {
    while (!bytes.empty()) {
      const ssize_t got = pread(fd, bytes.data(), bytes.size(), static_cast<off_t>(where));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return error(ErrorCode::io, std::strerror(errno));
      if (got == 0) return cut_off(where);
      bytes = bytes.subspan(static_cast<usize>(got));
      where += static_cast<u64>(got);
    }
    return {};
  }
  template <class T>
  base::Status get(T& value, u64 where) const {
    return fill({reinterpret_cast<u8*>(&value), sizeof(T)}, where);
  }

  base::Status open();
  base::Status check();
  base::Status next_block();
};

FileReader::FileReader(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
FileReader::~FileReader() = default;

base::Status FileReader::Impl::open() {
  fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  if (fd < 0) {
    return error(errno == ENOENT || errno == ENOTDIR ? ErrorCode::not_found : ErrorCode::io,
                 std::strerror(errno));
  }
  struct stat status = {};
  if (fstat(fd, &status) != 0) return error(ErrorCode::io, std::strerror(errno));
  const char* const foreign = "is no snapshot; `atoll snapshot` writes them";
  if (!S_ISREG(status.st_mode)) return error(ErrorCode::malformed, foreign);
  std::array<u8, magic.size()> own;
  if (static_cast<u64>(status.st_size) < own.size()) return error(ErrorCode::malformed, foreign);
  if (base::Status read = fill(own, 0); !read) return read;
  if (own != magic) return error(ErrorCode::malformed, foreign);
  u32 version = 0;
  if (base::Status read = get(version, magic.size()); !read) return read;
  if (version != file_version) {
    return error(
        ErrorCode::unsupported,
        fmt::format("the snapshot has version {}, and this Atoll reads version {}; restore "
                    "it with the Atoll that wrote it",
                    version, file_version));
  }
  u32 size = 0;
  if (base::Status read = get(size, magic.size() + sizeof(version)); !read) return read;
  if (size > max_header) return damaged(magic.size() + sizeof(version), "an impossible size");
  header.resize(size);
  first = start_bytes + size;
  if (base::Status read = fill({reinterpret_cast<u8*>(header.data()), size}, start_bytes); !read) {
    return read;
  }
  return check();
}

// Walks through the blocks and compares the hash, without unpacking anything.
base::Status FileReader::Impl::check() {
  Hash hash;
  std::vector<u8> bytes(read_bytes);
  u64 hashed = 0;
  const auto hash_to = [&](u64 end) -> base::Status {
    while (hashed < end) {
      const std::span<u8> part(bytes.data(), std::min<u64>(bytes.size(), end - hashed));
      if (base::Status read = fill(part, hashed); !read) return read;
      hash.add(part);
      hashed += part.size();
    }
    return {};
  };
  u64 total = 0;
  u64 where = first;
  while (true) {
    Sizes sizes;
    if (base::Status read = get(sizes, where); !read) return read;
    if (sizes.plain == 0 && sizes.packed == 0) break;
    if (sizes.plain == 0 || sizes.plain > block_bytes || sizes.packed > max_packed) {
      return damaged(where, "a block of an impossible size");
    }
    total += sizes.plain;
    where += block_head + sizes.packed;
    if (base::Status read = hash_to(where); !read) return read;
  }
  where += block_head;
  u64 expected = 0;
  if (base::Status read = get(image, where); !read) return read;
  if (base::Status read = get(expected, where + sizeof(image)); !read) return read;
  if (base::Status read = hash_to(where + sizeof(image)); !read) return read;
  if (hash.value() != expected) {
    return error(ErrorCode::malformed,
                 "the snapshot is damaged: its checksum is another one; use another copy");
  }
  where += tail_bytes;
  u8 more = 0;
  if (pread(fd, &more, 1, static_cast<off_t>(where)) == 1) {
    return damaged(where, "there is something behind its end");
  }
  if (total != image) return damaged(where - tail_bytes, "blocks of another size in all");
  at = first;
  return {};
}

// Brings one more block in, if there is one.
base::Status FileReader::Impl::next_block() {
  Sizes sizes;
  if (base::Status read = get(sizes, at); !read) return read;
  if (sizes.plain == 0) {
    is_last = true;
    return {};
  }
  // The file may be another one by now.
  if (sizes.plain > block_bytes || sizes.packed > max_packed) {
    return damaged(at, "a block of an impossible size");
  }
  Block& block = line.next();
  block.place = at;
  block.in.resize(sizes.packed);
  block.out.resize(sizes.plain);
  if (base::Status read = fill(block.in, at + block_head); !read) return read;
  at += block_head + sizes.packed;
  line.bring();
  return {};
}

base::Result<std::unique_ptr<FileReader>> FileReader::open(const std::string& path, u32 threads) {
  auto impl = std::make_unique<Impl>(threads_for(threads));
  impl->path = path;
  if (base::Status status = impl->open(); !status) return std::move(status).error();
  return std::unique_ptr<FileReader>(new FileReader(std::move(impl)));
}

const std::string& FileReader::header() const { return impl_->header; }
u64 FileReader::image_bytes() const { return impl_->image; }

base::Status FileReader::read(std::span<u8> bytes) {
  Impl& impl = *impl_;
  while (!bytes.empty()) {
    if (impl.rest.empty()) {
      // The block whose bytes were given out last is free now.
      while (!impl.is_last && !impl.line.is_full()) {
        if (base::Status status = impl.next_block(); !status) return status;
      }
      if (impl.line.is_empty()) return impl.damaged(impl.at, "the image ends too early");
      const Block& block = impl.line.take();
      if (block.error != nullptr) return impl.damaged(block.place, block.error);
      impl.rest = block.out;
    }
    const usize part = std::min(bytes.size(), impl.rest.size());
    std::copy_n(impl.rest.begin(), part, bytes.begin());
    bytes = bytes.subspan(part);
    impl.rest = impl.rest.subspan(part);
  }
  return {};
}

base::Status FileReader::end() {
  Impl& impl = *impl_;
  while (impl.rest.empty() && !impl.is_last && impl.line.is_empty()) {
    if (base::Status status = impl.next_block(); !status) return status;
  }
  if (impl.rest.empty() && impl.line.is_empty()) return {};
  return impl.damaged(impl.at, "the image goes on behind its end");
}

}  // namespace atollvm::snapshot
