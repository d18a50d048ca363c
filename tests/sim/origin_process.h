#pragma once

// One origin: the product's log tail, fleet and reading of sites (origin/log_tail.h, fleet.h,
// newest_sites.h) behind a thin stand-in for its API and its pages. Nothing of it but the shared
// state outlives it.

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "origin/event.h"
#include "origin/fleet.h"
#include "origin/log_tail.h"
#include "origin/newest_sites.h"
#include "tests/sim/bug.h"
#include "tests/sim/network.h"
#include "tests/sim/schedule.h"
#include "tests/sim/shared_state.h"

namespace nearside::sim {

/// What stands in a page's body and in its field X-Made: all that is needed to judge it.
struct Page {
  std::string url;
  uint64_t id = 0;    ///< of its content
  uint64_t made = 0;  ///< number of the last change that the origin knew when it made the page
  static std::optional<Page> Parse(const std::string& body, const std::string& made);
};

/// How an origin behaves from now on, in so many of a thousand cases.
struct Conduct {
  uint64_t failing = 0;    ///< visitors are answered 503
  uint64_t slow = 0;       ///< a page's body takes up to two seconds
  uint64_t cut_pages = 0;  ///< … and never comes whole
  uint64_t cut_streams = 0, doubled_events = 0, swapped_events = 0;
  bool no_log = false;  ///< there is no event log to be had of it
  seconds lifetime{60};
  microseconds poll{10'000};  ///< of the log
};

class OriginProcess {
 public:
  struct Parts {
    Schedule& schedule;
    const WallClock& clock;
    Chance& chance;
    Network& network;
    SharedState& state;
    Bug bug = Bug::kNone;
    /// An edge's report has been taken, by this fleet.
    std::function<void(const std::string& edge, origin::Fleet&)> reported;
    /// An edge says that it has proved a switch.
    std::function<void(const std::string& edge, storage::LogPosition, const std::string& digest)>
        proved;
    /// A visitor's answer by way of an edge: the content that stands at the URL.
    std::function<void(size_t edge, const std::string& url, uint64_t id)> said;
  };
  explicit OriginProcess(Parts parts) : parts_(std::move(parts)) {}

  bool up() const { return process_ != nullptr; }
  /// False: the database is busy, try again.
  bool Boot();
  /// `told`: who is connected to it hears of it.
  void Crash(bool told);
  bool OnRequest(const WireRef& wire, const http::RequestHead& head, const std::string& body);
  void OnGone(const WireRef& wire);
  /// After a change of its own has been committed: as the API does before it answers. The receipt
  /// comes when every reachable edge has confirmed, or after `patience`.
  void AfterChange(storage::LogPosition position, milliseconds patience,
                   std::function<void(const origin::Receipt&)> done);

  Conduct conduct;

 private:
  struct Stream {
    WireRef wire;
    origin::LogTail::Place place = 0;
    MonoTime sent;
    std::string held;  ///< by Bug::kWrongOrder: what the last event was to say
  };
  struct Process {
    explicit Process(OriginProcess& owner);
    std::shared_ptr<const Contents> read;  ///< as visitors are answered
    origin::LogTail tail;
    origin::Fleet fleet;
    origin::NewestSites sites;
    std::vector<Stream> streams;
  };
  void Poll(const std::shared_ptr<Process>& process);
  void Look();
  void Pump(Stream& stream);
  void Send(Stream& stream, std::vector<std::string> messages);
  void Follow(const WireRef& wire, const http::RequestHead& head);
  void TakeReport(const WireRef& wire, const http::RequestHead& head, const std::string& body);
  void TakeProofs(const std::string& edge, const nlohmann::json& sites);
  void ListContent(const WireRef& wire, const http::RequestHead& head);
  void ServePage(const WireRef& wire, const http::RequestHead& head);
  void Answer(const WireRef& wire, int status, http::Fields fields, std::string body);

  Parts parts_;
  std::shared_ptr<Process> process_;  ///< null: it is down
};

}  // namespace nearside::sim
