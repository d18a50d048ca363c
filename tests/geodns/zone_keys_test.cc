#include "geodns/zone_keys.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "dns/rdata.h"
#include "dns/record_type.h"
#include "runtime/crypto.h"
#include "runtime/file.h"
#include "tests/support/temp_dir.h"

namespace nearside::geodns {
namespace {

namespace type = dns::type;

const dns::Name kZoneName = *dns::Name::FromText("demo.test.");

ZoneKey NewKey(KeyState state, int64_t created = 1'800'000'000'000,
               SigningAlgorithm algorithm = SigningAlgorithm::kEcdsaP256) {
  ZoneKey key = MakeZoneKey(kZoneName, SigningKey::Generate(algorithm));
  key.state = state;
  key.created = key.changed = FromUnixMillis(created);
  return key;
}

TEST(ZoneKeysTest, AFileIsReadBackAsItWasWritten) {
  test::TempDir dir;
  const std::string folder = KeyFolder(dir.path(), kZoneName);
  EXPECT_EQ(folder, dir.path() + "/keys/demo.test");
  ZoneKey first = NewKey(KeyState::kActive, 1'800'000'000'000);
  first.servers_told = FromUnixMillis(1'800'000'400'000);
  first.parent_told = FromUnixMillis(1'800'000'500'000);
  const ZoneKey second = NewKey(KeyState::kIncoming, 1'700'000'000'000, SigningAlgorithm::kEd25519);
  for (const ZoneKey& key : {first, second}) {
    const auto saved = SaveZoneKey(folder, kZoneName, key);
    ASSERT_TRUE(saved) << saved.error().message;
  }
  auto keys = LoadZoneKeys(folder, *dns::Name::FromText("DEMO.test."));
  ASSERT_TRUE(keys) << keys.error().message;
  ASSERT_EQ(keys->keys.size(), 2U);
  EXPECT_EQ(keys->zone.ToText(), "demo.test.");
  const ZoneKey* wanted[] = {&second, &first};  // the oldest first
  for (size_t i = 0; i < 2; ++i) {
    const ZoneKey& got = keys->keys[i];
    EXPECT_EQ(got.state, wanted[i]->state);
    EXPECT_EQ(got.algorithm, wanted[i]->algorithm);
    EXPECT_EQ(got.tag, wanted[i]->tag);
    EXPECT_EQ(got.dnskey, wanted[i]->dnskey);
    EXPECT_EQ(got.ds, wanted[i]->ds);
    EXPECT_EQ(got.id, wanted[i]->id);
    EXPECT_EQ(got.created, wanted[i]->created);
    EXPECT_EQ(got.changed, wanted[i]->changed);
    EXPECT_EQ(got.servers_told, wanted[i]->servers_told);
    EXPECT_EQ(got.parent_told, wanted[i]->parent_told);
    EXPECT_EQ(got.secret->ToPem(), wanted[i]->secret->ToPem());
  }
  struct stat about {};
  ASSERT_EQ(stat(folder.c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777, 0700U);
  ASSERT_EQ(stat((folder + "/" + first.FileName()).c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777, 0600U);
  ASSERT_TRUE(RemoveZoneKey(folder, second));
  EXPECT_EQ(LoadZoneKeys(folder, kZoneName)->keys.size(), 1U);
}

TEST(ZoneKeysTest, FoldersOfZonesAreInsideTheStateFolder) {
  for (const auto& [zone, folder] : std::initializer_list<std::pair<const char*, const char*>>{
           {"Demo.Test.", "s/keys/demo.test"},
           {".", "s/keys/@"},
           {"..\\/x.test.", nullptr},
           {"a\\/b.test.", "s/keys/a%2Fb.test"},
           {"\\.\\..test.", "s/keys/%5C.%5C..test"}}) {
    const auto name = dns::Name::FromText(zone);
    if (folder == nullptr) {
      EXPECT_FALSE(name);
    } else {
      EXPECT_EQ(KeyFolder("s", *name), folder) << zone;
    }
  }
}

TEST(ZoneKeysTest, NoFolderIsNoKeys) {
  test::TempDir dir;
  const auto keys = LoadZoneKeys(dir.path() + "/nothing", kZoneName);
  ASSERT_TRUE(keys);
  EXPECT_TRUE(keys->keys.empty());
}

TEST(ZoneKeysTest, WhatIsWrongWithAFileIsSaid) {
  const ZoneKey key = NewKey(KeyState::kActive);
  const std::string good = ZoneKeyToText(kZoneName, key);
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string text = good;
    return text.replace(text.find(from), from.size(), to);
  };
  const struct {
    std::string name;
    std::string text;
    std::string message;
  } kRows[] = {
      {key.FileName(), "no key", "expected a private key in PEM form"},
      {key.FileName(), with("state: active", "state: asleep"), "cannot read \"state: asleep\""},
      {key.FileName(), with("created: 2027", "created: soon"), "cannot read \"created: soon"},
      {"13-1.key", good, "expected the name " + key.FileName()},
      {key.FileName(), std::string(70'000, 'x'), "larger than"},
  };
  for (const auto& row : kRows) {
    test::TempDir dir;
    ASSERT_TRUE(WriteFileAtomically(dir.path() + "/" + row.name, row.text, 0600));
    const auto keys = LoadZoneKeys(dir.path(), kZoneName);
    ASSERT_FALSE(keys) << row.message;
    EXPECT_EQ(keys.error().fault, Fault::kOperator);
    EXPECT_NE(keys.error().message.find(row.message), std::string::npos) << keys.error().message;
    EXPECT_NE(keys.error().message.find(row.name), std::string::npos) << keys.error().message;
  }
}

TEST(ZoneKeysTest, KeysThatEverybodyReadsAreRefused) {
  test::TempDir dir;
  const ZoneKey key = NewKey(KeyState::kActive);
  const std::string path = dir.path() + "/" + key.FileName();
  ASSERT_TRUE(WriteFileAtomically(path, ZoneKeyToText(kZoneName, key), 0644));
  const auto keys = LoadZoneKeys(dir.path(), kZoneName);
  ASSERT_FALSE(keys);
  EXPECT_NE(keys.error().message.find("chmod 600"), std::string::npos) << keys.error().message;
  ASSERT_EQ(chmod(path.c_str(), 0640), 0);
  EXPECT_TRUE(LoadZoneKeys(dir.path(), kZoneName)) << "a group may be meant to";
}

TEST(ZoneKeysTest, MoreKeysThanARolloverNeedsAreRefused) {
  test::TempDir dir;
  for (size_t i = 0; i <= kMaxZoneKeys; ++i) {
    ASSERT_TRUE(SaveZoneKey(dir.path(), kZoneName, NewKey(KeyState::kActive)));
    EXPECT_EQ(LoadZoneKeys(dir.path(), kZoneName).has_value(), i < kMaxZoneKeys) << i;
  }
}

TEST(ZoneKeysTest, EveryKeyIsPublishedAndActiveOnesAreForTheParent) {
  ZoneKeys keys{.zone = kZoneName};
  for (KeyState state : {KeyState::kOutgoing, KeyState::kActive, KeyState::kIncoming}) {
    keys.keys.push_back(NewKey(state));
  }
  std::string got;
  for (const ZoneRecord& record : keys.Records()) {
    EXPECT_EQ(record.owner_name().ToText(), "demo.test.");
    EXPECT_EQ(record.ttl, kKeyTtl);
    got += dns::TypeToText(record.type) + " ";
    const ZoneKey& active = keys.keys[1];
    if (record.type == type::kCds) {
      EXPECT_EQ(record.rdata, active.ds);
    }
    if (record.type == type::kCdnskey) {
      EXPECT_EQ(record.rdata, active.dnskey);
    }
  }
  EXPECT_EQ(got, "DNSKEY DNSKEY CDS CDNSKEY DNSKEY ");
  EXPECT_EQ(keys.keys[1].DsText(kZoneName),
            "demo.test. IN DS " + dns::RdataToText(type::kDs, keys.keys[1].ds));
}

TEST(ZoneKeysTest, OneThatIsWithdrawnAsksTheParentToDeleteAll) {
  ZoneKeys keys{.zone = kZoneName};
  for (KeyState state : {KeyState::kOutgoing, KeyState::kWithdrawn, KeyState::kIncoming}) {
    keys.keys.push_back(NewKey(state));
  }
  std::string got;
  for (const ZoneRecord& record : keys.Records()) {
    got += dns::TypeToText(record.type) + " ";
    if (record.type != type::kDnskey) got += HexEncode(record.rdata) + " ";
  }
  EXPECT_EQ(got, "DNSKEY DNSKEY DNSKEY CDS 0000000000 CDNSKEY 0000030000 ") << "RFC 8078 §4";
  const ZoneKey& withdrawn = keys.keys[1];
  EXPECT_EQ(ZoneKeyFromText(ZoneKeyToText(kZoneName, withdrawn), kZoneName)->state,
            KeyState::kWithdrawn);
}

TEST(ZoneKeysTest, RecordsAreMadeReadyToSign) {
  ZoneKeys keys{.zone = kZoneName};
  keys.keys.push_back(NewKey(KeyState::kActive));
  const std::string file = "$TTL 2d\n@ SOA ns h 1 1 1 1 60\n@ 300 NS ns\n@ DNSKEY 256 3 13 AAAA\n";
  auto records = *ParseZoneFile(file, "z", kZoneName);
  ASSERT_TRUE(PrepareToSign(keys, "z", &records));
  std::string got;
  for (const ZoneRecord& record : records) {
    got += dns::TypeToText(record.type) + " " + std::to_string(record.ttl) + " ";
  }
  EXPECT_EQ(got, "SOA 86400 NS 300 DNSKEY 86400 DNSKEY 3600 CDS 3600 CDNSKEY 3600 ");
}

TEST(ZoneKeysTest, RecordsThatAreMadeHereAreRefusedInTheFile) {
  ZoneKeys keys{.zone = kZoneName};
  auto records = ParseZoneFile(
      "$TTL 60\n@ SOA ns h 1 1 1 1 60\n@ NS ns\n@ CDS 1 13 2 00\n@ CDNSKEY 257 3 13 AAAA\n", "z",
      kZoneName);
  ASSERT_TRUE(records) << records.error().message;
  (*records)[3].file = std::make_shared<const std::string>("included");
  const auto ready = PrepareToSign(keys, "z", &*records);
  ASSERT_FALSE(ready);
  EXPECT_EQ(ready.error().fault, Fault::kOperator);
  EXPECT_EQ(ready.error().message,
            "z:4: CDS records of a zone with dnssec = true are made here: remove it\n"
            "included:5: CDNSKEY records of a zone with dnssec = true are made here: remove it");
}

}  // namespace
}  // namespace nearside::geodns
