#include "origin/openapi.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "origin/route.h"
#include "origin/route_access.h"
#include "runtime/daemon.h"

namespace nearside::origin {
namespace {

using Json = nlohmann::ordered_json;

/// What a route's path and table of methods do not say of an operation.
struct Operation {
  RouteKind kind;
  std::string_view method;
  std::string_view id;
  std::string_view summary;
  int status = 200;
  std::string_view answer = "";  ///< a schema, or a media type with a slash; "": no content
  std::string_view body = "";    ///< the same
  std::string_view query = "";   ///< words
};

constexpr std::string_view kBytes = "application/octet-stream";

constexpr Operation kOperations[] = {
    {RouteKind::kHealth, "GET", "health", "Whether the origin serves; 503 while it drains", 200,
     "text/plain"},
    {RouteKind::kOpenApi, "GET", "openapi", "This document", 200, "application/json"},
    {RouteKind::kAsset, "GET", "getAsset", "The content of the active release's asset", 200,
     kBytes},
    {RouteKind::kAsset, "PUT", "putAsset", "Stores one asset; 200 when it replaces one", 201,
     "Receipt", kBytes, "wait"},
    {RouteKind::kAsset, "DELETE", "deleteAsset", "Removes one asset", 200, "Receipt", "", "wait"},
    {RouteKind::kAssets, "GET", "listAssets", "The active release's assets by path", 200, "Assets",
     "", "prefix after limit"},
    {RouteKind::kUploads, "OPTIONS", "uploadOptions",
     "What of tus and of the IETF's draft is there", 204},
    {RouteKind::kUploads, "POST", "beginUpload", "Begins an upload in several goes", 201, "",
     kBytes, "path"},
    {RouteKind::kUpload, "OPTIONS", "anUploadOptions", "The same", 204},
    {RouteKind::kUpload, "HEAD", "lookAtUpload", "How far it is: Upload-Offset", 204},
    {RouteKind::kUpload, "PATCH", "appendToUpload", "Adds at Upload-Offset; the end puts the asset",
     204, "", kBytes},
    {RouteKind::kUpload, "DELETE", "removeUpload", "Removes it, and gives its space back", 204},
    {RouteKind::kReleases, "GET", "listReleases", "The newest first", 200, "Releases", "", "limit"},
    {RouteKind::kReleases, "POST", "createRelease", "Says which contents are missing", 201,
     "Release", "Manifest"},
    {RouteKind::kRelease, "GET", "getRelease", "One, with what is still missing", 200, "Release"},
    {RouteKind::kActivation, "POST", "activateRelease", "The switch; an older one is a rollback",
     200, "Receipt", "", "wait"},
    {RouteKind::kPreparation, "POST", "prepareRelease",
     "Tells the edges to fetch what the release changes, before it is made active", 200, "Receipt",
     "", "wait"},
    {RouteKind::kPreparation, "GET", "getPreparation", "How far each edge is with that", 200,
     "Preparation", "", "seq"},
    {RouteKind::kContent, "GET", "listContent", "What visitors get, URL by URL, with SHA-256", 200,
     "Content", "", "since after limit edge"},
    {RouteKind::kBlob, "GET", "getBlob", "A content by its SHA-256", 200, kBytes},
    {RouteKind::kBlob, "PUT", "putBlob", "Uploads a content; 200 when it was there", 201, "Blob",
     kBytes},
    {RouteKind::kPurge, "POST", "purge", "Makes every edge forget", 200, "Receipt", "PurgeOrder",
     "wait"},
    {RouteKind::kEvents, "GET", "followEvents", "The event log as server-sent events", 200,
     "text/event-stream", "", "after epoch"},
    {RouteKind::kEdges, "GET", "listEdges", "The fleet", 200, "Edges"},
    {RouteKind::kEdge, "GET", "getEdge", "One edge", 200, "Edge"},
    {RouteKind::kEdge, "POST", "reportEdge", "An edge tells what it has applied", 200, "Position",
     "EdgeReport"},
    {RouteKind::kEdge, "DELETE", "forgetEdge", "Forgets an edge that is gone for good", 204},
    {RouteKind::kSites, "GET", "listSites", "The sites that the token may read", 200, "Sites"},
    {RouteKind::kSites, "POST", "createSite", "Makes a site", 201, "Receipt", "SiteDraft", "wait"},
    {RouteKind::kSite, "GET", "getSite", "One site", 200, "Site"},
    {RouteKind::kSite, "PUT", "putSite", "Makes or changes a site; 201 when it is new", 200,
     "Receipt", "SiteDraft", "wait"},
    {RouteKind::kSite, "DELETE", "deleteSite", "With its releases; its tokens are revoked", 200,
     "Receipt", "", "wait"},
    {RouteKind::kTokens, "GET", "listTokens", "Tokens made by the API, without their secrets", 200,
     "Tokens"},
    {RouteKind::kTokens, "POST", "createToken", "Makes a token; its secret is told this once", 201,
     "NewToken", "TokenDraft"},
    {RouteKind::kToken, "GET", "getToken", "One token, without its secret", 200, "Token"},
    {RouteKind::kToken, "DELETE", "revokeToken", "From now on it opens nothing", 200, "Token"},
    {RouteKind::kAccounts, "GET", "listAccounts", "Accounts by name", 200, "Accounts", "",
     "after limit"},
    {RouteKind::kAccounts, "POST", "createAccount", "Makes an account", 201, "Account",
     "AccountDraft"},
    {RouteKind::kAccount, "GET", "getAccount", "One account", 200, "Account"},
    {RouteKind::kAccount, "DELETE", "deleteAccount", "With its sessions; as it was", 200,
     "Account"},
    {RouteKind::kAccountGrants, "PUT", "putGrants", "What the account may do from now on", 200,
     "Account", "Grants"},
    {RouteKind::kAccountPassword, "PUT", "putPassword", "Another password; its sessions end", 200,
     "Account", "Password"},
    {RouteKind::kAccountSessions, "GET", "listSessions", "Where the account is signed in", 200,
     "Sessions"},
    {RouteKind::kAccountSessions, "DELETE", "endSessions", "Signs the account out everywhere", 200,
     "Account"},
    {RouteKind::kAudit, "GET", "listAudit", "Who changed what; without after, the newest", 200,
     "Audit", "", "after limit site"},
    {RouteKind::kReceipts, "GET", "listReceipts", "Releases that were made active, newest first",
     200, "PublishReceipts", "", "limit site"},
    {RouteKind::kReceipt, "GET", "getReceipt", "What each edge has proved of a release", 200,
     "PublishReceipt"},
    {RouteKind::kJobs, "GET", "listJobs", "Work that nobody waits for, and how much there is", 200,
     "Jobs", "", "after limit state"},
    {RouteKind::kJobRetry, "POST", "retryJob", "Begins a dead job anew", 200, "Job"},
};

struct QueryParameter {
  std::string_view name;
  std::string_view type;
  std::string_view prose;
};
constexpr QueryParameter kQuery[] = {
    {"after", "string", "What comes behind this one"},
    {"edge", "string", "Tell whether this edge has proved the newest switch"},
    {"epoch", "integer", "The log that after is of"},
    {"limit", "integer", "At most so many"},
    {"path", "string", "Where the asset is to stand, unless Upload-Metadata says it"},
    {"prefix", "string", "Only paths that begin so"},
    {"seq", "integer",
     "The event that asked for it; edges that have not applied it are waited for"},
    {"since", "string", "Only what differs from this release, the previous or the active one"},
    {"site", "string", "Only of this site"},
    {"state", "string", "dead: only dead jobs; without, only the others"},
    {"wait", "string", "How long to wait for the edges, as 2s; 60s at most"},
};

/// The words between separators.
std::vector<std::string> Words(std::string_view text, std::string_view separator) {
  std::vector<std::string> words;
  while (!text.empty()) {
    const size_t end = std::min(text.find(separator), text.size());
    if (end > 0) words.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + separator.size(), text.size()));
  }
  return words;
}

