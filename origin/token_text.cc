#include "origin/token_text.h"

#include <algorithm>
#include <array>

#include "runtime/crypto.h"

namespace nearside::origin {
namespace {

constexpr std::string_view kPrefix = "nst_";
constexpr size_t kSecretBytes = 32;
constexpr size_t kSecretCharacters = 43;  ///< of kSecretBytes in base64url

bool IsIdDigit(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); }

}  // namespace

std::string TokenText::Joined() const { return std::string(kPrefix) + id + "_" + secret; }

TokenText RandomToken() {
  std::array<uint8_t, kTokenIdDigits / 2> id{};
  std::array<uint8_t, kSecretBytes> secret{};
  RandomBytes(id);
  RandomBytes(secret);
  return {HexEncode(id), Base64UrlEncode(secret)};
}

std::optional<TokenText> ParseTokenText(std::string_view text) {
  constexpr size_t kBytes = kPrefix.size() + kTokenIdDigits + 1 + kSecretCharacters;
  if (text.size() != kBytes || !text.starts_with(kPrefix)) return std::nullopt;
  text.remove_prefix(kPrefix.size());
  const std::string_view id = text.substr(0, kTokenIdDigits);
  if (!std::all_of(id.begin(), id.end(), IsIdDigit) || text[kTokenIdDigits] != '_') {
    return std::nullopt;
  }
  return TokenText{std::string(id), std::string(text.substr(kTokenIdDigits + 1))};
}

std::string DigestOfSecret(std::string_view secret) { return HexEncode(Sha256Of(secret)); }

std::string S3SecretOf(std::string_view key, std::string_view token_id) {
  return Base64UrlEncode(HmacSha256(key, token_id));
}

}  // namespace nearside::origin
