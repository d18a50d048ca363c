#include "origin/account_request.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "origin/caller.h"
#include "origin/json.h"
#include "origin/manifest.h"

namespace nearside::origin {
namespace {

constexpr size_t kScopesOfGrant = 16;

Result<storage::AccountGrant> ReadGrant(const nlohmann::json& json) {
  JsonObject object(json, "bad_account", "a grant");
  storage::AccountGrant grant;
  grant.site = object.Text("site");
  if (json.is_object() && !json.contains("site")) {
    object.Refuse("expected \"site\": the name of one, or null for every site");
  } else if (json.is_object() && !json["site"].is_null() && !CheckSiteName(grant.site)) {
    object.Refuse("\"site\": expected the name of a site, or null for every site");
  }
  Rights rights;
  const std::vector<std::string> names = object.Texts("scopes", kScopesOfGrant);
  for (const std::string& name : names) {
    const std::optional<Right> right = ParseRight(name);
    if (!right) object.Refuse("\"scopes\": expected of read, publish, purge and admin");
    if (right) rights.Add(*right);
  }
  if (names.empty()) object.Refuse("\"scopes\": expected at least one");
  grant.scopes = rights.Names();
  if (Status good = object.Finish(); !good) return unexpected(std::move(good.error()));
  return grant;
}

Result<std::vector<storage::AccountGrant>> ReadGrants(JsonObject* object) {
  std::vector<storage::AccountGrant> grants;
  const nlohmann::json* rows = object->Array("grants", kGrantsOfAccount);
  if (rows == nullptr) return grants;
  for (const nlohmann::json& row : *rows) {
    Result<storage::AccountGrant> grant = ReadGrant(row);
    if (!grant) return unexpected(std::move(grant.error()));
    grants.push_back(std::move(*grant));
  }
  const auto by_site = [](const auto& a, const auto& b) { return a.site < b.site; };
  std::sort(grants.begin(), grants.end(), by_site);
  const auto same = [](const auto& a, const auto& b) { return a.site == b.site; };
  if (std::adjacent_find(grants.begin(), grants.end(), same) != grants.end()) {
    object->Refuse("\"grants\": a site comes twice");
  }
  return grants;
}

}  // namespace

Result<AccountRequest> ParseAccountRequest(std::string_view text) {
  Result<nlohmann::json> json = ParseJson(text);
  if (!json) return unexpected(std::move(json.error()));
  JsonObject object(*json, "bad_account", "the account");
  AccountRequest request;
  request.name = object.Text("name", /*required=*/true);
  request.password = object.Text("password", /*required=*/true);
  Result<std::vector<storage::AccountGrant>> grants = ReadGrants(&object);
  if (!grants) return unexpected(std::move(grants.error()));
  request.grants = std::move(*grants);
  if (Status good = object.Finish(); !good) return unexpected(std::move(good.error()));
  return request;
}

Result<std::vector<storage::AccountGrant>> ParseGrantsRequest(std::string_view text) {
  Result<nlohmann::json> json = ParseJson(text);
  if (!json) return unexpected(std::move(json.error()));
  JsonObject object(*json, "bad_account", "the account");
  if (json->is_object() && !json->contains("grants")) object.Refuse("expected \"grants\"");
  Result<std::vector<storage::AccountGrant>> grants = ReadGrants(&object);
  if (!grants) return grants;
  if (Status good = object.Finish(); !good) return unexpected(std::move(good.error()));
  return grants;
}

Result<std::string> ParsePasswordRequest(std::string_view text) {
  Result<nlohmann::json> json = ParseJson(text);
  if (!json) return unexpected(std::move(json.error()));
  JsonObject object(*json, "bad_account", "the account");
  std::string password = object.Text("password", /*required=*/true);
  if (Status good = object.Finish(); !good) return unexpected(std::move(good.error()));
  return password;
}

}  // namespace nearside::origin
