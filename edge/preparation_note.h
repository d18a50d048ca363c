#pragma once

// What a preparation has come to, as it is written beside the contents that it has brought: after a
// restart the edge knows from it what they are for.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/clock.h"
#include "storage/cache_store.h"

namespace nearside::edge {

/// How far this edge is with preparing a release.
struct PreparedState {
  storage::LogPosition position;  ///< of the event that asked for it; sequence 0: none did
  std::string release;
  std::string state;  ///< "preparing", "prepared", "partly"; "off" by prove_releases, prepare_most
  uint64_t of = 0;    ///< contents that differ from the active release's
  uint64_t held = 0;  ///< of them
  uint64_t bytes = 0;
  milliseconds took{0};  ///< from the event to the end
  std::string why;       ///< of "partly": what the first one lacks
};

struct PreparationNote {
  struct Content {
    std::string sha256;  ///< hexadecimal
    std::string etag;
    uint64_t bytes = 0;
    std::vector<std::string> paths;  ///< as they stand in keys
  };
  PreparedState state;
  std::vector<Content> contents;  ///< those that are held
};

std::string FormatPreparationNote(const PreparationNote& note);
/// nullopt: it is none.
std::optional<PreparationNote> ParsePreparationNote(std::string_view text);

}  // namespace nearside::edge
