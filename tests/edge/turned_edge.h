#pragma once

// A worker of the edge in virtual time, with its store in memory, one client and an origin that
// answers at once: what tests ask of it it answers before the call returns.

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "edge/node.h"
#include "edge/worker.h"
#include "http/message.h"

namespace nearside::edge {

class TurnedEdge {
 public:
  struct Reply {
    int status = 200;
    http::Fields fields;
    std::string body;
  };
  /// What the origin says to a request: "GET", "/a", its fields.
  using Origin = std::function<Reply(const http::RequestHead& request)>;

  /// `site`: further lines of the site's table.
  TurnedEdge(std::string_view site, WallTime start, Origin origin);
  ~TurnedEdge();

  struct Answer {
    int status = 0;  ///< 0: there was none
    http::Fields fields;
    std::string body;
    bool whole = false;
  };
  /// A client asks. What the edge does behind the answer has been done as well.
  Answer Ask(http::RequestHead request);
  void Pass(milliseconds span) { now_ += span; }
  WallTime wall_now() const { return start_ + since_start(); }

 private:
  class Client;
  milliseconds since_start() const { return std::chrono::floor<milliseconds>(now_ - kBegin); }
  void Settle();

  static constexpr MonoTime kBegin{seconds(1'000'000)};
  const WallTime start_;
  const Origin origin_;
  MonoTime now_ = kBegin;
  std::unique_ptr<net::EventLoop> loop_;
  std::unique_ptr<Node> node_;
  std::unique_ptr<Worker> worker_;
};

}  // namespace nearside::edge
