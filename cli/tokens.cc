#include "cli/tokens.h"

#include <nlohmann/json.hpp>

#include "runtime/file.h"

namespace nearside::cli {
namespace {

constexpr mode_t kOwnerOnly = 0600;

std::string Scopes(const Json& token) {
  std::string text;
  for (const Json& scope : ListOf(token, "scopes")) {
    if (scope.is_string()) text += (text.empty() ? "" : ",") + scope.get<std::string>();
  }
  return text;
}

std::string SiteOf(const Json& token) {
  const std::string site = TextOf(token, "site");
  return site.empty() ? "all" : site;
}

std::string TimeOr(const Json& token, const char* key, const char* otherwise) {
  const int64_t time = IntOf(token, key);
  return time == 0 ? otherwise : HumanTime(time);
}

void PrintNewToken(const Json& token, const TokensOptions& options, Terminal& terminal) {
  const Json s3 = token.contains("s3") ? token["s3"] : Json::object();
  const std::pair<const char*, std::string> lines[] = {
      {"id", TextOf(token, "id")},
      {"name", TextOf(token, "name")},
      {"site", SiteOf(token)},
      {"scopes", Scopes(token)},
      {"expires", TimeOr(token, "expires", "never")},
      {"token", options.save.empty() ? TextOf(token, "token") : "in " + options.save},
      {"S3 key id", TextOf(s3, "access_key_id")},
      {"S3 secret", options.save.empty() ? TextOf(s3, "secret_access_key") : "not shown"},
  };
  for (const auto& [label, value] : lines) {
    std::string line = label;
    line.resize(11, ' ');
    terminal.Line(line + Printable(value));
  }
  if (options.save.empty()) {
    terminal.Line("The secrets are shown this once; the origin cannot tell them again.");
  } else {
    terminal.Line("For S3 make a token without --save, which shows the secret this once.");
  }
}

/// What went to a file for its owner's eyes is not shown to whoever reads the output (a CI's log).
void HideSecrets(Json* token) {
  token->erase("token");
  if (token->contains("s3") && (*token)["s3"].is_object())
    (*token)["s3"].erase("secret_access_key");
}

}  // namespace

Exit CreateToken(CommandContext& context, const TokensOptions& options) {
  if (options.site.empty() == !options.every_site) {
    context.terminal.Error(
        "for which site? expected --site NAME or --all-sites; --help shows examples");
    return Exit::kUsage;
  }
  Result<OriginApi> api = context.Api();
  if (!api) return context.Failed(api.error());
  Json body = {{"name", options.name}, {"site", nullptr}, {"scopes", options.scopes}};
  if (!options.every_site) body["site"] = options.site;
  if (!options.life.empty()) body["expires_in"] = options.life;
  Result<Json> token = api->Post("/v1/tokens", body);
  if (!token) return context.Failed(token.error());
  if (!options.save.empty()) {
    const Status saved =
        WriteFileAtomically(options.save, TextOf(*token, "token") + "\n", kOwnerOnly);
    if (!saved) {
      (void)api->Delete("/v1/tokens/" + EncodePath(TextOf(*token, "id")));
      return context.Failed(Error{saved.error()}.In("the token was not kept and is revoked"));
    }
  }
  if (options.json) {
    if (!options.save.empty()) HideSecrets(&*token);
    context.terminal.Line(token->dump(2, ' ', false, Json::error_handler_t::replace));
  } else {
    PrintNewToken(*token, options, context.terminal);
  }
  return Exit::kDone;
}

Exit ListTokens(CommandContext& context, const TokensOptions& options) {
  Result<OriginApi> api = context.Api();
  if (!api) return context.Failed(api.error());
  Result<Json> answer = api->Get("/v1/tokens");
  if (!answer) return context.Failed(answer.error());
  if (options.json) {
    context.terminal.Line(answer->dump(2, ' ', false, Json::error_handler_t::replace));
    return Exit::kDone;
  }
  TextTable table({"ID", "NAME", "SITE", "SCOPES", "STATE", "EXPIRES", "LAST USED", "MADE BY"});
  for (const Json& token : ListOf(*answer, "tokens")) {
    const std::string state = TextOf(token, "state");
    table.Add({TextOf(token, "id"), Printable(TextOf(token, "name")), SiteOf(token), Scopes(token),
               state, TimeOr(token, "expires", "never"), TimeOr(token, "last_used", "never"),
               Printable(TextOf(token, "created_by"))},
              state == "active" ? Colour::kNone : Colour::kDim);
  }
  table.Print(context.terminal);
  return Exit::kDone;
}

Exit RevokeToken(CommandContext& context, const TokensOptions& options) {
  Result<OriginApi> api = context.Api();
  if (!api) return context.Failed(api.error());
  Result<Json> token = api->Delete("/v1/tokens/" + EncodePath(options.id));
  if (!token) return context.Failed(token.error());
  context.terminal.Line("token " + TextOf(*token, "id") + " (" + Printable(TextOf(*token, "name")) +
                        ") opens nothing any more, nor does its S3 key pair");
  return Exit::kDone;
}

}  // namespace nearside::cli
