#include "runtime/crypto.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include <algorithm>

#include "runtime/fatal.h"

namespace nearside {

namespace {

/// Fetched on first use and kept to the end of the process.
const EVP_MD* Sha256Algorithm() {
  static const EVP_MD* const kAlgorithm = [] {
    const EVP_MD* md = EVP_MD_fetch(nullptr, "SHA2-256", nullptr);
    if (md == nullptr) Fatal("libcrypto offers no SHA-256");
    return md;
  }();
  return kAlgorithm;
}

const EVP_MD* Sha1Algorithm() {
  static const EVP_MD* const kAlgorithm = [] {
    const EVP_MD* md = EVP_MD_fetch(nullptr, "SHA1", nullptr);
    if (md == nullptr) Fatal("libcrypto offers no SHA-1");
    return md;
  }();
  return kAlgorithm;
}

const EVP_MD* Md5Algorithm() {
  static const EVP_MD* const kAlgorithm = [] {
    const EVP_MD* md = EVP_MD_fetch(nullptr, "MD5", nullptr);
    if (md == nullptr) Fatal("libcrypto offers no MD5");
    return md;
  }();
  return kAlgorithm;
}

const EVP_MD* AlgorithmOf(DigestKind kind) {
  switch (kind) {
    case DigestKind::kMd5:
      return Md5Algorithm();
    case DigestKind::kSha1:
      return Sha1Algorithm();
    case DigestKind::kSha256:
      break;
  }
  return Sha256Algorithm();
}

constexpr std::string_view kHexDigits = "0123456789abcdef";
constexpr std::string_view kBase64Digits =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

int Base64Value(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == '+') return 62;
  if (c == '/') return 63;
  return -1;
}

tl::unexpected<Error> BadBase64(std::string message) {
  return Fail(Fault::kClient, "bad_base64", std::move(message));
}

}  // namespace

