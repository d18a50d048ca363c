#pragma once

// Tokens as people paste them: nst_ID_SECRET. Pure but for the random bytes.

#include <optional>
#include <string>
#include <string_view>

#include "runtime/result.h"

namespace nearside::origin {

/// Digits of an id: 80 random bits, a public name.
inline constexpr size_t kTokenIdDigits = 20;

struct TokenText {
  std::string id;      ///< kTokenIdDigits of 0-9a-f
  std::string secret;  ///< 256 random bits, base64url
  /// "nst_ID_SECRET": a prefix by which scanners for leaked secrets can know it.
  std::string Joined() const;
};

TokenText RandomToken();
/// Nullopt for what cannot be a token of ours, as one of the files.
std::optional<TokenText> ParseTokenText(std::string_view text);
/// 64 digits, as metadata keeps it.
std::string DigestOfSecret(std::string_view secret);

/// The secret of the S3 key pair whose access key id is the token's id: HMAC-SHA256, base64url.
/// It cannot be kept as a digest, because both sides sign with it; so it is made anew each time.
std::string S3SecretOf(std::string_view key, std::string_view token_id);

}  // namespace nearside::origin
