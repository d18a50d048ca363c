#include "cli/admin_api.h"

#include <nlohmann/json.hpp>

#include "cli/client_settings.h"

namespace nearside::cli {

namespace {

/// A reload of a large database takes seconds.
constexpr seconds kPostTimeout{120};

Result<Json> Send(const std::string& url, const HttpRequest& request, std::string_view whose) {
  Result<ServerUrl> server = ServerUrl::Parse(url);
  if (!server) return unexpected(std::move(server.error()));
  HttpClient client(std::move(*server));
  Result<HttpResponse> response = client.Send(request);
  if (!response) return unexpected(std::move(response.error()));
  const Json answer = Json::parse(response->body, nullptr, /*allow_exceptions=*/false);
  if (response->status == 200 && answer.is_object()) return answer;
  if (std::string why = TextOf(answer, "error"); !why.empty()) {
    return Fail(Fault::kOrigin, "refused", url + ": " + why);
  }
  return Fail(Fault::kOrigin, "bad_response",
              url + request.target.substr(0, request.target.find('?')) + " answered " +
                  std::to_string(response->status) + (answer.is_object() ? "" : " without JSON") +
                  ": is this the admin address of " + std::string(whose) + "?");
}

}  // namespace

Result<Json> AskAdmin(const std::string& url, const std::string& target, std::string_view whose) {
  HttpRequest request;
  request.target = target;
  request.timeout = seconds(5);
  return Send(url, request, whose);
}

Result<Json> PostAdmin(const std::string& url, const std::string& target,
                       const std::string& token_file, const std::string& body,
                       std::string_view whose) {
  Result<std::string> token = ReadToken(token_file, "geodns_token_file");
  if (!token) return unexpected(std::move(token.error()));
  HttpRequest request;
  request.method = "POST";
  request.target = target;
  request.timeout = kPostTimeout;
  request.fields.Add("authorization", "Bearer " + *token);
  if (!body.empty()) request.fields.Add("content-type", "application/json");
  request.text = body;
  return Send(url, request, whose);
}

}  // namespace nearside::cli
