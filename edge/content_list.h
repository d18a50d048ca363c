#pragma once

// What the fleet's origin says that a release of a site holds (docs/origin.md, "Content").

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "http/session/client.h"
#include "net/event_loop.h"
#include "runtime/result.h"

namespace nearside::edge {

struct ContentRow {
  std::string url;     ///< "/docs/"
  int status = 0;      ///< that visitors get; 0: not known
  std::string sha256;  ///< of a 200's content, hexadecimal; "": not known, or not a 200
  std::string etag;    ///< that it will be sent with; "": not known
  uint64_t bytes = 0;  ///< of the content
};

/// One page of it.
struct ContentList {
  std::string release;
  std::string since;  ///< "0": everything is listed; else what differs from this release
  std::vector<std::string> hosts;                  ///< of the site, at the origin
  uint64_t switch_epoch = 0, switch_sequence = 0;  ///< the newest switch; 0: none is known
  bool proved = false;                             ///< by this edge, if it was asked for
  std::vector<ContentRow> rows;
  std::string next;  ///< the next page's place; "" behind the last one
};

/// Error: kOrigin bad_list.
Result<ContentList> ParseContentList(std::string_view json);

/// One page being asked for. Destroying it cancels it; the loop's thread.
class ContentCall final : public http::CallHandler, public net::Disposable {
 public:
  /// `done` runs once, and not from inside the constructor; it may have this disposed later.
  ContentCall(http::Client& client, const http::Endpoint& origin, const std::string& token,
              std::string target, std::function<void(Result<ContentList>)> done);
  void OnHead(http::ResponseHead&& head) override { status_ = head.status; }
  void OnBody(std::span<const uint8_t> bytes) override;
  void OnEnd(const http::Fields& trailers) override;
  void OnFailure(const Error& error) override;

 private:
  void Done(Result<ContentList> list);

  std::function<void(Result<ContentList>)> done_;
  std::unique_ptr<http::Call> call_;
  std::string body_;
  int status_ = 0;
};

}  // namespace nearside::edge
