#include "origin/s3_list.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "origin/s3_errors.h"
#include "origin/s3_object.h"
#include "origin/s3_signature.h"
#include "origin/s3_xml.h"

namespace nearside::origin {
namespace {

/// Sorts behind every path that begins with what stands before it.
constexpr std::string_view kBehindAll = "\xF4\x8F\xBF\xBF";
/// After a common prefix was jumped over, little is read at first: there may be another jump.
constexpr size_t kAfterJump = 16;

/// "a/b/" of "a/b/c.css" under prefix "a/" with delimiter "/"; nullopt when it stands for itself.
std::optional<std::string> CommonPrefixOf(const std::string& path, const S3ListQuery& query) {
  if (query.delimiter.empty()) return std::nullopt;
  const size_t at = path.find(query.delimiter, query.prefix.size());
  if (at == std::string::npos) return std::nullopt;
  return path.substr(0, at + query.delimiter.size());
}

/// A marker that is a common prefix of this listing means all that is below it.
std::string BehindMarker(std::string marker, const S3ListQuery& query) {
  if (!query.delimiter.empty() && marker.size() > query.prefix.size() &&
      marker.starts_with(query.prefix) && marker.ends_with(query.delimiter)) {
    marker += kBehindAll;
  }
  return marker;
}

std::string TextOf(const S3ListQuery& query, std::string_view text) {
  return query.url_encoding ? S3Encode(text, "/") : std::string(text);
}

void AddContents(const S3ListQuery& query, const storage::Asset& asset, XmlWriter* xml) {
  xml->Open("Contents");
  xml->Element("Key", TextOf(query, asset.path));
  xml->Element("LastModified", FormatIsoTime(S3ModifiedOf(asset)));
  xml->Element("ETag", S3EntityTagOf(asset));
  xml->Element("Size", asset.bytes);
  xml->Element("StorageClass", "STANDARD");
  xml->Close();
}

/// What a page says of itself, in the words of its version.
void AddPlace(const S3Request& request, const S3ListQuery& query, const S3Listing& listing,
              XmlWriter* xml) {
  if (query.second) {
    xml->Element("KeyCount", listing.contents.size() + listing.prefixes.size());
    if (const auto token = request.Value("continuation-token")) {
      xml->Element("ContinuationToken", *token);
    }
    if (const auto start = request.Value("start-after")) {
      xml->Element("StartAfter", TextOf(query, *start));
    }
    if (listing.truncated) {
      xml->Element("NextContinuationToken", EncodeS3Position(listing.position));
    }
    return;
  }
  xml->Element("Marker", TextOf(query, request.Value("marker").value_or("")));
  if (listing.truncated) xml->Element("NextMarker", TextOf(query, listing.last));
}

}  // namespace

Result<size_t> S3Number(const S3Request& request, std::string_view name, size_t fallback,
                        size_t most) {
  const std::optional<std::string_view> text = request.Value(name);
  if (!text || text->empty()) return fallback;
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), number);
  if (error != std::errc() || end != text->data() + text->size()) {
    return S3Fail("invalid_argument", std::string(name) + ": expected a number from 0 on");
  }
  return static_cast<size_t>(std::min<uint64_t>(number, most));
}

std::string EncodeS3Position(std::string_view position) {
  return HexEncode({reinterpret_cast<const uint8_t*>(position.data()), position.size()});
}

Result<std::string> DecodeS3Position(std::string_view token) {
  Result<std::string> position = HexDecode(token);
  if (!position) return S3Fail("invalid_argument", "the continuation token is none of ours");
  return position;
}

Result<S3ListQuery> ReadS3ListQuery(const S3Request& request) {
  S3ListQuery query;
  query.second = request.operation == S3Operation::kListObjectsV2;
  query.prefix = request.Value("prefix").value_or("");
  query.delimiter = request.Value("delimiter").value_or("");
  const std::string_view encoding = request.Value("encoding-type").value_or("");
  if (!encoding.empty() && encoding != "url") {
    return S3Fail("invalid_argument", "encoding-type: expected \"url\"");
  }
  query.url_encoding = encoding == "url";
  Result<size_t> max_keys = S3Number(request, "max-keys", kS3MaxKeys, kS3MaxKeys);
  if (!max_keys) return unexpected(std::move(max_keys.error()));
  query.max_keys = *max_keys;
  if (!query.second) {
    query.after = BehindMarker(std::string(request.Value("marker").value_or("")), query);
    return query;
  }
  query.after = request.Value("start-after").value_or("");
  if (const auto token = request.Value("continuation-token")) {
    Result<std::string> position = DecodeS3Position(*token);
    if (!position) return unexpected(std::move(position.error()));
    query.after = std::move(*position);
  }
  return query;
}

Result<S3Listing> ListS3(const S3ListQuery& query, const AssetSource& source) {
  S3Listing listing;
  if (query.max_keys == 0) return listing;
  storage::AssetRange range;
  range.prefix = query.prefix;
  range.after = query.after;
  range.limit = query.max_keys + 1;  // one more tells whether there is a next page
  std::string inside;                // the common prefix that was met last
  while (true) {
    Result<std::vector<storage::Asset>> assets = source(range);
    if (!assets) return unexpected(std::move(assets.error()));
    const std::string last_path = assets->empty() ? "" : assets->back().path;
    for (storage::Asset& asset : *assets) {
      if (!inside.empty() && asset.path.starts_with(inside)) continue;
      if (listing.contents.size() + listing.prefixes.size() == query.max_keys) {
        listing.truncated = true;
        return listing;
      }
      if (std::optional<std::string> common = CommonPrefixOf(asset.path, query)) {
        inside = *common;
        listing.last = *common;
        listing.position = *common + std::string(kBehindAll);
        listing.prefixes.push_back(std::move(*common));
      } else {
        listing.last = listing.position = asset.path;
        listing.contents.push_back(std::move(asset));
      }
    }
    if (assets->size() < range.limit) return listing;
    const bool jumps = !inside.empty() && last_path.starts_with(inside);
    range.after = jumps ? inside + std::string(kBehindAll) : last_path;
    range.limit = jumps ? kAfterJump : std::min(range.limit * 2, kS3MaxKeys + 1);
  }
}

Answer S3ListAnswer(const S3Request& request, const S3ListQuery& query, const S3Listing& listing) {
  XmlWriter xml;
  xml.OpenS3("ListBucketResult");
  xml.Element("Name", request.bucket);
  xml.Element("Prefix", TextOf(query, query.prefix));
  if (!query.delimiter.empty()) xml.Element("Delimiter", TextOf(query, query.delimiter));
  xml.Element("MaxKeys", query.max_keys);
  if (query.url_encoding) xml.Element("EncodingType", "url");
  xml.Flag("IsTruncated", listing.truncated);
  AddPlace(request, query, listing, &xml);
  for (const storage::Asset& asset : listing.contents) AddContents(query, asset, &xml);
  for (const std::string& prefix : listing.prefixes) {
    xml.Open("CommonPrefixes");
    xml.Element("Prefix", TextOf(query, prefix));
    xml.Close();
  }
  xml.Close();
  return S3XmlAnswer(200, std::move(xml));
}

}  // namespace nearside::origin
