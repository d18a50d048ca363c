#pragma once

// From a signed zone to an unsigned one without a moment in which a resolver finds anything bogus:
// the parent's DS record goes first, and signatures stay until nobody has it any more (RFC 6781
// §4.4 taken backwards; the parent is told by the delete records of RFC 8078 §4). Pure.

#include <optional>
#include <string_view>
#include <vector>

#include "geodns/zone_keys.h"

namespace nearside::geodns {

struct WithdrawalRequest {
  WallTime now;
  seconds ds_ttl{};              ///< of the DS record at the parent
  bool parent_has_none = false;  ///< the user says: the parent has no DS record of the zone
  bool cancel = false;           ///< the zone stays signed
  bool force = false;            ///< does not wait
};

/// What it does next, by the states that the keys are in.
struct WithdrawalStep {
  enum class What : uint8_t {
    kWithdraw,    ///< the parent is asked to delete its DS record
    kNoteParent,  ///< it has: from now on the DS record expires in resolvers
    kFinish,      ///< nobody has it any more: the zone may be served unsigned; nothing changes here
    kCancel,      ///< the parent is to have the DS record (again)
  };
  What what = What::kWithdraw;
  std::vector<ZoneKey> changed;  ///< to be written
  WallTime next_not_before;      ///< of kFinish, after kNoteParent
};
/// "withdraw", "note_parent", "finish", "cancel".
std::string_view WithdrawalStepName(WithdrawalStep::What what);

/// Error: kOperator no_key; kClient too_early, parent_unknown, not_withdrawn, with what to do.
Result<WithdrawalStep> NextWithdrawalStep(const ZoneKeys& keys, const WithdrawalRequest& request);

}  // namespace nearside::geodns
