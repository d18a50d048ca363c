#include "cli/admin_api.h"

#include <nlohmann/json.hpp>

namespace nearside::cli {

Result<Json> AskAdmin(const std::string& url, const std::string& target, std::string_view whose) {
  Result<ServerUrl> server = ServerUrl::Parse(url);
  if (!server) return unexpected(std::move(server.error()));
  HttpClient client(std::move(*server));
  HttpRequest request;
  request.target = target;
  request.timeout = seconds(5);
  Result<HttpResponse> response = client.Send(request);
  if (!response) return unexpected(std::move(response.error()));
  const Json answer = Json::parse(response->body, nullptr, /*allow_exceptions=*/false);
  if (response->status == 200 && answer.is_object()) return answer;
  if (std::string why = TextOf(answer, "error"); !why.empty()) {
    return Fail(Fault::kOrigin, "refused", url + ": " + why);
  }
  return Fail(Fault::kOrigin, "bad_response",
              url + target.substr(0, target.find('?')) + " answered " +
                  std::to_string(response->status) + (answer.is_object() ? "" : " without JSON") +
                  ": is this the admin address of " + std::string(whose) + "?");
}

}  // namespace nearside::cli
