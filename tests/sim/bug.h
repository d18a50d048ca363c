#pragma once

#include <cstdint>

namespace nearside::sim {

/// Faults of the product that are put into the world around it, to show that the invariants find
/// them.
enum class Bug : uint8_t {
  kNone,
  kReportBeforeDurable,   ///< the store says that a position is durable as soon as it is told it
  kPositionBeforePurges,  ///< the position goes to disk a commit before the purges do
  kNotStaleOnLogCut,      ///< "everything is stale" does nothing
  kForgetsFills,          ///< a purge does not concern fills in flight
  kWrongOrder,            ///< each event says what the one before it was to say
  kReceiptTooEarly,       ///< the origin takes an edge to be one event further than it says
  kReplicaBehind,         ///< an origin answers visitors from what it has read last
  kLosesPurgesAtStart,    ///< purges on disk are not read after a crash
  kIgnoresLag,            ///< an edge does not notice that it is cut off from the log
  kProvesUnasked,         ///< an edge says that it has proved a release before it has looked
};
inline constexpr int kBugs = 11;

inline const char* NameOf(Bug bug) {
  static constexpr const char* kNames[kBugs] = {"none",
                                                "report_before_durable",
                                                "position_before_purges",
                                                "not_stale_on_log_cut",
                                                "forgets_fills",
                                                "wrong_order",
                                                "receipt_too_early",
                                                "replica_behind",
                                                "loses_purges_at_start",
                                                "ignores_lag",
                                                "proves_unasked"};
  return kNames[static_cast<int>(bug)];
}

}  // namespace nearside::sim
