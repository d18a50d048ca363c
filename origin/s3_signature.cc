#include "origin/s3_signature.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "http/date.h"
#include "http/uri.h"
#include "origin/s3_errors.h"

namespace nearside::origin {
namespace {

constexpr std::string_view kAlgorithm = "AWS4-HMAC-SHA256";
constexpr std::string_view kTerminator = "aws4_request";
constexpr std::string_view kUnsignedPayload = "UNSIGNED-PAYLOAD";
constexpr size_t kDateDigits = 8;
constexpr size_t kSignatureDigits = 64;
constexpr size_t kSignedHeaders = 90;

struct PayloadRow {
  std::string_view text;
  S3Payload payload;
};
constexpr std::array kPayloads = {
    PayloadRow{kUnsignedPayload, S3Payload::kUnsigned},
    PayloadRow{"STREAMING-AWS4-HMAC-SHA256-PAYLOAD", S3Payload::kSignedChunks},
    PayloadRow{"STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", S3Payload::kSignedChunksTrailer},
    PayloadRow{"STREAMING-UNSIGNED-PAYLOAD-TRAILER", S3Payload::kUnsignedTrailer},
};

using QueryPairs = std::vector<std::pair<std::string, std::string>>;

std::string_view KeyText(const Sha256Digest& digest) {
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

bool IsLowerHex(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

/// "20130524T000000Z".
std::optional<WallTime> ParseBasicTime(std::string_view text) {
  if (text.size() != 16 || text[8] != 'T' || text[15] != 'Z') return std::nullopt;
  const auto number = [&](size_t at, size_t digits) {
    int value = 0;
    for (size_t i = at; i < at + digits; ++i) {
      if (text[i] < '0' || text[i] > '9') return -1;
      value = value * 10 + (text[i] - '0');
    }
    return value;
  };
  const int year = number(0, 4), month = number(4, 2), day = number(6, 2);
  const int hour = number(9, 2), minute = number(11, 2), second = number(13, 2);
  if (year < 1970 || month < 1 || day < 1 || hour < 0 || hour > 23 || minute < 0 || minute > 59 ||
      second < 0 || second > 60) {
    return std::nullopt;
  }
  const std::chrono::year_month_day date{std::chrono::year(year),
                                         std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day))};
  if (!date.ok()) return std::nullopt;
  return WallTime(std::chrono::sys_days(date).time_since_epoch() + std::chrono::hours(hour) +
                  std::chrono::minutes(minute) + seconds(second));
}

std::string FormatBasicTime(WallTime time) {
  std::string text;
  for (const char c : FormatIsoTime(time).substr(0, 19)) {
    if (c != '-' && c != ':') text += c;
  }
  return text + "Z";
}

const std::string* Find(const QueryPairs& pairs, std::string_view name) {
  const auto found = std::find_if(pairs.begin(), pairs.end(),
                                  [&](const auto& pair) { return pair.first == name; });
  return found == pairs.end() ? nullptr : &found->second;
}

/// Reason and message of a form that is wrong, for either place where a signature stands.
struct Place {
  std::string_view reason;
  std::string_view where;
  tl::unexpected<Error> Bad(std::string_view why) const {
    return S3Fail(reason, std::string(where) + ": " + std::string(why));
  }
};
constexpr Place kInField = {"bad_authorization", "Authorization"};
constexpr Place kInQuery = {"bad_query_authorization", "the signature in the query"};

/// "AKID/20130524/us-east-1/s3/aws4_request".
Status ReadCredential(std::string_view text, const Place& place, std::string* date,
                      S3Authorization* out) {
  // From behind: an access key may hold slashes.
  std::string_view parts[4];
  for (size_t i = 4; i-- > 0;) {
    const size_t slash = text.rfind('/');
    if (slash == std::string_view::npos) {
      return place.Bad("Credential: expected KEY/DATE/REGION/s3/aws4_request");
    }
    parts[i] = text.substr(slash + 1);
    text = text.substr(0, slash);
  }
  if (text.empty() || parts[0].size() != kDateDigits || parts[1].empty() ||
      parts[3] != kTerminator) {
    return place.Bad("Credential: expected KEY/DATE/REGION/s3/aws4_request");
  }
  if (parts[2] != "s3") {
    return place.Bad("the service of the credential's scope: expected \"s3\"");
  }
  out->access_key_id = text;
  out->region = parts[1];
  *date = parts[0];
  return {};
}

Status ReadSignedHeaders(std::string_view text, const Place& place, S3Authorization* out) {
  while (!text.empty()) {
    const std::string_view name = text.substr(0, text.find(';'));
    text.remove_prefix(std::min(name.size() + 1, text.size()));
    if (name.empty() || http::LowerName(name) != name) {
      return place.Bad("SignedHeaders: expected names in lower case with ; between them");
    }
    out->signed_headers.emplace_back(name);
  }
  if (out->signed_headers.size() > kSignedHeaders) return place.Bad("SignedHeaders: too many");
  if (!std::is_sorted(out->signed_headers.begin(), out->signed_headers.end())) {
    return place.Bad("SignedHeaders: expected them in the order of the alphabet");
  }
  return {};
}

Status ReadSignature(std::string_view text, const Place& place, S3Authorization* out) {
  if (text.size() != kSignatureDigits || !IsLowerHex(text)) {
    return place.Bad("Signature: expected 64 hexadecimal digits");
  }
  out->signature = text;
  return {};
}

/// host and every x-amz-* must be signed: what is not may have been added on the way.
Status CheckSigned(const http::RequestHead& head, const S3Authorization& authorization) {
  const auto is_signed = [&](std::string_view name) {
    const auto& names = authorization.signed_headers;
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  if (!is_signed("host")) return S3Fail("headers_not_signed", "the field \"host\" is not signed");
  for (const http::FieldLine& line : head.fields.lines()) {
    if (!line.name.starts_with("x-amz-") || is_signed(line.name)) continue;
    return S3Fail("headers_not_signed", "the request has the field \"" +
                                            std::string(line.name.substr(0, 80)) +
                                            "\", which is not signed");
  }
  return {};
}

Status ReadPayload(std::string_view text, S3Authorization* out) {
  out->payload_text = text;
  for (const PayloadRow& row : kPayloads) {
    if (row.text != text) continue;
    out->payload = row.payload;
    return {};
  }
  Result<std::string> bytes = HexDecode(text);
  Sha256Digest digest;
  if (!bytes || bytes->size() != digest.size() || !IsLowerHex(text)) {
    return S3Fail("invalid_argument",
                  "x-amz-content-sha256: expected UNSIGNED-PAYLOAD, a SHA-256 as 64 lower-case "
                  "digits, STREAMING-AWS4-HMAC-SHA256-PAYLOAD, "
                  "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER or "
                  "STREAMING-UNSIGNED-PAYLOAD-TRAILER");
  }
  std::copy(bytes->begin(), bytes->end(), digest.begin());
  out->payload = S3Payload::kDigest;
  out->content_sha = digest;
  return {};
}

Status CheckClock(WallTime at, WallTime now) {
  if (at - now <= kS3Skew && now - at <= kS3Skew) return {};
  return S3Fail("time_skewed", "the request is of " + FormatIsoTime(at) + ", here it is " +
                                   FormatIsoTime(now) +
                                   ": set the client's clock (15 minutes are allowed)");
}

/// The value of one "Name=value" of Authorization.
std::string_view Component(std::string_view text, std::string_view name) {
  while (!text.empty()) {
    std::string_view part = text.substr(0, text.find(','));
    text.remove_prefix(std::min(part.size() + 1, text.size()));
    part.remove_prefix(std::min(part.find_first_not_of(' '), part.size()));
    if (part.starts_with(name) && part.substr(name.size()).starts_with('=')) {
      part.remove_prefix(name.size() + 1);
      return part.substr(0, part.find_last_not_of(' ') + 1);
    }
  }
  return {};
}

Result<S3Authorization> ReadField(const http::RequestHead& head, std::string_view value,
                                  WallTime now) {
  S3Authorization out;
  std::string date;
  value.remove_prefix(kAlgorithm.size());
  Status read = ReadCredential(Component(value, "Credential"), kInField, &date, &out);
  if (read) read = ReadSignedHeaders(Component(value, "SignedHeaders"), kInField, &out);
  if (read) read = ReadSignature(Component(value, "Signature"), kInField, &out);
  if (!read) return unexpected(std::move(read.error()));
  const std::optional<std::string_view> own = head.fields.Get("x-amz-date");
  const std::optional<std::string_view> plain = head.fields.Get("date");
  std::optional<WallTime> at;
  if (own) at = ParseBasicTime(*own);
  if (!own && plain) at = http::ParseDate(*plain, now);
  if (!at) return S3Fail("access_denied", "expected X-Amz-Date, like 20130524T000000Z");
  out.time = FormatBasicTime(*at);
  if (out.date() != date)
    return kInField.Bad("the date of the credential is not that of the request");
  if (Status good = CheckClock(*at, now); !good) return unexpected(std::move(good.error()));
  const std::optional<std::string_view> payload = head.fields.Get("x-amz-content-sha256");
  if (!payload) {
    return S3Fail("invalid_request", "expected x-amz-content-sha256: S3 asks for it");
  }
  read = ReadPayload(*payload, &out);
  if (read) read = CheckSigned(head, out);
  if (!read) return unexpected(std::move(read.error()));
  return out;
}

Status CheckExpiry(WallTime at, const std::string* expires, WallTime now) {
  int64_t lasts = 0;
  const bool number =
      expires != nullptr && !expires->empty() &&
      std::from_chars(expires->data(), expires->data() + expires->size(), lasts).ptr ==
          expires->data() + expires->size();
  if (!number || lasts < 1 || lasts > kS3LongestPresign.count()) {
    return kInQuery.Bad("X-Amz-Expires: expected seconds from 1 to 604800");
  }
  if (at - now > kS3Skew) return CheckClock(at, now);
  if (now > at + seconds(lasts)) {
    return S3Fail("request_expired", "Request has expired: the URL was valid to " +
                                         FormatIsoTime(at + seconds(lasts)));
  }
  return {};
}

Result<S3Authorization> ReadQuery(const http::RequestHead& head, const QueryPairs& pairs,
                                  WallTime now) {
  S3Authorization out;
  out.presigned = true;
  std::string date;
  const auto value = [&](std::string_view name) {
    const std::string* text = Find(pairs, name);
    return text == nullptr ? std::string_view() : std::string_view(*text);
  };
  if (value("X-Amz-Algorithm") != kAlgorithm) {
    return kInQuery.Bad("X-Amz-Algorithm: expected " + std::string(kAlgorithm));
  }
  Status read = ReadCredential(value("X-Amz-Credential"), kInQuery, &date, &out);
  if (read) read = ReadSignedHeaders(value("X-Amz-SignedHeaders"), kInQuery, &out);
  if (read) read = ReadSignature(value("X-Amz-Signature"), kInQuery, &out);
  if (!read) return unexpected(std::move(read.error()));
  const std::optional<WallTime> at = ParseBasicTime(value("X-Amz-Date"));
  if (!at) return kInQuery.Bad("X-Amz-Date: expected a time like 20130524T000000Z");
  out.time = FormatBasicTime(*at);
  if (out.date() != date) return kInQuery.Bad("the date of the credential is not X-Amz-Date's");
  if (Status good = CheckExpiry(*at, Find(pairs, "X-Amz-Expires"), now); !good) {
    return unexpected(std::move(good.error()));
  }
  const std::string* in_query = Find(pairs, "X-Amz-Content-Sha256");
  const std::string_view payload =
      in_query != nullptr ? *in_query
                          : head.fields.Get("x-amz-content-sha256").value_or(kUnsignedPayload);
  read = ReadPayload(payload, &out);
  if (read) read = CheckSigned(head, out);
  if (!read) return unexpected(std::move(read.error()));
  return out;
}

/// One value's spaces as they are signed: none at the ends, one in a row.
void AppendTrimmed(std::string_view value, std::string* out) {
  bool space = false;
  bool any = false;
  for (const char c : value) {
    if (c == ' ' || c == '\t') {
      space = any;
      continue;
    }
    if (space) *out += ' ';
    space = false;
    any = true;
    *out += c;
  }
}

std::string HeaderValue(const http::RequestHead& head, std::string_view name) {
  if (name == "host") return head.authority;
  std::string text;
  bool first = true;
  for (const http::FieldLine& line : head.fields.lines()) {
    if (line.name != name) continue;
    if (!first) text += ',';
    first = false;
    AppendTrimmed(line.value, &text);
  }
  return text;
}

/// The path with one encoding of each byte. An encoded slash stays one.
std::optional<std::string> CanonicalPath(std::string_view path) {
  std::string out;
  while (true) {
    const size_t end = std::min({path.find("%2F"), path.find("%2f"), path.size()});
    const std::optional<std::string> plain = http::PercentDecode(path.substr(0, end));
    if (!plain) return std::nullopt;
    out += S3Encode(*plain, "/");
    if (end == path.size()) return out;
    out += "%2F";
    path.remove_prefix(end + 3);
  }
}

Sha256Digest Hmac(const Sha256Digest& key, std::string_view text) {
  return HmacSha256(KeyText(key), text);
}

}  // namespace

std::string S3Authorization::scope() const {
  return std::string(date()) + "/" + region + "/s3/" + std::string(kTerminator);
}

std::string S3Encode(std::string_view text, std::string_view keep) {
  return http::PercentEncode(text, keep);
}

std::optional<QueryPairs> S3QueryPairs(std::string_view query) {
  QueryPairs pairs;
  while (!query.empty()) {
    const std::string_view pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(pair.size() + 1, query.size()));
    if (pair.empty()) continue;
    std::string text(pair);
    std::replace(text.begin(), text.end(), '+', ' ');
    const size_t equals = std::min(text.find('='), text.size());
    std::optional<std::string> name = http::PercentDecode(std::string_view(text).substr(0, equals));
    std::optional<std::string> value =
        http::PercentDecode(std::string_view(text).substr(std::min(equals + 1, text.size())));
    if (!name || !value) return std::nullopt;
    pairs.emplace_back(std::move(*name), std::move(*value));
  }
  return pairs;
}

bool IsS3Signed(const http::RequestHead& head) {
  const std::string_view value = head.fields.Get("authorization").value_or("");
  if (value.starts_with("AWS4-") || value.starts_with("AWS ")) return true;
  const std::string_view query = head.query();
  return query.find("X-Amz-Signature=") != std::string_view::npos ||
         query.find("X-Amz-Algorithm=") != std::string_view::npos ||
         query.find("AWSAccessKeyId=") != std::string_view::npos;
}

Result<S3Authorization> ReadS3Authorization(const http::RequestHead& head, WallTime now) {
  const std::optional<QueryPairs> pairs = S3QueryPairs(head.query());
  if (!pairs) return S3Fail("invalid_uri", "the query has a % without two hexadecimal digits");
  const std::string_view value = head.fields.Get("authorization").value_or("");
  const bool in_query =
      Find(*pairs, "X-Amz-Algorithm") != nullptr || Find(*pairs, "X-Amz-Signature") != nullptr;
  if (!value.empty() && in_query) {
    return S3Fail("invalid_argument", "expected one signature: in Authorization or in the query");
  }
  if (in_query) return ReadQuery(head, *pairs, now);
  if (value.starts_with(std::string(kAlgorithm) + " ")) return ReadField(head, value, now);
  if (value.starts_with("AWS ") || value.starts_with("AWS4-") ||
      Find(*pairs, "AWSAccessKeyId") != nullptr) {
    return S3Fail("signature_version", "expected signature version 4 (" + std::string(kAlgorithm) +
                                           "): the others are not taken");
  }
  return S3Fail("access_denied", "expected a request that is signed (signature version 4)");
}

Result<std::string> S3CanonicalRequest(const http::RequestHead& head,
                                       const S3Authorization& authorization) {
  const std::optional<std::string> path = CanonicalPath(head.path());
  std::optional<QueryPairs> pairs = S3QueryPairs(head.query());
  if (!path || !pairs) {
    return S3Fail("invalid_uri", "the target has a % without two hexadecimal digits");
  }
  std::vector<std::string> query;
  for (const auto& [name, value] : *pairs) {
    if (authorization.presigned && name == "X-Amz-Signature") continue;
    query.push_back(S3Encode(name) + "=" + S3Encode(value));
  }
  // By name, then by value: '=' is what could come between, and sorts before letters and digits,
  // but behind '%', '-' and '.'.
  std::sort(query.begin(), query.end(), [](std::string_view a, std::string_view b) {
    const std::string_view names[] = {a.substr(0, a.find('=')), b.substr(0, b.find('='))};
    return names[0] != names[1] ? names[0] < names[1] : a < b;
  });
  std::string text = head.method + "\n" + *path + "\n";
  for (size_t i = 0; i < query.size(); ++i) text += (i > 0 ? "&" : "") + query[i];
  text += '\n';
  std::string names;
  for (const std::string& name : authorization.signed_headers) {
    text += name + ":" + HeaderValue(head, name) + "\n";
    names += (names.empty() ? "" : ";") + name;
  }
  return text + "\n" + names + "\n" + authorization.payload_text;
}

Sha256Digest S3SigningKey(std::string_view secret, std::string_view date, std::string_view region) {
  const Sha256Digest of_date = HmacSha256("AWS4" + std::string(secret), date);
  return Hmac(Hmac(Hmac(of_date, region), "s3"), kTerminator);
}

std::string S3ChunkSigner::SignChunk(const Sha256Digest& digest) const {
  static const std::string kEmpty = HexEncode(Sha256Of(""));
  return HexEncode(Hmac(key, "AWS4-HMAC-SHA256-PAYLOAD\n" + time + "\n" + scope + "\n" + previous +
                                 "\n" + kEmpty + "\n" + HexEncode(digest)));
}

std::string S3ChunkSigner::SignTrailers(std::string_view trailers) const {
  return HexEncode(Hmac(key, "AWS4-HMAC-SHA256-TRAILER\n" + time + "\n" + scope + "\n" + previous +
                                 "\n" + HexEncode(Sha256Of(trailers))));
}

Result<S3ChunkSigner> CheckS3Signature(const http::RequestHead& head,
                                       const S3Authorization& authorization,
                                       std::string_view secret) {
  Result<std::string> canonical = S3CanonicalRequest(head, authorization);
  if (!canonical) return unexpected(std::move(canonical.error()));
  S3ChunkSigner signer;
  signer.key = S3SigningKey(secret, authorization.date(), authorization.region);
  signer.time = authorization.time;
  signer.scope = authorization.scope();
  signer.previous =
      HexEncode(Hmac(signer.key, std::string(kAlgorithm) + "\n" + signer.time + "\n" +
                                     signer.scope + "\n" + HexEncode(Sha256Of(*canonical))));
  if (!EqualInConstantTime(signer.previous, authorization.signature)) {
    return S3Fail("signature_mismatch",
                  "The request signature we calculated does not match the signature you provided. "
                  "Check the secret key, and that nothing between changes the request.");
  }
  return signer;
}

}  // namespace nearside::origin
