#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "edge/freshness.h"
#include "http/message.h"
#include "storage/cache_store.h"

namespace nearside::edge {

/// One stored variant of a resource, as its index lists it: the request fields that selected it
/// (RFC 9111 §4.1) and the key under which it is stored.
struct Variant {
  http::Fields selecting;  ///< one line for each field that Vary names, "" for absent ones
  Key256 key;
  WallTime stored_at;
  WallTime date;         ///< its Date, or when it came where that is none
  std::string language;  ///< of the response, in lower case, if it is only one (Content-Language)
};

/// A part of a body, in bytes from its beginning.
struct ByteSpan {
  uint64_t first = 0;
  uint64_t end = 0;  ///< one past the last
  bool operator==(const ByteSpan&) const = default;
};

/// How a representation is cut whose body is stored in slices (edge/slices.h).
struct Slicing {
  uint64_t slice_bytes = 0;  ///< of all slices but the last; 0: it is not cut
  uint64_t total_bytes = 0;
  /// The store's purge sequence when its first slice was asked for: older slices are not taken,
  /// even if they say that they are of the same version.
  uint64_t since_purge = 0;
  bool operator==(const Slicing&) const = default;
};

/// A response in the cache, decoded once when its head enters RAM. Immutable, any thread.
///
/// Under a resource's primary key stands either the response itself (it has no Vary) or an index of
/// variants, each of which has a key of its own.
class StoredResponse final : public storage::HeadPayload {
 public:
  int status = 0;
  /// End-to-end fields as they go to clients, Content-Length included; without Age and surrogate
  /// fields.
  http::Fields fields;
  Freshness freshness;
  /// Not empty: this is an index, and status, fields and freshness mean nothing. By date, the most
  /// recent first; of one date the one first that was stored last.
  std::vector<Variant> variants;
  /// Of an index: variants that the store has given a lower id are from before it
  /// (edge/variant_index.h).
  uint64_t since = 0;
  /// Its Nearside-Cache-Control, which clients do not get and a 304 without one leaves in force.
  std::string control;
  /// The origin's ETag of a response that this edge encoded, to validate it by: `fields` has one of
  /// its own. "": that in `fields` is the origin's.
  std::string origin_etag;
  /// This edge encodes it for requests that accept that (edge/compression), and Vary says so.
  bool negotiated = false;
  /// Tags by which it can be purged, for `explain`.
  std::vector<std::string> tags;
  std::string url;  ///< for `explain` and for people who look into the file
  Slicing slicing;
  /// Not 0: a 206 to "bytes=-<this>", which answers requests for that range and no others
  /// (edge/slices.h).
  uint64_t tail_bytes = 0;

  bool is_tail() const { return tail_bytes != 0; }
  bool is_sliced() const { return slicing.slice_bytes != 0; }
  bool is_index() const { return !variants.empty(); }
  /// Its body is in a coding that this edge made.
  bool is_encoded_here() const { return negotiated && fields.Has("content-encoding"); }
  size_t charge() const override;
};

inline constexpr size_t kMaxVariants = 64;

/// The length of the body, all slices together.
inline uint64_t BodyBytesOf(const storage::CachedHead& head) {
  const auto& response = static_cast<const StoredResponse&>(*head.payload);
  return response.is_sliced() ? response.slicing.total_bytes : head.head.body_bytes;
}

/// The opaque bytes of storage::Head::meta. The format's version is its first byte.
std::string EncodeStored(const StoredResponse& response);
/// Null when the bytes are of another version or are damaged.
std::unique_ptr<StoredResponse> DecodeStored(std::string_view meta);

/// The response behind a head of the store that DecodeStored built.
inline const StoredResponse& ResponseOf(const storage::CachedHead& head) {
  return static_cast<const StoredResponse&>(*head.payload);
}

}  // namespace nearside::edge
