#pragma once

// Key pairs that sign, by libcrypto: ECDSA over P-256 with SHA-256, and Ed25519.

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/result.h"

namespace nearside {

enum class SigningAlgorithm : uint8_t { kEcdsaP256, kEd25519 };

/// Of either algorithm: r and s of 32 bytes each (RFC 6605 §4), or RFC 8032's.
inline constexpr size_t kSignatureBytes = 64;
using Signature = std::array<uint8_t, kSignatureBytes>;

/// One private key. Signing is for one thread at a time, and each thread should have a copy of its
/// own: OpenSSL 3.0 makes threads wait for each other on a shared one.
class SigningKey {
 public:
  static SigningKey Generate(SigningAlgorithm algorithm);
  /// From the first private key in `text` (PKCS #8 or SEC 1), without a pass phrase; what stands
  /// before it is passed over. Error: kOperator bad_key.
  static Result<SigningKey> FromPem(std::string_view text);

  SigningKey(SigningKey&&) noexcept;
  SigningKey& operator=(SigningKey&&) noexcept;
  ~SigningKey();
  /// A copy that shares nothing. Any thread, while nobody signs with this one.
  SigningKey Copy() const;

  SigningAlgorithm algorithm() const;
  /// x and y of 32 bytes each (RFC 6605 §4), or the 32 bytes of RFC 8032.
  std::vector<uint8_t> PublicBytes() const;
  /// PKCS #8. Whoever has it can sign.
  std::string ToPem() const;
  /// ECDSA draws a nonce, so that it signs the same otherwise each time; Ed25519 does not.
  Signature Sign(std::span<const uint8_t> bytes) const;

 private:
  struct State;
  explicit SigningKey(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace nearside
