#include "geodns/key_commands.h"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "dns/dnssec.h"
#include "dns/text_form.h"
#include "geodns/configuration.h"
#include "geodns/key_rollover.h"
#include "geodns/key_withdrawal.h"
#include "geodns/zone_file.h"
#include "geodns/zone_keys.h"
#include "runtime/file.h"
#include "runtime/user.h"

namespace nearside::geodns {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kReload =
    "Copy the folder to every server of the zone, then have each reload: "
    "systemctl reload nearside-geodns, or SIGHUP.\n";

/// One zone of the settings and where its keys are.
struct Target {
  std::shared_ptr<const Configuration> configuration;
  const ZonePlan* plan;
  std::string folder;
  ZoneKeys keys;

  std::string zone() const { return plan->name.ToText(); }
};

Result<Target> FindTarget(const std::string& config, const CommandValues& values) {
  auto settings = ReadGeodnsSettings(config);
  if (!settings) return tl::unexpected(std::move(settings.error()));
  auto configuration = Configuration::Make(*settings);
  if (!configuration) return tl::unexpected(std::move(configuration.error()));
  const std::string& text = values.at("zone");
  auto name = dns::Name::FromText(text);
  if (!name) return tl::unexpected(std::move(name.error()));
  const auto& zones = (*configuration)->zones;
  const auto plan = std::ranges::find_if(
      zones, [&](const ZonePlan& zone) { return zone.name.view().Equals(*name); });
  if (plan == zones.end()) {
    return Fail(Fault::kOperator, "no_zone", config + " has no [[zone]] called \"" + text + "\"");
  }
  const std::string& state = (*configuration)->state;
  if (state.empty()) {
    return Fail(Fault::kOperator, "no_state",
                config + ": expected geodns.state to be set: the keys are kept in a folder below");
  }
  Target target{*configuration, &*plan, KeyFolder(state, *name), {}};
  auto keys = LoadZoneKeys(target.folder, *name);
  if (!keys) return tl::unexpected(std::move(keys.error()));
  target.keys = std::move(*keys);
  return target;
}

Json KeyJson(const Target& target, const ZoneKey& key) {
  Json json = {{"tag", key.tag},
               {"algorithm", dns::AlgorithmName(key.algorithm)},
               {"state", KeyStateName(key.state)},
               {"ds", key.DsText(target.keys.zone)},
               {"created", FormatIsoTime(key.created)},
               {"changed", FormatIsoTime(key.changed)},
               {"file", target.folder + "/" + key.FileName()}};
  if (key.servers_told) json["servers_told"] = FormatIsoTime(*key.servers_told);
  if (key.parent_told) json["parent_told"] = FormatIsoTime(*key.parent_told);
  return json;
}

Json KeysJson(const Target& target) {
  Json list = Json::array();
  for (const ZoneKey& key : target.keys.keys) list.push_back(KeyJson(target, key));
  return list;
}

/// Text for people, or the JSON when it was asked for.
Status Print(const CommandValues& values, const Json& json, const std::string& text) {
  const std::string out = values.contains("json")
                              ? json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n"
                              : text;
  std::fwrite(out.data(), 1, out.size(), stdout);
  return {};
}

/// Root, who has just written there, leaves the files to who serves: the user of the settings, or
/// whose folder it is (a service that systemd starts as its user).
Status GiveStateBack(const Target& target) {
  const Configuration& configuration = *target.configuration;
  if (configuration.user.empty()) return GiveFolderToItsOwner(configuration.state);
  return GiveFolderTo(configuration.state, configuration.user);
}

SigningAlgorithm AlgorithmOf(std::string_view text) {
  return text == "ed25519" ? SigningAlgorithm::kEd25519 : SigningAlgorithm::kEcdsaP256;
}

/// Makes a key whose tag no other of the zone has, and writes its file.
Result<ZoneKey> AddKey(Target* target, SigningAlgorithm algorithm, KeyState state) {
  ZoneKey key;
  do {
    key = MakeZoneKey(target->keys.zone, SigningKey::Generate(algorithm));
  } while (std::ranges::any_of(target->keys.keys,
                               [&](const ZoneKey& other) { return other.tag == key.tag; }));
  key.state = state;
  key.created = key.changed = WallNow();
  if (auto saved = SaveZoneKey(target->folder, target->keys.zone, key); !saved) {
    return tl::unexpected(std::move(saved.error()));
  }
  target->keys.keys.push_back(key);
  return key;
}

Status RunKeygen(const std::string& config, const CommandValues& values) {
  auto target = FindTarget(config, values);
  if (!target) return tl::unexpected(std::move(target.error()));
  if (!target->keys.keys.empty()) {
    return Fail(Fault::kClient, "has_keys",
                target->zone() + " has a key already, " + target->folder + "/" +
                    target->keys.keys.front().FileName() +
                    "; to replace it without an outage: nearside-geodns roll");
  }
  auto key = AddKey(&*target, AlgorithmOf(values.at("algorithm")), KeyState::kActive);
  if (!key) return tl::unexpected(std::move(key.error()));
  if (auto given = GiveStateBack(*target); !given) return given;
  Json json = {{"zone", target->zone()}, {"key", KeyJson(*target, *key)}};
  std::string text = "Made " + target->folder + "/" + key->FileName() +
                     ". Whoever has this file can sign: keep a copy in a safe place.\n";
  if (!target->plan->dnssec) text += "Set dnssec = true for the zone in " + config + ".\n";
  text += std::string(kReload) +
          "When all servers answer signed, and not before, give the registrar this DS record:\n" +
          key->DsText(target->keys.zone) + "\n";
  return Print(values, json, text);
}

Status RunDs(const std::string& config, const CommandValues& values) {
  auto target = FindTarget(config, values);
  if (!target) return tl::unexpected(std::move(target.error()));
  Json list = Json::array();
  std::string text;
  for (const ZoneKey& key : target->keys.keys) {
    if (key.state != KeyState::kActive) continue;
    list.push_back(key.DsText(target->keys.zone));
    text += key.DsText(target->keys.zone) + "\n";
  }
  if (text.empty() && FindKey(target->keys, KeyState::kWithdrawn) != nullptr) {
    return Fail(Fault::kClient, "withdrawn",
                target->zone() + " is being unsigned: the parent is to have no DS record of it");
  }
  if (text.empty()) {
    return Fail(Fault::kOperator, "no_key",
                target->zone() + " has no active key in " + target->folder +
                    "; make one with nearside-geodns keygen");
  }
  return Print(values, {{"zone", target->zone()}, {"ds", list}}, text);
}

Status RunKeys(const std::string& config, const CommandValues& values) {
  auto target = FindTarget(config, values);
  if (!target) return tl::unexpected(std::move(target.error()));
  std::string text;
  for (const ZoneKey& key : target->keys.keys) {
    char line[160];
    std::snprintf(line, sizeof line, "%5u  %-15s  %-9s  since %s\n", key.tag,
                  std::string(dns::AlgorithmName(key.algorithm)).c_str(),
                  std::string(KeyStateName(key.state)).c_str(), FormatIsoTime(key.changed).c_str());
    text += line;
  }
  if (text.empty()) text = target->zone() + " has no keys in " + target->folder + "\n";
  return Print(values, {{"zone", target->zone()}, {"keys", KeysJson(*target)}}, text);
}

/// What resolvers may have of the zone lives so long at most.
Result<seconds> LongestTtl(const Target& target) {
  uint32_t longest = kKeyTtl;
  const auto read = [](const std::string& path) { return ReadFile(path, {kMaxZoneFileBytes}); };
  auto text = read(target.plan->file);
  if (!text) return tl::unexpected(std::move(text.error()));
  auto records = ParseZoneFile(*text, target.plan->file, target.plan->name, read);
  if (!records) return tl::unexpected(std::move(records.error()));
  for (const ZoneRecord& record : *records) longest = std::max(longest, record.ttl);
  for (const Steering& steer : target.plan->steers) longest = std::max(longest, steer.ttl);
  return seconds(std::min(longest, kMaxSignedTtl));
}

/// The tag of a key after an option; nothing when the option is not there.
Result<std::optional<uint16_t>> TagAfter(const std::string& option, const CommandValues& values) {
  const auto value = values.find(option);
  if (value == values.end()) return std::optional<uint16_t>();
  auto tag = dns::NumberFromText<uint16_t>(value->second);
  if (tag) return tag;
  return Fail(Fault::kClient, "bad_tag",
              "expected the tag of a key after --" + option + ", got \"" + value->second + "\"");
}

Result<RollRequest> RequestOf(const Target& target, const CommandValues& values) {
  auto longest = LongestTtl(target);
  if (!longest) return tl::unexpected(std::move(longest.error()));
  auto ds_ttl = ParseDuration(values.at("ds-ttl"));
  if (!ds_ttl) return tl::unexpected(std::move(ds_ttl.error()));
  RollRequest request{.now = WallNow(),
                      .longest_ttl = *longest,
                      .ds_ttl = std::chrono::duration_cast<seconds>(*ds_ttl),
                      .force = values.contains("force")};
  auto servers_have = TagAfter("servers-have", values);
  if (!servers_have) return tl::unexpected(std::move(servers_have.error()));
  request.servers_have = *servers_have;
  auto parent_has = TagAfter("parent-has", values);
  if (!parent_has) return tl::unexpected(std::move(parent_has.error()));
  request.parent_has = *parent_has;
  return request;
}

/// Writes files; the target's keys are then as they are.
Status WriteKeys(const std::vector<ZoneKey>& changed, const std::vector<ZoneKey>& removed,
                 Target* target) {
  for (const ZoneKey& key : changed) {
    if (auto saved = SaveZoneKey(target->folder, target->keys.zone, key); !saved) return saved;
  }
  for (const ZoneKey& key : removed) {
    if (auto gone = RemoveZoneKey(target->folder, key); !gone) return gone;
  }
  if (auto given = GiveStateBack(*target); !given) return given;
  auto keys = LoadZoneKeys(target->folder, target->keys.zone);
  if (!keys) return tl::unexpected(std::move(keys.error()));
  target->keys = std::move(*keys);
  return {};
}

Status Carry(const RollStep& step, SigningAlgorithm algorithm, Target* target) {
  if (step.what == RollStep::What::kAdd) {
    auto added = AddKey(target, algorithm, KeyState::kIncoming);
    if (!added) return tl::unexpected(std::move(added.error()));
  }
  return WriteKeys(step.changed, step.removed, target);
}

std::string RollText(const RollStep& step, const Target& target) {
  const std::string when = FormatIsoTime(step.next_not_before);
  switch (step.what) {
    case RollStep::What::kAdd: {
      const std::string tag = std::to_string(FindKey(target.keys, KeyState::kIncoming)->tag);
      return "Step 1 of 5: a new key, " + tag + ", signs beside the old one.\n" +
             std::string(kReload) +
             "When every server answers with its DNSKEY record (dig @SERVER " + target.zone() +
             " DNSKEY +multiline), run this again with --servers-have " + tag + "\n";
    }
    case RollStep::What::kNoteServers:
      return "Step 2 of 5: noted that all servers sign with the new key.\nWait until " + when +
             ", the longest TTL of the zone, and run this again.\n";
    case RollStep::What::kSwitch: {
      const ZoneKey& key = *FindKey(target.keys, KeyState::kActive);
      return "Step 3 of 5: the new key is the one for the parent zone.\n" + std::string(kReload) +
             "Then have the registrar replace the DS record by this one (a registrar that reads "
             "CDS does it by itself):\n" +
             key.DsText(target.keys.zone) +
             "\nWhen the parent's servers answer with it, run this again with --parent-has " +
             std::to_string(key.tag) + "\n";
    }
    case RollStep::What::kNoteParent:
      return "Step 4 of 5: noted that the parent has the new DS record.\nWait until " + when +
             " (--ds-ttl, the old DS record's TTL) and run this again.\n";
    case RollStep::What::kRemove:
      return "Step 5 of 5: the old key is removed; the rollover is done.\n" + std::string(kReload);
  }
  return "";
}

Status RunRoll(const std::string& config, const CommandValues& values) {
  auto target = FindTarget(config, values);
  if (!target) return tl::unexpected(std::move(target.error()));
  auto request = RequestOf(*target, values);
  if (!request) return tl::unexpected(std::move(request.error()));
  auto step = NextRollStep(target->keys, *request);
  if (!step) return tl::unexpected(std::move(step.error()));
  if (auto done = Carry(*step, AlgorithmOf(values.at("algorithm")), &*target); !done) return done;
  Json json = {{"zone", target->zone()},
               {"step", RollStepName(step->what)},
               {"next_not_before", FormatIsoTime(step->next_not_before)},
               {"keys", KeysJson(*target)}};
  return Print(values, json, RollText(*step, *target));
}

std::string WithdrawalText(const WithdrawalStep& step, const Target& target,
                           const std::string& config) {
  switch (step.what) {
    case WithdrawalStep::What::kWithdraw:
      return "Step 1 of 3: the parent is asked to delete its DS record (CDS 0 0 0 00).\n" +
             std::string(kReload) +
             "Then have the registrar remove the DS record (a registrar that reads CDS does it by "
             "itself).\nWhen all servers of the parent answer without one (dig " +
             target.zone() + " DS), run this again with --parent-has-none\n";
    case WithdrawalStep::What::kNoteParent:
      return "Step 2 of 3: noted that the parent has no DS record.\nWait until " +
             FormatIsoTime(step.next_not_before) +
             " (--ds-ttl, the DS record's TTL) and run this again. Until then the zone must stay "
             "signed.\n";
    case WithdrawalStep::What::kFinish:
      return "Step 3 of 3: nobody asks for signatures any more. Set dnssec = false for the zone "
             "in " +
             config + " on every server and reload them.\nThe keys stay in " + target.folder +
             "; to sign again: nearside-geodns unsign --cancel, then dnssec = true.\n";
    case WithdrawalStep::What::kCancel:
      return "The parent is to have the DS record that nearside-geodns ds prints.\n" +
             std::string(kReload) +
             "If it was removed meanwhile, give it to the registrar again when all servers answer "
             "signed.\n";
  }
  return "";
}

Status RunUnsign(const std::string& config, const CommandValues& values) {
  auto target = FindTarget(config, values);
  if (!target) return tl::unexpected(std::move(target.error()));
  auto ds_ttl = ParseDuration(values.at("ds-ttl"));
  if (!ds_ttl) return tl::unexpected(std::move(ds_ttl.error()));
  const WithdrawalRequest request{.now = WallNow(),
                                  .ds_ttl = std::chrono::duration_cast<seconds>(*ds_ttl),
                                  .parent_has_none = values.contains("parent-has-none"),
                                  .cancel = values.contains("cancel"),
                                  .force = values.contains("force")};
  auto step = NextWithdrawalStep(target->keys, request);
  if (!step) return tl::unexpected(std::move(step.error()));
  if (auto done = WriteKeys(step->changed, {}, &*target); !done) return done;
  Json json = {{"zone", target->zone()},
               {"step", WithdrawalStepName(step->what)},
               {"next_not_before", FormatIsoTime(step->next_not_before)},
               {"keys", KeysJson(*target)}};
  return Print(values, json, WithdrawalText(*step, *target, config));
}

}  // namespace

