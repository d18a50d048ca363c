#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/clock.h"
#include "storage/cache_store.h"

namespace nearside::storage {

/// So many are kept of each site, the newest.
inline constexpr size_t kReceiptsOfSite = 100;

/// What one edge has told of a release.
struct EdgeProof {
  std::string edge;
  WallTime applied_at;  ///< first told that it has applied the switch; 0: not yet
  WallTime proved_at;   ///< first told that it serves the release; 0: not yet
  std::string report;   ///< opaque: its newest word; "": none
};

/// That a release was made the active one, and what became of it at the edges.
struct PublishReceipt {
  int64_t id = 0;  ///< from 1, in the order of time; never given twice
  std::string site;
  int64_t release = 0;
  int64_t previous = 0;  ///< active before; 0: none
  LogPosition position;  ///< of the last event that announces it
  WallTime time;
  uint64_t changed = 0;          ///< paths
  std::string digest;            ///< opaque; "": not made yet
  std::vector<EdgeProof> edges;  ///< in the order of their names
};

}  // namespace nearside::storage
