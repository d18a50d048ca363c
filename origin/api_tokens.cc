#include <nlohmann/json.hpp>

#include "origin/api.h"
#include "origin/audit.h"
#include "origin/token_request.h"
#include "origin/token_text.h"
#include "runtime/log.h"

namespace nearside::origin {
namespace {

constexpr size_t kAuditDefault = 100;
constexpr size_t kAuditMost = 1000;

using Json = nlohmann::ordered_json;

Json OrNull(const std::string& text) { return text.empty() ? Json() : Json(text); }
Json OrNull(WallTime time) { return ToUnixMillis(time) == 0 ? Json() : Json(ToUnixMillis(time)); }

std::string Dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string_view StateOf(const storage::Token& token, WallTime now) {
  return token.is_revoked() ? "revoked" : token.HasExpired(now) ? "expired" : "active";
}

Json TokenJson(const storage::Token& token, WallTime now) {
  return {{"id", token.id},
          {"name", token.name},
          {"site", OrNull(token.site)},
          {"scopes", token.scopes},
          {"state", StateOf(token, now)},
          {"created", ToUnixMillis(token.created)},
          {"created_by", token.created_by},
          {"expires", OrNull(token.expires)},
          {"revoked", OrNull(token.revoked)},
          {"last_used", OrNull(token.used)}};
}

Deed DeedOf(std::string_view action, const storage::Token& token) {
  return {.action = action,
          .site = token.site,
          .detail = Dump({{"token", token.id}, {"name", token.name}, {"scopes", token.scopes}})};
}

Json RecordJson(const storage::AuditRecord& record) {
  const storage::AuditEntry& entry = record.entry;
  Json json = {{"seq", record.sequence},
               {"time", ToUnixMillis(record.time)},
               {"action", entry.action},
               {"site", OrNull(entry.site)},
               {"token", OrNull(entry.token)},
               {"name", entry.name},
               {"client", entry.client},
               {"event", record.event.sequence == 0 ? Json() : Json(record.event.sequence)}};
  json["detail"] = Json::parse(entry.detail, nullptr, /*allow_exceptions=*/false);
  if (json["detail"].is_discarded()) json["detail"] = Json::object();
  return json;
}

}  // namespace

/// Another process sees the change within its next look at the log; we see it now.
void Api::TokensChanged() {
  if (Status read = node_.access.table().Refresh(); !read) {
    Log(Level::kError, "tokens_not_read", {{"error", read.error().ToString()}});
  }
}

ApiOutcome Api::ListTokens(const ApiRequest& request) {
  Result<std::vector<storage::Token>> tokens = node_.metadata->Tokens();
  if (!tokens) return ProblemAnswer(tokens.error());
  const WallTime now = WallNow();
  Json json;
  json["tokens"] = Json::array();
  for (const storage::Token& token : *tokens) {
    if (!request.caller.May(Right::kAdmin, token.site)) continue;
    json["tokens"].push_back(TokenJson(token, now));
  }
  return JsonAnswer(200, Dump(json));
}

ApiOutcome Api::CreateToken(const ApiRequest& request) {
  Result<std::string> text = ReadWhole(request.body, kSmallBody);
  if (!text) return ProblemAnswer(text.error());
  Result<storage::Token> draft = ParseTokenRequest(*text, WallNow());
  if (!draft) return ProblemAnswer(draft.error());
  // Who may change one site's tokens makes none for others.
  if (Status may = Require(request.caller, Right::kAdmin, draft->site); !may) {
    return Refused(request, may.error());
  }
  const TokenText shown = RandomToken();
  draft->id = shown.id;
  draft->digest = DigestOfSecret(shown.secret);
  draft->created_by = request.caller.name;
  Result<storage::Token> token =
      node_.metadata->CreateToken(*draft, RecordOf(request, DeedOf("token_created", *draft)));
  if (!token) return ProblemAnswer(token.error());
  TokensChanged();
  Log(Level::kInfo, "token_created",
      {{"id", token->id}, {"name", token->name}, {"by", request.caller.name}});
  Json json = TokenJson(*token, WallNow());
  json["token"] = shown.Joined();
  json["s3"] = {{"access_key_id", token->id},
                {"secret_access_key", node_.access.S3SecretOf(token->id)}};
  Answer answer = JsonAnswer(201, Dump(json));
  answer.fields.Add("location", "/v1/tokens/" + token->id);
  return answer;
}

ApiOutcome Api::GetToken(const Route& route, const ApiRequest& request) {
  Result<storage::Token> token = node_.metadata->FindToken(route.name);
  if (!token) return ProblemAnswer(token.error());
  if (Status may = Require(request.caller, Right::kAdmin, token->site); !may) {
    return Refused(request, may.error());
  }
  return JsonAnswer(200, Dump(TokenJson(*token, WallNow())));
}

ApiOutcome Api::RevokeToken(const Route& route, const ApiRequest& request) {
  Result<storage::Token> token = node_.metadata->FindToken(route.name);
  if (!token) return ProblemAnswer(token.error());
  if (Status may = Require(request.caller, Right::kAdmin, token->site); !may) {
    return Refused(request, may.error());
  }
  token =
      node_.metadata->RevokeToken(route.name, RecordOf(request, DeedOf("token_revoked", *token)));
  if (!token) return ProblemAnswer(token.error());
  TokensChanged();
  Log(Level::kInfo, "token_revoked",
      {{"id", token->id}, {"name", token->name}, {"by", request.caller.name}});
  return JsonAnswer(200, Dump(TokenJson(*token, WallNow())));
}

ApiOutcome Api::ListAudit(const ApiRequest& request) {
  const std::string_view query = request.head.query();
  Result<size_t> limit = QueryLimit(query, kAuditDefault, kAuditMost);
  if (!limit) return ProblemAnswer(limit.error());
  Result<std::optional<uint64_t>> after = QueryAfter(query);
  if (!after) return ProblemAnswer(after.error());
  storage::AuditRange range;
  range.after = *after;
  range.site = QueryValue(query, "site").value_or(request.caller.site);
  range.limit = *limit;
  if (Status may = Require(request.caller, Right::kAdmin, range.site); !may) {
    return Refused(request, may.error());
  }
  Result<std::vector<storage::AuditRecord>> records = node_.metadata->Audit(range);
  if (!records) return ProblemAnswer(records.error());
  Json json;
  json["audit"] = Json::array();
  for (const storage::AuditRecord& record : *records) json["audit"].push_back(RecordJson(record));
  json["next"] = records->empty() ? after->value_or(0) : records->back().sequence;
  return JsonAnswer(200, Dump(json));
}

}  // namespace nearside::origin
