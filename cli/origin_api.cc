#include "cli/origin_api.h"

#include <nlohmann/json.hpp>

#include "http/uri.h"

namespace nearside::cli {
namespace {

/// What a status that is no success means to the person at the terminal.
Error ErrorOf(const HttpResponse& response, const ServerUrl& server) {
  const Json problem = Json::parse(response.body, nullptr, /*allow_exceptions=*/false);
  Error error;
  error.fault = response.status >= 500 ? Fault::kOrigin : Fault::kClient;
  error.reason = problem.is_object() ? TextOf(problem, "reason") : "";
  error.message = problem.is_object() ? TextOf(problem, "detail") : "";
  if (error.reason.empty()) error.reason = "status_" + std::to_string(response.status);
  if (error.message.empty()) {
    error.message = server.ToString() + " answered " + std::to_string(response.status) + " " +
                    std::string(http::ReasonPhrase(response.status)) +
                    ": is this the API of a Nearside origin?";
  }
  if (response.status == 401) {
    error.message +=
        ". --token-file, or token_file in ~/.config/nearside/client.toml, names the token";
  }
  return error;
}

const Json* Find(const Json& json, std::string_view key) {
  if (!json.is_object()) return nullptr;
  const auto found = json.find(std::string(key));
  return found == json.end() ? nullptr : &*found;
}

}  // namespace

std::string TextOf(const Json& json, std::string_view key) {
  const Json* value = Find(json, key);
  return value != nullptr && value->is_string() ? value->get<std::string>() : "";
}

int64_t IntOf(const Json& json, std::string_view key) {
  const Json* value = Find(json, key);
  return value != nullptr && value->is_number() ? value->get<int64_t>() : 0;
}

double NumberOf(const Json& json, std::string_view key) {
  const Json* value = Find(json, key);
  return value != nullptr && value->is_number() ? value->get<double>() : 0;
}

bool BoolOf(const Json& json, std::string_view key) {
  const Json* value = Find(json, key);
  return value != nullptr && value->is_boolean() && value->get<bool>();
}

const Json& ListOf(const Json& json, std::string_view key) {
  static const Json empty = Json::array();
  const Json* value = Find(json, key);
  return value != nullptr && value->is_array() ? *value : empty;
}

std::string EncodePath(std::string_view text, std::string_view keep) {
  return http::PercentEncode(text, keep);
}

Result<Json> ParseAnswer(std::string_view text) {
  Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) {
    return Fail(Fault::kOrigin, "bad_response", "the origin's answer is no JSON object");
  }
  return json;
}

Result<HttpResponse> OriginApi::Send(HttpRequest request) {
  if (!token_.empty()) request.fields.Set("authorization", "Bearer " + token_);
  Result<HttpResponse> response = client_.Send(request);
  if (response && response->status / 100 != 2) {
    return unexpected(ErrorOf(*response, client_.server()));
  }
  return response;
}

Result<Json> OriginApi::SendJson(HttpRequest request) {
  Result<HttpResponse> response = Send(std::move(request));
  if (!response) return unexpected(std::move(response.error()));
  if (response->body.empty()) return Json::object();
  return ParseAnswer(response->body);
}

Result<Json> OriginApi::Get(std::string target) {
  HttpRequest request;
  request.target = std::move(target);
  return SendJson(std::move(request));
}

Result<Json> OriginApi::Post(std::string target, const Json& body) {
  HttpRequest request;
  request.method = "POST";
  request.target = std::move(target);
  request.fields.Set("content-type", "application/json");
  request.text = body.dump(-1, ' ', false, Json::error_handler_t::replace);
  return SendJson(std::move(request));
}

Result<Json> OriginApi::Put(std::string target, const Json& body) {
  HttpRequest request;
  request.method = "PUT";
  request.target = std::move(target);
  request.fields.Set("content-type", "application/json");
  request.text = body.dump(-1, ' ', false, Json::error_handler_t::replace);
  return SendJson(std::move(request));
}

Result<Json> OriginApi::Delete(std::string target) {
  HttpRequest request;
  request.method = "DELETE";
  request.target = std::move(target);
  return SendJson(std::move(request));
}

}  // namespace nearside::cli
