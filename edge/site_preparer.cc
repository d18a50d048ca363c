#include "edge/site_preparer.h"

#include <algorithm>
#include <utility>

#include "edge/stored_response.h"
#include "edge/worker.h"
#include "http/uri.h"
#include "runtime/log.h"
#include "runtime/text_bytes.h"

namespace nearside::edge {
namespace {

constexpr size_t kListedRows = 500;
/// URLs of one release that are prepared.
constexpr size_t kMostPaths = 50'000;
constexpr int kTriesOfContent = 3;
/// So many in a row that cannot be had: it is the origin that cannot be.
constexpr int kFailuresInRow = 5;
constexpr milliseconds kTryAgain{500};
/// Of the cache, what is prepared may take one part in so many.
constexpr uint64_t kPartOfCache = 4;
/// In the place of a SHA-256: what is noted over a restart.
constexpr std::string_view kNote = "note";

}  // namespace

SitePreparer::SitePreparer(KeeperMeans& means, std::string name, std::function<void()> changed)
    : means_(means),
      name_(std::move(name)),
      changed_(std::move(changed)),
      again_(means.worker.loop(),
             [this] {
               if (state_.state != "preparing") return;
               if (!listed_ && !call_) FetchList();
               StartSome();
             }),
      expiry_(means.worker.loop(), [this] { Expire(); }),
      self_(std::make_shared<SitePreparer*>(this)) {}

SitePreparer::~SitePreparer() { *self_ = nullptr; }

void SitePreparer::Begin(std::shared_ptr<const Configuration> configuration,
                         storage::LogPosition position, std::string release) {
  Halt();
  for (const auto& [sha256, content] : contents_) {
    if (content.held) keys_.insert(PreparedKey(name_, sha256));
  }
  configuration_ = std::move(configuration);
  contents_.clear();
  paths_ = 0;
  planned_bytes_ = 0;
  failures_ = list_tries_ = 0;
  after_.clear();
  listed_ = false;
  begun_at_ = means_.worker.loop().now();
  state_ = {.position = position, .release = std::move(release)};
  const Site* site = configuration_->sites.FindByName(name_);
  const bool wanted =
      site != nullptr && (site->settings.prove_releases || site->settings.keep_whole);
  state_.state = wanted && Room() > 0 ? "preparing" : "off";
  changed_();
  if (state_.state == "preparing") FetchList();
}

/// Bytes that may be prepared.
uint64_t SitePreparer::Room() const {
  const uint64_t most = configuration_->settings.fleet.prepare_most.bytes;
  const CacheSettings& cache = configuration_->settings.cache;
  const uint64_t whole = cache.path.empty() ? cache.memory.bytes : cache.disk.bytes;
  return std::min(most, whole / kPartOfCache);
}

void SitePreparer::OnSwitched() {
  if (state_.state != "preparing") return;
  Lacks("the switch came first");
  Halt();
  Finish();
}

/// Nothing more is fetched.
void SitePreparer::Halt() {
  ++generation_;
  net::EventLoop& loop = means_.worker.loop();
  if (call_) loop.DisposeLater(std::move(call_));
  for (auto& [sha256, content] : contents_) {
    if (content.fetch) loop.DisposeLater(std::move(content.fetch));
  }
  queue_.clear();
  under_way_ = 0;
  again_.Disarm();
}

// ---- The list

void SitePreparer::FetchList() {
  std::string target = "/v1/sites/" + name_ + "/releases/" + state_.release +
                       "/content?since=active&limit=" + std::to_string(kListedRows);
  if (!after_.empty()) target += "&after=" + http::PercentEncode(after_);
  const http::Endpoint& origin = means_.origins[next_origin_ % means_.origins.size()];
  call_ = std::make_unique<ContentCall>(means_.client, origin, means_.token, std::move(target),
                                        [this, generation = generation_](Result<ContentList> list) {
                                          if (generation == generation_) OnList(std::move(list));
                                        });
}

void SitePreparer::OnList(Result<ContentList> list) {
  means_.worker.loop().DisposeLater(std::move(call_));
  if (!list) {
    ++next_origin_;
    if (++list_tries_ < kTriesOfContent) return again_.Arm(kTryAgain);
    Lacks("the origin does not list what changes: " + list.error().reason);
    listed_ = true;
    return StartSome();
  }
  list_tries_ = 0;
  for (const ContentRow& row : list->rows) Add(row);
  after_ = list->next;
  listed_ = after_.empty();
  if (!listed_) FetchList();
  StartSome();
}

void SitePreparer::Add(const ContentRow& row) {
  const bool strong = row.etag.size() > 2 && row.etag.front() == '"';
  if (row.status != 200 || row.sha256.empty() || !strong) return;
  auto path = http::NormalizeTarget(row.url);
  if (!path) return;
  const auto [found, is_new] = contents_.try_emplace(row.sha256);
  Content& content = found->second;
  if (is_new) {
    ++state_.of;
    content.etag = row.etag;
    content.bytes = row.bytes;
    const bool fits = planned_bytes_ + row.bytes <= Room() && paths_ < kMostPaths;
    if (fits) {
      planned_bytes_ += row.bytes;
      queue_.push_back(row.sha256);
    } else {
      Lacks("no room");
      return;
    }
  }
  if (content.etag != row.etag || paths_ >= kMostPaths) return;
  ++paths_;
  content.paths.push_back(std::move(*path));
}

// ---- Contents

void SitePreparer::StartSome() {
  const auto most = static_cast<size_t>(configuration_->settings.fleet.keep_parallel);
  while (!queue_.empty() && under_way_ < most) {
    const std::string sha256 = std::move(queue_.front());
    queue_.pop_front();
    ++under_way_;
    Start(sha256);
  }
  if (listed_ && queue_.empty() && under_way_ == 0 && state_.state == "preparing") Finish();
}

/// It may be here from a preparation before.
void SitePreparer::Start(const std::string& sha256) {
  storage::CacheStore& store = *means_.worker.node().store;
  const Key256 key = PreparedKey(name_, sha256);
  storage::HeadRef head = store.Find(key);
  if (!head && !store.MayBeOnDisk(key)) return Fetch(sha256);
  if (head) return OnFound(sha256, std::move(head));
  store.Load(key, means_.worker.loop(),
             [self = self_, sha256, generation = generation_](storage::HeadRef loaded) {
               if (*self == nullptr || (*self)->generation_ != generation) return;
               (*self)->OnFound(sha256, std::move(loaded));
             });
}

void SitePreparer::OnFound(const std::string& sha256, storage::HeadRef head) {
  storage::CacheStore& store = *means_.worker.node().store;
  const bool usable = head && head->head.body_bytes == contents_.at(sha256).bytes &&
                      store.Check(*head) != storage::Validity::kGone;
  // For as long again.
  if (!usable || !store.Refresh(head, HeadOf(sha256))) return Fetch(sha256);
  means_.worker.loop().Post([self = self_, sha256, generation = generation_] {
    if (*self == nullptr || (*self)->generation_ != generation) return;
    (*self)->Held(sha256);
    --(*self)->under_way_;
    (*self)->StartSome();
  });
}

storage::Head SitePreparer::HeadOf(const std::string& sha256) const {
  const net::EventLoop& loop = means_.worker.loop();
  StoredResponse response;
  response.status = 200;
  response.url = "prepared:" + sha256;  // for people who look into the file
  response.freshness.response_time = loop.wall_now();
  storage::Head head;
  head.key = PreparedKey(name_, sha256);
  head.stored_at = loop.wall_now();
  head.drop_at = loop.wall_now() + kPreparedFor;
  head.purge_sequence = means_.worker.node().store->purge_sequence();
  head.scopes = {storage::ScopeOf(storage::ScopeKind::kSite, name_, "")};
  head.meta = EncodeStored(response);
  return head;
}

void SitePreparer::Fetch(const std::string& sha256) {
  Content& content = contents_.at(sha256);
  ++content.tries;
  Worker& worker = means_.worker;
  content.fetch = std::make_unique<BlobFetch>(
      worker.loop(), means_.client, *worker.node().store, means_.pace,
      BlobFetch::Order{.origin = means_.origins[next_origin_ % means_.origins.size()],
                       .token = means_.token,
                       .sha256 = sha256,
                       .bytes = content.bytes,
                       .head = HeadOf(sha256)},
      [this, sha256, generation = generation_](Status status) {
        // One that was given up lives to the end of that turn.
        if (generation == generation_) OnFetched(sha256, std::move(status));
      });
}

void SitePreparer::OnFetched(const std::string& sha256, Status status) {
  Content& content = contents_.at(sha256);
  means_.worker.loop().DisposeLater(std::move(content.fetch));
  --under_way_;
  if (status) {
    failures_ = 0;
    Held(sha256);
    return StartSome();
  }
  const Error& error = status.error();
  Log(Level::kWarning, "content_not_prepared",
      {{"site", name_}, {"sha256", sha256}, {"error", error.ToString()}});
  Lacks(error.reason);
  // What the cache does not take, or comes wrong, is for the fetch of a visitor to have.
  const bool passes = error.reason != "not_stored" && error.reason != "wrong_bytes";
  if (!passes) return StartSome();
  ++next_origin_;
  if (++failures_ >= kFailuresInRow) queue_.clear();
  if (failures_ < kFailuresInRow && content.tries < kTriesOfContent) queue_.push_back(sha256);
  if (queue_.empty()) return StartSome();
  again_.Arm(kTryAgain);
}

void SitePreparer::Held(const std::string& sha256) {
  Content& content = contents_.at(sha256);
  content.held = true;
  ++state_.held;
  state_.bytes += content.bytes;
}

void SitePreparer::Lacks(std::string why) {
  if (state_.why.empty()) state_.why = std::move(why);
}

// ---- The end

void SitePreparer::Finish() {
  state_.state = state_.held == state_.of && listed_ && list_tries_ == 0 ? "prepared" : "partly";
  if (state_.state == "prepared") state_.why.clear();
  state_.took = std::chrono::duration_cast<milliseconds>(means_.worker.loop().now() - begun_at_);
  Publish();
  Log(Level::kInfo, "release_prepared",
      {{"site", name_},
       {"release", state_.release},
       {"held", state_.held},
       {"of", state_.of},
       {"bytes", state_.bytes},
       {"why", state_.why}});
  changed_();
}

/// From now on fetches know of it, after a restart too.
void SitePreparer::Publish() {
  PreparationNote note{.state = state_};
  for (auto& [sha256, content] : contents_) {
    if (!content.held) continue;
    note.contents.push_back({.sha256 = sha256,
                             .etag = std::move(content.etag),
                             .bytes = content.bytes,
                             .paths = std::move(content.paths)});
  }
  contents_.clear();
  Note(note);
  Use(note, kPreparedFor);
}

/// What only the preparation before had goes.
void SitePreparer::Use(const PreparationNote& note, milliseconds left) {
  PreparedSet set;
  std::set<Key256> keys;
  for (const PreparationNote::Content& content : note.contents) {
    const Key256 key = PreparedKey(name_, content.sha256);
    keys.insert(key);
    for (const std::string& path : content.paths) {
      set[path] = {.etag = content.etag, .key = key, .bytes = content.bytes};
    }
  }
  Node& node = means_.worker.node();
  node.prepared.Put(name_, std::move(set));
  for (const Key256& key : keys_) {
    if (!keys.contains(key)) node.store->Remove(key);
  }
  keys_ = std::move(keys);
  expiry_.Arm(left);
}

// ---- Over a restart

/// As an object beside the contents, dropped with them. One that cannot be stored is missed after a
/// restart, and nowhere else.
void SitePreparer::Note(const PreparationNote& note) {
  storage::CacheStore& store = *means_.worker.node().store;
  store.Remove(PreparedKey(name_, kNote));
  if (note.contents.empty()) return;
  const std::string text = FormatPreparationNote(note);
  const auto writer = store.Begin(text.size());
  if (!writer) return;
  writer->WriteAtOnce();
  for (std::span<const uint8_t> left = AsBytes(text); !left.empty();) {
    const size_t n = std::min<size_t>(left.size(), kChunkBytes);
    writer->Append(Chunk::Copy(left.first(n)));
    left = left.subspan(n);
  }
  (void)writer->Commit(HeadOf(std::string(kNote)));
}

void SitePreparer::Restore() {
  storage::CacheStore& store = *means_.worker.node().store;
  const Key256 key = PreparedKey(name_, kNote);
  if (!store.MayHold(key)) return;
  store.Load(key, means_.worker.loop(),
             [self = self_, generation = generation_](storage::HeadRef head) {
               if (*self == nullptr || (*self)->generation_ != generation || !head) return;
               (*self)->ReadNote(std::move(head), "");
             });
}

/// What comes behind the beginning that is here.
void SitePreparer::ReadNote(storage::HeadRef head, std::string text) {
  if (head->inline_body) return OnNote(*head, head->inline_body->text());
  if (text.size() >= head->head.body_bytes) return OnNote(*head, text);
  const auto index = static_cast<uint32_t>(text.size() / kChunkBytes);
  means_.worker.node().store->LoadChunk(
      head, index, means_.worker.loop(),
      [self = self_, generation = generation_, head,
       text = std::move(text)](Result<ChunkRef> chunk) mutable {
        if (*self == nullptr || (*self)->generation_ != generation || !chunk) return;
        text += (*chunk)->text();
        (*self)->ReadNote(head, std::move(text));
      });
}

void SitePreparer::OnNote(const storage::CachedHead& head, std::string_view text) {
  Worker& worker = means_.worker;
  const milliseconds left =
      std::min<milliseconds>(head.head.drop_at - worker.loop().wall_now(), kPreparedFor);
  const bool usable =
      left > milliseconds(0) && worker.node().store->Check(head) != storage::Validity::kGone;
  const auto note = usable ? ParsePreparationNote(text) : std::nullopt;
  if (!note) return;
  state_ = note->state;
  Use(*note, left);
  Log(Level::kInfo, "preparation_restored",
      {{"site", name_}, {"release", state_.release}, {"held", state_.held}, {"of", state_.of}});
  changed_();
}

/// The store drops it by itself.
void SitePreparer::Expire() {
  keys_.clear();
  means_.worker.node().prepared.Put(name_, {});
}

}  // namespace nearside::edge
