#pragma once

// Beside net/'s TLS, crypto.cc, resumable_sha256.cc and signing_key.cc alone call libcrypto.
// Digests are fetched once (an implicit fetch costs 200 ns a call).

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "runtime/result.h"

namespace nearside {

using Sha256Digest = std::array<uint8_t, 32>;
using Sha1Digest = std::array<uint8_t, 20>;

/// SHA-256 of a stream of bytes. One thread at a time.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;
  void Update(std::span<const uint8_t> bytes);
  void Update(std::string_view text);
  /// The digest of all so far; the object then starts anew.
  Sha256Digest Finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Digests that protocols ask for by name; MD5 and SHA-1 for nothing that must resist an attacker.
enum class DigestKind { kMd5, kSha1, kSha256 };

/// A digest of a stream of bytes. One thread at a time.
class Digest {
 public:
  explicit Digest(DigestKind kind);
  ~Digest();
  Digest(Digest&&) noexcept;
  Digest& operator=(Digest&&) noexcept;
  void Update(std::span<const uint8_t> bytes);
  /// 16, 20 or 32 bytes of digest of all so far; the object then starts anew.
  std::string Finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

Sha256Digest Sha256Of(std::string_view text);
/// For protocols that ask for it (RFC 6455 §4.2.2) and secrets nowhere.
Sha1Digest Sha1Of(std::string_view text);
/// RFC 2104 with SHA-256.
Sha256Digest HmacSha256(std::string_view key, std::string_view text);
/// Bytes from the system's generator; aborts when it has none.
void RandomBytes(std::span<uint8_t> out);
/// Compares in a time that depends on the lengths alone: for tokens.
bool EqualInConstantTime(std::string_view a, std::string_view b);

std::string HexEncode(std::span<const uint8_t> bytes);
/// Lower or upper case. Error: kClient bad_hex.
Result<std::string> HexDecode(std::string_view text);
/// Standard alphabet with padding (RFC 4648 §4).
std::string Base64Encode(std::span<const uint8_t> bytes);
/// The alphabet for URLs and file names, without padding (RFC 4648 §5).
std::string Base64UrlEncode(std::span<const uint8_t> bytes);
/// Strict: no line breaks, padding required, unused bits zero. Error: kClient bad_base64.
Result<std::string> Base64Decode(std::string_view text);

}  // namespace nearside