Json Content(std::string_view what) {
  if (what.empty()) return {};
  if (what.find('/') != std::string_view::npos) return {{what, Json::object()}};
  const Json schema = {{"$ref", "#/components/schemas/" + std::string(what)}};
  return {{"application/json", {{"schema", schema}}}};
}

Json Parameters(std::string_view path, std::string_view query) {
  Json list = Json::array();
  for (size_t at = path.find('{'); at != std::string_view::npos; at = path.find('{', at + 1)) {
    const std::string name(path.substr(at + 1, path.find('}', at) - at - 1));
    list.push_back(
        {{"name", name}, {"in", "path"}, {"required", true}, {"schema", {{"type", "string"}}}});
  }
  for (const std::string& word : Words(query, " ")) {
    for (const QueryParameter& parameter : kQuery) {
      if (parameter.name != word) continue;
      list.push_back({{"name", parameter.name},
                      {"in", "query"},
                      {"description", parameter.prose},
                      {"schema", {{"type", parameter.type}}}});
    }
  }
  return list;
}

std::string ScopeText(const Need& need) {
  std::string text(RightName(need.right));
  if (need.reach == Reach::kAll) text += " of all sites";
  if (need.reach == Reach::kOne) text += " of the site";
  return need.fleet ? text + ", or the fleet's token" : text;
}

