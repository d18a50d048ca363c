#pragma once

// From one key of a zone to the next without a moment in which a resolver finds anything bogus: the
// double signature of RFC 6781 §4.1.3, which serves a change of algorithm as well. Pure.

#include <optional>
#include <string>
#include <vector>

#include "geodns/zone_keys.h"

namespace nearside::geodns {

struct RollRequest {
  WallTime now;
  seconds longest_ttl{};                 ///< of the zone's records, the keys' included
  seconds ds_ttl{};                      ///< of the DS record at the parent
  std::optional<uint16_t> servers_have;  ///< the user says: all servers sign with this key
  std::optional<uint16_t> parent_has;    ///< the user says: the parent has the DS of this key
  bool force = false;                    ///< does not wait
};

/// What a rollover does next, by the states that the keys are in.
struct RollStep {
  enum class What : uint8_t {
    kAdd,          ///< a new key signs beside the old one, and resolvers get to know it
    kNoteServers,  ///< all servers have it: from now on records from before expire in resolvers
    kSwitch,       ///< it becomes the one that the parent is to have
    kNoteParent,   ///< the parent has it: from now on the old DS record expires in resolvers
    kRemove,       ///< nobody needs the old key any more
  };
  What what = What::kAdd;
  std::vector<ZoneKey> changed;  ///< to be written: kNoteServers, kSwitch, kNoteParent
  std::vector<ZoneKey> removed;  ///< kRemove
  /// Of the step after this one; those of kAdd and kSwitch wait for the servers and the parent.
  WallTime next_not_before;
};
/// "add", "note_servers", "switch", "note_parent", "remove".
std::string_view RollStepName(RollStep::What what);

/// Error: kOperator no_key; kClient too_early, servers_unknown, parent_unknown, wrong_key,
/// withdrawn, with what to do.
Result<RollStep> NextRollStep(const ZoneKeys& keys, const RollRequest& request);

/// The first of the keys in a state, or nullptr.
const ZoneKey* FindKey(const ZoneKeys& keys, KeyState state);

}  // namespace nearside::geodns
