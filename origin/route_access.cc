#include "origin/route_access.h"

namespace nearside::origin {

Need NeedOf(RouteKind kind, std::string_view method) {
  const bool reads = method == "GET" || method == "HEAD";
  switch (kind) {
    case RouteKind::kHealth:
    case RouteKind::kOpenApi:
      return {.reach = Reach::kOpen};
    case RouteKind::kUploads:
    case RouteKind::kUpload:
      // OPTIONS, which browsers send without a token, tells of no site; and who may look how far an
      // upload is may be the one who finishes it.
      return method == "OPTIONS" ? Need{.reach = Reach::kOpen}
                                 : Need{.reach = Reach::kOne, .right = Right::kPublish};
    case RouteKind::kAsset:
    case RouteKind::kAssets:
    case RouteKind::kReleases:
    case RouteKind::kRelease:
    case RouteKind::kActivation:
    case RouteKind::kPreparation:
      return {.reach = Reach::kOne, .right = reads ? Right::kRead : Right::kPublish};
    case RouteKind::kContent:
      return {.reach = Reach::kOne, .right = Right::kRead, .fleet = true};
    case RouteKind::kBlob:
      // Contents belong to no site. Uploading one shows nothing of others; reading one may. Edges
      // fetch by SHA-256 what the next release will have.
      return reads ? Need{.reach = Reach::kAll, .right = Right::kRead, .fleet = true}
                   : Need{.reach = Reach::kSome, .right = Right::kPublish};
    case RouteKind::kPurge:
      return {.reach = Reach::kSome, .right = Right::kPurge};
    case RouteKind::kEvents:
    case RouteKind::kEdges:
      return {.reach = Reach::kAll, .right = Right::kRead, .fleet = true};
    case RouteKind::kEdge:
      return {.reach = Reach::kAll,
              .right = reads ? Right::kRead : Right::kAdmin,
              .fleet = method != "DELETE"};
    case RouteKind::kSites:
      return reads ? Need{.reach = Reach::kSome, .right = Right::kRead, .fleet = true}
                   : Need{.reach = Reach::kAll, .right = Right::kAdmin};
    case RouteKind::kSite:
      return {.reach = Reach::kOne, .right = reads ? Right::kRead : Right::kAdmin, .fleet = reads};
    case RouteKind::kReceipts:
    case RouteKind::kReceipt:
      return {.reach = Reach::kSome, .right = Right::kRead};
    case RouteKind::kTokens:
    case RouteKind::kToken:
    case RouteKind::kAudit:
      return {.reach = Reach::kSome, .right = Right::kAdmin};
    case RouteKind::kAccounts:
    case RouteKind::kAccount:
    case RouteKind::kAccountGrants:
    case RouteKind::kAccountPassword:
    case RouteKind::kAccountSessions:
    case RouteKind::kJobs:
    case RouteKind::kJobRetry:
      return {.reach = Reach::kAll, .right = Right::kAdmin};
  }
  return {};
}

Status CheckAccess(const Caller& caller, const Route& route, std::string_view method) {
  const Need need = NeedOf(route.kind, method);
  if (need.reach == Reach::kOpen || (need.fleet && caller.fleet)) return {};
  switch (need.reach) {
    case Reach::kOpen:
      return {};
    case Reach::kOne:
      return Require(caller, need.right, route.site);
    case Reach::kAll:
      return Require(caller, need.right, kEverySite);
    case Reach::kSome:
      return Require(caller, need.right, caller.site);
  }
  return {};
}

}  // namespace nearside::origin
