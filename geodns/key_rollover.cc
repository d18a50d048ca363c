#include "geodns/key_rollover.h"

namespace nearside::geodns {
namespace {

tl::unexpected<Error> TooEarly(const std::string& what, WallTime not_before) {
  return Fail(Fault::kClient, "too_early",
              what + ": run this again after " + FormatIsoTime(not_before) +
                  " (--force does not wait, and may have resolvers refuse the zone)");
}

/// Of what the user says after --servers-have or --parent-has.
Status CheckTag(const std::string& option, uint16_t said, uint16_t wanted,
                const std::string& advice) {
  if (said == wanted) return {};
  return Fail(Fault::kClient, "wrong_key",
              "expected " + option + " " + std::to_string(wanted) + ", the new key, and got " +
                  std::to_string(said) + ": " + advice);
}

/// When the file was written says nothing of when the last server has read it.
Result<RollStep> NoteServers(const ZoneKey& incoming, const RollRequest& request) {
  const std::string tag = std::to_string(incoming.tag);
  if (!request.servers_have) {
    return Fail(Fault::kClient, "servers_unknown",
                "every server of the zone must answer with the DNSKEY record of key " + tag +
                    " now (dig @SERVER ZONE DNSKEY +multiline); when all do, run this again with "
                    "--servers-have " +
                    tag);
  }
  if (auto ok = CheckTag("--servers-have", *request.servers_have, incoming.tag,
                         "have every server read the new key's file");
      !ok) {
    return tl::unexpected(std::move(ok.error()));
  }
  RollStep step{.what = RollStep::What::kNoteServers,
                .next_not_before = request.now + request.longest_ttl};
  step.changed.push_back(incoming);
  step.changed.back().servers_told = request.now;
  return step;
}

/// The first has been seen by everybody: the parent may have its DS.
Result<RollStep> Switch(const ZoneKeys& keys, const ZoneKey& incoming, const RollRequest& request) {
  const WallTime ready = *incoming.servers_told + request.longest_ttl;
  if (request.now < ready && !request.force) {
    return TooEarly(
        "resolvers may still have records from before key " + std::to_string(incoming.tag), ready);
  }
  RollStep step{.what = RollStep::What::kSwitch, .next_not_before = request.now};
  for (const ZoneKey& key : keys.keys) {
    if (key.state == KeyState::kOutgoing) continue;
    // The new one first: written one by one, there is always an active key.
    ZoneKey changed = key;
    changed.state = key.state == KeyState::kIncoming ? KeyState::kActive : KeyState::kOutgoing;
    changed.changed = request.now;
    const bool is_new = changed.state == KeyState::kActive;
    step.changed.insert(is_new ? step.changed.begin() : step.changed.end(), std::move(changed));
  }
  return step;
}

Result<RollStep> NoteParent(const ZoneKey& active, const RollRequest& request) {
  const std::string tag = std::to_string(active.tag);
  if (!request.parent_has) {
    return Fail(Fault::kClient, "parent_unknown",
                "the parent zone must have the DS record of key " + tag +
                    " and no other now; when its servers answer with that, run this again with "
                    "--parent-has " +
                    tag);
  }
  if (auto ok = CheckTag("--parent-has", *request.parent_has, active.tag,
                         "have the parent's DS record replaced");
      !ok) {
    return tl::unexpected(std::move(ok.error()));
  }
  RollStep step{.what = RollStep::What::kNoteParent,
                .next_not_before = request.now + request.ds_ttl};
  step.changed.push_back(active);
  step.changed.back().parent_told = request.now;
  return step;
}

Result<RollStep> Remove(const ZoneKeys& keys, const ZoneKey& active, const RollRequest& request) {
  const WallTime ready = *active.parent_told + request.ds_ttl;
  if (request.now < ready && !request.force) {
    return TooEarly("resolvers may still have the old DS record", ready);
  }
  RollStep step{.what = RollStep::What::kRemove, .next_not_before = request.now};
  for (const ZoneKey& key : keys.keys) {
    if (key.state == KeyState::kOutgoing) step.removed.push_back(key);
  }
  return step;
}

}  // namespace

std::string_view RollStepName(RollStep::What what) {
  switch (what) {
    case RollStep::What::kAdd:
      return "add";
    case RollStep::What::kNoteServers:
      return "note_servers";
    case RollStep::What::kSwitch:
      return "switch";
    case RollStep::What::kNoteParent:
      return "note_parent";
    case RollStep::What::kRemove:
      return "remove";
  }
  return "";
}

const ZoneKey* FindKey(const ZoneKeys& keys, KeyState state) {
  for (const ZoneKey& key : keys.keys) {
    if (key.state == state) return &key;
  }
  return nullptr;
}

Result<RollStep> NextRollStep(const ZoneKeys& keys, const RollRequest& request) {
  if (FindKey(keys, KeyState::kWithdrawn) != nullptr) {
    return Fail(
        Fault::kClient, "withdrawn",
        keys.zone.ToText() + " is being unsigned; nearside-geodns unsign --cancel takes that back");
  }
  const ZoneKey* active = FindKey(keys, KeyState::kActive);
  if (const ZoneKey* incoming = FindKey(keys, KeyState::kIncoming)) {
    if (!incoming->servers_told) return NoteServers(*incoming, request);
    return Switch(keys, *incoming, request);
  }
  if (active == nullptr) {
    return Fail(Fault::kOperator, "no_key",
                keys.zone.ToText() + " has no active key; make one with nearside-geodns keygen");
  }
  if (FindKey(keys, KeyState::kOutgoing) == nullptr) {
    return RollStep{.what = RollStep::What::kAdd, .next_not_before = request.now};
  }
  if (!active->parent_told) return NoteParent(*active, request);
  return Remove(keys, *active, request);
}

}  // namespace nearside::geodns
