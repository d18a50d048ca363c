#include "origin/content_urls.h"

#include <algorithm>
#include <map>
#include <utility>

#include "http/site_rules.h"
#include "origin/asset_path.h"
#include "origin/collector.h"
#include "origin/rules_files.h"
#include "origin/site_table.h"
#include "origin/visitor.h"
#include "runtime/crypto.h"

namespace nearside::origin {
namespace {

constexpr size_t kDigestPage = 5000;

/// What stands at a path in the one release and in the other.
struct Pair {
  const storage::Asset* now = nullptr;
  const storage::Asset* before = nullptr;

  bool differs() const {
    if (now == nullptr || before == nullptr) return true;
    return now->blob != before->blob || now->content_type != before->content_type ||
           now->headers != before->headers || now->tags != before->tags;
  }
};

/// What is listed is the content itself, whatever was made of it.
class IdentityContent final : public ReleaseContent {
 public:
  using ReleaseContent::ReleaseContent;
  Result<std::vector<storage::BlobVariant>> Variants(const storage::BlobId&) override {
    return std::vector<storage::BlobVariant>();
  }
};

/// The site as if `release` were its active one.
Result<ServedSitePointer> Serving(Node& node, const storage::Site& site,
                                  storage::ReleaseId release) {
  auto served = std::make_shared<ServedSite>();
  static_cast<storage::Site&>(*served) = site;
  served->active = release;
  Result<RulesFiles> files = FindRulesFiles(*node.metadata, release);
  if (!files) return unexpected(std::move(files.error()));
  served->rules_files = *files;
  Result<http::SiteRules> rules = ReadRulesFiles(*node.blobs, *files);
  // Files that are wrong, which an older version may have let in, are no rules.
  if (!rules && rules.error().reason != "bad_rules") return unexpected(std::move(rules.error()));
  served->rules =
      std::make_shared<const http::SiteRules>(rules ? std::move(*rules) : http::SiteRules());
  return served;
}

Result<ContentUrl> AnswerAt(SiteContent& content, std::string url) {
  http::RequestHead request;
  request.method = "GET";
  request.scheme = "http";
  request.authority = "localhost";
  request.target = url;
  Result<Answer> answer = ServeVisitor(request, content, WallNow());
  if (!answer) return unexpected(std::move(answer.error()));
  ContentUrl row{
      .url = std::move(url), .status = answer->status, .blob = {}, .bytes = 0, .etag = {}};
  row.bytes = answer->body_bytes();
  const bool whole = answer->status == 200 && answer->body.size() == 1;
  if (whole) row.blob = answer->body.front().blob;
  if (whole) row.etag = answer->fields.Get("etag").value_or("");
  return row;
}

}  // namespace

Result<ContentPage> ListContent(Node& node, const storage::Site& site, const ContentRange& range) {
  Result<ServedSitePointer> served = Serving(node, site, range.release);
  if (!served) return unexpected(std::move(served.error()));
  const bool is_change = range.since != storage::kNoRelease;
  bool all = !is_change;
  if (is_change) {
    Result<RulesFiles> before = FindRulesFiles(*node.metadata, range.since);
    if (!before) return unexpected(std::move(before.error()));
    all = *before != (*served)->rules_files;  // any URL may be answered in another way
  }
  const storage::AssetRange page{.prefix = "", .after = range.after, .limit = range.limit};
  Result<std::vector<storage::Asset>> now = node.metadata->ListAssets(range.release, page);
  if (!now) return unexpected(std::move(now.error()));
  Result<std::vector<storage::Asset>> before = std::vector<storage::Asset>();
  if (is_change) before = node.metadata->ListAssets(range.since, page);
  if (!before) return unexpected(std::move(before.error()));

  // Of a list that may go on, nothing behind its end is known.
  std::optional<std::string> end;
  for (const auto* list : {&*now, &*before}) {
    if (list->size() < range.limit) continue;
    end = end ? std::min(*end, list->back().path) : list->back().path;
  }
  std::map<std::string, Pair> paths;
  for (const storage::Asset& asset : *now) paths[asset.path].now = &asset;
  for (const storage::Asset& asset : *before) paths[asset.path].before = &asset;

  IdentityContent content(*node.metadata, *served, RetentionOf(node.settings.releases));
  ContentPage result;
  for (const auto& [path, pair] : paths) {
    if (end && path > *end) break;
    if (http::IsRulesFile(path) || (!all && !pair.differs())) continue;
    for (std::string& url : UrlsOfAsset(path)) {
      Result<ContentUrl> row = AnswerAt(content, std::move(url));
      if (!row) return unexpected(std::move(row.error()));
      if (row->status < 400 || is_change) result.urls.push_back(std::move(*row));
    }
  }
  result.next = end.value_or("");
  return result;
}

Result<std::string> DigestOfChange(Node& node, const storage::PublishReceipt& receipt) {
  Result<storage::Site> site = node.metadata->FindSite(receipt.site);
  if (!site) return unexpected(std::move(site.error()));
  ContentRange range{
      .release = receipt.release, .since = receipt.previous, .after = "", .limit = kDigestPage};
  Sha256 digest;
  do {
    Result<ContentPage> page = ListContent(node, *site, range);
    if (!page) return unexpected(std::move(page.error()));
    for (const ContentUrl& row : page->urls) {
      if (row.blob) digest.Update(row.url + " " + storage::BlobName(*row.blob) + "\n");
    }
    range.after = std::move(page->next);
  } while (!range.after.empty());
  return HexEncode(digest.Finish());
}

}  // namespace nearside::origin
