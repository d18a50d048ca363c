#pragma once

// What becomes of releases that nobody needs any more, and of contents that nothing names: dropped,
// trimmed, condemned, collected, in steps of a bounded size that may be interrupted anywhere and
// taken by several processes at once.
//
//   release:  not kept ──DropReleases──▶ no site's ──TrimDropped──▶ its rows are gone
//   content:  named by nothing, old ──CondemnBlobs──▶ condemned ──CollectBlobs──▶ file, then row
//             a file without a row, old ──SweepFiles──▶ gone
//
// A condemned content counts as missing to whoever names it from then on, so it is uploaded again;
// that upload (AddBlob) ends the sentence. A file is unlinked only inside a write transaction, and
// AddBlob and PutPart look for theirs inside one: either they come first, and the content is no
// longer condemned, or they see that the file is gone and fail. What was acknowledged is never
// lost.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "runtime/clock.h"
#include "storage/blob_store.h"

namespace nearside::storage {

/// Which releases of a site are kept beside the active one.
struct Retention {
  /// So many of those that were active before, the last ones;
  size_t earlier = 3;
  /// and all that were active within this time.
  milliseconds earlier_for{0};
  /// Those that were never activated are kept this long after they were made.
  milliseconds open_for = std::chrono::hours(7 * 24);
};

struct DroppedRelease {
  int64_t id = 0;
  std::string site;
};

/// A stretch of the table of contents, in the order of their names.
struct BlobStretch {
  std::optional<BlobId> after;  ///< exclusive; nullopt: from the beginning
  WallTime added_before;        ///< what was uploaded later is left alone
  size_t limit = 1000;          ///< contents looked at
};

struct CondemnedBlobs {
  std::optional<BlobId> last;  ///< the last one looked at; nullopt: the table ends here
  uint64_t blobs = 0;          ///< condemned by this step
};

/// Which condemned contents, or files, are to go.
struct BlobsToCollect {
  WallTime condemned_before;
  WallTime landed_before;  ///< a file that came later is left alone: its upload is under way
  size_t limit = 64;
};

struct CollectedBlobs {
  uint64_t blobs = 0;
  uint64_t bytes = 0;
  uint64_t failed = 0;  ///< the store could not remove them: tried again later
  bool more = false;    ///< there may be more of them now
};

}  // namespace nearside::storage
