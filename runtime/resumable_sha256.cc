#include "runtime/resumable_sha256.h"

#include <openssl/sha.h>

#include <algorithm>
#include <vector>

#include "runtime/fatal.h"

// OpenSSL 3 has no other way to get at what stands between two blocks than the functions of before.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

namespace nearside {
namespace {

constexpr size_t kWords = 8;
constexpr size_t kWordBytes = 4;
constexpr size_t kBlockBytes = SHA256_CBLOCK;

void Check(int done) {
  if (done != 1) Fatal("SHA-256 failed");
}

}  // namespace

struct ResumableSha256::State {
  State() { Check(SHA256_Init(&context)); }
  SHA256_CTX context;
};

ResumableSha256::ResumableSha256() : state_(std::make_unique<State>()) {}
ResumableSha256::~ResumableSha256() = default;
ResumableSha256::ResumableSha256(ResumableSha256&&) noexcept = default;
ResumableSha256& ResumableSha256::operator=(ResumableSha256&&) noexcept = default;

Result<ResumableSha256> ResumableSha256::Restore(std::string_view saved, uint64_t bytes) {
  const size_t rest = bytes % kBlockBytes;
  const Result<std::string> text = HexDecode(saved);
  if (!text || text->size() != kWords * kWordBytes + rest) {
    return Fail(
        Fault::kSelf, "bad_hash_state",
        "what is known of an upload's digest is not that of " + std::to_string(bytes) + " bytes");
  }
  const auto* at = reinterpret_cast<const uint8_t*>(text->data());
  ResumableSha256 hash;
  SHA256_CTX& context = hash.state_->context;
  for (size_t i = 0; i < kWords; ++i, at += kWordBytes) {
    context.h[i] =
        uint32_t{at[0]} << 24 | uint32_t{at[1]} << 16 | uint32_t{at[2]} << 8 | uint32_t{at[3]};
  }
  const uint64_t hashed_bits = (bytes - rest) * 8;
  context.Nl = static_cast<uint32_t>(hashed_bits);
  context.Nh = static_cast<uint32_t>(hashed_bits >> 32);
  hash.Update({at, rest});
  return hash;
}

void ResumableSha256::Update(std::span<const uint8_t> bytes) {
  if (!bytes.empty()) Check(SHA256_Update(&state_->context, bytes.data(), bytes.size()));
}

std::string ResumableSha256::Save() const {
  const SHA256_CTX& context = state_->context;
  std::vector<uint8_t> out;
  for (size_t i = 0; i < kWords; ++i) {
    for (int shift = 24; shift >= 0; shift -= 8) {
      out.push_back(static_cast<uint8_t>(context.h[i] >> shift));
    }
  }
  const auto* rest = reinterpret_cast<const uint8_t*>(context.data);
  out.insert(out.end(), rest, rest + context.num);
  return HexEncode(out);
}

Sha256Digest ResumableSha256::Finish() {
  Sha256Digest digest;
  Check(SHA256_Final(digest.data(), &state_->context));
  Check(SHA256_Init(&state_->context));
  return digest;
}

}  // namespace nearside

#pragma GCC diagnostic pop
