#pragma once

// Connections between edges and origins: an HTTP exchange each, without its bytes' framing. What
// one side sends arrives late, in order, or not at all; either side may hear of the other's end
// long after it, or never. A link that is blocked keeps what is sent until it is open again (TCP
// repeats it), unless somebody gives up first.

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "http/session/client.h"
#include "tests/sim/chance.h"
#include "tests/sim/schedule.h"

namespace nearside::sim {

class Network;

/// One exchange. The origin's side writes to it, the edge's reads by its handler.
struct Wire {
  uint64_t id = 0;
  size_t edge = 0, origin = 0;
  std::string method, target;
  http::CallHandler* handler = nullptr;  ///< null: the edge has let go, or all has come
  bool at_origin = false;                ///< the origin holds it
  bool has_head = false;
  bool paused = false;
  std::optional<uint64_t> left;            ///< of the response's body, where its length is told
  MonoTime heard;                          ///< last, by the edge
  MonoTime to_edge, to_origin;             ///< what was sent last arrives then
  std::deque<std::function<void()>> held;  ///< for an edge that has paused
};
using WireRef = std::shared_ptr<Wire>;

struct Patience {
  milliseconds head{3000};
  milliseconds body{15'000};
};

class Network {
 public:
  /// The two sides, as the world runs them.
  struct Sides {
    /// A request has come to an origin; false: nobody is there.
    std::function<bool(const WireRef&, const http::RequestHead&, const std::string& body)> request;
    /// An origin hears that an edge has gone.
    std::function<void(const WireRef&)> gone;
    /// Something is to run on an edge's loop, if the process that `wire` is of still lives.
    std::function<void(size_t edge, std::function<void()>)> on_edge;
    /// An edge hears of the event log what an origin sent at that time.
    std::function<void(size_t edge, MonoTime sent)> heard;
  };
  Network(Schedule& schedule, Chance& chance, size_t edges, size_t origins);
  void Connect(Sides sides) { sides_ = std::move(sides); }

  /// The edge asks; `handler` is told on its loop.
  WireRef Ask(size_t edge, size_t origin, const http::RequestHead& head, const std::string& body,
              Patience patience, http::CallHandler* handler);
  /// The edge lets go.
  void Leave(const WireRef& wire);
  void Pause(const WireRef& wire) { wire->paused = true; }
  void Resume(const WireRef& wire);

  /// The origin answers.
  void SendHead(const WireRef& wire, http::ResponseHead head);
  void SendBody(const WireRef& wire, std::string bytes);
  void SendEnd(const WireRef& wire);
  /// The origin's side is cut off. `told`: the edge hears of it.
  void Cut(const WireRef& wire, bool told = true);

  /// Nothing passes until then.
  void Block(size_t edge, size_t origin, MonoTime until);
  void OpenAll();

  // How it behaves from now on.
  microseconds least_delay{200}, most_delay{5000};
  uint64_t slow_permille = 0;     ///< of what is sent: comes up to a second late
  uint64_t doubled_permille = 0;  ///< of requests by POST: arrive twice

 private:
  MonoTime Arrival(const Wire& wire, MonoTime* last);
  void Deliver(const WireRef& wire, std::function<void(http::CallHandler&)> what, bool last);
  void Arrive(const WireRef& wire, const http::RequestHead& head, const std::string& body);
  void Fail(const WireRef& wire, const std::string& reason);
  void Watch(const WireRef& wire, Patience patience);

  Schedule& schedule_;
  Chance& chance_;
  const size_t origins_;
  Sides sides_;
  std::vector<MonoTime> blocked_;
  uint64_t next_id_ = 1;
};

}  // namespace nearside::sim
