#include "origin/content_digest.h"

#include <algorithm>

#include "http/structured_field.h"
#include "runtime/crypto.h"

namespace nearside::origin {
namespace {

tl::unexpected<Error> BadDigest(std::string_view field) {
  return Fail(
      Fault::kClient, "bad_digest",
      std::string(field) + ": expected a digest like sha-256=:BASE64 OF 32 BYTES: (RFC 9530)");
}

}  // namespace

Result<std::optional<storage::BlobId>> ReadDigestField(const http::Fields& fields,
                                                       std::string_view name) {
  if (!fields.Has(name)) return std::nullopt;
  const auto dictionary = http::structured::ParseDictionary(fields.Joined(name));
  if (!dictionary) return BadDigest(name);
  for (const auto& [algorithm, member] : *dictionary) {
    if (algorithm != "sha-256") continue;
    const auto* item = std::get_if<http::structured::Item>(&member);
    const auto* bytes =
        item != nullptr ? std::get_if<http::structured::Bytes>(&item->value) : nullptr;
    storage::BlobId id;
    if (bytes == nullptr || bytes->bytes.size() != id.bytes.size()) return BadDigest(name);
    std::copy(bytes->bytes.begin(), bytes->bytes.end(), id.bytes.begin());
    return id;
  }
  return std::nullopt;
}

Result<std::optional<storage::BlobId>> ReadContentDigest(const http::Fields& fields) {
  // A PUT without Content-Encoding and Content-Range: representation and content are the same
  // bytes.
  Result<std::optional<storage::BlobId>> representation = ReadDigestField(fields, "repr-digest");
  if (!representation) return representation;
  Result<std::optional<storage::BlobId>> content = ReadDigestField(fields, "content-digest");
  if (!content) return content;
  if (*representation && *content && **representation != **content) {
    return Fail(Fault::kClient, "bad_digest", "Repr-Digest and Content-Digest differ");
  }
  return *representation ? representation : content;
}

std::string FormatReprDigest(const storage::BlobId& id) {
  return "sha-256=:" + Base64Encode(id.bytes) + ":";
}

}  // namespace nearside::origin
