#include "edge/slices.h"

#include <algorithm>
#include <array>
#include <string>

#include "http/conditional.h"
#include "http/field_list.h"
#include "runtime/chunk.h"
#include "runtime/crypto.h"

namespace nearside::edge {
namespace {

/// Of a representation, so that positions can be added up. Longer ones do not exist.
constexpr uint64_t kLongest = uint64_t{1} << 62;

constexpr std::array<std::string_view, 5> kConditions = {
    "if-range", "if-match", "if-none-match", "if-modified-since", "if-unmodified-since"};

/// RFC 9110 §8.8.1, §13.1.5: a date counts where there is no tag, and where the representation was
/// sent a second later or more.
bool HasStrongValidator(const http::Fields& fields, WallTime now) {
  const http::Validators validators = http::ValidatorsOf(fields, now);
  if (fields.Has("etag")) return validators.etag && !validators.etag->weak;
  return validators.last_modified &&
         *validators.last_modified + seconds(1) <= validators.date.value_or(now);
}

/// The Content-Range of a single part whose length is known and which the framing, if it tells a
/// length, agrees with.
std::optional<http::ContentRange> RangeOf(const http::Fields& fields) {
  const auto text = fields.Get("content-range");
  if (!text || fields.Joined("content-range") != *text) return std::nullopt;
  const auto content_range = http::ParseContentRange(*text);
  if (!content_range || !content_range->range || !content_range->length) return std::nullopt;
  if (*content_range->length > kLongest) return std::nullopt;
  const auto length = fields.Get("content-length");
  if (length && *length != std::to_string(content_range->range->size())) return std::nullopt;
  return content_range;
}

http::ResponseHead WholeOf(const http::ResponseHead& part, uint64_t total_bytes) {
  http::ResponseHead whole = part;
  whole.status = 200;
  whole.fields.Remove("content-range");
  whole.fields.Set("content-length", std::to_string(total_bytes));
  return whole;
}

}  // namespace

uint64_t SliceBytes(const SiteSettings& site) {
  if (site.slice.bytes == 0) return 0;
  return std::max<uint64_t>(1, site.slice.bytes / kChunkBytes) * kChunkBytes;
}

ByteSpan SliceSpan(const Slicing& slicing, uint64_t n) {
  const uint64_t first = std::min(n * slicing.slice_bytes, slicing.total_bytes);
  return {.first = first, .end = std::min(first + slicing.slice_bytes, slicing.total_bytes)};
}

Key256 SliceKey(const Key256& key, const StoredResponse& response, uint64_t n) {
  std::string text(reinterpret_cast<const char*>(key.bytes.data()), key.bytes.size());
  text += "slice ";
  text += std::to_string(response.slicing.slice_bytes) + " " +
          std::to_string(response.slicing.total_bytes) + " " + std::to_string(n) + " ";
  text += SliceValidator(response.fields);
  return Key256{Sha256Of(text)};
}

std::string_view SliceValidator(const http::Fields& fields) {
  const auto tag = fields.Get("etag");
  return tag ? *tag : fields.Get("last-modified").value_or("");
}

std::optional<uint64_t> MissingSlice(const storage::CacheStore& store,
                                     const storage::CachedHead& head, ByteSpan span) {
  const StoredResponse& response = ResponseOf(head);
  const uint64_t slice_bytes = response.slicing.slice_bytes;
  for (uint64_t n = span.first / slice_bytes; n * slice_bytes < span.end; ++n) {
    if (!store.MayHold(SliceKey(head.head.key, response, n))) return n;
  }
  return std::nullopt;
}

bool IsFitForSlices(const http::Fields& response, WallTime now) {
  return http::ListHas(response, "accept-ranges", "bytes") && !response.Has("content-encoding") &&
         !response.Has("vary") && HasStrongValidator(response, now);
}

std::optional<uint64_t> FirstSlice(const http::RequestHead& request, uint64_t slice_bytes) {
  if (request.method != "GET" || slice_bytes == 0) return std::nullopt;
  const auto range = request.fields.Get("range");
  if (!range) return std::nullopt;
  const auto specs = http::ParseRange(*range);
  if (!specs || specs->size() > http::kRangesInRequest) return std::nullopt;
  // Whether the range counts at all is not known before the validators are (RFC 9110 §13.2.2).
  for (const std::string_view name : kConditions) {
    if (request.fields.Has(name)) return 0;
  }
  uint64_t first = kLongest;
  for (const http::RangeSpec& spec : *specs) first = std::min(first, spec.first.value_or(0));
  // A position that no file reaches would only ask for a 416.
  return first < kLongest ? std::optional(first / slice_bytes) : std::nullopt;
}

uint64_t TailOf(const http::RequestHead& request, uint64_t slice_bytes) {
  if (request.method != "GET" || !request.fields.Has("range")) return 0;
  for (const std::string_view name : kConditions) {
    if (request.fields.Has(name)) return 0;
  }
  const auto specs = http::ParseRange(request.fields.Joined("range"));
  if (!specs || specs->size() != 1 || specs->front().first) return 0;
  const uint64_t n = specs->front().last.value_or(0);
  return n <= slice_bytes ? n : 0;
}

Key256 TailFillKey(const Key256& key, uint64_t n) {
  std::string text(reinterpret_cast<const char*>(key.bytes.data()), key.bytes.size());
  text += "tail " + std::to_string(n);
  return Key256{Sha256Of(text)};
}

PartialAnswer ReadPartial(const http::ResponseHead& response, uint64_t n, uint64_t slice_bytes,
                          WallTime now) {
  PartialAnswer answer;
  const auto content_range = RangeOf(response.fields);
  if (!content_range) return answer;
  const http::ByteRange range = *content_range->range;
  const uint64_t total_bytes = *content_range->length;
  const Slicing slicing{.slice_bytes = slice_bytes, .total_bytes = total_bytes};
  if (range.first == 0 && range.size() == total_bytes) {
    answer.kind = PartialAnswer::Kind::kWhole;
  } else if (HasStrongValidator(response.fields, now) &&
             ByteSpan{range.first, range.last + 1} == SliceSpan(slicing, n)) {
    answer.kind = PartialAnswer::Kind::kSlice;
    answer.slicing = slicing;
  } else {
    return answer;
  }
  answer.total_bytes = total_bytes;
  answer.whole = WholeOf(response, total_bytes);
  if (answer.kind == PartialAnswer::Kind::kSlice) http::RemoveContentDigests(&answer.whole.fields);
  return answer;
}

bool IsOfVersion(const http::ResponseHead& response, const StoredResponse& stored, WallTime now) {
  return HasStrongValidator(response.fields, now) &&
         SliceValidator(response.fields) == SliceValidator(stored.fields);
}

bool IsWholeOfVersion(const storage::CachedHead& stored, const http::ResponseHead& part,
                      WallTime now) {
  const StoredResponse& response = ResponseOf(stored);
  return response.status == 200 && !response.is_index() && !response.is_sliced() &&
         IsOfVersion(part, response, now);
}

bool IsSliceOf(const http::ResponseHead& response, const StoredResponse& stored, uint64_t n,
               WallTime now) {
  if (response.status != 206 || !IsOfVersion(response, stored, now)) return false;
  const auto content_range = RangeOf(response.fields);
  return content_range && *content_range->length == stored.slicing.total_bytes &&
         ByteSpan{content_range->range->first, content_range->range->last + 1} ==
             SliceSpan(stored.slicing, n);
}

bool IsWholeOf(const http::ResponseHead& response, const StoredResponse& stored, WallTime now) {
  const auto length = response.fields.Get("content-length");
  constexpr std::string_view kCoding = "content-encoding";
  return response.status == 200 && IsOfVersion(response, stored, now) &&
         response.fields.Joined(kCoding) == stored.fields.Joined(kCoding) &&
         (!length || *length == std::to_string(stored.slicing.total_bytes));
}

}  // namespace nearside::edge
