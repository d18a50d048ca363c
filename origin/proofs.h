#pragma once

// What edges tell of the releases that they serve, noted in the receipts of these.

#include <cstdint>
#include <map>
#include <mutex>
#include <nlohmann/json_fwd.hpp>
#include <set>
#include <string>
#include <utility>

#include "runtime/clock.h"
#include "runtime/result.h"

namespace nearside::origin {

struct Node;

/// Sites that one report may tell of.
inline constexpr size_t kSitesOfReport = 64;

/// Any thread.
class Proofs {
 public:
  /// `sites` is the member of that name of an edge's report (docs/origin.md). What is the same as
  /// the last time is not written again.
  void Take(Node& node, const std::string& edge, const nlohmann::json& sites, WallTime now);
  /// The edge is gone for good.
  void Forget(const std::string& edge);

 private:
  void TakeOne(Node& node, const std::string& edge, const nlohmann::json& told, WallTime now);
  Status MakeDigest(Node& node, int64_t id);

  std::mutex mutex_;
  /// The last word by edge and site.
  std::map<std::pair<std::string, std::string>, std::string> told_;
  std::set<int64_t> making_;  ///< receipts whose digest is being made: that may take seconds
};

}  // namespace nearside::origin
