#pragma once

// Large representations are fetched and stored in slices, once an answer to a range has told their
// length and a strong validator: a client that seeks costs the slice it seeks to and not the file.
// Under the representation's key stands its head without a body (StoredResponse::slicing); each
// slice is an object of its own, named by the validator, so that slices of two versions never meet
// (RFC 9110 §15.3.7.3, RFC 9111 §3.4). Pure but for MissingSlice.
//
// The last bytes of what nothing is known of lie in no slice yet: they are asked for as they are,
// and what comes is stored as the answer to that very range (RFC 9111 §3.3), not joined with
// anything.

#include <cstdint>
#include <optional>
#include <string_view>

#include "edge/settings.h"
#include "edge/stored_response.h"
#include "http/message.h"
#include "http/range.h"
#include "runtime/clock.h"
#include "runtime/hash.h"
#include "storage/cache_store.h"

namespace nearside::edge {

/// Reason of the error that ends the fill of a slice when the origin has another version by now.
inline constexpr std::string_view kSliceChanged = "slice_changed";

/// The same when the origin does not give the slice to the one who asked, but may give it to
/// others.
inline constexpr std::string_view kSliceRefused = "slice_refused";

/// The site's slice length, in whole chunks; 0: it has none.
uint64_t SliceBytes(const SiteSettings& site);

/// Which bytes slice `n` of a representation has; empty behind its end.
ByteSpan SliceSpan(const Slicing& slicing, uint64_t n);

/// The key of slice `n` of the representation that is stored under `key` with `response` as its
/// head.
Key256 SliceKey(const Key256& key, const StoredResponse& response, uint64_t n);

/// What names the version of a representation that has slices: its ETag, or its Last-Modified.
std::string_view SliceValidator(const http::Fields& fields);

/// The first slice of `span` that is certainly not stored, of a response that has slices.
std::optional<uint64_t> MissingSlice(const storage::CacheStore& store,
                                     const storage::CachedHead& head, ByteSpan span);

/// Whether an origin that sends a whole response like this one would send a slice of it as well: it
/// says that it heeds ranges, and parts could be told to be of one version.
bool IsFitForSlices(const http::Fields& response, WallTime now);
/// The slice in which the request's ranges begin, where the length of the whole is not known: 0 for
/// the last bytes of it, and where a condition stands before the range. nullopt for a request
/// without a range that could be answered.
std::optional<uint64_t> FirstSlice(const http::RequestHead& request, uint64_t slice_bytes);

/// The n of a request that asks for the last n bytes without a condition, at most `slice_bytes`;
/// 0: it asks for something else.
uint64_t TailOf(const http::RequestHead& request, uint64_t slice_bytes);

/// The key of the fill of what is asked for by its last `n` bytes.
Key256 TailFillKey(const Key256& key, uint64_t n);

/// What an answer to "Range: bytes=<slice n>" has brought.
struct PartialAnswer {
  enum class Kind : uint8_t {
    kUnusable,  ///< other bytes than asked for, no strong validator, or fields that contradict
    kWhole,     ///< all of the representation: as good as a 200
    kSlice,     ///< exactly that slice
  } kind = Kind::kUnusable;
  Slicing slicing;           ///< of kSlice
  uint64_t total_bytes = 0;  ///< of the whole, of kWhole and kSlice
  /// Of kWhole and kSlice: the head of the 200 that it is a part of, Content-Length included.
  http::ResponseHead whole;
};

/// `response` is a 206.
PartialAnswer ReadPartial(const http::ResponseHead& response, uint64_t n, uint64_t slice_bytes,
                          WallTime now);

/// Whether a response is of the version that is stored, by a strong validator.
bool IsOfVersion(const http::ResponseHead& response, const StoredResponse& stored, WallTime now);

/// Whether what is stored is all of the representation that `part` is a part of.
bool IsWholeOfVersion(const storage::CachedHead& stored, const http::ResponseHead& part,
                      WallTime now);

/// Whether a 206 carries exactly slice `n` of the stored representation, of the same version.
bool IsSliceOf(const http::ResponseHead& response, const StoredResponse& stored, uint64_t n,
               WallTime now);

/// Whether a 200 carries all of it, of the same version: origins need not heed Range (RFC 9110
/// §14.2).
bool IsWholeOf(const http::ResponseHead& response, const StoredResponse& stored, WallTime now);

}  // namespace nearside::edge