Json OperationJson(const RouteRow& route, const Operation& operation, std::string_view method) {
  const bool head = method == "HEAD" && operation.method == "GET";
  const Need need = NeedOf(route.kind, method);
  Json json = {{"operationId", std::string(head ? "head_" : "") + std::string(operation.id)},
               {"summary", operation.summary}};
  if (need.reach == Reach::kOpen) {
    json["security"] = Json::array();
  } else {
    json["x-nearside-scope"] = ScopeText(need);
  }
  const Json parameters = Parameters(route.path, operation.query);
  if (!parameters.empty()) json["parameters"] = parameters;
  if (!operation.body.empty()) {
    json["requestBody"] = {{"required", true}, {"content", Content(operation.body)}};
  }
  Json success = {{"description", operation.summary}};
  if (!head && !operation.answer.empty()) success["content"] = Content(operation.answer);
  json["responses"][std::to_string(operation.status)] = success;
  json["responses"]["default"] = {{"$ref", "#/components/responses/Problem"}};
  return json;
}

Json PathsJson() {
  Json paths = Json::object();
  for (const RouteRow& route : Routes()) {
    for (const std::string& method : Words(route.methods, ", ")) {
      const bool of_get = method == "HEAD" && Allows(route.methods, "GET");
      const std::string_view described = of_get ? "GET" : std::string_view(method);
      const auto found = std::find_if(
          std::begin(kOperations), std::end(kOperations),
          [&](const Operation& row) { return row.kind == route.kind && row.method == described; });
      if (found == std::end(kOperations)) continue;  // a test counts them
      std::string key = method;
      std::transform(key.begin(), key.end(), key.begin(),
                     [](char c) { return static_cast<char>(c | 0x20); });
      paths[std::string(route.path)][key] = OperationJson(route, *found, method);
    }
  }
  return paths;
}

std::string MakeDocument() {
  Json document = {
      {"openapi", "3.1.0"},
      {"info",
       {{"title", "Nearside origin"},
        {"version", Version()},
        {"description", "Uploads, releases, purges, sites, tokens, accounts and the fleet."}}},
      {"security", Json::array({Json{{"token", Json::array()}}})},
      {"paths", PathsJson()}};
  document["components"]["securitySchemes"]["token"] = {{"type", "http"}, {"scheme", "bearer"}};
  Json problem = {{"description", "What was wrong and what to do; 429 and 503 with Retry-After"}};
  problem["content"]["application/problem+json"]["schema"]["$ref"] = "#/components/schemas/Problem";
  document["components"]["responses"]["Problem"] = problem;
  document["components"]["schemas"] = Json::parse(OpenApiSchemas());
  return document.dump();
}

}  // namespace

const std::string& OpenApiDocument() {
  static const std::string document = MakeDocument();
  return document;
}

}  // namespace nearside::origin
