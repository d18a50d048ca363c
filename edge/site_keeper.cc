#include "edge/site_keeper.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "edge/worker.h"
#include "http/uri.h"
#include "runtime/log.h"

namespace nearside::edge {
namespace {

/// A change is told in several events, one right behind the other.
constexpr milliseconds kSettle{20};
constexpr milliseconds kFirstBackoff{500};
constexpr milliseconds kLongestBackoff{30'000};
/// How often a URL is asked for that is not as it should be.
constexpr int kMostTries = 4;
/// So many URLs in a row that cannot be had: it is the origin that cannot be.
constexpr int kMostFailures = 3;
/// After a pass that found something amiss, and after one that did not: what a full or a failing
/// disk has lost meanwhile is fetched again.
constexpr std::chrono::minutes kLookAgain{5};
constexpr std::chrono::hours kLookSometimes{6};
constexpr std::chrono::seconds kProveAgain{30};
constexpr std::chrono::hours kLongestProveAgain{1};
/// With so many that are not as they should be, the next is not asked for a second time.
constexpr uint64_t kMostDoubted = 20;
constexpr size_t kPageRows = 500;
/// URLs that are asked for, or wait for the disk.
constexpr size_t kMostChecks = 256;
constexpr size_t kMostUrls = 1'000'000;
constexpr size_t kMostFlaws = 10;
constexpr size_t kMostUrlsAtOnce = 10'000;

}  // namespace

SiteKeeper::SiteKeeper(KeeperMeans& means, std::string name)
    : means_(means), name_(std::move(name)), wake_(means.worker.loop(), [this] { means_.poke(); }) {
  state_.site = name_;
}

SiteKeeper::~SiteKeeper() = default;

const Site* SiteKeeper::site() const { return configuration_->sites.FindByName(name_); }

void SiteKeeper::Use(std::shared_ptr<const Configuration> configuration) {
  configuration_ = std::move(configuration);
  const Site* own = site();
  const bool keeps = own != nullptr && own->settings.keep_whole;
  std::vector<VisitorBase> bases;
  if (own != nullptr) bases = BasesOf(*configuration_, *own, hosts_);
  const bool other = keeps != state_.keeps || (keeps && bases != bases_);
  bases_ = std::move(bases);
  if (!other) return;
  state_.keeps = keeps;
  Drop();
  if (keeps) {
    whole_at_ = MonoTime{};
  } else {
    whole_at_.reset();
    urls_.clear();
    keys_.clear();
    new_keys_.clear();
    missing_ = 0;
    state_.walked = false;
    state_.of = state_.held = 0;
    state_.missing.clear();
  }
  means_.poke();
}

void SiteKeeper::OnActivated(storage::LogPosition position, std::string release,
                             std::vector<std::string> hosts, std::string prepared) {
  hosts_ = std::move(hosts);
  ask_for_last_ = false;
  state_.position = position;
  state_.release = std::move(release);
  state_.prepared = std::move(prepared);
  state_.urls = state_.same = 0;
  state_.digest.clear();
  state_.differing.clear();
  const Site* own = site();
  if (own == nullptr) {
    state_.state = "unserved";
    return;
  }
  if (!own->settings.prove_releases && !state_.keeps) {
    state_.state = "off";
    return;
  }
  bases_ = BasesOf(*configuration_, *own, hosts_);
  state_.state = "proving";
  change_at_ = means_.worker.loop().now() + kSettle;
  prove_again_ = kProveAgain;
  if (pass_) {
    if (pass_->kind == Kind::kWhole) whole_at_ = MonoTime{};
    Drop();
  }
  means_.poke();
}

void SiteKeeper::OnChanged(const std::vector<std::string>& urls, std::vector<std::string> hosts) {
  if (!hosts.empty()) hosts_ = std::move(hosts);
  if (!state_.keeps) return;
  if (urls.empty() || urls_at_once_.size() + urls.size() > kMostUrlsAtOnce) {
    whole_at_ = means_.worker.loop().now() + kSettle;
  } else {
    urls_at_once_.insert(urls.begin(), urls.end());
  }
  means_.poke();
}

// ---- Passes

void SiteKeeper::Drop() {
  net::EventLoop& loop = means_.worker.loop();
  if (call_) loop.DisposeLater(std::move(call_));
  for (auto& [number, check] : checks_) loop.DisposeLater(std::move(check));
  checks_.clear();
  new_keys_.clear();
  pass_.reset();
  not_before_ = {};
  backoff_ = kFirstBackoff;
}

void SiteKeeper::Begin(Kind kind) {
  Drop();
  ++passes_;
  pass_.emplace(Pass{});
  pass_->kind = kind;
  const std::string releases = "/v1/sites/" + name_ + "/releases/";
  switch (kind) {
    case Kind::kLast:
      ask_for_last_ = false;
      pass_->target = releases + "active/content?since=previous&edge=" +
                      http::PercentEncode(means_.worker.node().name) + "&";
      return;
    case Kind::kChange:
      change_at_.reset();
      pass_->target = releases + state_.release + "/content?since=previous&";
      return;
    case Kind::kWhole:
      whole_at_.reset();
      urls_at_once_.clear();
      pass_->target = releases + "active/content?";
      return;
    case Kind::kUrls:
      for (const std::string& url : urls_at_once_) {
        pass_->rows.push_back({.content = {.url = url}, .served = {}});
      }
      urls_at_once_.clear();
      pass_->listed = true;
      return;
  }
}

/// Whether there is a pass to go on with, begun now if one is due.
bool SiteKeeper::BeginDue() {
  if (pass_) return true;
  const MonoTime now = means_.worker.loop().now();
  const auto due = [now](const std::optional<MonoTime>& at) { return at && *at <= now; };
  // A switch comes first, also while its further events are waited for.
  const bool switching = change_at_ && *change_at_ - now <= kSettle;
  if (due(change_at_)) {
    Begin(Kind::kChange);
  } else if (ask_for_last_) {
    Begin(Kind::kLast);
  } else if (!urls_at_once_.empty() && !switching) {
    Begin(Kind::kUrls);
  } else if (due(whole_at_) && !switching) {
    Begin(Kind::kWhole);
  } else {
    std::optional<MonoTime> first = change_at_;
    if (whole_at_ && (!first || *whole_at_ < *first) && !switching) first = whole_at_;
    if (first) wake_.Arm(std::chrono::ceil<milliseconds>(*first - now));
    return false;
  }
  return true;
}

size_t SiteKeeper::under_way() const {
  return static_cast<size_t>(std::count_if(
      checks_.begin(), checks_.end(), [](const auto& row) { return row.second->is_asking(); }));
}

bool SiteKeeper::StartNext() {
  if (!BeginDue()) return false;
  const MonoTime now = means_.worker.loop().now();
  if (now < not_before_) {
    wake_.Arm(std::chrono::ceil<milliseconds>(not_before_ - now));
    return false;
  }
  Pass& pass = *pass_;
  const uint64_t end = pass.first + pass.rows.size();
  if (!pass.listed && !call_ && end - pass.next < kPageRows / 2) FetchList();
  if (checks_.size() >= kMostChecks) return false;
  if (!pass.again.empty()) {
    const uint64_t number = pass.again.front();
    pass.again.pop_front();
    return BeginCheck(number);
  }
  if (pass.next < end) return BeginCheck(pass.next++);
  if (pass.listed && pass.rows.empty() && checks_.empty()) Finish();
  return false;
}

void SiteKeeper::FetchList() {
  const size_t rows = pass_->kind == Kind::kLast ? 1 : kPageRows;
  std::string target = pass_->target + "limit=" + std::to_string(rows);
  if (!pass_->after.empty()) target += "&after=" + http::PercentEncode(pass_->after);
  const http::Endpoint& origin = means_.origins[next_origin_ % means_.origins.size()];
  call_ = std::make_unique<ContentCall>(means_.client, origin, means_.token, std::move(target),
                                        [this, pass = passes_](Result<ContentList> list) {
                                          if (pass_ && pass == passes_) OnList(std::move(list));
                                        });
}

void SiteKeeper::OnList(Result<ContentList> list) {
  means_.worker.loop().DisposeLater(std::move(call_));
  if (pass_->kind == Kind::kLast && (list || list.error().reason == "status_404")) {
    return OnLast(list);
  }
  if (!list) {
    ++next_origin_;
    if (backoff_ == kFirstBackoff) {  // an outage is told, not repeated
      Log(Level::kWarning, "content_not_listed",
          {{"site", name_}, {"error", list.error().ToString()}});
    }
    return PutOff(backoff_);
  }
  backoff_ = kFirstBackoff;
  hosts_ = std::move(list->hosts);
  const Site* own = site();
  if (own == nullptr) return Abandon();
  bases_ = BasesOf(*configuration_, *own, hosts_);
  Pass& pass = *pass_;
  // Another release was made the active one while this one was listed: from the beginning.
  if (!pass.release.empty() && pass.release != list->release) return Abandon();
  pass.release = list->release;
  pass.since = list->since;
  pass.after = list->next;
  pass.listed = list->next.empty();
  for (ContentRow& row : list->rows) pass.rows.push_back({.content = std::move(row), .served = {}});
  pass.urls += list->rows.size();
  if (pass.kind == Kind::kChange) state_.urls = pass.urls;
  means_.poke();
}

/// A site that the origin does not have, or that has had no switch, has none to prove.
void SiteKeeper::OnLast(const Result<ContentList>& list) {
  Drop();
  if (list && list->switch_sequence != 0 && !list->proved) {
    const storage::LogPosition last{list->switch_epoch, list->switch_sequence};
    const storage::LogPosition& known = state_.position;
    const bool is_news = last.epoch != known.epoch || last.sequence > known.sequence;
    if (is_news) OnActivated(last, list->release, list->hosts);
  }
  means_.poke();
}

bool SiteKeeper::BeginCheck(uint64_t number) {
  const Site* own = site();
  Row& row = pass_->rows[number - pass_->first];
  if (own == nullptr || bases_.empty()) {
    UrlVerdict verdict;
    verdict.why = "no full name among the site's hosts: set keep_at";
    verdict.again = true;
    row.tries = kMostTries;
    OnVerdict(number, std::move(verdict));
    return true;
  }
  ++row.tries;
  UrlOrder order{.configuration = configuration_,
                 .site = own,
                 .row = row.content,
                 .bases = bases_,
                 .keep = state_.keeps};
  if (!state_.keeps) order.bases.resize(1);
  UrlCheck::Callbacks callbacks{
      .keys =
          [this](const std::vector<Key256>& keys) { new_keys_.insert(keys.begin(), keys.end()); },
      .asked = [this] { means_.poke(); },
      .done =
          [this, number, pass = passes_](UrlVerdict verdict) {
            // One that was given up lives to the end of that turn.
            if (pass_ && pass == passes_) OnVerdict(number, std::move(verdict));
          }};
  checks_[number] = std::make_unique<UrlCheck>(means_.worker, means_.pace, std::move(order),
                                               std::move(callbacks));
  return true;
}

void SiteKeeper::OnVerdict(uint64_t number, UrlVerdict verdict) {
  if (const auto found = checks_.find(number); found != checks_.end()) {
    means_.worker.loop().DisposeLater(std::move(found->second));
    checks_.erase(found);
  }
  Pass& pass = *pass_;
  Row& row = pass.rows[number - pass.first];
  if (verdict.again && row.tries < kMostTries && pass.flawed < kMostDoubted) {
    pass.again.push_back(number);
    return verdict.failed ? PutOff(backoff_) : Pause(kFirstBackoff);
  }
  pass.failures = verdict.failed ? pass.failures + 1 : 0;
  if (pass.failures >= kMostFailures) return Abandon();
  if (verdict.why.empty()) backoff_ = kFirstBackoff;
  if (verdict.again) ++pass.flawed;
  Note(row, verdict);
  row.served = std::move(verdict.sha256);
  row.done = true;
  Advance();
  means_.poke();
}

/// What the verdict means for what is proved and for what is held.
void SiteKeeper::Note(const Row& row, const UrlVerdict& verdict) {
  Pass& pass = *pass_;
  const ContentRow& content = row.content;
  // What is served right and cannot be held is proved all the same.
  const bool served = verdict.why.empty() || (!verdict.again && !verdict.failed);
  const bool same = served && (content.sha256.empty() || verdict.sha256 == content.sha256);
  if (same) ++pass.same;
  if (pass.kind == Kind::kChange) {
    state_.same = pass.same;
    if (!same && state_.differing.size() < kMostFlaws) {
      state_.differing.push_back({content.url, verdict.why});
    }
  }
  if (!state_.keeps) return;
  if (verdict.gone && verdict.why.empty()) return Release(content.url);
  Hold(content.url, verdict.why);
}

void SiteKeeper::Hold(const std::string& url, const std::string& why) {
  auto found = urls_.find(url);
  if (found == urls_.end()) {
    if (urls_.size() >= kMostUrls) return;
    found = urls_.emplace(url, UrlState{}).first;
  } else if (!found->second.why.empty()) {
    --missing_;
  }
  found->second = {.why = why, .pass = passes_};
  if (!why.empty()) ++missing_;
  state_.of = urls_.size();
  state_.held = state_.of - missing_;
}

void SiteKeeper::Release(const std::string& url) {
  const auto found = urls_.find(url);
  if (found == urls_.end()) return;
  if (!found->second.why.empty()) --missing_;
  urls_.erase(found);
  state_.of = urls_.size();
  state_.held = state_.of - missing_;
}

/// The digest is over the URLs in their order, whichever was answered first.
void SiteKeeper::Advance() {
  Pass& pass = *pass_;
  while (!pass.rows.empty() && pass.rows.front().done) {
    const Row& row = pass.rows.front();
    if (!row.content.sha256.empty()) pass.digest.Update(row.content.url + " " + row.served + "\n");
    pass.rows.pop_front();
    ++pass.first;
  }
}

void SiteKeeper::Finish() {
  Pass& pass = *pass_;
  const MonoTime now = means_.worker.loop().now();
  keys_.insert(new_keys_.begin(), new_keys_.end());
  if (pass.kind == Kind::kChange) {
    const bool proved = pass.same == pass.urls;
    state_.state = proved ? "proved" : "differs";
    state_.digest = HexEncode(pass.digest.Finish());
    if (!proved) {
      change_at_ = now + prove_again_;
      prove_again_ = std::min<milliseconds>(prove_again_ * 2, kLongestProveAgain);
    }
    // All else is as it was when it was last gone through.
    const bool is_next = state_.walked && pass.since == walked_release_;
    if (is_next) walked_release_ = pass.release;
    if (state_.keeps && !is_next) whole_at_ = now;
    Log(proved ? Level::kInfo : Level::kWarning, "release_checked",
        {{"site", name_}, {"release", state_.release}, {"urls", pass.urls}, {"same", pass.same}});
  } else if (pass.kind == Kind::kWhole) {
    FinishWhole();
  }
  ListMissing();
  const bool walked = pass.kind == Kind::kWhole;
  Drop();
  means_.told();
  if (walked) means_.walked();
  means_.poke();
}

void SiteKeeper::FinishWhole() {
  std::erase_if(urls_, [this](const auto& url) {
    const bool left = url.second.pass != passes_;
    if (left && !url.second.why.empty()) --missing_;
    return left;
  });
  keys_ = new_keys_;
  state_.of = urls_.size();
  state_.held = state_.of - missing_;
  state_.walked = true;
  walked_release_ = pass_->release;
  const MonoTime now = means_.worker.loop().now();
  whole_at_ = missing_ == 0 ? now + kLookSometimes : now + kLookAgain;
  Log(missing_ == 0 ? Level::kInfo : Level::kWarning, "site_kept",
      {{"site", name_}, {"release", walked_release_}, {"held", state_.held}, {"of", state_.of}});
}

void SiteKeeper::ListMissing() {
  state_.missing.clear();
  for (const auto& [url, known] : urls_) {
    if (state_.missing.size() == kMostFlaws) return;
    if (!known.why.empty()) state_.missing.push_back({url, known.why});
  }
}

/// The pass pauses, and so does each one after it until something goes well.
void SiteKeeper::PutOff(milliseconds wait) {
  if (means_.worker.loop().now() < not_before_) return;  // several fail at once
  Pause(wait);
  backoff_ = std::min(backoff_ * 2, kLongestBackoff);
}

void SiteKeeper::Pause(milliseconds wait) {
  not_before_ = std::max(not_before_, means_.worker.loop().now() + wait);
  wake_.Arm(wait);
}

/// Begins anew after a while: what was found out so far stays.
void SiteKeeper::Abandon() {
  const MonoTime later = means_.worker.loop().now() + kProveAgain;
  const Kind kind = pass_->kind;
  ListMissing();
  Drop();
  (kind == Kind::kChange ? change_at_ : whole_at_) = later;
  wake_.Arm(kProveAgain);
}

}  // namespace nearside::edge
