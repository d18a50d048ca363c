#include "edge/content_list.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "edge/json_member.h"

namespace nearside::edge {
namespace {

/// A thousand paths of the greatest length, in URLs of three forms.
constexpr size_t kLongestPage = 16 << 20;

tl::unexpected<Error> Bad(std::string message) {
  return Fail(Fault::kOrigin, "bad_list", "the origin's list of content: " + std::move(message));
}

Result<ContentRow> ParseRow(const nlohmann::json& json) {
  if (!json.is_object()) return Bad("expected objects in \"urls\"");
  ContentRow row{.url = TextMember(json, "url"),
                 .sha256 = TextMember(json, "sha256"),
                 .etag = TextMember(json, "etag")};
  const auto status = json.find("status");
  if (status != json.end() && status->is_number_unsigned()) row.status = status->get<int>();
  const auto bytes = json.find("bytes");
  if (bytes != json.end() && bytes->is_number_unsigned()) row.bytes = bytes->get<uint64_t>();
  const bool good = row.url.starts_with('/') && row.status >= 200 && row.status < 600 &&
                    (row.sha256.empty() || row.sha256.size() == 64);
  if (!good) return Bad("expected \"url\", \"status\" and, of a 200, \"sha256\" of each");
  return row;
}

}  // namespace

Result<ContentList> ParseContentList(std::string_view text) {
  const auto json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return Bad("expected a JSON object");
  ContentList list{.release = TextMember(json, "release"),
                   .since = TextMember(json, "since"),
                   .next = TextMember(json, "next")};
  const auto urls = json.find("urls");
  if (list.release.empty() || list.since.empty() || urls == json.end() || !urls->is_array()) {
    return Bad("expected \"release\", \"since\" and \"urls\"");
  }
  list.hosts = TextsMember(json, "hosts");
  if (const auto position = json.find("switch"); position != json.end() && position->is_object()) {
    const auto epoch = position->find("epoch"), sequence = position->find("seq");
    const bool there = epoch != position->end() && epoch->is_number_unsigned() &&
                       sequence != position->end() && sequence->is_number_unsigned();
    if (there) list.switch_epoch = epoch->get<uint64_t>();
    if (there) list.switch_sequence = sequence->get<uint64_t>();
  }
  const auto proved = json.find("proved");
  list.proved = proved != json.end() && proved->is_boolean() && proved->get<bool>();
  for (const auto& url : *urls) {
    auto row = ParseRow(url);
    if (!row) return tl::unexpected<Error>(row.error());
    list.rows.push_back(std::move(*row));
  }
  return list;
}

ContentCall::ContentCall(http::Client& client, const http::Endpoint& origin,
                         const std::string& token, std::string target,
                         std::function<void(Result<ContentList>)> done)
    : done_(std::move(done)) {
  http::RequestHead head;
  head.method = "GET";
  head.scheme = origin.tls ? "https" : "http";
  head.authority = origin.host + ":" + std::to_string(origin.port);
  head.target = std::move(target);
  head.fields.Add("authorization", "Bearer " + token);
  call_ = client.Start(origin, head, nullptr, std::nullopt, this);
}

void ContentCall::OnBody(std::span<const uint8_t> bytes) {
  if (body_.size() + bytes.size() <= kLongestPage) {
    body_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }
}

void ContentCall::OnEnd(const http::Fields& /*trailers*/) {
  if (status_ == 200) return Done(ParseContentList(body_));
  Done(Fail(Fault::kOrigin, "status_" + std::to_string(status_),
            "the origin answered " + std::to_string(status_) + " to what it was asked of content"));
}

void ContentCall::OnFailure(const Error& error) { Done(tl::unexpected<Error>(error)); }

void ContentCall::Done(Result<ContentList> list) {
  if (done_) std::exchange(done_, nullptr)(std::move(list));
}

}  // namespace nearside::edge
