#include "geodns/key_withdrawal.h"

#include "geodns/key_rollover.h"

namespace nearside::geodns {
namespace {

/// The keys of one state as they are in another.
std::vector<ZoneKey> Moved(const ZoneKeys& keys, KeyState from, KeyState to, WallTime now) {
  std::vector<ZoneKey> moved;
  for (const ZoneKey& key : keys.keys) {
    if (key.state != from) continue;
    moved.push_back(key);
    moved.back().state = to;
    moved.back().changed = now;
    moved.back().parent_told.reset();
  }
  return moved;
}

}  // namespace

std::string_view WithdrawalStepName(WithdrawalStep::What what) {
  switch (what) {
    case WithdrawalStep::What::kWithdraw:
      return "withdraw";
    case WithdrawalStep::What::kNoteParent:
      return "note_parent";
    case WithdrawalStep::What::kFinish:
      return "finish";
    case WithdrawalStep::What::kCancel:
      return "cancel";
  }
  return "";
}

Result<WithdrawalStep> NextWithdrawalStep(const ZoneKeys& keys, const WithdrawalRequest& request) {
  using What = WithdrawalStep::What;
  const ZoneKey* withdrawn = FindKey(keys, KeyState::kWithdrawn);
  if (request.cancel) {
    if (withdrawn == nullptr) {
      return Fail(Fault::kClient, "not_withdrawn",
                  keys.zone.ToText() + " is not being unsigned: there is nothing to take back");
    }
    return WithdrawalStep{
        .what = What::kCancel,
        .changed = Moved(keys, KeyState::kWithdrawn, KeyState::kActive, request.now),
        .next_not_before = request.now};
  }
  if (withdrawn == nullptr) {
    if (FindKey(keys, KeyState::kActive) == nullptr) {
      return Fail(Fault::kOperator, "no_key",
                  keys.zone.ToText() + " has no active key: it is not signed");
    }
    return WithdrawalStep{
        .what = What::kWithdraw,
        .changed = Moved(keys, KeyState::kActive, KeyState::kWithdrawn, request.now),
        .next_not_before = request.now};
  }
  if (!withdrawn->parent_told) {
    if (!request.parent_has_none) {
      return Fail(Fault::kClient, "parent_unknown",
                  "the parent zone must have no DS record of " + keys.zone.ToText() + " now (dig " +
                      keys.zone.ToText() +
                      " DS); when all its servers answer so, run this again with "
                      "--parent-has-none");
    }
    WithdrawalStep step{
        .what = What::kNoteParent,
        .changed = Moved(keys, KeyState::kWithdrawn, KeyState::kWithdrawn, withdrawn->changed),
        .next_not_before = request.now + request.ds_ttl};
    for (ZoneKey& key : step.changed) key.parent_told = request.now;
    return step;
  }
  const WallTime ready = *withdrawn->parent_told + request.ds_ttl;
  if (request.now < ready && !request.force) {
    return Fail(Fault::kClient, "too_early",
                "resolvers may still have the DS record, and want signatures: run this again "
                "after " +
                    FormatIsoTime(ready) + " (--force does not wait)");
  }
  return WithdrawalStep{.what = What::kFinish, .changed = {}, .next_not_before = request.now};
}

}  // namespace nearside::geodns