std::vector<DaemonCommand> KeyCommands() {
  const CommandOption zone{
      .name = "zone", .value = "NAME", .help = "A zone of FILE", .required = true};
  const CommandOption algorithm{.name = "algorithm",
                                .value = "NAME",
                                .help = "Of the new key",
                                .fallback = "ecdsap256",
                                .one_of = {"ecdsap256", "ed25519"}};
  const CommandOption ds_ttl{.name = "ds-ttl",
                             .value = "TIME",
                             .help = "TTL of the DS record at the parent",
                             .fallback = "1d"};
  const CommandOption json{.name = "json", .help = "Print JSON"};
  return {
      {"keygen",
       "Make the key that a zone is signed with (DNSSEC), and print its DS record",
       {zone, algorithm, json},
       RunKeygen},
      {"ds", "Print the DS records that the parent zone should have", {zone, json}, RunDs},
      {"keys", "List the keys of a zone with their states", {zone, json}, RunKeys},
      {"roll",
       "Replace the key of a zone, in five steps: each call does one, or says what it waits for",
       {zone,
        algorithm,
        {.name = "servers-have",
         .value = "TAG",
         .help = "All servers of the zone answer with the DNSKEY record of this key"},
        {.name = "parent-has",
         .value = "TAG",
         .help = "The parent zone has the DS record of this key"},
        ds_ttl,
        {.name = "force", .help = "Do not wait (a key that others have seen)"},
        json},
       RunRoll},
      {"unsign",
       "Go back to an unsigned zone, in three steps: each call does one, or says what it waits for",
       {zone,
        {.name = "parent-has-none", .help = "The parent zone has no DS record of the zone"},
        ds_ttl,
        {.name = "force", .help = "Do not wait (the zone is bogus already)"},
        {.name = "cancel", .help = "The zone stays signed"},
        json},
       RunUnsign},
  };
}

}  // namespace nearside::geodns
