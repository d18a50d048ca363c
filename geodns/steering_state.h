#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "geodns/capacity.h"
#include "geodns/configuration.h"
#include "geodns/moment.h"
#include "geodns/steering_files.h"
#include "runtime/result.h"

namespace nearside::geodns {

/// What steers beside checks: the points that operators drained, and the shares that overloaded
/// ones keep. Kept in files of the state folder; a damaged one is set aside and said so, and never
/// keeps a server from starting. Control loop's thread.
class SteeringState {
 public:
  /// `folder` exists, or is "": then nothing outlives the process.
  explicit SteeringState(std::string folder);

  /// Reads the files. Before anything else.
  void Load();
  /// Goes on with these points of presence, at the start and after a reload: what is known of a
  /// name stays.
  void Use(std::shared_ptr<const Configuration> configuration);

  /// Drains a point of presence or ends that. Returns whether it changed anything. Error: kClient
  /// no_such_pop, naming those that exist; kSelf state_not_saved, and then nothing changed.
  Result<bool> SetDrained(std::string_view pop, bool drained, WallTime now);
  /// To be called about once a second. Returns whether the share of a point changed.
  bool StepShares(MonoTime now, const std::vector<TargetHealth>& targets);

  Moment MomentOf(std::vector<TargetHealth> targets) const;
  bool outlives_process() const { return !folder_.empty(); }

 private:
  std::optional<std::string> ReadStateFile(const std::string& name) const;
  void SetAside(const std::string& name, const Error& error) const;
  Status WriteStateFile(const std::string& name, const std::string& text) const;
  std::vector<size_t> TakersOf(size_t pop, const Moment& moment) const;
  void KeepShares();
  void WriteShares() const;

  const std::string folder_;
  std::shared_ptr<const Configuration> configuration_;
  OperatorDrains drains_;
  SharesByName shares_;  ///< those below 1
  CapacityControl capacity_;
  std::vector<std::string> names_;  ///< what capacity_ was set up for
  std::vector<CapacityLimit> limits_;
};

}  // namespace nearside::geodns
