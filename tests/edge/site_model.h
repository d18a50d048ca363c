#pragma once

// A whole cache before one origin, told a second time: which stored response a request selects,
// what a validation, an unsafe method and a failing origin do to what is stored, and what the
// client is sent of it, the last bytes that are stored alone among it. From RFC 9111 §3.3 and §4
// and, where that leaves a choice, from docs/conformance.md and docs/decisions/caching.md. It knows
// no slices, no purges and no requests that meet. Built on cache_model.h (one response) and
// answer_model.h (conditions and ranges).
//
// Of a site whose files are fetched in parts it does not know which parts are there: whether the
// origin is asked for more is left open, and what is answered is not.
//
// Where the RFC lets a cache do one thing or the other and the documents do not say which, it
// follows both: a model is a set of caches, of which those stay that have answered as the edge did.

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/edge/answer_model.h"
#include "tests/edge/cache_model.h"

namespace nearside::edge::model {

struct Request {
  std::string method = "GET";
  std::string path = "/a";
  Lines fields;
};
struct Reply {
  int status = 200;
  Lines fields;
  std::string body;
  bool operator==(const Reply&) const = default;
};
/// What the origin says at this moment.
using Origin = std::function<Reply(const Request&)>;

/// What was seen of a request: its answer, and whether the origin was asked before it or behind it.
struct Seen {
  Reply reply;
  bool asked = false;
  bool cut = false;  ///< the answer has begun, and not come to its end
};
std::string Text(const Seen& seen);
/// What a client is told that the model speaks of: status, body, and these fields.
Reply Told(Reply reply, bool asked);

/// One cache that the edge may be.
struct Cache {
  struct Stored {
    Kept kept;
    std::shared_ptr<const std::string> body;  ///< one for all caches that have it
    /// What Vary names, with the values that its request had; nothing for an absent field.
    std::map<std::string, std::optional<std::string>> selecting;
    /// Some of it may have to be asked for, if it is still the same.
    bool in_parts = false;
  };
  /// RFC 9111 §3.3: a 206 of the last bytes, which answers that range and nothing else.
  struct Tail {
    size_t length = 0;
    Kept kept;
    std::string body;
  };
  struct Resource {
    std::vector<Stored> stored;  ///< the latest first
    bool varies = false;         ///< the latest did, though it may have been dropped since
    int64_t alone_until = 0;     ///< nobody's answer is another's, as far as is remembered
    std::optional<Tail> tail;    ///< where nothing else is stored
    std::map<size_t, int64_t> tails_alone_until;  ///< by their length
  };
  std::map<std::string, Resource> resources;
};

class SiteModel {
 public:
  /// `in_parts`: of what is longer, parts may be fetched and stored.
  SiteModel(const Choices& site, std::optional<size_t> in_parts)
      : site_(site), in_parts_(in_parts), caches_(1) {}

  /// Takes in what was seen at `now`. "" when some cache answers so; else what they would have
  /// answered.
  std::string Play(const Request& request, const Seen& seen, const Origin& origin, int64_t now);
  size_t size() const { return caches_.size(); }
  /// Answers so far that were last bytes which some cache had alone.
  int tails_shown() const { return tails_shown_; }

 private:
  struct Outcome {
    Reply reply;
    bool asked = false;
    bool or_whole = false;  ///< Range may have been ignored
    Reply whole;            ///< then
    bool cut = false;
    bool shows_tail = false;
    Cache after;
  };
  struct Turn;

  const Choices site_;
  const std::optional<size_t> in_parts_;
  std::vector<Cache> caches_;
  int tails_shown_ = 0;
};

}  // namespace nearside::edge::model
