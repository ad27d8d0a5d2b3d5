// Signatures by ed25519 keys in PEM, as `openssl genpkey -algorithm ed25519` makes them. OpenSSL's
// libcrypto does the work; it is loaded at the first signature.
#pragma once

#include <string>
#include <string_view>

#include "vm/base/result.hpp"

namespace atollvm {

inline constexpr usize signature_bytes = 64;

// Errors: usage (no private key of this kind), unsupported (no libcrypto), io (it fails).
base::Result<std::string> sign(std::string_view bytes, std::string_view private_key);
// Errors: usage (no public key of this kind), unsupported, denied (that is not its signature).
base::Status check_signature(std::string_view bytes, std::string_view signature,
                             std::string_view public_key);

}  // namespace atollvm
