#include "origin/token_request.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "origin/caller.h"
#include "origin/json.h"
#include "origin/manifest.h"
#include "runtime/units.h"

namespace nearside::origin {
namespace {

constexpr std::chrono::hours kLongestLife{24 * 365 * 10};
constexpr size_t kMostScopes = 16;

bool IsName(std::string_view name) {
  return !name.empty() && name.size() <= kTokenNameBytes &&
         std::none_of(name.begin(), name.end(),
                      [](char c) { return static_cast<uint8_t>(c) < 0x20 || c == 0x7f; });
}

void ReadScopes(JsonObject* object, storage::Token* token) {
  Rights rights;
  const std::vector<std::string> names = object->Texts("scopes", kMostScopes);
  for (const std::string& name : names) {
    const std::optional<Right> right = ParseRight(name);
    if (!right) {
      return object->Refuse("\"scopes\": expected of read, publish, purge and admin, got \"" +
                            name.substr(0, kTokenNameBytes) + "\"");
    }
    rights.Add(*right);
  }
  if (names.empty()) object->Refuse("\"scopes\": expected at least one");
  token->scopes = rights.Names();
}

/// "expires" is a time, "expires_in" a duration by our clock.
void ReadEnd(JsonObject* object, WallTime now, storage::Token* token) {
  const std::optional<uint64_t> at = object->Count("expires");
  const std::string in = object->Text("expires_in");
  if (!at && in.empty()) return;
  if (at && !in.empty()) return object->Refuse("expected one of \"expires\" and \"expires_in\"");
  if (at) {
    token->expires = FromUnixMillis(static_cast<int64_t>(*at));
  } else if (const Result<milliseconds> life = ParseDuration(in); life && *life <= kLongestLife) {
    token->expires = now + *life;
  }
  if (token->expires <= now || token->expires > now + kLongestLife) {
    object->Refuse(
        "expected \"expires\" to be in the future, in milliseconds since 1970, or \"expires_in\" "
        "to be a duration like \"90d\"; 10 years at most");
  }
}

}  // namespace

Result<storage::Token> ParseTokenRequest(std::string_view text, WallTime now) {
  Result<nlohmann::json> json = ParseJson(text);
  if (!json) return unexpected(std::move(json.error()));
  JsonObject object(*json, "bad_token", "the token");
  storage::Token token;
  token.name = object.Text("name", /*required=*/true);
  if (!IsName(token.name)) {
    object.Refuse("\"name\": expected 1 to " + std::to_string(kTokenNameBytes) +
                  " bytes without control characters, for those who will read the list");
  }
  token.site = object.Text("site");
  if (json->is_object() && !json->contains("site")) {
    object.Refuse("expected \"site\": the name of one, or null for every site");
  } else if (json->is_object() && !(*json)["site"].is_null() && !CheckSiteName(token.site)) {
    object.Refuse("\"site\": expected the name of a site, or null for every site");
  }
  ReadScopes(&object, &token);
  ReadEnd(&object, now, &token);
  if (Status good = object.Finish(); !good) return unexpected(std::move(good.error()));
  return token;
}

}  // namespace nearside::origin
