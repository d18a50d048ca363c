#include "tests/sim/origin_process.h"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <utility>

#include "http/date.h"

namespace nearside::sim {
namespace {

constexpr seconds kHeartbeat{5};

std::vector<std::string> MessagesIn(const std::string& text) {
  std::vector<std::string> messages;
  for (size_t at = 0; at < text.size();) {
    const size_t end = text.find("\n\n", at) + 2;
    messages.push_back(text.substr(at, end - at));
    at = end;
  }
  return messages;
}

/// An event under its number, that says `held`; what it was to say is held.
void SwapBody(std::string* message, std::string* held) {
  const size_t at = message->find(",\"type\":");
  if (held->empty()) *held = ",\"type\":\"purge\",\"site\":\"demo\"}\n\n";
  const std::string body = message->substr(at);
  message->replace(at, std::string::npos, std::exchange(*held, body));
}

}  // namespace

std::optional<Page> Page::Parse(const std::string& body, const std::string& made) {
  char url[64];
  unsigned long long id = 0, change = 0;
  const bool good = std::sscanf(body.c_str(), "url=%63s id=%llu\n", url, &id) == 2 &&
                    std::sscanf(made.c_str(), "%llu", &change) == 1;
  if (!good) return std::nullopt;
  return Page{url, id, change};
}

OriginProcess::Process::Process(OriginProcess& owner)
    : tail(owner.parts_.state),
      fleet(owner.parts_.state),
      sites(owner.parts_.state, [this, &owner](auto&) {
        read = owner.parts_.state.contents();
        return Status();
      }) {}

bool OriginProcess::Boot() {
  auto process = std::make_shared<Process>(*this);
  const bool well = process->sites.ReadAll() && process->fleet.Load() && process->tail.Open();
  if (!well) return false;
  process_ = std::move(process);
  Poll(process_);
  return true;
}

void OriginProcess::Crash(bool told) {
  for (const Stream& stream : process_->streams) parts_.network.Cut(stream.wire, told);
  process_.reset();
}

void OriginProcess::Poll(const std::shared_ptr<Process>& process) {
  if (process != process_) return;
  Look();
  const MonoTime now = parts_.schedule.now();
  process->fleet.Tick(now, parts_.clock.now());
  for (Stream& stream : process->streams) {
    if (now - stream.sent < kHeartbeat) continue;
    stream.sent = now;
    parts_.network.SendBody(stream.wire, ": heartbeat\n\n");
  }
  parts_.schedule.After(conduct.poll, [this, process] { Poll(process); });
}

/// As Followers does.
void OriginProcess::Look() {
  const auto news = process_->tail.Look();
  if (!news) return;
  if (!news->sites.empty()) process_->read = parts_.state.contents();
  if (news->replaced) (void)process_->sites.ReadAll();
  if (news->replaced || conduct.no_log) {
    for (const Stream& stream : std::exchange(process_->streams, {})) {
      parts_.network.Cut(stream.wire);
    }
  }
  for (Stream& stream : process_->streams) Pump(stream);
  std::erase_if(process_->streams, [](const Stream& stream) { return !stream.wire->at_origin; });
  if (news->more) Look();
}

void OriginProcess::Pump(Stream& stream) {
  while (stream.wire->at_origin) {
    std::string text;
    const origin::LogTail::Place before = stream.place;
    if (!process_->tail.Next(&stream.place, &text)) return parts_.network.Cut(stream.wire);
    if (stream.place == before) return;
    Send(stream, MessagesIn(text));
  }
}

/// What lies between may lose, double and reorder.
void OriginProcess::Send(Stream& stream, std::vector<std::string> messages) {
  Chance& chance = parts_.chance;
  if (parts_.bug == Bug::kWrongOrder) {
    for (std::string& message : messages) SwapBody(&message, &stream.held);
  }
  for (size_t i = 0; i < messages.size(); ++i) {
    if (i > 0 && chance.Permille(conduct.swapped_events)) std::swap(messages[i], messages[i - 1]);
    if (chance.Permille(conduct.doubled_events)) {
      messages.insert(messages.begin() + static_cast<ptrdiff_t>(i), messages[i]);
      ++i;
    }
  }
  stream.sent = parts_.schedule.now();
  for (const std::string& message : messages) {
    const size_t cut = chance.Below(message.size());
    if (chance.Permille(conduct.cut_streams)) {
      parts_.network.SendBody(stream.wire, message.substr(0, cut));
      return parts_.network.Cut(stream.wire, !chance.Permille(200));
    }
    if (chance.Permille(100)) {
      parts_.network.SendBody(stream.wire, message.substr(0, cut));
      parts_.network.SendBody(stream.wire, message.substr(cut));
    } else {
      parts_.network.SendBody(stream.wire, message);
    }
  }
}

bool OriginProcess::OnRequest(const WireRef& wire, const http::RequestHead& head,
                              const std::string& body) {
  if (!process_) return false;
  if (head.path() == "/v1/events") {
    Follow(wire, head);
  } else if (head.method == "POST") {
    TakeReport(wire, head, body);
  } else if (head.path().starts_with("/v1/sites/")) {
    ListContent(wire, head);
  } else {
    ServePage(wire, head);
  }
  return true;
}

void OriginProcess::OnGone(const WireRef& wire) {
  if (!process_) return;
  std::erase_if(process_->streams, [&](const Stream& stream) { return stream.wire == wire; });
}

void OriginProcess::Answer(const WireRef& wire, int status, http::Fields fields, std::string body) {
  fields.Add("content-length", std::to_string(body.size()));
  parts_.network.SendHead(wire, {.status = status, .fields = std::move(fields)});
  if (!body.empty()) parts_.network.SendBody(wire, std::move(body));
  parts_.network.SendEnd(wire);
}

/// As Api::Events and Followers::Add, which another thread runs a moment later.
void OriginProcess::Follow(const WireRef& wire, const http::RequestHead& head) {
  const auto wanted = origin::ParseEventsQuery(head.query(), "");
  const auto log = parts_.state.Log();
  if (!wanted || !log || conduct.no_log) return Answer(wire, 503, {}, "busy");
  if (const auto gone = origin::GoneAnswer(*wanted, *log)) {
    return Answer(wire, 410, {}, gone->body.at(0).text);
  }
  std::optional<storage::LogPosition> after;
  if (wanted->after) after = storage::LogPosition{log->last.epoch, *wanted->after};
  parts_.network.SendHead(wire, {.status = 200, .fields = {{"content-type", "text/event-stream"}}});
  parts_.schedule.After(
      parts_.chance.Between({}, microseconds(3000)), [this, wire, after, process = process_] {
        if (process != process_ || !wire->at_origin) return;
        Look();
        Stream stream{.wire = wire, .sent = parts_.schedule.now()};
        const auto first = process_->tail.Begin(after, parts_.clock.now(), &stream.place);
        if (!first) return parts_.network.Cut(wire);
        parts_.network.SendBody(wire, *first);
        process_->streams.push_back(stream);
        Pump(process_->streams.back());
      });
}

void OriginProcess::TakeReport(const WireRef& wire, const http::RequestHead& head,
                               const std::string& body) {
  const auto json = nlohmann::json::parse(body);
  const std::string edge = head.target.substr(std::string("/v1/edges/").size());
  storage::LogPosition position{json.at("epoch"), json.at("seq")};
  if (parts_.bug == Bug::kReceiptTooEarly) {
    position.sequence = std::min(position.sequence + 1, parts_.state.last().sequence);
  }
  const Status kept = process_->fleet.Report(edge, position, "{}", parts_.clock.now());
  parts_.reported(edge, process_->fleet);
  if (kept) TakeProofs(edge, json.at("sites"));
  Answer(wire, kept ? 200 : 503, {}, "{}");
}

/// In place of Proofs, which takes the origin's whole database.
void OriginProcess::TakeProofs(const std::string& edge, const nlohmann::json& sites) {
  for (const nlohmann::json& told : sites) {
    if (told.value("state", "") != "proved") continue;
    const storage::LogPosition position{told.at("epoch"), told.at("seq")};
    parts_.state.NoteProof(edge, position);
    parts_.proved(edge, position, told.value("digest", ""));
  }
}

/// In place of ListContent and Api: all of the site, on one page, whatever is asked for.
void OriginProcess::ListContent(const WireRef& wire, const http::RequestHead& head) {
  const bool behind = parts_.bug == Bug::kReplicaBehind;
  const bool known = parts_.state.Log() && (behind || process_->sites.CatchUp());
  if (!known) return Answer(wire, 503, {}, "busy");
  const Contents& contents = *process_->read;
  const storage::LogPosition switched = parts_.state.switched();
  const std::string_view query = head.query();
  const size_t edge = query.find("edge=");
  nlohmann::json page = {{"release", std::to_string(contents.change)},
                         {"since", "0"},
                         {"switch", {{"epoch", switched.epoch}, {"seq", switched.sequence}}},
                         {"urls", nlohmann::json::array()}};
  if (edge != std::string_view::npos) {
    const std::string name(query.substr(edge + 5, query.find('&', edge) - edge - 5));
    page["proved"] = parts_.state.HasProved(name);
  }
  for (const auto& [url, hash] : HashesOf(contents)) {
    nlohmann::json row = {{"url", url}, {"status", hash.empty() ? 404 : 200}};
    if (!hash.empty()) row["sha256"] = hash;
    page["urls"].push_back(std::move(row));
  }
  Answer(wire, 200, {}, page.dump());
}

void OriginProcess::ServePage(const WireRef& wire, const http::RequestHead& head) {
  const bool behind = parts_.bug == Bug::kReplicaBehind;
  if (parts_.chance.Permille(conduct.failing) || !(behind || process_->sites.CatchUp())) {
    return Answer(wire, 503, {{"cache-control", "no-store"}}, "busy");
  }
  const Contents& contents = *process_->read;
  const std::string url(head.path());
  const std::string kind = head.fields.Joined(kKindField);
  const auto found = contents.at.find(PlaceOf(url, kind.empty() ? 0 : std::stoull(kind)));
  const Content content = found != contents.at.end() ? found->second : Content{};
  const std::string tag = "\"" + std::to_string(content.id) + "\"";
  http::Fields fields{{"cache-control", "max-age=" + std::to_string(conduct.lifetime.count()) +
                                            ", stale-while-revalidate=5"}};
  fields.Add("date", http::FormatDate(parts_.clock.now()));
  if (content.id != 0) fields.Add("etag", tag);
  if (content.varies) fields.Add("vary", kKindField);
  parts_.said(wire->edge, url, content.id);
  for (const std::string& label : content.tags) fields.Add("surrogate-key", label);
  if (content.id != 0 && head.fields.Joined("if-none-match") == tag) {
    return Answer(wire, 304, std::move(fields), "");
  }
  const std::string body = TextOf(url, content.id);
  fields.Add(kMadeField, std::to_string(contents.change));
  const int status = content.id != 0 ? 200 : 404;
  if (!parts_.chance.Permille(conduct.slow)) {
    return Answer(wire, status, std::move(fields), body);
  }
  fields.Add("content-length", std::to_string(body.size()));
  parts_.network.SendHead(wire, {.status = status, .fields = std::move(fields)});
  const bool cut = parts_.chance.Permille(conduct.cut_pages);
  parts_.schedule.After(parts_.chance.Between({}, seconds(2)), [this, wire, body, cut] {
    if (!wire->at_origin) return;
    if (cut) return parts_.network.Cut(wire);
    parts_.network.SendBody(wire, body);
    parts_.network.SendEnd(wire);
  });
}

void OriginProcess::AfterChange(storage::LogPosition position, milliseconds patience,
                                std::function<void(const origin::Receipt&)> done) {
  process_->read = parts_.state.contents();
  Look();
  const origin::Fleet::Wanted wanted{.position = position,
                                     .since = parts_.clock.now(),
                                     .deadline = parts_.schedule.now() + patience};
  process_->fleet.WhenApplied(wanted, parts_.clock.now(), std::move(done));
}

}  // namespace nearside::sim
