#include "geodns/check_plan.h"

namespace nearside::geodns {
namespace {

constexpr std::string_view kTcp = "tcp://";

tl::unexpected<CheckMistake> Mistake(std::string key, std::string message) {
  return tl::unexpected(CheckMistake{std::move(key), std::move(message)});
}

/// What an answer over HTTP has and a mere connection has not.
std::string OnlyForHttp(const CheckSettings& row) {
  if (!row.ca.empty()) return "ca";
  if (!row.server_name.empty()) return "server_name";
  if (!row.expect_status.empty()) return "expect_status";
  if (!row.expect_body.empty()) return "expect_body";
  if (row.most_lag > milliseconds(0)) return "most_lag";
  return "";
}

}  // namespace

tl::expected<CheckPlan, CheckMistake> MakeCheckPlan(const CheckSettings& row, std::string target) {
  CheckPlan plan;
  plan.is_tcp = row.url.starts_with(kTcp);
  const std::string url = plan.is_tcp ? "http://" + row.url.substr(kTcp.size()) : row.url;
  const size_t scheme_end = url.find("://");
  const size_t path_at =
      scheme_end == std::string::npos ? std::string::npos : url.find('/', scheme_end + 3);
  auto endpoint = http::Endpoint::Parse(url.substr(0, path_at));
  if (!endpoint) return Mistake("url", endpoint.error().message);
  plan.target = std::move(target);
  plan.url = row.url;
  plan.endpoint = std::move(*endpoint);
  plan.endpoint.server_name = row.server_name;
  plan.path = path_at == std::string::npos ? "/" : url.substr(path_at);
  plan.authority = url.substr(scheme_end + 3, path_at - scheme_end - 3);
  if (plan.is_tcp) {
    const bool has_port =
        url.find(':', url.find(']') == std::string::npos ? scheme_end + 3 : url.find(']')) !=
        std::string::npos;
    if (!has_port || path_at != std::string::npos) {
      return Mistake("url",
                     "expected tcp://ADDRESS:PORT and nothing behind it, got \"" + row.url + "\"");
    }
    if (std::string key = OnlyForHttp(row); !key.empty()) {
      return Mistake(key, "a tcp:// check only connects; expected an http:// or https:// URL");
    }
  }
  plan.ca = row.ca;
  plan.interval = row.interval;
  plan.timeout = row.timeout;
  plan.rise = row.rise;
  plan.fall = row.fall;
  for (int64_t status : row.expect_status) {
    if (status < 200 || status > 599) {
      return Mistake("expect_status",
                     "expected statuses from 200 to 599, got " + std::to_string(status));
    }
    plan.expect_status.push_back(static_cast<int>(status));
  }
  plan.expect_body = row.expect_body;
  plan.most_lag = row.most_lag;
  plan.where = row.where;
  return plan;
}

}  // namespace nearside::geodns
