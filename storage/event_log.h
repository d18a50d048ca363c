#pragma once

// The event log as origins share it, with what the edges report of it: the part of the metadata
// that the protocol with the edges is made of, and nothing else, so that it runs over a log in
// memory as well (tests/sim).

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "runtime/clock.h"
#include "runtime/result.h"
#include "storage/cache_store.h"
#include "storage/token.h"

namespace nearside::storage {

/// An event to be appended; the log gives it its position and time.
struct NewEvent {
  std::string type;
  std::string site;
  std::string body;
  /// Kept in the same transaction: who made the change that the event announces.
  std::optional<AuditEntry> audit = std::nullopt;
};

struct Event {
  LogPosition position;
  WallTime time;
  std::string type;
  std::string site;
  std::string body;
};

/// Where the log begins and ends; first > last.sequence: it holds nothing.
struct LogState {
  LogPosition last;
  uint64_t first = 1;
  uint64_t tokens = 0;  ///< grows with every change of the tokens, by whichever process
};

struct EdgeReport {
  std::string name;
  LogPosition applied;
  WallTime applied_at;  ///< when `applied` was first reported
  WallTime seen_at;
  std::string report;  ///< opaque
};

/// Any thread. Errors: those of storage::Metadata.
class EventLog {
 public:
  virtual ~EventLog() = default;
  virtual Result<LogState> Log() = 0;
  /// The position of the last; all get consecutive numbers.
  virtual Result<LogPosition> Append(std::span<const NewEvent> events) = 0;
  /// The events behind `after`, in order; the caller has compared `after` with Log().
  virtual Result<std::vector<Event>> Events(uint64_t after, size_t limit) = 0;

  /// Not made durable at once: an edge reports again within a second.
  virtual Status ReportEdge(const EdgeReport& report) = 0;
  virtual Result<std::vector<EdgeReport>> Edges() = 0;
  /// Removing what is not there succeeds.
  virtual Status RemoveEdge(const std::string& name) = 0;
};

}  // namespace nearside::storage
