#pragma once

// Requests, responses and settings as the tests of edge/ write them.

#include <string>
#include <string_view>

#include "edge/settings.h"
#include "http/date.h"
#include "http/message.h"
#include "http/uri.h"
#include "runtime/clock.h"
#include "runtime/fatal.h"

namespace nearside::edge {

/// When every test of a pure part takes place: Fri, 15 Jan 2027 08:00:00 GMT.
inline const WallTime kNow = FromUnixMillis(1'800'000'000'000);
inline WallTime After(seconds span) { return kNow + span; }
/// A date relative to kNow, as a field has it.
inline std::string DateAt(int64_t offset_seconds) {
  return http::FormatDate(kNow + seconds(offset_seconds));
}

/// A request as a session hands it out. `url` is absolute.
inline http::RequestHead RequestFor(std::string_view method, std::string_view url,
                                    http::Fields fields = {}) {
  const http::Uri uri = http::SplitUri(url).value();
  http::RequestHead head;
  head.method = method;
  head.scheme = uri.scheme;
  head.authority = http::LowerName(uri.authority);
  head.target = uri.path.empty() ? "/" : uri.path;
  if (uri.has_query) head.target.append("?").append(uri.query);
  head.fields = std::move(fields);
  return head;
}
inline http::RequestHead GetFor(std::string_view url, http::Fields fields = {}) {
  return RequestFor("GET", url, std::move(fields));
}

/// What edge.toml gives with the least that it needs; `more` is appended behind the site's keys.
inline EdgeSettings SettingsWith(std::string_view more = "") {
  const std::string text =
      "[edge]\nname = \"frankfurt\"\n"
      "[[listen]]\naddress = \"127.0.0.1:8080\"\n"
      "[[site]]\nname = \"demo\"\nhosts = [\"www.demo.test\"]\n"
      "origins = [\"http://127.0.0.1:9000\"]\n" +
      std::string(more);
  EdgeSettings settings;
  const Status read = EdgeTable().ReadText(text, "edge.toml", &settings);
  if (!read) Fatal(read.error().message);
  return settings;
}

/// A site with every default.
inline const SiteSettings& DefaultSite() {
  static const SiteSettings site = SettingsWith().sites.front();
  return site;
}

inline std::string TextOf(const http::Fields& fields) { return fields.ToText(); }

}  // namespace nearside::edge
