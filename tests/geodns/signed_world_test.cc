// Signed zones as the settings name them: their keys, and what lies below them.

#include <gtest/gtest.h>

#include "dns/message.h"
#include "geodns/responder.h"
#include "geodns/signer.h"
#include "geodns/world.h"
#include "geodns/zone_keys.h"
#include "geodns/zone_serials.h"
#include "tests/dns/wire_query.h"
#include "tests/support/temp_dir.h"

namespace nearside::geodns {
namespace {

constexpr std::string_view kApexOfSigned =
    "$TTL 60\n@ SOA ns h 1 1 1 1 60\n@ NS ns\nns A 192.0.2.1\n";
const WallTime kWorldTime = FromUnixMillis(1'800'000'000'000);

class SignedWorldTest : public testing::Test {
 protected:
  ZoneKey NewKeyOf(std::string_view zone) {
    const dns::Name name = *dns::Name::FromText(zone);
    ZoneKey key = MakeZoneKey(name, SigningKey::Generate(SigningAlgorithm::kEd25519));
    EXPECT_TRUE(SaveZoneKey(KeyFolder(dir_.path(), name), name, key));
    return key;
  }
  /// demo.test with `records` more, and child.demo.test below it.
  std::string Settings(std::string_view records, bool is_signed) {
    const auto zone = [this](std::string_view name, std::string_view text) {
      const std::string path = dir_.Write(std::string(name) + ".zone", text);
      return "[[zone]]\nname = \"" + std::string(name) + "\"\nfile = \"" + path + "\"\n";
    };
    std::string text = "[geodns]\nlisten = [\"127.0.0.1:0\"]\nstate = \"" + dir_.path() + "\"\n";
    text += zone("demo.test", std::string(kApexOfSigned) + std::string(records));
    text += is_signed ? "dnssec = true\n" : "";
    return dir_.Write("geodns.toml", text + zone("child.demo.test", kApexOfSigned));
  }

  test::TempDir dir_;
};

TEST_F(SignedWorldTest, AZoneBelowASignedOneNeedsNsRecordsThere) {
  NewKeyOf("demo.test.");
  const auto refused = World::Load(Settings("", true));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().fault, Fault::kOperator);
  EXPECT_NE(refused.error().message.find("child.demo.test. lies below demo.test., which has "
                                         "dnssec = true and no NS records for it"),
            std::string::npos)
      << refused.error().message;
  EXPECT_NE(refused.error().message.find("geodns.toml:"), std::string::npos);
  // A name below, or a wildcard, is no delegation.
  EXPECT_FALSE(World::Load(Settings("x.child A 192.0.2.2\n", true)));
  EXPECT_FALSE(World::Load(Settings("* A 192.0.2.2\n", true)));
  for (std::string_view records : {"child NS ns\n", "CHILD NS ns\n"}) {
    const auto world = World::Load(Settings(records, true));
    EXPECT_TRUE(world) << world.error().message;
  }
  const auto world = World::Load(Settings("", false));
  EXPECT_TRUE(world) << "not signed: nothing is denied with a proof";
}

TEST_F(SignedWorldTest, KeysThatStayAreTheSameObjectsAfterAReload) {
  const ZoneKey first = NewKeyOf("demo.test.");
  const std::string settings = Settings("child NS ns\n", true);
  const auto world = World::Load(settings);
  ASSERT_TRUE(world) << world.error().message;
  const ZoneKey second = NewKeyOf("demo.test.");
  const auto later = World::ReadAgain(*world);
  ASSERT_TRUE(later) << later.error().message;
  ASSERT_EQ(later->zones[0]->keys()->keys.size(), 2U);
  const auto& old = world->zones[0]->keys()->keys[0];
  size_t same = 0;
  for (const ZoneKey& key : later->zones[0]->keys()->keys) {
    same += key.secret == old.secret;
    EXPECT_EQ(key.secret == old.secret, key.tag == first.tag);
  }
  EXPECT_EQ(same, 1U);
}

TEST_F(SignedWorldTest, NoSerialHasToBeRaisedForKeys) {
  NewKeyOf("demo.test.");
  const auto world = World::Load(Settings("child NS ns\n", true));
  ASSERT_TRUE(world) << world.error().message;
  NewKeyOf("demo.test.");
  const auto rolled = World::ReadAgain(*world);
  ASSERT_TRUE(rolled) << rolled.error().message;
  EXPECT_TRUE(SerialsNotRaised(world->zones, rolled->zones).empty());
  const auto edited = World::Load(Settings("child NS ns\nnew A 192.0.2.8\n", true));
  ASSERT_TRUE(edited) << edited.error().message;
  EXPECT_EQ(SerialsNotRaised(rolled->zones, edited->zones).size(), 1U);
}

/// Other workers, and whoever has the snapshot before, do not matter.
TEST_F(SignedWorldTest, ASignerForgetsKeysThatNoZoneOfTheNewSnapshotHas) {
  const ZoneKey first = NewKeyOf("demo.test.");
  const auto world = World::Load(Settings("child NS ns\n", true));
  ASSERT_TRUE(world) << world.error().message;
  Signer signer({.cache_size = 64_KiB});
  const auto sign_with = [&](const World& in_force) {
    auto snapshot = MakeSnapshot(in_force, {});
    signer.DropUnusedKeys(snapshot->zones.zones());
    signer.Begin(kWorldTime, 0);
    const auto query = dns::WireQuery("ns.demo.test.").Edns(1232, 0, true).Bytes();
    std::vector<uint8_t> out(kUdpAnswerBytes);
    Asker asker{.address = *IpAddress::Parse("192.0.2.77")};
    asker.signer = &signer;
    Tally tally;
    EXPECT_GT(Respond(*snapshot, query, asker, out, &tally), 0U);
    return signer.key_count();
  };
  EXPECT_EQ(sign_with(*world), 1U);
  NewKeyOf("demo.test.");
  const auto both = World::ReadAgain(*world);
  ASSERT_TRUE(both) << both.error().message;
  EXPECT_EQ(sign_with(*both), 2U);
  const dns::Name name = *dns::Name::FromText("demo.test.");
  ASSERT_TRUE(RemoveZoneKey(KeyFolder(dir_.path(), name), first));
  const auto after = World::ReadAgain(*both);
  ASSERT_TRUE(after) << after.error().message;
  signer.DropUnusedKeys(after->zones);
  EXPECT_EQ(signer.key_count(), 1U) << "the retired key's copy is gone at once";
  EXPECT_EQ(sign_with(*after), 1U);
}

}  // namespace
}  // namespace nearside::geodns
