#include "http/cache_status.h"

#include <array>

#include "http/characters.h"
#include "http/structured_field.h"
#include "runtime/decimal_text.h"

namespace nearside::http {

using std::string_view_literals::operator""sv;

namespace {

constexpr CharacterSet kPlainCharacters = [] {
  CharacterSet set{};
  for (size_t c = 0x20; c < 0x7f; ++c) set[c] = c != '"' && c != '\\';
  return set;
}();

void AppendNumber(int64_t number, std::string* out) { out->append(DecimalText(number).text()); }

/// A structured string; characters that it cannot carry become "?".
void AppendString(std::string_view text, std::string* out) {
  *out += '"';
  if (AllIn(kPlainCharacters, text)) {
    out->append(text) += '"';
    return;
  }
  for (char c : text) {
    if (c == '"' || c == '\\') *out += '\\';
    *out += c >= 0x20 && c < 0x7f ? c : '?';
  }
  *out += '"';
}

}  // namespace

std::string_view ForwardReasonName(ForwardReason reason) {
  static constexpr std::array<std::string_view, 8> kNames = {
      "bypass", "method", "uri-miss", "vary-miss", "miss", "request", "stale", "partial"};
  return kNames[static_cast<size_t>(reason)];
}

void AppendCacheStatus(const CacheStatus& status, std::string* out) {
  AppendString(status.cache, out);
  if (status.hit) *out += "; hit"sv;
  if (status.forward) out->append("; fwd="sv).append(ForwardReasonName(*status.forward));
  if (status.forward_status) {
    *out += "; fwd-status="sv;
    AppendNumber(*status.forward_status, out);
  }
  if (status.ttl_seconds) {
    *out += "; ttl="sv;
    AppendNumber(*status.ttl_seconds, out);
  }
  if (status.stored) *out += "; stored";
  if (status.collapsed) *out += "; collapsed";
  if (!status.key.empty()) {
    *out += "; key=";
    AppendString(status.key, out);
  }
  if (status.detail.empty()) return;
  *out += "; detail=";
  if (structured::IsToken(status.detail)) {
    *out += status.detail;
  } else {
    AppendString(status.detail, out);
  }
}

std::string FormatCacheStatus(const CacheStatus& status) {
  std::string text;
  AppendCacheStatus(status, &text);
  return text;
}

std::string ExtendCacheStatus(const Fields& fields, const CacheStatus& status) {
  std::string text = fields.Joined("cache-status");
  // Behind something that is no list, the whole field would be thrown away.
  if (!structured::ParseList(text)) text.clear();
  if (!text.empty()) text += ", ";
  AppendCacheStatus(status, &text);
  return text;
}

}  // namespace nearside::http
