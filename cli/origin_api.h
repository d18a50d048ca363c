#pragma once

// The origin's API as the commands use it: JSON in and out, problem details as errors.

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "cli/http_client.h"

namespace nearside::cli {

using Json = nlohmann::ordered_json;

/// How a command ended: the process's exit code.
enum class Exit : int {
  kDone = 0,
  kFailed = 1,
  kUsage = 2,
  kUnconfirmed = 3,  ///< done, but not every edge has confirmed
};

/// One thread.
class OriginApi {
 public:
  OriginApi(ServerUrl server, std::string token, std::string ca_file = "")
      : client_(std::move(server), std::move(ca_file)), token_(std::move(token)) {}

  /// Sends with the token; a 2xx is an answer, anything else an error (kOrigin or kClient) whose
  /// message is the problem's detail and whose reason is the problem's.
  Result<HttpResponse> Send(HttpRequest request);
  Result<Json> Get(std::string target);
  Result<Json> Post(std::string target, const Json& body);
  Result<Json> Put(std::string target, const Json& body);
  Result<Json> Delete(std::string target);

  const ServerUrl& server() const { return client_.server(); }
  /// The same with a connection of its own, for another thread.
  OriginApi Another() const { return {client_.server(), token_, client_.ca_file()}; }

 private:
  Result<Json> SendJson(HttpRequest request);
  HttpClient client_;
  std::string token_;
};

/// A 2xx's JSON. Error: kOrigin bad_response.
Result<Json> ParseAnswer(std::string_view text);

/// Members of an answer, "" or 0 when they are absent or of another type.
std::string TextOf(const Json& json, std::string_view key);
int64_t IntOf(const Json& json, std::string_view key);
double NumberOf(const Json& json, std::string_view key);
bool BoolOf(const Json& json, std::string_view key);
/// An array; an empty one when it is absent.
const Json& ListOf(const Json& json, std::string_view key);

/// One segment of a path, percent-encoded; `keep` for whole paths: "/".
std::string EncodePath(std::string_view text, std::string_view keep = "");

}  // namespace nearside::cli
