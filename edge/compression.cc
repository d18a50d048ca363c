#include "edge/compression.h"

#include <algorithm>
#include <array>

#include "edge/negotiation.h"
#include "http/cache_control.h"
#include "http/characters.h"
#include "http/etag.h"
#include "http/field_list.h"
#include "http/media_type.h"

namespace nearside::edge {
namespace {

/// What says something of the bytes that the origin sent, and nothing of those that clients get.
constexpr std::array<std::string_view, 6> kOfTheBytes = {
    "content-length", "accept-ranges",  "content-md5",
    "digest",         "content-digest", "repr-digest"};  // RFC 9530, and what was before it

bool IsText(const http::Fields& fields, const SiteSettings& site) {
  const std::string_view type = fields.Get("content-type").value_or("");
  const std::string_view bare = http::TrimSpace(type.substr(0, type.find(';')));
  const auto is = [bare](std::string_view other) { return http::EqualsIgnoringCase(bare, other); };
  // An event must not wait for a block of others.
  if (is("text/event-stream")) return false;
  return http::IsCompressible(type) ||
         std::any_of(site.compress_types.begin(), site.compress_types.end(), is);
}

/// Why nobody gets the response encoded.
std::optional<CodingReason> Unfit(const Exchanged& exchanged, std::optional<uint64_t> body_bytes) {
  const http::Fields& fields = exchanged.response.fields;
  const SiteSettings& site = exchanged.site;
  if (!site.compress) return CodingReason::kOff;
  if (exchanged.response.status != 200 || fields.Has("content-range")) return CodingReason::kStatus;
  if (fields.Has("content-encoding")) return CodingReason::kCoded;
  if (SaysNoTransform(fields)) return CodingReason::kNoTransform;
  if (!IsText(fields, site)) return CodingReason::kType;
  if (body_bytes && *body_bytes < site.compress_smallest.bytes) return CodingReason::kTooSmall;
  if (body_bytes && *body_bytes > site.compress_largest.bytes) return CodingReason::kTooLarge;
  return std::nullopt;
}

void VaryByEncoding(http::Fields* fields) {
  if (!http::ListHas(*fields, "vary", "accept-encoding")) fields->Add("vary", "Accept-Encoding");
}

/// W/"abc-br" of "abc", W/"abc" and of a bare abc; nullopt of what cannot stand in a tag.
std::optional<std::string> TagOfCoding(std::string_view etag, http::Coding coding) {
  std::string_view text = http::TrimSpace(etag);
  if (const auto tag = http::ParseEntityTag(text)) {
    text = tag->opaque.substr(1, tag->opaque.size() - 2);
  }
  std::string made =
      "W/\"" + std::string(text) + "-" + std::string(http::CodingName(coding)) + "\"";
  return http::ParseEntityTag(made) ? std::optional(std::move(made)) : std::nullopt;
}

}  // namespace

std::string_view CodingReasonName(CodingReason reason) {
  constexpr std::array<std::string_view, kCodingReasonCount> kNames = {
      "encoded", "not_accepted", "busy", "off",       "status",
      "coded",   "no_transform", "type", "too_small", "too_large",
  };
  return kNames[static_cast<size_t>(reason)];
}

bool SaysNoTransform(const http::Fields& response) {
  for (std::string_view name : {"nearside-cache-control", "cdn-cache-control"}) {
    const auto control = http::ParseTargetedCacheControl(response, name);
    if (control && control->no_transform) return true;
  }
  return http::HasDirective(response, "no-transform");
}

CodingDecision DecideCoding(const Exchanged& exchanged, std::optional<uint64_t> body_bytes) {
  if (const auto unfit = Unfit(exchanged, body_bytes)) return {.reason = *unfit};
  const http::Coding best = CodingsFor(exchanged.request.fields).best();
  if (best == http::Coding::kIdentity) return {.reason = CodingReason::kNotAccepted};
  return {.reason = CodingReason::kEncoded, .coding = best};
}

void ApplyCoding(const CodingDecision& decision, StoredResponse* stored) {
  if (!decision.negotiated()) return;
  http::Fields& fields = stored->fields;
  stored->negotiated = true;
  VaryByEncoding(&fields);
  if (decision.coding == http::Coding::kIdentity) return;
  for (std::string_view name : kOfTheBytes) fields.Remove(name);
  fields.Add("content-encoding", http::CodingName(decision.coding));
  const auto etag = fields.Get("etag");
  if (!etag) return;
  stored->origin_etag = *etag;
  if (const auto own = TagOfCoding(*etag, decision.coding)) {
    fields.Set("etag", *own);
  } else {
    fields.Remove("etag");
  }
}

http::Fields FreshFields(const StoredResponse& stored, const http::Fields& fresh) {
  http::Fields fields = fresh;
  if (stored.negotiated && fields.Has("vary")) VaryByEncoding(&fields);
  if (stored.is_encoded_here()) {
    for (std::string_view name : kOfTheBytes) fields.Remove(name);
    fields.Remove("etag");
  }
  return fields;
}

}  // namespace nearside::edge
