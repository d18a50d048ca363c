#pragma once

// Histories of a site: pages that change, clients that ask for them in every way, requests that
// change something, an origin that fails. Read from tapes (tape.h).

#include <array>
#include <map>
#include <optional>
#include <ostream>
#include <span>
#include <string>
#include <vector>

#include "tests/edge/site_model.h"
#include "tests/edge/tape.h"

namespace nearside::edge::model {

/// A page of one kind, as the origin has it.
struct Page {
  int status = 200;
  std::string body = "v0:0123456789";
  Lines fields;
  int64_t date_back = 0;  ///< its Date is so long ago
  bool heeds_conditions = true;
  bool heeds_ranges = true;
};

/// What a request that changes something is answered.
struct Change {
  int status = 204;
  Lines fields;
};

struct SiteStep {
  int64_t span = 0;          ///< passes before it
  std::optional<int> fails;  ///< from now on the origin answers so; 0: no more
  /// The origin has these from now on, before the request comes.
  std::vector<std::pair<std::string, std::array<Page, 2>>> published;
  Request request;
  Change change;  ///< if the request is not for reading
};

struct SiteHistory {
  Choices site;
  bool in_parts = false;  ///< its pages are long, and can be had in parts
  std::vector<SiteStep> steps;
};

/// The first tape is the site's; each of the others is a step.
SiteHistory SiteHistoryFrom(std::span<const Tape> tapes, int64_t start);

/// The origin: RFC 9110, as far as its pages heed it. Of several ranges it sends the whole.
class World {
 public:
  void Take(const SiteStep& step);
  Reply Answer(const Request& request, int64_t now) const;

 private:
  std::map<std::string, std::array<Page, 2>> pages_;
  Change change_;
  int fails_ = 0;
};

std::ostream& operator<<(std::ostream& out, const SiteStep& step);
std::ostream& operator<<(std::ostream& out, const SiteHistory& history);

}  // namespace nearside::edge::model
