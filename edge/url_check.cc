#include "edge/url_check.h"

#include <algorithm>
#include <utility>

#include "edge/cache_key.h"
#include "edge/policy.h"
#include "edge/slices.h"
#include "edge/stored_response.h"
#include "edge/worker.h"
#include "http/fields.h"
#include "http/uri.h"

namespace nearside::edge {
namespace {

/// Of the identity: it serves whoever takes no coding, and everybody while the origin is gone.
constexpr std::string_view kCoding = "identity";

}  // namespace

std::vector<VisitorBase> BasesOf(const Configuration& configuration, const Site& site,
                                 const std::vector<std::string>& hosts) {
  std::vector<VisitorBase> bases;
  const auto add = [&bases](VisitorBase base) {
    if (std::find(bases.begin(), bases.end(), base) == bases.end()) bases.push_back(base);
  };
  for (const std::string& text : site.settings.keep_at) {
    const size_t end = text.find("://");
    add({http::LowerName(text.substr(0, end)), http::LowerName(text.substr(end + 3))});
  }
  if (!bases.empty()) return bases;
  const auto& listeners = configuration.settings.listen;
  const auto any = [&listeners](bool tls) {
    return std::any_of(listeners.begin(), listeners.end(),
                       [tls](const ListenSettings& listen) { return listen.tls == tls; });
  };
  std::vector<std::string> names;
  for (const auto* list : {&site.settings.hosts, &hosts}) {
    for (const std::string& host : *list) {
      const std::string name = http::LowerName(host);
      // A host of the site's at the origin may be another one's here.
      const bool ours =
          name.find('*') == std::string::npos && configuration.sites.Find(name) == &site;
      if (ours) names.push_back(name);
    }
  }
  if (any(true)) {
    for (const std::string& name : names) add({"https", name});
  }
  if (any(false) && !site.settings.redirect_https) {
    for (const std::string& name : names) add({"http", name});
  }
  return bases;
}

UrlCheck::UrlCheck(Worker& worker, Pace& pace, UrlOrder order, Callbacks callbacks)
    : worker_(worker),
      pace_(pace),
      order_(std::move(order)),
      callbacks_(std::move(callbacks)),
      self_(std::make_shared<UrlCheck*>(this)) {
  AskNext();
}

UrlCheck::~UrlCheck() { *self_ = nullptr; }

void UrlCheck::AskNext() {
  const VisitorBase& base = order_.bases[base_];
  request_ = {};
  request_.method = "GET";
  request_.scheme = base.scheme;
  request_.authority = base.authority;
  request_.target = order_.row.url;
  request_.fields.Add("accept-encoding", kCoding);
  request_.fields.Add("user-agent", "nearside-edge");
  keys_.clear();
  exchange_ = std::make_unique<InsideExchange>(
      worker_.loop(), request_, pace_,
      [this](InsideAnswer answer) { OnAnswer(std::move(answer)); });
  worker_.OnRequest(*exchange_);
}

void UrlCheck::OnAnswer(InsideAnswer answer) {
  worker_.loop().DisposeLater(std::move(exchange_));
  if (base_ == 0 && !order_.row.sha256.empty() && answer.complete) verdict_.sha256 = answer.sha256;
  verdict_.gone = answer.status == 404 || answer.status == 410;
  if (!IsAsItShould(answer)) return EndAsking();
  if (!order_.keep) return NextBase();
  auto target = http::NormalizeTarget(request_.target);
  if (!target) return NextBase();  // it was not asked for from the cache either
  const std::string url = NormalUrl(request_, order_.site->query_rule.Apply(*std::move(target)));
  primary_ = PrimaryKey(order_.site->settings.name, url);
  Find(primary_, &UrlCheck::OnPrimary);
}

/// What it says when it is not is in the verdict.
bool UrlCheck::IsAsItShould(const InsideAnswer& answer) {
  const ContentRow& row = order_.row;
  const std::string status = "status " + std::to_string(answer.status);
  if (!answer.complete || (IsErrorStatus(answer.status) && answer.status != row.status)) {
    verdict_.failed = verdict_.again = true;
    verdict_.why = answer.complete ? status : "cut off";
  } else if (row.status == 0 ? answer.status >= 400 && !verdict_.gone
                             : answer.status != row.status) {
    verdict_.again = true;
    verdict_.why = status;
  } else if (!row.sha256.empty() && answer.sha256 != row.sha256) {
    verdict_.again = true;
    verdict_.why = "other bytes";
  }
  return verdict_.why.empty();
}

void UrlCheck::Find(const Key256& key, void (UrlCheck::*then)(storage::HeadRef)) {
  storage::CacheStore& store = *worker_.node().store;
  storage::HeadRef head = store.Find(key);
  if (head || !store.MayBeOnDisk(key)) return (this->*then)(std::move(head));
  store.Load(key, worker_.loop(), [self = self_, then](storage::HeadRef loaded) {
    if (*self != nullptr) ((*self)->*then)(std::move(loaded));
  });
}

void UrlCheck::OnPrimary(storage::HeadRef head) {
  if (!head || !ResponseOf(*head).is_index()) return OnHead(std::move(head));
  keys_.push_back(primary_);
  const SiteSettings& site = order_.site->settings;
  const std::vector<Variant>& variants = ResponseOf(*head).variants;
  Selector selector(request_.fields, site);
  variants_.clear();
  for (const Variant& variant : variants) {
    if (selector.Selects(variant.selecting, variant.language)) variants_.push_back(variant.key);
  }
  std::reverse(variants_.begin(), variants_.end());
  if (variants_.empty()) {
    variants_.push_back(
        VariantKey(primary_, SelectingLike(variants.front().selecting, request_.fields, site)));
  }
  OnVariant(nullptr);
}

/// The first of those that suit and are there, as a request finds it.
void UrlCheck::OnVariant(storage::HeadRef head) {
  const bool is_there = head && worker_.node().store->Check(*head) != storage::Validity::kGone;
  if (is_there || variants_.empty()) return OnHead(std::move(head));
  const Key256 next = variants_.back();
  variants_.pop_back();
  Find(next, &UrlCheck::OnVariant);
}

void UrlCheck::OnHead(storage::HeadRef head) {
  const bool gone = order_.row.status >= 400 || verdict_.gone;
  if (gone) {
    if (head) ListKeys(*head);
    for (const Key256& key : keys_) worker_.node().store->Unpin(key);
    return NextBase();
  }
  // What was just asked for and is not there, or not as it was just told, was not stored.
  if (!head || ResponseOf(*head).is_tail() ||
      worker_.node().store->Check(*head) != storage::Validity::kValid) {
    verdict_.why = "not stored";
    return EndAsking();
  }
  const Freshness& freshness = ResponseOf(*head).freshness;
  if (freshness.must_revalidate || freshness.always_validate) {
    verdict_.why = "must be validated";  // it is held, and of use as long as it is fresh
  }
  ListKeys(*head);
  callbacks_.keys(keys_);
  Pin();
  NextBase();
}

void UrlCheck::ListKeys(const storage::CachedHead& head) {
  keys_.push_back(head.head.key);
  const StoredResponse& response = ResponseOf(head);
  if (!response.is_sliced()) return;
  for (uint64_t at = 0; at < response.slicing.total_bytes; at += response.slicing.slice_bytes) {
    keys_.push_back(SliceKey(head.head.key, response, at / response.slicing.slice_bytes));
  }
}

void UrlCheck::Pin() {
  for (const Key256& key : keys_) {
    ++pins_;
    worker_.node().store->Pin(key, worker_.loop(), [self = self_](storage::PinOutcome outcome) {
      if (*self != nullptr) (*self)->OnPinned(outcome);
    });
  }
}

void UrlCheck::OnPinned(storage::PinOutcome outcome) {
  --pins_;
  if (outcome == storage::PinOutcome::kNoRoom) verdict_.why = "no room";
  if (outcome == storage::PinOutcome::kAbsent) verdict_.why = "not stored";
  if (!asking_ && pins_ == 0) Finish();
}

void UrlCheck::NextBase() {
  if (++base_ < order_.bases.size() && verdict_.why.empty()) return AskNext();
  EndAsking();
}

/// Others may ask while what was pinned becomes durable.
void UrlCheck::EndAsking() {
  asking_ = false;
  if (pins_ == 0) return Finish();
  callbacks_.asked();
}

void UrlCheck::Finish() { std::exchange(callbacks_.done, nullptr)(std::move(verdict_)); }

}  // namespace nearside::edge
