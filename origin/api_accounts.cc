#include <algorithm>
#include <nlohmann/json.hpp>

#include "origin/account_name.h"
#include "origin/account_request.h"
#include "origin/accounts.h"
#include "origin/api.h"
#include "origin/audit.h"

namespace nearside::origin {
namespace {

constexpr size_t kAccountsDefault = 100;
constexpr size_t kAccountsMost = 1000;

using OrderedJson = nlohmann::ordered_json;

OrderedJson TimeOrNull(WallTime time) {
  return ToUnixMillis(time) == 0 ? OrderedJson() : OrderedJson(ToUnixMillis(time));
}

OrderedJson GrantsJson(const std::vector<storage::AccountGrant>& grants) {
  OrderedJson list = OrderedJson::array();
  for (const storage::AccountGrant& grant : grants) {
    list.push_back({{"site", grant.site.empty() ? OrderedJson() : OrderedJson(grant.site)},
                    {"scopes", grant.scopes}});
  }
  return list;
}

OrderedJson AccountJson(const storage::Account& account) {
  return {{"id", account.id},
          {"name", account.name},
          {"grants", GrantsJson(account.grants)},
          {"created", ToUnixMillis(account.created)},
          {"created_by", account.created_by},
          {"password_changed", ToUnixMillis(account.password_changed)},
          {"signed_in", TimeOrNull(account.signed_in)}};
}

std::string TextOfJson(const OrderedJson& json) {
  return json.dump(-1, ' ', false, OrderedJson::error_handler_t::replace);
}

storage::AuditEntry RecordOfAccount(const ApiRequest& request, std::string_view action,
                                    const std::string& name,
                                    const std::vector<storage::AccountGrant>* grants = nullptr) {
  OrderedJson detail = {{"account", name}};
  if (grants != nullptr) detail["grants"] = GrantsJson(*grants);
  return RecordOf(request, {.action = action, .site = "", .detail = TextOfJson(detail)});
}

}  // namespace

ApiOutcome Api::ListAccounts(const ApiRequest& request) {
  const std::string_view query = request.head.query();
  Result<size_t> limit = QueryLimit(query, kAccountsDefault, kAccountsMost);
  if (!limit) return ProblemAnswer(limit.error());
  storage::AccountRange range;
  range.after = QueryValue(query, "after").value_or("");
  range.limit = *limit;
  Result<std::vector<storage::Account>> accounts = node_.metadata->Accounts(range);
  if (!accounts) return ProblemAnswer(accounts.error());
  OrderedJson json;
  json["accounts"] = OrderedJson::array();
  for (const storage::Account& account : *accounts) {
    json["accounts"].push_back(AccountJson(account));
  }
  json["next"] =
      accounts->size() == range.limit ? OrderedJson(accounts->back().name) : OrderedJson();
  return JsonAnswer(200, TextOfJson(json));
}

ApiOutcome Api::CreateAccount(const ApiRequest& request) {
  Result<std::string> text = ReadWhole(request.body, kSmallBody);
  if (!text) return ProblemAnswer(text.error());
  Result<AccountRequest> wanted = ParseAccountRequest(*text);
  if (!wanted) return ProblemAnswer(wanted.error());
  Result<std::string> name = NormalAccountName(wanted->name);
  if (!name) return ProblemAnswer(name.error());
  Result<storage::Account> account =
      node_.accounts.Create({*name, wanted->password}, wanted->grants, request.caller.name,
                            RecordOfAccount(request, "account_created", *name, &wanted->grants));
  if (!account) return ProblemAnswer(account.error());
  Answer answer = JsonAnswer(201, TextOfJson(AccountJson(*account)));
  answer.fields.Add("location", "/v1/accounts/" + account->name);
  return answer;
}

ApiOutcome Api::GetAccount(const Route& route) {
  Result<storage::Account> account = node_.metadata->FindAccount(route.name);
  if (!account) return ProblemAnswer(account.error());
  return JsonAnswer(200, TextOfJson(AccountJson(*account)));
}

ApiOutcome Api::DeleteAccount(const Route& route, const ApiRequest& request) {
  Result<storage::Account> account =
      node_.accounts.Delete(route.name, RecordOfAccount(request, "account_deleted", route.name));
  if (!account) return ProblemAnswer(account.error());
  return JsonAnswer(200, TextOfJson(AccountJson(*account)));
}

ApiOutcome Api::PutGrants(const Route& route, const ApiRequest& request) {
  Result<std::string> text = ReadWhole(request.body, kSmallBody);
  if (!text) return ProblemAnswer(text.error());
  Result<std::vector<storage::AccountGrant>> grants = ParseGrantsRequest(*text);
  if (!grants) return ProblemAnswer(grants.error());
  Result<storage::Account> account = node_.metadata->ReplaceGrants(
      route.name, *grants, RecordOfAccount(request, "account_granted", route.name, &*grants));
  if (!account) return ProblemAnswer(account.error());
  return JsonAnswer(200, TextOfJson(AccountJson(*account)));
}

ApiOutcome Api::PutPassword(const Route& route, const ApiRequest& request) {
  Result<std::string> text = ReadWhole(request.body, kSmallBody);
  if (!text) return ProblemAnswer(text.error());
  Result<std::string> password = ParsePasswordRequest(*text);
  if (!password) return ProblemAnswer(password.error());
  Result<storage::Account> account = node_.metadata->FindAccount(route.name);
  if (!account) return ProblemAnswer(account.error());
  Status set = node_.accounts.SetPassword(
      *account, *password, RecordOfAccount(request, "account_password_changed", account->name));
  if (!set) return ProblemAnswer(set.error());
  return GetAccount(route);
}

ApiOutcome Api::ListSessions(const Route& route) {
  Result<storage::Account> account = node_.metadata->FindAccount(route.name);
  if (!account) return ProblemAnswer(account.error());
  Result<std::vector<storage::Session>> sessions = node_.accounts.SessionsOf(*account);
  if (!sessions) return ProblemAnswer(sessions.error());
  OrderedJson json;
  json["sessions"] = OrderedJson::array();
  for (const storage::Session& session : *sessions) {
    const size_t end = std::min(session.note.find('\n'), session.note.size());
    json["sessions"].push_back(
        {{"client", session.note.substr(0, end)},
         {"agent", session.note.substr(std::min(end + 1, session.note.size()))},
         {"created", ToUnixMillis(session.created)},
         {"used", ToUnixMillis(session.used)},
         {"expires", ToUnixMillis(session.expires)}});
  }
  return JsonAnswer(200, TextOfJson(json));
}

ApiOutcome Api::EndSessions(const Route& route, const ApiRequest& request) {
  Result<storage::Account> account = node_.metadata->FindAccount(route.name);
  if (!account) return ProblemAnswer(account.error());
  Status ended = node_.accounts.SignOutEverywhere(
      *account, RecordOfAccount(request, "account_signed_out_everywhere", account->name));
  if (!ended) return ProblemAnswer(ended.error());
  return GetAccount(route);
}

}  // namespace nearside::origin
