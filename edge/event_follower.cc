#include "edge/event_follower.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "edge/json_member.h"
#include "http/session/exchange.h"
#include "runtime/log.h"

namespace nearside::edge {
namespace {

constexpr milliseconds kFirstBackoff{100};
constexpr milliseconds kLongestBackoff{2000};
constexpr size_t kLongestProblem = 64 << 10;

http::RequestHead MakeHead(const http::Endpoint& origin, std::string_view method,
                           std::string target, const std::string& token) {
  http::RequestHead head;
  head.method = method;
  head.scheme = origin.tls ? "https" : "http";
  head.authority = origin.host + ":" + std::to_string(origin.port);
  head.target = std::move(target);
  head.fields.Add("authorization", "Bearer " + token);
  return head;
}

/// {"epoch": …, "seq": …} of an event or a problem; nullopt when it has none.
std::optional<storage::LogPosition> PositionOf(const nlohmann::json& json) {
  const auto epoch = json.find("epoch"), sequence = json.find("seq");
  if (epoch == json.end() || sequence == json.end()) return std::nullopt;
  if (!epoch->is_number_unsigned() || !sequence->is_number_unsigned()) return std::nullopt;
  return storage::LogPosition{epoch->get<uint64_t>(), sequence->get<uint64_t>()};
}

std::string_view TextOf(std::span<const uint8_t> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

/// One connection to the log.
class EventFollower::Stream final : public http::CallHandler, public net::Disposable {
 public:
  Stream(EventFollower& owner, const http::Endpoint& origin, std::string target)
      : owner_(owner),
        parser_([&owner](auto, auto, std::string_view data) { owner.OnEvent(data); }) {
    auto head = MakeHead(origin, "GET", std::move(target), owner.options_.token);
    head.fields.Add("accept", "text/event-stream");
    call_ = owner.client_.Start(origin, head, nullptr, std::nullopt, this);
  }
  void OnHead(http::ResponseHead&& head) override {
    status_ = head.status;
    if (status_ != 200 || !IsCurrent()) return;
    owner_.state_.following = true;
    owner_.state_.last_error.clear();
    owner_.backoff_ = kFirstBackoff;
  }
  void OnBody(std::span<const uint8_t> bytes) override {
    if (!IsCurrent()) return;
    owner_.state_.last_contact = owner_.loop_.wall_now();
    if (status_ == 200) {
      const bool whole = parser_.Feed(TextOf(bytes));
      if (!whole && IsCurrent()) owner_.Retry("an event is longer than 4 MiB");
      if (IsCurrent()) owner_.CheckWhole();
    } else if (problem_.size() + bytes.size() <= kLongestProblem) {
      problem_ += TextOf(bytes);
    }
  }
  void OnEnd(const http::Fields&) override {
    if (!IsCurrent()) return;
    if (status_ == 410) {
      owner_.OnLogCut(problem_);
    } else {
      owner_.Retry(status_ == 200 ? "the origin ended the stream"
                                  : "the origin answered " + std::to_string(status_));
    }
  }
  void OnFailure(const Error& error) override {
    if (IsCurrent()) owner_.Retry(error.ToString());
  }

 private:
  /// False once it was given up; it lives to the end of that turn, and bytes may still come.
  bool IsCurrent() const { return owner_.stream_.get() == this; }

  EventFollower& owner_;
  EventStreamParser parser_;
  std::unique_ptr<http::Call> call_;
  std::string problem_;
  int status_ = 0;
};

/// One report under way.
class EventFollower::Report final : public http::CallHandler, public net::Disposable {
 public:
  Report(EventFollower& owner, const http::Endpoint& origin, std::string target,
         const std::string& body)
      : owner_(owner) {
    auto head = MakeHead(origin, "POST", std::move(target), owner.options_.token);
    head.fields.Add("content-type", "application/json");
    call_ = owner.client_.Start(origin, head, http::TextBody(body), body.size(), this);
  }
  void OnHead(http::ResponseHead&&) override {}
  void OnBody(std::span<const uint8_t>) override {}
  void OnEnd(const http::Fields&) override { Done(); }
  // The next report says it all again, and a lost log is told by the stream.
  void OnFailure(const Error&) override { Done(); }

 private:
  void Done() {
    EventFollower& owner = owner_;
    owner.loop_.DisposeLater(std::move(owner.report_));
    if (std::exchange(owner.report_wanted_, false)) owner.SendReport();
  }
  EventFollower& owner_;
  std::unique_ptr<http::Call> call_;
};

EventFollower::EventFollower(net::EventLoop& loop, http::Client& client, storage::CacheStore& store,
                             Options options)
    : loop_(loop),
      client_(client),
      store_(store),
      options_(std::move(options)),
      retry_(loop, [this] { Connect(); }),
      report_timer_(loop,
                    [this] {
                      report_timer_.Arm(options_.report_every);
                      SendReport();
                    }),
      patience_(loop,
                [this] {
                  if (auto done = std::exchange(caught_up_, nullptr)) done();
                }),
      backoff_(kFirstBackoff),
      whole_at_(loop.now()),
      whole_at_wall_(std::min(loop.wall_now(), options_.whole_at.value_or(WallTime::max()))),
      self_(std::make_shared<EventFollower*>(this)) {
  state_.applied = received_ = store.log_position();
}

EventFollower::~EventFollower() { *self_ = nullptr; }

void EventFollower::Start() {
  report_timer_.Arm(options_.report_every);
  Connect();
}

void EventFollower::WhenCaughtUp(milliseconds patience, std::function<void()> done) {
  caught_up_ = std::move(done);
  patience_.Arm(patience);
  CheckWhole();
}

milliseconds EventFollower::Lag(MonoTime now, WallTime wall_now) const {
  if (IsWhole()) return milliseconds(0);
  const auto passed = std::chrono::duration_cast<milliseconds>(now - whole_at_);
  return std::max({milliseconds(0), passed, wall_now - whole_at_wall_});
}

void EventFollower::Connect() {
  const http::Endpoint& origin = options_.origins[next_origin_ % options_.origins.size()];
  state_.origin = origin.ToString();
  is_told_ = false;
  std::string target = "/v1/events";
  if (received_.epoch != 0) {
    target +=
        "?after=" + std::to_string(received_.epoch) + ":" + std::to_string(received_.sequence);
  }
  stream_ = std::make_unique<Stream>(*this, origin, std::move(target));
}

void EventFollower::Retry(const std::string& error) {
  if (state_.following || state_.last_error.empty()) {
    Log(Level::kWarning, "event_log_lost", {{"origin", state_.origin}, {"error", error}});
  }
  state_.following = false;
  state_.last_error = error;
  ++state_.reconnects;
  ++next_origin_;
  if (stream_) loop_.DisposeLater(std::move(stream_));
  retry_.Arm(backoff_);
  backoff_ = std::min(backoff_ * 2, kLongestBackoff);
}

void EventFollower::OnEvent(std::string_view data) {
  if (!stream_) return;  // given up in the middle of its bytes
  const auto json = nlohmann::json::parse(data, nullptr, false);
  const auto position = json.is_object() ? PositionOf(json) : std::nullopt;
  if (!position) return Retry("an event has no epoch and seq");
  if (TextMember(json, "type") == "position") return OnPosition(*position);
  if (*position <= received_ && position->epoch == received_.epoch) return;  // told twice
  if (position->epoch != received_.epoch || position->sequence != received_.sequence + 1) {
    // A gap: ask again from what we have rather than lose what lies between.
    return Retry("event " + std::to_string(position->sequence) + " does not follow " +
                 std::to_string(received_.sequence));
  }
  Apply(*position, data);
}

void EventFollower::OnPosition(storage::LogPosition log) {
  if (received_.epoch != 0 && log.epoch != received_.epoch) {
    // It was replaced as we came: asked again, it says 410.
    return Retry("the log is of another epoch than what we have of it");
  }
  state_.log = log;
  is_told_ = true;
  if (received_.epoch == 0) {
    // Nothing known yet: the present log is our beginning. What we hold was fetched without it, and
    // the position that we take is a receipt for all that came before.
    received_ = log;
    store_.PurgeAll(storage::Validity::kUnsure);
    store_.Advance(log, &loop_, [self = self_, log] {
      if (*self != nullptr) (*self)->OnDurable(log);
    });
  }
  Log(Level::kInfo, "event_log_followed",
      {{"origin", state_.origin},
       {"epoch", log.epoch},
       {"seq", log.sequence},
       {"applied", received_.sequence}});
  CheckWhole();
}

void EventFollower::Apply(storage::LogPosition position, std::string_view data) {
  received_ = position;
  state_.log = std::max(state_.log, position);
  ++state_.events_applied;
  auto durable = [self = self_, position] {
    if (*self != nullptr) (*self)->OnDurable(position);
  };
  auto order = ParsePurgeOrder(data);
  const auto tell = [&] {
    if (options_.on_event) options_.on_event(position, data);
  };
  if (!order) {
    // Not knowing what to forget, and how, we must not go on as if nothing were.
    Log(Level::kError, "bad_event",
        {{"seq", position.sequence}, {"error", order.error().ToString()}});
    store_.PurgeAll(storage::Validity::kUnsure);
    store_.Advance(position, &loop_, durable);
    return tell();
  }
  if (options_.to_keys) options_.to_keys(&*order);
  const auto scopes = ScopesOf(*order);
  if (scopes.empty()) {
    store_.Advance(position, &loop_, durable);
  } else {
    store_.Purge(scopes, order->soft, position, &loop_, durable);
  }
  tell();
}

void EventFollower::OnLogCut(std::string_view problem) {
  const auto json = nlohmann::json::parse(problem, nullptr, false);
  const auto position = json.is_object() ? PositionOf(json) : std::nullopt;
  if (!position) return Retry("410 without epoch and seq");
  Log(Level::kWarning, "event_log_cut",
      {{"origin", state_.origin},
       {"reason", TextMember(json, "reason")},
       {"had", received_.sequence},
       {"now", position->sequence}});
  ++state_.log_cuts;
  // What is told of no more may have been purged hard.
  store_.PurgeAll(storage::Validity::kUnsure);
  received_ = *position;
  state_.log = *position;
  store_.Advance(*position, &loop_, [self = self_, at = *position] {
    if (*self != nullptr) (*self)->OnDurable(at);
  });
  if (stream_) loop_.DisposeLater(std::move(stream_));
  state_.following = false;
  retry_.Arm(milliseconds(0));
  if (options_.on_log_cut) options_.on_log_cut();
}

void EventFollower::OnDurable(storage::LogPosition position) {
  state_.applied = position;
  SendReport();
  CheckWhole();
}

void EventFollower::SendReport() {
  if (report_) {
    report_wanted_ = true;
    return;
  }
  auto json = nlohmann::json::parse(options_.report());
  json["epoch"] = state_.applied.epoch;
  json["seq"] = state_.applied.sequence;
  const http::Endpoint& origin = options_.origins[next_origin_ % options_.origins.size()];
  report_ = std::make_unique<Report>(*this, origin, "/v1/edges/" + options_.edge, json.dump());
}

bool EventFollower::IsWhole() const {
  return state_.following && is_told_ && state_.applied.epoch == state_.log.epoch &&
         state_.applied >= state_.log;
}

void EventFollower::CheckWhole() {
  if (!IsWhole()) return;
  whole_at_ = loop_.now();
  whole_at_wall_ = loop_.wall_now();
  if (!caught_up_) return;
  patience_.Disarm();
  std::exchange(caught_up_, nullptr)();
}

}  // namespace nearside::edge
