#include "cli/accounts.h"

#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli/password_input.h"

namespace nearside::cli {
namespace {

std::string PathOf(const AccountsOptions& options, const char* part = "") {
  return "/v1/accounts/" + EncodePath(options.name) + part;
}

/// "read,publish of demo; read of all".
std::string GrantsText(const Json& account) {
  std::string text;
  for (const Json& grant : ListOf(account, "grants")) {
    std::string scopes;
    for (const Json& scope : ListOf(grant, "scopes")) {
      if (scope.is_string()) scopes += (scopes.empty() ? "" : ",") + scope.get<std::string>();
    }
    const std::string site = TextOf(grant, "site");
    text += (text.empty() ? "" : "; ") + scopes + " of " + (site.empty() ? "all" : site);
  }
  return text.empty() ? "nothing" : text;
}

bool NamesOneSite(const AccountsOptions& options) {
  return options.site.empty() == options.every_site;
}

Exit AskForSite(CommandContext& context) {
  context.terminal.Error("for which site? expected --site NAME or --all-sites");
  return Exit::kUsage;
}

Json GrantOf(const AccountsOptions& options) {
  Json grant = {{"site", nullptr}, {"scopes", options.scopes}};
  if (!options.every_site) grant["site"] = options.site;
  return grant;
}

Exit PrintAccount(CommandContext& context, const Json& account) {
  context.terminal.Line("account " + Printable(TextOf(account, "name")) + " may do " +
                        Printable(GrantsText(account)));
  return Exit::kDone;
}

/// The grants as they are, without the one of the options' site, and with `fresh` unless it is
/// null.
Exit ChangeGrants(CommandContext& context, const AccountsOptions& options, const Json& fresh) {
  if (!NamesOneSite(options)) return AskForSite(context);
  Result<OriginApi> api = context.Api();
  if (!api) return context.Failed(api.error());
  Result<Json> account = api->Get(PathOf(options));
  if (!account) return context.Failed(account.error());
  Json grants = Json::array();
  for (const Json& grant : ListOf(*account, "grants")) {
    if (TextOf(grant, "site") != options.site) grants.push_back(grant);
  }
  if (!fresh.is_null()) grants.push_back(fresh);
  account = api->Put(PathOf(options, "/grants"), {{"grants", grants}});
  if (!account) return context.Failed(account.error());
  return PrintAccount(context, *account);
}

}  // namespace

Exit CreateAccount(CommandContext& context, const AccountsOptions& options) {
  if (!options.site.empty() && options.every_site) return AskForSite(context);
  Result<OriginApi> api = context.Api();
  if (!api) return context.Failed(api.error());
  Result<std::string> password = ReadNewPassword(options.password_file, stdin);
  if (!password) return context.Failed(password.error());
  Json body = {{"name", options.name}, {"password", *password}, {"grants", Json::array()}};
  if (!options.site.empty() || options.every_site) body["grants"].push_back(GrantOf(options));
  Result<Json> account = api->Post("/v1/accounts", body);
  if (!account) return context.Failed(account.error());
  return PrintAccount(context, *account);
}

Exit ListAccounts(CommandContext& context, const AccountsOptions& options) {
  Result<OriginApi> api = context.Api();
  if (!api) return context.Failed(api.error());
  Json all = Json::array();
  std::string target = "/v1/accounts?limit=1000";
  for (std::string after = "?"; !after.empty();) {
    Result<Json> page = api->Get(target);
    if (!page) return context.Failed(page.error());
    for (const Json& account : ListOf(*page, "accounts")) all.push_back(account);
    after = TextOf(*page, "next");
    target = "/v1/accounts?limit=1000&after=" + EncodePath(after);
  }
  if (options.json) {
    const Json shown = {{"accounts", all}};
    context.terminal.Line(shown.dump(2, ' ', false, Json::error_handler_t::replace));
    return Exit::kDone;
  }
  TextTable table({"NAME", "MAY DO", "MADE", "MADE BY", "SIGNED IN"});
  for (const Json& account : all) {
    const int64_t signed_in = IntOf(account, "signed_in");
    table.Add({Printable(TextOf(account, "name")), Printable(GrantsText(account)),
               HumanTime(IntOf(account, "created")), Printable(TextOf(account, "created_by")),
               signed_in == 0 ? "never" : HumanTime(signed_in)});
  }
  table.Print(context.terminal);
  return Exit::kDone;
}

Exit GrantAccount(CommandContext& context, const AccountsOptions& options) {
  return ChangeGrants(context, options, GrantOf(options));
}

Exit WithdrawGrant(CommandContext& context, const AccountsOptions& options) {
  return ChangeGrants(context, options, Json());
}

Exit SetAccountPassword(CommandContext& context, const AccountsOptions& options) {
  Result<OriginApi> api = context.Api();
  if (!api) return context.Failed(api.error());
  Result<std::string> password = ReadNewPassword(options.password_file, stdin);
  if (!password) return context.Failed(password.error());
  Result<Json> account = api->Put(PathOf(options, "/password"), {{"password", *password}});
  if (!account) return context.Failed(account.error());
  context.terminal.Line("account " + Printable(TextOf(*account, "name")) +
                        " has another password, and is signed out everywhere");
  return Exit::kDone;
}

Exit SignOutAccount(CommandContext& context, const AccountsOptions& options) {
  Result<OriginApi> api = context.Api();
  if (!api) return context.Failed(api.error());
  Result<Json> account = api->Delete(PathOf(options, "/sessions"));
  if (!account) return context.Failed(account.error());
  context.terminal.Line("account " + Printable(TextOf(*account, "name")) +
                        " is signed out everywhere");
  return Exit::kDone;
}

Exit RemoveAccount(CommandContext& context, const AccountsOptions& options) {
  Result<OriginApi> api = context.Api();
  if (!api) return context.Failed(api.error());
  Result<Json> account = api->Delete(PathOf(options));
  if (!account) return context.Failed(account.error());
  context.terminal.Line("account " + Printable(TextOf(*account, "name")) +
                        " is gone; tokens that it made go on");
  return Exit::kDone;
}

}  // namespace nearside::cli