struct Sha256::State {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  State() {
    if (context == nullptr) Fatal("no memory for a digest");
    Start();
  }
  ~State() { EVP_MD_CTX_free(context); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  void Start() {
    if (EVP_DigestInit_ex2(context, Sha256Algorithm(), nullptr) != 1) Fatal("SHA-256 cannot start");
  }
};

Sha256::Sha256() : state_(std::make_unique<State>()) {}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

void Sha256::Update(std::span<const uint8_t> bytes) {
  if (EVP_DigestUpdate(state_->context, bytes.data(), bytes.size()) != 1) Fatal("SHA-256 failed");
}

void Sha256::Update(std::string_view text) {
  if (EVP_DigestUpdate(state_->context, text.data(), text.size()) != 1) Fatal("SHA-256 failed");
}

Sha256Digest Sha256::Finish() {
  Sha256Digest digest;
  if (EVP_DigestFinal_ex(state_->context, digest.data(), nullptr) != 1) Fatal("SHA-256 failed");
  state_->Start();
  return digest;
}

struct Digest::State {
  explicit State(DigestKind k) : kind(k) {
    if (context == nullptr) Fatal("no memory for a digest");
    Start();
  }
  ~State() { EVP_MD_CTX_free(context); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  void Start() {
    if (EVP_DigestInit_ex2(context, AlgorithmOf(kind), nullptr) != 1)
      Fatal("a digest cannot start");
  }
  const DigestKind kind;
  EVP_MD_CTX* context = EVP_MD_CTX_new();
};

Digest::Digest(DigestKind kind) : state_(std::make_unique<State>(kind)) {}
Digest::~Digest() = default;
Digest::Digest(Digest&&) noexcept = default;
Digest& Digest::operator=(Digest&&) noexcept = default;

void Digest::Update(std::span<const uint8_t> bytes) {
  if (EVP_DigestUpdate(state_->context, bytes.data(), bytes.size()) != 1) Fatal("a digest failed");
}

std::string Digest::Finish() {
  std::array<uint8_t, EVP_MAX_MD_SIZE> digest;
  unsigned int size = 0;
  if (EVP_DigestFinal_ex(state_->context, digest.data(), &size) != 1) Fatal("a digest failed");
  state_->Start();
  return {reinterpret_cast<const char*>(digest.data()), size};
}

Sha256Digest Sha256Of(std::string_view text) {
  Sha256Digest digest;
  if (EVP_Digest(text.data(), text.size(), digest.data(), nullptr, Sha256Algorithm(), nullptr) !=
      1) {
    Fatal("SHA-256 failed");
  }
  return digest;
}

Sha1Digest Sha1Of(std::string_view text) {
  Sha1Digest digest;
  if (EVP_Digest(text.data(), text.size(), digest.data(), nullptr, Sha1Algorithm(), nullptr) != 1) {
    Fatal("SHA-1 failed");
  }
  return digest;
}

Sha256Digest HmacSha256(std::string_view key, std::string_view text) {
  Sha256Digest digest;
  // HMAC() takes no null key; an empty one is legal.
  const char* key_bytes = key.empty() ? "" : key.data();
  if (HMAC(Sha256Algorithm(), key_bytes, static_cast<int>(key.size()),
           reinterpret_cast<const uint8_t*>(text.data()), text.size(), digest.data(),
           nullptr) == nullptr) {
    Fatal("HMAC failed");
  }
  return digest;
}

void RandomBytes(std::span<uint8_t> out) {
  if (out.empty()) return;
  if (RAND_bytes(out.data(), static_cast<int>(out.size())) != 1) {
    Fatal("the system's random generator failed");
  }
}

bool EqualInConstantTime(std::string_view a, std::string_view b) {
  return a.size() == b.size() && (a.empty() || CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0);
}

std::string HexEncode(std::span<const uint8_t> bytes) {
  std::string text(bytes.size() * 2, '0');
  char* place = text.data();
  for (const uint8_t byte : bytes) {
    *place++ = kHexDigits[byte >> 4];
    *place++ = kHexDigits[byte & 15];
  }
  return text;
}

Result<std::string> HexDecode(std::string_view text) {
  if (text.size() % 2 != 0) {
    return Fail(Fault::kClient, "bad_hex", "expected an even number of hex digits");
  }
  std::string bytes;
  bytes.reserve(text.size() / 2);
  for (size_t i = 0; i < text.size(); i += 2) {
    const int high = HexValue(text[i]);
    const int low = HexValue(text[i + 1]);
    if (high < 0 || low < 0) {
      return Fail(Fault::kClient, "bad_hex", "expected hex digits only (0-9, a-f)");
    }
    bytes += static_cast<char>(high << 4 | low);
  }
  return bytes;
}

std::string Base64Encode(std::span<const uint8_t> bytes) {
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const size_t count = std::min<size_t>(3, bytes.size() - i);
    uint32_t group = static_cast<uint32_t>(bytes[i]) << 16;
    if (count > 1) group |= static_cast<uint32_t>(bytes[i + 1]) << 8;
    if (count > 2) group |= bytes[i + 2];
    text += kBase64Digits[group >> 18];
    text += kBase64Digits[group >> 12 & 63];
    text += count > 1 ? kBase64Digits[group >> 6 & 63] : '=';
    text += count > 2 ? kBase64Digits[group & 63] : '=';
  }
  return text;
}

std::string Base64UrlEncode(std::span<const uint8_t> bytes) {
  std::string text = Base64Encode(bytes);
  while (!text.empty() && text.back() == '=') text.pop_back();
  for (char& c : text) c = c == '+' ? '-' : c == '/' ? '_' : c;
  return text;
}

Result<std::string> Base64Decode(std::string_view text) {
  if (text.size() % 4 != 0) return BadBase64("expected base64 with padding, in groups of four");
  size_t padding = 0;
  while (padding < 2 && padding < text.size() && text[text.size() - 1 - padding] == '=') ++padding;
  std::string bytes;
  bytes.reserve(text.size() / 4 * 3);
  uint32_t group = 0;
  for (size_t i = 0; i < text.size() - padding; ++i) {
    const int value = Base64Value(text[i]);
    if (value < 0) return BadBase64("expected base64's letters, digits, '+' and '/' only");
    group = group << 6 | static_cast<uint32_t>(value);
    if (i % 4 > 0) bytes += static_cast<char>(group >> (6 - 2 * (i % 4)) & 0xff);
  }
  // The bits that padding leaves over are zero in what an encoder writes (RFC 4648 §3.5).
  const uint32_t left_over = padding == 1 ? group & 3 : padding == 2 ? group & 15 : 0;
  if (left_over != 0) return BadBase64("expected base64 whose unused last bits are zero");
  return bytes;
}

}  // namespace nearside
