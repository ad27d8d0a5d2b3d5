#include "atoll/embed/signature.hpp"

#include <dlfcn.h>

#include <memory>

#include "vm/base/types.hpp"

namespace atollvm {
namespace {

using base::Error;
using base::ErrorCode;

// What is used of libcrypto 3, whose interface is stable: declared here, so that building needs no
// headers of it.
struct Crypto {
  void* (*bio_of)(const void* bytes, int size) = nullptr;
  int (*free_bio)(void* bio) = nullptr;
  using Password = int (*)(char* to, int size, int writes, void* data);
  void* (*read_private)(void* bio, void** key, Password password, void* data) = nullptr;
  void* (*read_public)(void* bio, void** key, Password password, void* data) = nullptr;
  int (*id_of)(const void* key) = nullptr;
  void (*free_key)(void* key) = nullptr;
  void* (*new_context)() = nullptr;
  void (*free_context)(void* context) = nullptr;
  int (*begin_sign)(void* context, void** parts, const void* digest, void* engine,
                    void* key) = nullptr;
  int (*sign)(void* context, u8* to, usize* size, const u8* from, usize bytes) = nullptr;
  int (*begin_check)(void* context, void** parts, const void* digest, void* engine,
                     void* key) = nullptr;
  int (*check)(void* context, const u8* signature, usize size, const u8* from,
               usize bytes) = nullptr;
  void (*clear_errors)() = nullptr;
  bool is_there = false;
};

constexpr int ed25519 = 1087;  // NID_ED25519

Crypto load_crypto() {
  Crypto library;
  void* const handle = dlopen("libcrypto.so.3", RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) return library;
  library.is_there = true;
  const auto take = [&](auto& function, const char* name) {
    function = reinterpret_cast<std::decay_t<decltype(function)>>(dlsym(handle, name));
    library.is_there = library.is_there && function != nullptr;
  };
  take(library.bio_of, "BIO_new_mem_buf");
  take(library.free_bio, "BIO_free");
  take(library.read_private, "PEM_read_bio_PrivateKey");
  take(library.read_public, "PEM_read_bio_PUBKEY");
  take(library.id_of, "EVP_PKEY_get_id");
  take(library.free_key, "EVP_PKEY_free");
  take(library.new_context, "EVP_MD_CTX_new");
  take(library.free_context, "EVP_MD_CTX_free");
  take(library.begin_sign, "EVP_DigestSignInit");
  take(library.sign, "EVP_DigestSign");
  take(library.begin_check, "EVP_DigestVerifyInit");
  take(library.check, "EVP_DigestVerify");
  take(library.clear_errors, "ERR_clear_error");
  return library;
}

const Crypto& crypto() {
  static const Crypto loaded = load_crypto();
  return loaded;
}

// Nobody is asked for a password.
int no_password(char*, int, int, void*) { return -1; }

using Key = std::unique_ptr<void, void (*)(void*)>;

// Key files are small: more is none.
constexpr usize max_key = 1 << 16;

base::Result<Key> read_key(std::string_view text, bool is_private) {
  const Crypto& lib = crypto();
  if (!lib.is_there) {
    return Error{
        ErrorCode::unsupported, "",
        "there is no libcrypto.so.3 on this system, which signatures need: apt-get install "
        "libssl3"};
  }
  void* key = nullptr;
  if (text.size() <= max_key) {
    if (void* const bio = lib.bio_of(text.data(), static_cast<int>(text.size()))) {
      key = (is_private ? lib.read_private : lib.read_public)(bio, nullptr, no_password, nullptr);
      lib.free_bio(bio);
    }
  }
  lib.clear_errors();
  Key held(key, lib.free_key);
  if (key != nullptr && lib.id_of(key) == ed25519) return held;
  return Error{ErrorCode::usage, "",
               is_private ? "is no private ed25519 key in PEM without a password; `openssl genpkey "
                            "-algorithm ed25519` makes one"
                          : "is no public ed25519 key in PEM; `openssl pkey -pubout` makes it of "
                            "the private one"};
}

const u8* data_of(std::string_view bytes) { return reinterpret_cast<const u8*>(bytes.data()); }

}  // namespace

base::Result<std::string> sign(std::string_view bytes, std::string_view private_key) {
  auto key = read_key(private_key, true);
  if (!key) return std::move(key).error();
  const Crypto& lib = crypto();
  const Key context(lib.new_context(), lib.free_context);
  std::string signature(signature_bytes, '\0');
  usize size = signature.size();
  const bool is_done = context != nullptr &&
                       lib.begin_sign(context.get(), nullptr, nullptr, nullptr, key->get()) == 1 &&
                       lib.sign(context.get(), reinterpret_cast<u8*>(signature.data()), &size,
                                data_of(bytes), bytes.size()) == 1 &&
                       size == signature_bytes;
  lib.clear_errors();
  if (!is_done) return Error{ErrorCode::io, "", "OpenSSL can't sign"};
  return signature;
}

base::Status check_signature(std::string_view bytes, std::string_view signature,
                             std::string_view public_key) {
  auto key = read_key(public_key, false);
  if (!key) return std::move(key).error();
  const Crypto& lib = crypto();
  const Key context(lib.new_context(), lib.free_context);
  const bool is_good = context != nullptr &&
                       lib.begin_check(context.get(), nullptr, nullptr, nullptr, key->get()) == 1 &&
                       lib.check(context.get(), data_of(signature), signature.size(),
                                 data_of(bytes), bytes.size()) == 1;
  lib.clear_errors();
  if (is_good) return {};
  return Error{ErrorCode::denied, "",
               "its signature is not by this key, or the image was changed since"};
}

}  // namespace atollvm
