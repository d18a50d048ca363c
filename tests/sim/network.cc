#include "tests/sim/network.h"

#include <algorithm>
#include <string>
#include <utility>

namespace nearside::sim {
namespace {

/// How long a half of a connection may not have heard that the other is gone.
constexpr microseconds kLongestUnheard{400'000};

/// Of a body that is not empty.
std::optional<uint64_t> LengthOf(const http::ResponseHead& head) {
  const auto text = head.fields.Get("content-length");
  if (!text || *text == "0" || head.status == 304) return std::nullopt;
  return std::stoull(std::string(*text));
}

}  // namespace

Network::Network(Schedule& schedule, Chance& chance, size_t edges, size_t origins)
    : schedule_(schedule), chance_(chance), origins_(origins), blocked_(edges * origins) {}

void Network::Block(size_t edge, size_t origin, MonoTime until) {
  MonoTime& blocked = blocked_[edge * origins_ + origin];
  blocked = std::max(blocked, until);
}

void Network::OpenAll() { std::fill(blocked_.begin(), blocked_.end(), MonoTime()); }

MonoTime Network::Arrival(const Wire& wire, MonoTime* last) {
  microseconds delay = chance_.Between(least_delay, most_delay);
  if (chance_.Permille(slow_permille)) delay += chance_.Between(microseconds(0), seconds(1));
  const MonoTime from = std::max(schedule_.now(), blocked_[wire.edge * origins_ + wire.origin]);
  // In order, whatever the single piece took.
  *last = std::max(*last + microseconds(1), from + delay);
  return *last;
}

WireRef Network::Ask(size_t edge, size_t origin, const http::RequestHead& head,
                     const std::string& body, Patience patience, http::CallHandler* handler) {
  auto wire = std::make_shared<Wire>();
  wire->id = next_id_++;
  wire->edge = edge;
  wire->origin = origin;
  wire->method = head.method;
  wire->target = head.target;
  wire->handler = handler;
  wire->heard = schedule_.now();
  const auto arrive = [this, wire, head, body] { Arrive(wire, head, body); };
  schedule_.At(Arrival(*wire, &wire->to_origin), arrive);
  Watch(wire, patience);
  if (head.method != "POST" || !chance_.Permille(doubled_permille)) return wire;
  // A proxy between has sent it once more, perhaps much later; nobody reads that answer.
  auto twice = std::make_shared<Wire>(*wire);
  twice->handler = nullptr;
  schedule_.At(Arrival(*twice, &twice->to_origin) + chance_.Between(microseconds(0), seconds(2)),
               [this, twice, head, body] { Arrive(twice, head, body); });
  return wire;
}

void Network::Arrive(const WireRef& wire, const http::RequestHead& head, const std::string& body) {
  wire->at_origin = true;
  if (sides_.request(wire, head, body)) return;
  wire->at_origin = false;
  Fail(wire, "connect_refused");
}

/// An edge that hears nothing gives up, as http/session's client does.
void Network::Watch(const WireRef& wire, Patience patience) {
  const milliseconds span = wire->has_head ? patience.body : patience.head;
  schedule_.At(wire->heard + span, [this, wire, patience, heard = wire->heard] {
    if (wire->handler == nullptr) return;
    if (wire->heard != heard || wire->paused) {
      if (wire->paused) wire->heard = schedule_.now();
      return Watch(wire, patience);
    }
    const std::string reason = wire->has_head ? "read_timeout" : "head_timeout";
    Deliver(
        wire,
        [reason](http::CallHandler& handler) {
          handler.OnFailure({nearside::Fault::kOrigin, reason, "the origin is silent"});
        },
        true);
    Leave(wire);
  });
}

/// On the edge's loop.
void Network::Deliver(const WireRef& wire, std::function<void(http::CallHandler&)> what,
                      bool last) {
  sides_.on_edge(wire->edge, [this, wire, what = std::move(what), last] {
    if (wire->handler == nullptr) return;
    wire->heard = schedule_.now();
    const auto now = [wire, what, last] {
      http::CallHandler* handler = wire->handler;
      if (handler == nullptr) return;
      if (last) wire->handler = nullptr;
      what(*handler);
    };
    if (wire->paused || !wire->held.empty()) {
      wire->held.push_back(now);
    } else {
      now();
    }
  });
}

void Network::Resume(const WireRef& wire) {
  wire->paused = false;
  sides_.on_edge(wire->edge, [wire] {
    while (!wire->paused && !wire->held.empty()) {
      const auto next = std::move(wire->held.front());
      wire->held.pop_front();
      next();
    }
  });
}

void Network::Leave(const WireRef& wire) {
  schedule_.At(Arrival(*wire, &wire->to_origin), [this, wire] {
    if (std::exchange(wire->at_origin, false)) sides_.gone(wire);
  });
}

void Network::SendHead(const WireRef& wire, http::ResponseHead head) {
  schedule_.At(Arrival(*wire, &wire->to_edge), [this, wire, head = std::move(head)] {
    Deliver(
        wire,
        [wire, head](http::CallHandler& handler) {
          wire->has_head = true;
          wire->left = LengthOf(head);
          handler.OnHead(http::ResponseHead(head));
        },
        false);
  });
}

void Network::SendBody(const WireRef& wire, std::string bytes) {
  const MonoTime sent = schedule_.now();
  schedule_.At(Arrival(*wire, &wire->to_edge), [this, wire, sent, bytes = std::move(bytes)] {
    Deliver(
        wire,
        [this, wire, sent, bytes](http::CallHandler& handler) {
          if (wire->target.starts_with("/v1/events")) sides_.heard(wire->edge, sent);
          handler.OnBody({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()});
          // A response of known length ends with its last byte, whatever becomes of the connection.
          if (wire->handler == nullptr || !wire->left) return;
          *wire->left -= bytes.size();
          if (*wire->left == 0) std::exchange(wire->handler, nullptr)->OnEnd({});
        },
        false);
  });
}

void Network::SendEnd(const WireRef& wire) {
  wire->at_origin = false;
  schedule_.At(Arrival(*wire, &wire->to_edge), [this, wire] {
    Deliver(
        wire, [](http::CallHandler& handler) { handler.OnEnd({}); }, true);
  });
}

void Network::Cut(const WireRef& wire, bool told) {
  wire->at_origin = false;
  if (told) Fail(wire, "closed_early");
}

void Network::Fail(const WireRef& wire, const std::string& reason) {
  schedule_.At(Arrival(*wire, &wire->to_edge) + chance_.Between({}, kLongestUnheard),
               [this, wire, reason] {
                 Deliver(
                     wire,
                     [reason](http::CallHandler& handler) {
                       handler.OnFailure({nearside::Fault::kOrigin, reason, "cut off"});
                     },
                     true);
               });
}

}  // namespace nearside::sim
