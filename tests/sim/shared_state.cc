#include "tests/sim/shared_state.h"

#include <algorithm>

#include "runtime/crypto.h"

namespace nearside::sim {

using storage::Event;
using storage::LogPosition;
using storage::LogState;
using storage::NewEvent;

std::string TextOf(const std::string& url, uint64_t id) {
  return "url=" + url + " id=" + std::to_string(id) + "\n";
}

std::map<std::string, std::string> HashesOf(const Contents& contents) {
  std::map<std::string, std::string> hashes;
  const std::string nobody = PlaceOf("", 0);
  for (const auto& [place, content] : contents.at) {
    if (!place.ends_with(nobody)) continue;
    const std::string url = place.substr(0, place.size() - nobody.size());
    hashes[url] = content.id != 0 ? HexEncode(Sha256Of(TextOf(url, content.id))) : "";
  }
  return hashes;
}

std::string DigestOf(const Contents& contents) {
  Sha256 digest;
  for (const auto& [url, hash] : HashesOf(contents)) {
    if (!hash.empty()) digest.Update(url + " " + hash + "\n");
  }
  return HexEncode(digest.Finish());
}

void History::Note(const Contents& contents) {
  for (const auto& [place, content] : contents.at) {
    std::vector<Span>& spans = spans_[place];
    if (!spans.empty() && spans.back().id == content.id) continue;
    if (!spans.empty()) spans.back().to = contents.change;
    spans.push_back({.id = content.id, .from = contents.change});
  }
}

bool History::StoodSince(const std::string& place, uint64_t id, uint64_t change) const {
  const auto found = spans_.find(place);
  return found != spans_.end() &&
         std::any_of(found->second.begin(), found->second.end(),
                     [&](const Span& span) { return span.id == id && span.to > change; });
}

uint64_t History::CameBy(const std::string& place, uint64_t id, uint64_t made) const {
  uint64_t came = 0;
  for (const Span& span : spans_.at(place)) {
    if (span.id == id && span.from <= made) came = span.from;
  }
  return came;
}

uint64_t History::WentBy(const std::string& place, uint64_t id) const {
  uint64_t went = 0;
  for (const Span& span : spans_.at(place)) {
    if (span.id == id) went = span.to;
  }
  return went;
}

LogPosition SharedState::Commit(const std::map<std::string, Content>& after,
                                std::span<const NewEvent> events, WallTime now) {
  auto contents = std::make_shared<Contents>(*contents_);
  contents->change = ++changes_;
  for (const auto& [place, content] : after) contents->at[place] = content;
  contents_ = std::move(contents);
  history_.Note(*contents_);
  for (const NewEvent& event : events) {
    ++log_.last.sequence;
    if (event.type == "activate") switched_ = log_.last;
    events_.push_back({log_.last, now, event.type, event.site, event.body});
  }
  const uint64_t held = log_.last.sequence + 1 - log_.first;
  if (held > keep_events_ + keep_events_ / 10) log_.first = log_.last.sequence + 1 - keep_events_;
  while (!events_.empty() && events_.front().position.sequence < log_.first) events_.pop_front();
  return log_.last;
}

void SharedState::BackUp() {
  backup_ = std::make_unique<Stored>(Stored{log_, events_, edges_, contents_, switched_});
}

void SharedState::Restore() {
  log_ = backup_->log;
  log_.last.epoch = ++epochs_;
  events_ = backup_->events;
  for (Event& event : events_) event.position.epoch = log_.last.epoch;
  edges_ = backup_->edges;
  switched_ = backup_->switched;
  if (switched_.sequence != 0) switched_.epoch = log_.last.epoch;
  auto contents = std::make_shared<Contents>(*backup_->contents);
  contents->change = ++changes_;
  contents_ = std::move(contents);
  history_.Note(*contents_);
}

Status SharedState::Busy() {
  if (failing_permille == 0 || !chance_.Permille(failing_permille)) return {};
  return Fail(Fault::kSelf, "database_busy", "the database is busy");
}

Result<LogState> SharedState::Log() {
  if (Status busy = Busy(); !busy) return unexpected(busy.error());
  return log_;
}

/// The world changes contents and log together, by Commit.
Result<LogPosition> SharedState::Append(std::span<const NewEvent>) { return log_.last; }

Result<std::vector<Event>> SharedState::Events(uint64_t after, size_t limit) {
  if (Status busy = Busy(); !busy) return unexpected(busy.error());
  std::vector<Event> events;
  for (const Event& event : events_) {
    if (event.position.sequence > after && events.size() < limit) events.push_back(event);
  }
  return events;
}

Status SharedState::ReportEdge(const storage::EdgeReport& report) {
  if (Status busy = Busy(); !busy) return busy;
  edges_[report.name] = report;
  return {};
}

Result<std::vector<storage::EdgeReport>> SharedState::Edges() {
  if (Status busy = Busy(); !busy) return unexpected(busy.error());
  std::vector<storage::EdgeReport> edges;
  for (const auto& [name, report] : edges_) edges.push_back(report);
  return edges;
}

Status SharedState::RemoveEdge(const std::string& name) {
  edges_.erase(name);
  return {};
}

}  // namespace nearside::sim
