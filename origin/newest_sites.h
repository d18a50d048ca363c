#pragma once

// Sites as read, kept as new as the event log. Every change of what visitors get appends its event
// in its own transaction, so whoever has read all that the log tells of has read the change. An
// edge that was told of an event by one origin may validate at any other a moment later; what it is
// then answered counts as later than the event.

#include <functional>
#include <mutex>
#include <string>

#include "runtime/result.h"
#include "storage/event_log.h"

namespace nearside::origin {

/// Any thread.
class NewestSites {
 public:
  /// Reads a site anew; "": all of them.
  using Read = std::function<Status(const std::string& site)>;
  /// `log` outlives it.
  NewestSites(storage::EventLog& log, Read read) : log_(log), read_(std::move(read)) {}
  /// Reads all of them: at the start, and when the log has been replaced.
  Status ReadAll();
  /// Reads those that events were appended for since the last time: on success what was read holds
  /// every change whose event was in the log when this was called. Errors: the log's, and those of
  /// `read`.
  Status CatchUp();

 private:
  Status ReadAllLocked();
  Status ReadChangedLocked(storage::LogPosition last);

  storage::EventLog& log_;
  const Read read_;
  std::mutex mutex_;               ///< held while sites are read: nobody goes on with older ones
  storage::LogPosition position_;  ///< of the newest event that what was read holds
};

}  // namespace nearside::origin
