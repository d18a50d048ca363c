#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "http/fields.h"
#include "runtime/result.h"
#include "storage/blob_store.h"

namespace nearside::origin {

/// What Repr-Digest and Content-Digest (RFC 9530) say of a PUT's content: the sha-256 of either;
/// other algorithms are not checked (RFC 9530 §2). Errors: kClient bad_digest for a field that is
/// none, a sha-256 that is not 32 bytes, and two that differ.
Result<std::optional<storage::BlobId>> ReadContentDigest(const http::Fields& fields);

/// The same of one of the two fields, by its name.
Result<std::optional<storage::BlobId>> ReadDigestField(const http::Fields& fields,
                                                       std::string_view name);

/// "sha-256=:…:".
std::string FormatReprDigest(const storage::BlobId& id);

}  // namespace nearside::origin
