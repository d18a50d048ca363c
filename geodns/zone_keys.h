#pragma once

// The keys that a zone is signed with, as they lie in <state>/keys/<zone>/: one file a key, read at
// start and at SIGHUP. Every key signs all of the zone, so that answers are right at any moment of
// a rollover and on servers that have not been given the new files yet (the double signature of RFC
// 6781 §4.1.3, for one kind of key); a state says only what the parent should know of the key.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "dns/name.h"
#include "geodns/zone_file.h"
#include "runtime/clock.h"
#include "runtime/result.h"
#include "runtime/signing_key.h"

namespace nearside::geodns {

/// More than a rollover needs; each makes answers longer by a signature for every set in them.
inline constexpr size_t kMaxZoneKeys = 4;
/// TTL of DNSKEY, CDS and CDNSKEY records, in seconds.
inline constexpr uint32_t kKeyTtl = 3600;
/// Longer TTLs of a signed zone are cut to this: less than what a signature is still good for when
/// it is given out for the last time (RFC 6781 §4.4.1).
inline constexpr uint32_t kMaxSignedTtl = 86'400;

enum class KeyState : uint8_t {
  kIncoming,  ///< not yet known to every resolver: its DS must not be at the parent
  kActive,    ///< its DS belongs to the parent: told by CDS and CDNSKEY (RFC 7344)
  kOutgoing,  ///< its DS should go from the parent, and resolvers may still have that
  /// Likewise, and no other is to take its place: the zone is to become unsigned (RFC 8078 §4).
  kWithdrawn,
};
/// "incoming", "active", "outgoing", "withdrawn".
std::string_view KeyStateName(KeyState state);

/// One key of one zone. Immutable when it is shared; any thread.
struct ZoneKey {
  KeyState state = KeyState::kActive;
  uint8_t algorithm = 0;  ///< dns::kAlgorithm…
  uint16_t tag = 0;
  std::vector<uint8_t> dnskey;  ///< data of the record
  std::vector<uint8_t> ds;      ///< likewise, SHA-256
  /// Of zone and key: the same in every process, 64 bits.
  uint64_t id = 0;
  WallTime created;
  WallTime changed;                      ///< when its state did
  std::optional<WallTime> servers_told;  ///< when somebody said that all servers sign with it
  /// When somebody said that the parent has its DS; of a withdrawn one, that it has none.
  std::optional<WallTime> parent_told;
  std::shared_ptr<const SigningKey> secret;

  std::string FileName() const;  ///< "13-55648.key"
  /// "demo.test. IN DS 55648 13 2 …".
  std::string DsText(dns::NameView zone) const;
};

/// The keys of one zone, oldest first. Immutable; any thread.
struct ZoneKeys {
  dns::Name zone;  ///< in lower case
  std::vector<ZoneKey> keys;

  /// The DNSKEY, CDS and CDNSKEY records of the zone's apex. The latter two ask the parent to
  /// delete what it has as soon as a key is withdrawn.
  std::vector<ZoneRecord> Records() const;
};

/// Makes a file's records those of a signed zone: adds the keys' and cuts TTLs to kMaxSignedTtl. A
/// file may have DNSKEY records of other signers (RFC 8901). Error: kOperator bad_zone for records
/// that a signed zone has from us, one a line.
Status PrepareToSign(const ZoneKeys& keys, std::string_view file_name,
                     std::vector<ZoneRecord>* records);

/// A key that has just been made, or read: all but state and times is worked out.
ZoneKey MakeZoneKey(dns::NameView zone, SigningKey secret);

/// Where the keys of a zone lie: "var/geodns/keys/demo.test".
std::string KeyFolder(const std::string& state_folder, dns::NameView zone);
/// Blocks on the disk. No folder, or an empty one, gives no keys. Error: kOperator bad_key with the
/// file's path.
Result<ZoneKeys> LoadZoneKeys(const std::string& folder, dns::NameView zone);
/// Writes or replaces one key's file (mode 0600, in folders of 0700), whole or not at all.
Status SaveZoneKey(const std::string& folder, dns::NameView zone, const ZoneKey& key);
Status RemoveZoneKey(const std::string& folder, const ZoneKey& key);

/// A file's text and back, for the two above. Error: kOperator bad_key.
std::string ZoneKeyToText(dns::NameView zone, const ZoneKey& key);
Result<ZoneKey> ZoneKeyFromText(std::string_view text, dns::NameView zone);

}  // namespace nearside::geodns
