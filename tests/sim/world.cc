#include "tests/sim/world.h"

#include <algorithm>
#include <cstdio>

#include "tests/edge/messages.h"

namespace nearside::sim {
namespace {

constexpr std::array<const char*, 5> kUrls = {"/a", "/b", "/p/c", "/p/d", "/e"};

std::vector<std::string> TagsOf(const std::string& url) {
  if (url == "/a" || url == "/p/c") return {"t1"};
  if (url == "/p/d") return {"t2"};
  return {};
}

/// Whether this one varies changes.
constexpr std::string_view kChanging = "/e";

std::vector<std::string> AllUrls() { return {kUrls.begin(), kUrls.end()}; }

template <typename Holds>
std::vector<std::string> UrlsThat(Holds holds) {
  std::vector<std::string> urls;
  for (const char* url : kUrls) {
    if (holds(std::string(url))) urls.emplace_back(url);
  }
  return urls;
}

/// So old may what is shown be, at most: the site's max_event_lag, or the time that it takes to
/// find out that a stream has gone silent, and something for the turn of a loop.
constexpr milliseconds kOldest{15'000 + 500};
/// A change is on its way to edges within this, where there is a way.
constexpr milliseconds kTold{500};

/// Behind its lifetime something is taken to be fresh, at most: what a clock may go back unnoticed
/// (edge/freshness.h) and be wrong, and a page's way.
constexpr seconds kOldestFresh{5 + 2 + 3};

/// Parsed once: a run needs many edges.
const edge::EdgeSettings& SettingsFor(size_t origins) {
  static const std::array<edge::EdgeSettings, 3> kSettings = [] {
    std::array<edge::EdgeSettings, 3> all;
    for (size_t n = 0; n < all.size(); ++n) {
      all[n] = edge::SettingsWith(
          "stale_if_error = \"1h\"\norigin_timeout = \"3s\"\nmax_event_lag = \"4s\"\n"
          "keep_at = [\"https://www.demo.test\"]\n");
      all[n].listen.clear();
      all[n].node.access_log = "off";
      all[n].sites[0].origins.clear();
      for (size_t i = 0; i <= n; ++i) {
        all[n].sites[0].origins.push_back("http://o" + std::to_string(i) + ":80");
      }
    }
    return all;
  }();
  return kSettings.at(origins - 1);
}

uint64_t KeptEvents(Chance& chance) {
  constexpr std::array<uint64_t, 3> kKept = {3, 20, 1000};
  return kKept[chance.Below(kKept.size())];
}

std::string TextOf(storage::LogPosition position) { return origin::PositionText(position); }

}  // namespace

Outcome& Outcome::operator+=(const Outcome& other) {
  answers += other.answers;
  hits += other.hits;
  hits_of_variants += other.hits_of_variants;
  stale_on_error += other.stale_on_error;
  failures += other.failures;
  changes += other.changes;
  confirmations += other.confirmations;
  receipts += other.receipts;
  proofs += other.proofs;
  edge_crashes += other.edge_crashes;
  origin_crashes += other.origin_crashes;
  log_cuts += other.log_cuts;
  restores += other.restores;
  clock_jumps += other.clock_jumps;
  return *this;
}

std::string Outcome::ToText() const {
  std::string text;
  const std::pair<const char*, uint64_t> figures[] = {{"answers", answers},
                                                      {"hits", hits},
                                                      {"of variants", hits_of_variants},
                                                      {"stale on error", stale_on_error},
                                                      {"failures", failures},
                                                      {"changes", changes},
                                                      {"confirmations", confirmations},
                                                      {"receipts", receipts},
                                                      {"proofs", proofs},
                                                      {"crashes of edges", edge_crashes},
                                                      {"crashes of origins", origin_crashes},
                                                      {"logs cut", log_cuts},
                                                      {"restores", restores},
                                                      {"clock jumps", clock_jumps}};
  for (const auto& [name, figure] : figures) {
    text += (text.empty() ? "" : ", ") + std::to_string(figure) + " " + name;
  }
  return text;
}

World::World(const WorldOptions& options)
    : options_(options),
      chance_(options.seed),
      edge_count_(1 + chance_.Below(3)),
      origin_count_(1 + chance_.Below(3)),
      edge_clocks_(edge_count_, WallClock(schedule_)),
      origin_clocks_(origin_count_, WallClock(schedule_)),
      state_(chance_, KeptEvents(chance_)),
      network_(schedule_, chance_, edge_count_, origin_count_),
      settings_(SettingsFor(origin_count_)),
      needs_(edge_count_),
      said_(edge_count_),
      booted_(edge_count_),
      heard_(edge_count_),
      reported_(edge_count_),
      taken_(edge_count_),
      fault_share_(chance_.Below(4) * 150) {
  network_.Connect(
      {.request =
           [this](const WireRef& wire, const http::RequestHead& head, const std::string& body) {
             return origins_[wire->origin]->OnRequest(wire, head, body);
           },
       .gone = [this](const WireRef& wire) { origins_[wire->origin]->OnGone(wire); },
       .on_edge = [this](size_t edge,
                         std::function<void()> what) { edges_[edge]->Run(std::move(what)); },
       .heard = [this](size_t edge,
                       MonoTime sent) { heard_[edge] = {.at = schedule_.now(), .sent = sent}; }});
  for (size_t i = 0; i < origin_count_; ++i) {
    origins_.push_back(std::make_unique<OriginProcess>(OriginProcess::Parts{
        .schedule = schedule_,
        .clock = origin_clocks_[i],
        .chance = chance_,
        .network = network_,
        .state = state_,
        .bug = options_.bug,
        .reported = [this](const std::string&, origin::Fleet& fleet) { OnReported(fleet); },
        .proved = [this](const std::string& edge, storage::LogPosition position,
                         const std::string& digest) { OnProof(edge, position, digest); },
        .said =
            [this](size_t edge, const std::string& url, uint64_t id) {
              said_[edge][{url, id}] = schedule_.now();
            }}));
  }
  for (size_t i = 0; i < edge_count_; ++i) {
    edge_clocks_[i].Set(SmallError());
    edges_.push_back(std::make_unique<EdgeProcess>(EdgeProcess::Parts{
        .schedule = schedule_,
        .clock = edge_clocks_[i],
        .chance = chance_,
        .network = network_,
        .index = i,
        .origins = origin_count_,
        .settings = settings_,
        .bug = options_.bug,
        .without_disk = options_.bug == Bug::kNone && chance_.Permille(60),
        .answered = [this, i](const Answered& answered) { OnAnswer(i, answered); },
        .reports = [this, i](storage::LogPosition position) { OnReport(i, position); },
        .log_cut = [this, i](bool all_stale) { OnLogCut(i, all_stale); }}));
  }
}

Outcome World::Run() {
  Begin();
  isolated_ = chance_.Permille(60);
  if (isolated_) Isolate();
  const seconds longest(isolated_ ? 40 : 12);
  if (RunFor(chance_.Between(seconds(4), longest))) {
    Heal();
    // A half of a connection that has not heard of the other's end gives up after 15 s.
    if (RunFor(seconds(20))) CheckTheEnd();
  }
  return outcome_;
}

bool World::RunFor(microseconds span) {
  end_ = schedule_.now() + span;
  while (outcome_.failure.empty() && schedule_.Step(end_)) {
  }
  return outcome_.failure.empty();
}

void World::Begin() {
  epochs_[state_.last().epoch] = 0;
  Change(true);
  constexpr std::array<int64_t, 4> kLifetimes = {1, 5, 60, 3600};
  const seconds lifetime(kLifetimes[chance_.Below(kLifetimes.size())]);
  for (const auto& origin : origins_) {
    origin->conduct.lifetime = lifetime_ = lifetime;
    origin->Boot();
  }
  for (size_t i = 0; i < edge_count_; ++i) {
    BootEdge(i);
    VisitSoon(i);
  }
  ChangeSoon();
  FaultSoon();
}

// ---- Visitors and changes

void World::VisitSoon(size_t edge) {
  const microseconds most(quiet_ ? 2'000'000 : 80'000);
  schedule_.After(chance_.Between({}, most), [this, edge] {
    VisitSoon(edge);
    if (!edges_[edge]->serving()) return;
    const std::string url = kUrls[chance_.Below(kUrls.size())];
    const uint64_t kind = chance_.Below(kKinds);
    const std::string place = PlaceOf(url, kind);
    const uint64_t number = next_visit_++;
    visits_[number] = {.edge = edge,
                       .place = place,
                       .need = NeedOf(edge, place),
                       .known_by = KnownBy(edge),
                       .at = schedule_.now()};
    edges_[edge]->Ask(url, kind, number);
  });
}

void World::ChangeSoon() {
  schedule_.After(chance_.Between({}, milliseconds(700)), [this] {
    if (quiet_) return;
    ChangeSoon();
    Change(false);
  });
}

std::optional<size_t> World::SomeOrigin() {
  const size_t first = chance_.Below(origin_count_);
  for (size_t i = 0; i < origin_count_; ++i) {
    if (origins_[(first + i) % origin_count_]->up()) return (first + i) % origin_count_;
  }
  return std::nullopt;
}

World::Record World::MakeRecord(bool everything, origin::Forget* forget) {
  Record record;
  const uint64_t kind = everything ? 0 : chance_.Below(5);
  if (kind == 0) {
    forget->all = true;
    record.urls = AllUrls();
  } else if (kind == 1) {
    forget->prefixes = {"/p/"};
    record.urls = {"/p/c", "/p/d"};
  } else if (kind == 2) {
    const std::string tag = chance_.Permille(500) ? "t1" : "t2";
    forget->tags = {tag};
    record.urls = UrlsThat([&](const std::string& url) {
      const std::vector<std::string> tags = TagsOf(url);
      return std::find(tags.begin(), tags.end(), tag) != tags.end();
    });
  } else {
    record.urls = UrlsThat([&](const std::string&) { return chance_.Permille(350); });
    forget->urls = record.urls;
  }
  forget->soft = !everything && chance_.Permille(600);
  record.hard = !forget->soft;
  record.confirmed.resize(edge_count_);
  return record;
}

/// Contents that differ by kind have numbers that tell it, and those that do not the one behind
/// them
/// (`slot`), so that one that is shown to the wrong visitor shows itself.
uint64_t World::SomeContent(uint64_t slot, bool may_be_gone) {
  const bool earlier = next_content_ > 5 && chance_.Permille(250);
  if (may_be_gone && chance_.Permille(100)) return 0;
  const uint64_t number = earlier ? 1 + chance_.Below(next_content_ - 1) : next_content_++;
  return number * (kKinds + 1) + slot;
}

/// What varies does so for good, but at one URL, where that comes and goes.
void World::ChangeUrl(const std::string& url, bool everything,
                      std::map<std::string, Content>* after) {
  const bool may_be_gone = !everything;
  const bool varies = url == "/b" || url == "/p/d" || (url == kChanging && chance_.Permille(500));
  const uint64_t of_all = varies ? 0 : SomeContent(kKinds, may_be_gone);
  for (uint64_t kind = 0; kind < kKinds; ++kind) {
    const std::string place = PlaceOf(url, kind);
    // As it is, unless another part of this change has replaced it.
    const auto at = state_.contents()->at.find(place);
    const bool may_stay = varies && !everything && !after->contains(place) && at->second.varies;
    if (may_stay && chance_.Permille(300)) continue;
    (*after)[place] = {.id = varies ? SomeContent(kind, may_be_gone) : of_all,
                       .tags = TagsOf(url),
                       .varies = varies};
  }
}

std::vector<std::string> World::Record::places() const {
  std::vector<std::string> places;
  for (const std::string& url : urls) {
    for (uint64_t kind = 0; kind < kKinds; ++kind) places.push_back(PlaceOf(url, kind));
  }
  return places;
}

/// What changes is told of in the same transaction, as a publish, a put or a delete does; a hard
/// purge may be of what has not changed.
void World::Change(bool everything) {
  const std::optional<size_t> by = SomeOrigin();
  if (!by && !everything) return;
  const storage::Site site{.name = kSite, .hosts = {kHost}};
  std::map<std::string, Content> after;
  std::vector<storage::NewEvent> events;
  std::vector<Record> records;
  const size_t count = chance_.Permille(150) ? 2 : 1;
  for (size_t i = 0; i < count; ++i) {
    origin::Forget forget;
    Record record = MakeRecord(everything, &forget);
    for (const std::string& url : record.urls) {
      if (record.hard && !everything && chance_.Permille(400)) continue;
      ChangeUrl(url, everything, &after);
    }
    // What ends the run is a switch as well: all are to prove it.
    const auto made =
        origin::EventsOf(forget.soft || quiet_ ? "activate" : "purge", site, forget,
                         "\"release\":\"" + std::to_string(state_.contents()->change + 1) + "\"");
    events.insert(events.end(), made.begin(), made.end());
    records.push_back(std::move(record));
  }
  storage::LogPosition position = state_.Commit(after, events, schedule_.wall_now());
  NoteDigest();
  const storage::LogPosition last = position;
  for (size_t i = count; i-- > 0; --position.sequence) {
    records[i].position = position;
    records[i].change = state_.contents()->change;
    records_.push_back(std::move(records[i]));
    Trace([&] {
      std::string line = "change " + std::to_string(records_.back().change) + " at " +
                         TextOf(records_.back().position) +
                         (records_.back().hard ? " hard" : " soft");
      for (const std::string& place : records_.back().places()) {
        line += " " + place + "=" + std::to_string(state_.contents()->at.at(place).id);
      }
      return line;
    });
  }
  ++outcome_.changes;
  change_at_[schedule_.now()] = state_.contents()->change;
  if (!by) return;
  // The origin that made it reads it itself a moment later, if it lives.
  const size_t record = records_.size() - count;  // of the last position
  schedule_.After(chance_.Between({}, milliseconds(2)), [this, by, last, record] {
    if (!origins_[*by]->up()) return;
    origins_[*by]->AfterChange(last, seconds(quiet_ ? 12 : 2),
                               [this, record](const auto& receipt) { OnReceipt(record, receipt); });
  });
}

// ---- Faults

void World::FaultSoon() {
  schedule_.After(chance_.Between({}, milliseconds(600)), [this] {
    if (quiet_) return;
    FaultSoon();
    if (chance_.Permille(fault_share_)) Fault();
  });
}

void World::Fault() {
  const size_t edge = chance_.Below(edge_count_);
  const size_t origin = chance_.Below(origin_count_);
  switch (chance_.Below(24)) {
    case 0:
    case 1:
    case 2:
    case 3:
      return CrashEdge(edge);
    case 4:
    case 5:
      return CrashOrigin(origin);
    case 6:
    case 7:
    case 8:
    case 9:
      return BlockLink(edge, origin);
    case 10:
    case 11:
      if (edges_[edge]->up()) edges_[edge]->Evict();
      return;
    case 12:
    case 13:
      return edges_[edge]->LeaveAll();
    case 14:
    case 15:
      if (!state_.has_backup() || chance_.Permille(500)) return state_.BackUp();
      return RestoreBackup();
    case 16:
    case 17:
    case 18:
      return SetClock(edge_clocks_[edge], edges_[edge]->name());
    case 19:
      return SetClock(origin_clocks_[origin], "origin" + std::to_string(origin));
    case 20:
    case 21:
      edges_[edge]->longest_commit = milliseconds(chance_.Permille(500) ? 30 : 1500);
      return;
    default:
      return Misbehave();
  }
}

void World::BootEdge(size_t edge) {
  Trace([&] { return "edge" + std::to_string(edge) + " begins"; });
  booted_[edge] = schedule_.now();
  reported_[edge] = edges_[edge]->disk().position;
  edges_[edge]->Boot();
}

void World::CrashEdge(size_t edge) {
  if (!edges_[edge]->up()) return;
  edges_[edge]->Crash();
  const bool loses = !edges_[edge]->has_disk() || chance_.Permille(100);
  if (loses) edges_[edge]->LoseDisk();
  ++outcome_.edge_crashes;
  // What it had shown may not have been durable: only what receipts say still holds.
  for (auto& [place, need] : needs_[edge]) need.seen = 0;
  Trace([&] {
    return "edge" + std::to_string(edge) + " dies" + (loses ? ", with its disk" : "") +
           "; durable: " + TextOf(edges_[edge]->disk().position);
  });
  schedule_.After(chance_.Between({}, seconds(chance_.Permille(100) ? 6 : 1)), [this, edge] {
    if (!edges_[edge]->up()) BootEdge(edge);
  });
}

void World::CrashOrigin(size_t origin) {
  if (!origins_[origin]->up()) return;
  origins_[origin]->Crash(chance_.Permille(700));
  ++outcome_.origin_crashes;
  Trace([&] { return "origin" + std::to_string(origin) + " dies"; });
  const auto boot = [this, origin](auto again) -> void {
    schedule_.After(chance_.Between({}, seconds(2)), [this, origin, again] {
      if (origins_[origin]->up()) return;
      Trace([&] { return "origin" + std::to_string(origin) + " begins"; });
      if (!origins_[origin]->Boot()) again(again);
    });
  };
  boot(boot);
}

/// As the manual says: every origin is stopped, the backup is put in place, they are started again.
/// Or, against it, under their feet.
void World::RestoreBackup() {
  if (chance_.Permille(700)) {
    for (size_t i = 0; i < origin_count_; ++i) CrashOrigin(i);
  }
  state_.Restore();
  epochs_[state_.last().epoch] = state_.contents()->change;
  NoteDigest();
  ++outcome_.restores;
  Trace([&] { return "a backup is restored: the log is " + TextOf(state_.last()); });
}

void World::Misbehave() {
  network_.slow_permille = chance_.Below(2) * chance_.Below(300);
  network_.doubled_permille = chance_.Below(2) * 300;
  state_.failing_permille = chance_.Below(3) == 0 ? chance_.Below(100) : 0;
  for (const auto& origin : origins_) {
    Conduct& conduct = origin->conduct;
    conduct.failing = chance_.Below(3) == 0 ? chance_.Below(900) : 0;
    conduct.slow = chance_.Below(400);
    conduct.cut_pages = chance_.Below(300);
    conduct.cut_streams = chance_.Below(2) * chance_.Below(200);
    conduct.doubled_events = chance_.Below(200);
    conduct.swapped_events = chance_.Below(200);
  }
}

void World::BlockLink(size_t edge, size_t origin) {
  const microseconds span = chance_.Between({}, seconds(chance_.Permille(200) ? 20 : 2));
  Trace([&] {
    return "edge" + std::to_string(edge) + " and origin" + std::to_string(origin) +
           " do not hear each other for " + std::to_string(span.count() / 1000) + " ms";
  });
  network_.Block(edge, origin, schedule_.now() + span);
}

void World::Isolate() {
  schedule_.After(chance_.Between({}, seconds(2)), [this] {
    Trace([] { return "nobody can follow the log"; });
    for (const auto& origin : origins_) origin->conduct.no_log = true;
  });
}

/// What a machine's clock is wrong by when nobody has touched it.
milliseconds World::SmallError() {
  return milliseconds(static_cast<int64_t>(chance_.Below(4000)) - 2000);
}

/// Forward or backward by minutes to days, or right again. No two errors are nearer to each other
/// than the longest run: by no clock could anybody know how long ago what a wrong one has dated is.
void World::SetClock(WallClock& clock, const std::string& whose) {
  const uint64_t steps = uint64_t{1} << chance_.Below(11);  // up to a month and a half
  milliseconds error = std::chrono::minutes(2 * (1 + chance_.Below(31)) * steps);
  if (chance_.Permille(500)) error = -error;
  if (chance_.Permille(250)) error = milliseconds(0);
  Trace([&] {
    const auto by = std::chrono::floor<seconds>(error - clock.error());
    return "the clock of " + whose + " jumps by " + std::to_string(by.count()) + " s";
  });
  clock.Set(error);
  ++outcome_.clock_jumps;
}

/// What it has heard last may have been on its way for long, and the stream be dead behind that.
/// Until the silence tells, it knows of what went before that was sent, and of nothing since: when
/// something was sent, no clock of two machines can say.
uint64_t World::KnownBy(size_t edge) const {
  const MonoTime now = schedule_.now();
  if (now - booted_[edge] < kOldest) return 0;
  const Heard& heard = heard_[edge];
  MonoTime known = now - kOldest;
  if (heard.at > known) known = std::min(known, heard.sent - kTold);
  return ChangeBy(known);
}

uint64_t World::ChangeBy(MonoTime time) const {
  const auto behind = change_at_.upper_bound(time);
  return behind == change_at_.begin() ? 0 : std::prev(behind)->second;
}

void World::Heal() {
  Trace([] { return "faults cease"; });
  quiet_ = true;
  for (WallClock& clock : edge_clocks_) clock.Set(SmallError());
  for (WallClock& clock : origin_clocks_) clock.Set({});
  network_.OpenAll();
  network_.slow_permille = network_.doubled_permille = 0;
  state_.failing_permille = 0;
  for (const auto& origin : origins_) {
    const seconds lifetime = origin->conduct.lifetime;
    origin->conduct = {.lifetime = lifetime, .poll = milliseconds(100)};
    if (!origin->up()) origin->Boot();
  }
  for (size_t i = 0; i < edge_count_; ++i) {
    edges_[i]->longest_commit = milliseconds(30);
    if (!edges_[i]->up()) BootEdge(i);
  }
}

/// Once faults have ceased, everything is confirmed, by everybody.
void World::CheckTheEnd() {
  final_record_ = records_.size();
  Change(true);
  if (!RunFor(seconds(14))) return;
  if (!final_receipt_) Fail("the last receipt never came whole");
  for (const Record& record : records_) {
    if (record.position.epoch != state_.last().epoch) continue;
    for (size_t i = 0; i < edge_count_; ++i) {
      if (!record.confirmed[i]) {
        return Fail("edge" + std::to_string(i) + " never confirmed " + TextOf(record.position));
      }
    }
  }
  for (size_t i = 0; i < edge_count_; ++i) {
    if (!edges_[i]->serving()) Fail("edge" + std::to_string(i) + " never serves");
    if (!state_.HasProved(edges_[i]->name()))
      Fail(edges_[i]->name() + " never proves the last switch");
  }
}

// ---- What must hold

void World::OnReport(size_t edge, storage::LogPosition position) {
  const storage::LogPosition before = std::exchange(reported_[edge], position);
  if (position == storage::LogPosition{}) return;
  if (before == storage::LogPosition{}) taken_[edge] = state_.contents()->change;
  if (!edges_[edge]->has_disk()) return;
  const Disk& disk = edges_[edge]->disk();
  const auto reached = disk.reached.find(position.epoch);
  if (reached != disk.reached.end() && reached->second >= position.sequence) return;
  Fail("edge" + std::to_string(edge) + " reports " + TextOf(position) + ", but only " +
       TextOf(disk.position) + " is durable");
}

/// It has been served what the origin has listed, after it heard of the switch; and what a proof is
/// about is applied.
void World::OnProof(const std::string& edge, storage::LogPosition position,
                    const std::string& digest) {
  if (!proofs_.emplace(edge, position).second) return;  // each report says it again
  ++outcome_.proofs;
  Trace([&] { return edge + " has proved " + TextOf(position); });
  for (Record& record : records_) {
    if (record.position != position) continue;
    const auto made = digests_.find(digest);
    if (made == digests_.end() || made->second < record.change) {
      return Fail(edge + " has proved " + TextOf(position) + " by what was not there then");
    }
    Confirm(record, edge);
  }
}

/// What a receipt would say now, of every change.
void World::OnReported(origin::Fleet& fleet) {
  for (Record& record : records_) {
    if (std::find(record.confirmed.begin(), record.confirmed.end(), false) ==
        record.confirmed.end()) {
      continue;
    }
    const WallTime now = schedule_.wall_now();
    for (const origin::ReceiptLine& line : fleet.ReceiptOf(record.position, now, now).edges) {
      if (line.done) Confirm(record, line.edge);
    }
  }
}

void World::OnReceipt(size_t record, const origin::Receipt& receipt) {
  ++outcome_.receipts;
  for (const origin::ReceiptLine& line : receipt.edges) {
    if (line.done) Confirm(records_[record], line.edge);
  }
  const bool whole = receipt.complete && receipt.edges.size() == edge_count_;
  if (whole && record >= final_record_) final_receipt_ = true;
}

void World::Confirm(Record& record, const std::string& name) {
  const auto edge = static_cast<size_t>(name.back() - '0');
  if (record.confirmed[edge]) return;
  record.confirmed[edge] = true;
  ++outcome_.confirmations;
  Trace([&] { return "a receipt of " + TextOf(record.position) + " names " + name; });
  const auto raise = [](uint64_t* at, uint64_t to) { *at = std::max(*at, to); };
  for (const std::string& place : record.places()) {
    raise(&NeedOf(edge, place).stood_since, record.change);
    if (record.hard) raise(&NeedOf(edge, place).made_since, record.change);
  }
  // It follows this log, so it has heard of the one before being no more.
  for (const std::string& place : Record{.urls = AllUrls()}.places()) {
    raise(&NeedOf(edge, place).stood_since, epochs_.at(record.position.epoch));
  }
}

void World::OnAnswer(size_t edge, const Answered& answered) {
  const auto found = visits_.find(answered.visit);
  const Visit visit = std::move(found->second);
  const Need& need = visit.need;
  const std::string& place = visit.place;
  visits_.erase(found);
  Trace([&] {
    std::string body = answered.body.substr(0, answered.body.find('\n'));
    body += " made=" + answered.made;
    return "edge" + std::to_string(edge) + " answers " + place + " " +
           std::to_string(answered.status) + " " + body + " | " + answered.cache_status;
  });
  ++outcome_.answers;
  const std::optional<Page> page = Page::Parse(answered.body, answered.made);
  if (!answered.whole || !page || answered.status >= 500) {
    ++outcome_.failures;
    const bool last = quiet_ && final_receipt_;
    if (last) Fail("edge" + std::to_string(edge) + " fails without a fault: " + answered.body);
    return;
  }
  const bool on_error = answered.cache_status.find("stale_if_error") != std::string::npos;
  const bool hit = answered.cache_status.find("; hit") != std::string::npos;
  outcome_.hits += hit ? 1 : 0;
  outcome_.stale_on_error += on_error ? 1 : 0;
  const auto stands = state_.contents()->at.find(place);
  outcome_.hits_of_variants += hit && stands->second.varies ? 1 : 0;
  const std::string what = "edge" + std::to_string(edge) + " answers " + place + " with content " +
                           std::to_string(page->id) + " made at change " +
                           std::to_string(page->made);
  const History& history = state_.history();
  if (page->url != answered.url) return Fail(what + ", which is of " + page->url);
  if (!history.StoodSince(place, page->id, 0)) {
    return Fail(what + ", which never stood there");
  }
  if (IsGone(edge, visit, *page)) {
    return Fail(what + ", though a receipt of a hard purge by change " +
                std::to_string(need.made_since) + " names it");
  }
  if (!on_error && !history.StoodSince(place, page->id, need.stood_since)) {
    return Fail(what + ", though a receipt of change " + std::to_string(need.stood_since) +
                " names it");
  }
  if (!on_error && !history.StoodSince(place, page->id, visit.known_by)) {
    return Fail(what + ", which went before change " + std::to_string(visit.known_by) +
                ", longer ago than max_event_lag");
  }
  // What was on its way may be older than what another fetch has brought, as long as no receipt
  // says otherwise; what is kept may not.
  if ((hit || on_error) && !history.StoodSince(place, page->id, need.seen)) {
    return Fail(what + ", but has shown what came by change " + std::to_string(need.seen));
  }
  const bool as_stale = answered.cache_status.find("stale_while_revalidate") != std::string::npos;
  const MonoTime said = said_[edge][{page->url, page->id}];
  if (hit && !on_error && !as_stale && visit.at - said > lifetime_ + kOldestFresh) {
    return Fail(what + ", long after the origin said it, as if it were fresh");
  }
  // What comes too old to be kept, by an origin whose clock is behind, is shown and not kept, and
  // so is what others ask for meanwhile, who wait for nobody. See "Known" in
  // docs/decisions/simulation.md.
  const auto says = [&](const char* word) {
    return answered.cache_status.find(word) != std::string::npos;
  };
  if (says("no_freshness") || says("fwd=bypass")) return;
  Need& now = NeedOf(edge, place);
  now.seen = std::max(now.seen, history.CameBy(place, page->id, page->made));
}

bool World::IsGone(size_t edge, const Visit& visit, const Page& page) const {
  const uint64_t made_since = visit.need.made_since;
  if (page.made >= made_since) return false;
  const bool on_its_word =
      taken_[edge] >= made_since && state_.history().StoodSince(visit.place, page.id, made_since);
  return !on_its_word;
}

void World::OnLogCut(size_t edge, bool all_stale) {
  ++outcome_.log_cuts;
  taken_[edge] = state_.contents()->change;
  Trace([&] { return "edge" + std::to_string(edge) + " is told that the log is cut"; });
  if (!all_stale) Fail("edge" + std::to_string(edge) + " is told 410 and not all of it is stale");
}

void World::Fail(const std::string& what) {
  if (!outcome_.failure.empty()) return;
  outcome_.failure = what;
  Trace([&] { return "FAILED: " + what; });
}

void World::Trace(const std::function<std::string()>& line) const {
  if (!options_.trace) return;
  std::printf("%12.6f  %s\n", static_cast<double>(schedule_.elapsed().count()) / 1e6,
              line().c_str());
}

Outcome RunWorld(const WorldOptions& options) { return World(options).Run(); }

}  // namespace nearside::sim
