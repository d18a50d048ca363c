#include "geodns/zone_keys.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <ctime>
#include <filesystem>

#include "dns/dnssec.h"
#include "dns/rdata.h"
#include "dns/record_type.h"
#include "runtime/file.h"
#include "runtime/hash.h"

namespace nearside::geodns {
namespace {

constexpr ByteSize kMaxKeyFileBytes = 64_KiB;
constexpr std::string_view kExtension = ".key";
constexpr std::string_view kPemBegin = "-----BEGIN";

tl::unexpected<Error> BadKey(std::string message) {
  return Fail(Fault::kOperator, "bad_key", std::move(message));
}

dns::Name FoldedName(dns::NameView zone) {
  dns::Name folded(zone);
  folded.Fold();
  return folded;
}

/// As FormatIsoTime writes it; whole seconds count.
std::optional<WallTime> TimeFromText(const std::string& text) {
  std::tm utc{};
  if (std::sscanf(text.c_str(), "%4d-%2d-%2dT%2d:%2d:%2d", &utc.tm_year, &utc.tm_mon, &utc.tm_mday,
                  &utc.tm_hour, &utc.tm_min, &utc.tm_sec) != 6) {
    return {};
  }
  utc.tm_year -= 1900;
  utc.tm_mon -= 1;
  return FromUnixMillis(int64_t{timegm(&utc)} * 1000);
}

std::optional<KeyState> StateFromText(std::string_view text) {
  for (KeyState state :
       {KeyState::kIncoming, KeyState::kActive, KeyState::kOutgoing, KeyState::kWithdrawn}) {
    if (text == KeyStateName(state)) return state;
  }
  return {};
}

/// One "name: value" of a key's file. Nothing: it cannot be read.
bool TakeLine(std::string_view name, const std::string& value, ZoneKey* key) {
  if (name == "state") {
    auto state = StateFromText(value);
    key->state = state.value_or(KeyState::kActive);
    return state.has_value();
  }
  auto time = TimeFromText(value);
  if (name == "created") key->created = time.value_or(WallTime());
  if (name == "changed") key->changed = time.value_or(WallTime());
  if (name == "servers-told") key->servers_told = time;
  if (name == "parent-told") key->parent_told = time;
  const bool is_time =
      name == "created" || name == "changed" || name == "servers-told" || name == "parent-told";
  return !is_time || time.has_value();
}

/// Folders above the last are made as usual, the last for us alone.
Status MakePrivateFolder(const std::string& folder) {
  if (auto made = MakeFolders(std::filesystem::path(folder).parent_path()); !made) return made;
  if (mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) {
    return FailErrno(folder + ": cannot make the folder", errno);
  }
  return {};
}

Result<ZoneKey> LoadZoneKey(const std::string& path, dns::NameView zone) {
  struct stat about {};
  if (stat(path.c_str(), &about) == 0 && (about.st_mode & S_IRWXO) != 0) {
    return BadKey(path + ": everybody on this machine may read this private key; expected chmod " +
                  "600 (a key that others have seen should be replaced: nearside-geodns roll)");
  }
  auto text = ReadFile(path, kMaxKeyFileBytes);
  if (!text) return BadKey(text.error().message);
  auto key = ZoneKeyFromText(*text, zone);
  if (!key) return BadKey(path + ": " + key.error().message);
  if (std::filesystem::path(path).filename() != key->FileName()) {
    return BadKey(path + ": for the key inside expected the name " + key->FileName());
  }
  return key;
}

}  // namespace

std::string_view KeyStateName(KeyState state) {
  switch (state) {
    case KeyState::kIncoming:
      return "incoming";
    case KeyState::kActive:
      return "active";
    case KeyState::kOutgoing:
      return "outgoing";
    case KeyState::kWithdrawn:
      return "withdrawn";
  }
  return "";
}

std::string ZoneKey::FileName() const {
  return std::to_string(algorithm) + "-" + std::to_string(tag) + std::string(kExtension);
}

std::string ZoneKey::DsText(dns::NameView zone) const {
  return zone.ToText() + " IN DS " + dns::RdataToText(dns::type::kDs, ds);
}

std::vector<ZoneRecord> ZoneKeys::Records() const {
  std::vector<ZoneRecord> records;
  const auto apex = zone.view().bytes();
  const std::vector<uint8_t> owner(apex.begin(), apex.end());
  const bool is_withdrawn = std::ranges::any_of(
      keys, [](const ZoneKey& key) { return key.state == KeyState::kWithdrawn; });
  for (const ZoneKey& key : keys) {
    records.push_back({owner, dns::type::kDnskey, kKeyTtl, key.dnskey});
    if (key.state != KeyState::kActive || is_withdrawn) continue;
    records.push_back({owner, dns::type::kCds, kKeyTtl, key.ds});
    records.push_back({owner, dns::type::kCdnskey, kKeyTtl, key.dnskey});
  }
  if (!is_withdrawn) return records;
  // RFC 8078 §4: "CDS 0 0 0 00" and "CDNSKEY 0 3 0 AA==", alone of their types.
  records.push_back({owner, dns::type::kCds, kKeyTtl, {0, 0, 0, 0, 0}});
  records.push_back({owner, dns::type::kCdnskey, kKeyTtl, {0, 0, 3, 0, 0}});
  return records;
}

Status PrepareToSign(const ZoneKeys& keys, std::string_view file_name,
                     std::vector<ZoneRecord>* records) {
  namespace type = dns::type;
  // RRSIG, NSEC and the like no zone file may have.
  constexpr uint16_t kOurs[] = {type::kCds, type::kCdnskey};
  std::string errors;
  size_t error_count = 0;
  for (ZoneRecord& record : *records) {
    record.ttl = std::min(record.ttl, kMaxSignedTtl);
    if (std::ranges::find(kOurs, record.type) == std::end(kOurs)) continue;
    if (error_count++ == kMaxZoneErrors) break;
    if (!errors.empty()) errors += '\n';
    errors += PlaceInFile(record, file_name) + ": " + dns::TypeToText(record.type) +
              " records of a zone with dnssec = true are made here: "
              "remove it";
  }
  if (!errors.empty()) return Fail(Fault::kOperator, "bad_zone", std::move(errors));
  for (ZoneRecord& record : keys.Records()) records->push_back(std::move(record));
  return {};
}

ZoneKey MakeZoneKey(dns::NameView zone, SigningKey secret) {
  ZoneKey key;
  key.algorithm = secret.algorithm() == SigningAlgorithm::kEcdsaP256 ? dns::kAlgorithmEcdsaP256
                                                                     : dns::kAlgorithmEd25519;
  key.dnskey = dns::DnskeyRdata(key.algorithm, secret.PublicBytes());
  key.tag = dns::KeyTag(key.dnskey);
  key.ds = dns::DsRdata(zone, key.dnskey);
  key.id = Xxh64(key.ds);
  key.secret = std::make_shared<const SigningKey>(std::move(secret));
  return key;
}

std::string KeyFolder(const std::string& state_folder, dns::NameView zone) {
  std::string name;
  const std::string text = FoldedName(zone).ToText();
  for (char c : text.substr(0, text.size() - 1)) {
    const bool plain =
        (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_';
    char escaped[4];
    std::snprintf(escaped, sizeof escaped, "%%%02X", static_cast<uint8_t>(c));
    name += plain ? std::string(1, c) : escaped;
  }
  return state_folder + "/keys/" + (name.empty() ? "@" : name);
}

Result<ZoneKeys> LoadZoneKeys(const std::string& folder, dns::NameView zone) {
  ZoneKeys keys{.zone = FoldedName(zone)};
  std::error_code error;
  std::filesystem::directory_iterator files(folder, error);
  if (error == std::errc::no_such_file_or_directory) return keys;
  if (error) return BadKey(folder + ": cannot read the folder: " + error.message());
  for (const auto& file : files) {
    if (file.path().extension() != kExtension) continue;
    auto key = LoadZoneKey(file.path(), keys.zone);
    if (!key) return tl::unexpected(std::move(key.error()));
    keys.keys.push_back(std::move(*key));
  }
  if (keys.keys.size() > kMaxZoneKeys) {
    return BadKey(folder + ": " + std::to_string(keys.keys.size()) + " keys; expected " +
                  std::to_string(kMaxZoneKeys) + " at most");
  }
  std::ranges::sort(keys.keys, {}, [](const ZoneKey& k) { return std::tie(k.created, k.tag); });
  return keys;
}

Status SaveZoneKey(const std::string& folder, dns::NameView zone, const ZoneKey& key) {
  if (auto made = MakePrivateFolder(folder); !made) return made;
  constexpr mode_t kMode = 0600;
  return WriteFileAtomically(folder + "/" + key.FileName(), ZoneKeyToText(zone, key), kMode);
}

Status RemoveZoneKey(const std::string& folder, const ZoneKey& key) {
  const std::string path = folder + "/" + key.FileName();
  if (unlink(path.c_str()) != 0) return FailErrno(path + ": cannot remove", errno);
  return {};
}

std::string ZoneKeyToText(dns::NameView zone, const ZoneKey& key) {
  std::string text = "# A key that signs the zone " + zone.ToText() +
                     " for nearside-geodns: keep\n" +
                     "# it secret, and have a copy in a safe place.\n";
  text += "algorithm: " + std::string(dns::AlgorithmName(key.algorithm)) + "\n";
  text += "tag: " + std::to_string(key.tag) + "\n";
  text += "ds: " + key.DsText(zone) + "\n";
  text += "state: " + std::string(KeyStateName(key.state)) + "\n";
  text += "created: " + FormatIsoTime(key.created) + "\n";
  text += "changed: " + FormatIsoTime(key.changed) + "\n";
  if (key.servers_told) text += "servers-told: " + FormatIsoTime(*key.servers_told) + "\n";
  if (key.parent_told) text += "parent-told: " + FormatIsoTime(*key.parent_told) + "\n";
  return text + key.secret->ToPem();
}

Result<ZoneKey> ZoneKeyFromText(std::string_view text, dns::NameView zone) {
  auto secret = SigningKey::FromPem(text);
  if (!secret) return tl::unexpected(std::move(secret.error()));
  ZoneKey key = MakeZoneKey(zone, std::move(*secret));
  // What can be worked out of the key itself stands there for people.
  while (!text.empty() && !text.starts_with(kPemBegin)) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    const size_t colon = line.find(": ");
    if (line.starts_with('#') || colon == std::string_view::npos) continue;
    if (!TakeLine(line.substr(0, colon), std::string(line.substr(colon + 2)), &key)) {
      return BadKey("cannot read \"" + std::string(line.substr(0, 80)) + "\"");
    }
  }
  return key;
}

}  // namespace nearside::geodns
