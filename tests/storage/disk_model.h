#pragma once

// What a disk may hold when the power goes: of each page any state between the last one synced and
// the last one written, of each other page another. So dropped writes and reordered ones are
// covered alike.

#include <cstdint>
#include <map>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/storage/disk_recorder.h"

namespace nearside::storage {

enum class Survivors {
  kNone,       ///< what was synced and nothing else
  kAllButOne,  ///< one page has lost its last write
  kPages,      ///< each page has the state that it happened to have when it was written back
  kSectors,    ///< the same with pages torn at 512 bytes
  kAll,        ///< as after SIGKILL
};
inline constexpr int kSurvivorKinds = 5;

struct ImageFacts {
  uint64_t kept = 0;     ///< unsynced writes, by page, that are in the image
  uint64_t dropped = 0;  ///< and that are not
};

/// Moves forward through recorded events. Views the events: they outlive it.
class DiskModel {
 public:
  /// `ignored`: numbers of syncs that the disk lies about.
  DiskModel(const std::vector<DiskEvent>& events, size_t files, std::set<size_t> ignored = {});

  /// The power goes before event number `cut`, which is no smaller than the cut before.
  void AdvanceTo(size_t cut);
  /// Writes an image, sparse, to new files.
  ImageFacts WriteImage(const std::vector<std::string>& paths, Survivors survivors,
                        std::mt19937_64& random) const;

 private:
  struct Piece {  ///< the part of a write that lies in one page
    size_t event = 0;
    size_t offset = 0;  ///< in the page
    std::string_view bytes;
  };
  using Pages = std::map<uint64_t, std::vector<Piece>>;
  struct File {
    std::string synced;                                ///< with the size that is synced
    uint64_t size = 0;                                 ///< as the program sees it
    std::vector<std::pair<size_t, uint64_t>> growths;  ///< unsynced: event, size
    Pages unsynced;
  };
  static void Paste(std::string& bytes, uint64_t page, const Piece& piece, size_t from, size_t to);
  static void Settle(File& file, Pages::iterator page, size_t before);
  static void SyncAll(File& file, size_t before);
  static void SyncOne(File& file, const DiskEvent& write, size_t number);
  static void Write(File& file, const DiskEvent& write, size_t number);
  ImageFacts Survive(const File& file, std::string& image, Survivors survivors, uint64_t spared,
                     std::mt19937_64& random) const;

  const std::vector<DiskEvent>& events_;
  std::set<size_t> ignored_;
  size_t at_ = 0;
  std::vector<File> files_;
};

}  // namespace nearside::storage
