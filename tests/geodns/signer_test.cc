#include "geodns/signer.h"

#include <gtest/gtest.h>

#include <set>

#include "dns/message.h"
#include "dns/rdata.h"
#include "tests/dns/wire_query.h"
#include "tests/geodns/verified.h"

namespace nearside::geodns {
namespace {

namespace type = dns::type;
using Outcome = Signer::Outcome;

constexpr seconds kWeek{7 * 86'400};
const WallTime kSigningTime = FromUnixMillis(1'800'000'000'000);

ZoneKeys KeysFor(std::initializer_list<SigningAlgorithm> algorithms) {
  ZoneKeys keys{.zone = *dns::Name::FromText("demo.test.")};
  for (SigningAlgorithm algorithm : algorithms) {
    keys.keys.push_back(MakeZoneKey(keys.zone, SigningKey::Generate(algorithm)));
  }
  return keys;
}

/// Signs sets into messages of its own and verifies them.
class SignerTest : public testing::Test {
 protected:
  std::string Sign(const std::string& owner_text, uint16_t qtype,
                   const std::vector<std::string>& texts, uint32_t ttl = 300,
                   Signer::Origin origin = Signer::Origin::kZone, size_t room = 4096) {
    const dns::Name owner = *dns::Name::FromText(owner_text);
    message_.assign(room, 0);
    dns::MessageWriter writer(message_);
    signer_.Start(keys_, owner, qtype, ttl, origin);
    for (const std::string& text : texts) {
      std::vector<dns::Word> words;
      for (size_t at = 0; at < text.size();) {
        const size_t end = std::min(text.find(' ', at), text.size());
        words.push_back({text.substr(at, end - at)});
        at = end + 1;
      }
      const auto rdata = dns::RdataFromWords(qtype, words, {});
      EXPECT_TRUE(rdata) << text;
      EXPECT_TRUE(writer.Add(dns::Section::kAnswer, owner, {qtype, ttl, *rdata}));
      signer_.Add(*rdata);
    }
    const size_t before = writer.size();
    outcome_ = signer_.Finish(dns::Section::kAnswer, owner, &writer);
    if (outcome_ != Outcome::kSigned) {
      EXPECT_EQ(writer.size(), before);
    }
    message_.resize(writer.Finish(1, dns::flag::kResponse, dns::Rcode::kNoError));
    return Verified(message_, keys_, now_);
  }
  Outcome SignMadeUp(int number) {
    Sign("x" + std::to_string(number) + ".demo.test.", type::kA, {"192.0.2.1"}, 300,
         Signer::Origin::kMadeUp);
    return outcome_;
  }
  void Begin(seconds later = seconds(0), size_t lane = 0) {
    now_ = kSigningTime + later;
    signer_.Begin(now_, lane);
  }

  ZoneKeys keys_ = KeysFor({SigningAlgorithm::kEcdsaP256});
  Signer signer_{{.cache_size = 128_KiB, .validity = kWeek, .made_up_a_second = 10}};
  WallTime now_ = kSigningTime;
  Outcome outcome_ = Outcome::kSigned;
  std::vector<uint8_t> message_;
};

TEST_F(SignerTest, LdnsTakesSetsOfEveryForm) {
  for (SigningAlgorithm algorithm : {SigningAlgorithm::kEcdsaP256, SigningAlgorithm::kEd25519}) {
    keys_ = KeysFor({algorithm});
    Begin();
    EXPECT_EQ(Sign("WWW.demo.test.", type::kA, {"192.0.2.9", "192.0.2.1", "192.0.2.77"}),
              "answer: WWW.demo.test. A signed 1\n");
    EXPECT_EQ(Sign("demo.test.", type::kMx, {"20 B.Demo.test.", "10 c.demo.TEST.", "10 A.test."}),
              "answer: demo.test. MX signed 1\n");
    EXPECT_EQ(Sign("demo.test.", type::kNs, {"Ns2.other.", "NS1.other."}),
              "answer: demo.test. NS signed 1\n");
    EXPECT_EQ(Sign("demo.test.", type::kSoa, {"Ns.x. Host.x. 1 2 3 4 5"}),
              "answer: demo.test. SOA signed 1\n");
    EXPECT_EQ(Sign("s.demo.test.", type::kSrv, {"1 2 3 T.demo.test.", "1 1 3 U.demo.test."}),
              "answer: s.demo.test. SRV signed 1\n");
    EXPECT_EQ(Sign("t.demo.test.", type::kTxt, {"Upper", "Lower", "A", "AA"}),
              "answer: t.demo.test. TXT signed 1\n");
    EXPECT_EQ(Sign("*.demo.test.", type::kA, {"192.0.2.9"}), "answer: *.demo.test. A signed 1\n");
    EXPECT_EQ(signer_.tally().made, 7);
  }
}

TEST_F(SignerTest, EveryKeySigns) {
  keys_ = KeysFor({SigningAlgorithm::kEcdsaP256, SigningAlgorithm::kEd25519});
  Begin();
  EXPECT_EQ(Sign("a.demo.test.", type::kA, {"192.0.2.9"}), "answer: a.demo.test. A signed 2\n");
  EXPECT_EQ(signer_.tally().made, 2);
}

TEST_F(SignerTest, OrderCaseAndRepetitionAreOneSignature) {
  Begin();
  Sign("demo.test.", type::kMx, {"10 a.demo.test.", "20 b.demo.test."});
  EXPECT_EQ(Sign("DEMO.test.", type::kMx, {"20 B.demo.test.", "10 A.demo.test."}),
            "answer: DEMO.test. MX signed 1\n");
  EXPECT_EQ(signer_.tally().remembered, 1);
  message_.assign(4096, 0);
  dns::MessageWriter writer(message_);
  signer_.Start(keys_, keys_.zone, type::kMx, 300, Signer::Origin::kZone);
  for (const auto& [preference, name] :
       {std::pair("20", "b.demo.test."), {"10", "a.demo.test."}, {"20", "B.demo.test."}}) {
    const dns::Word words[] = {{preference}, {name}};
    signer_.Add(*dns::RdataFromWords(type::kMx, words, {}));
  }
  EXPECT_EQ(signer_.Finish(dns::Section::kAnswer, keys_.zone, &writer), Outcome::kSigned);
  EXPECT_EQ(signer_.tally().remembered, 2);
  EXPECT_EQ(signer_.tally().made, 1);
}

TEST_F(SignerTest, WhatDiffersHasSignaturesOfItsOwn) {
  Begin();
  const auto first = Sign("a.demo.test.", type::kA, {"192.0.2.1"});
  Sign("b.demo.test.", type::kA, {"192.0.2.1"});
  Sign("a.demo.test.", type::kA, {"192.0.2.2"});
  Sign("a.demo.test.", type::kA, {"192.0.2.1"}, 60);
  Sign("a.demo.test.", type::kA, {"192.0.2.1", "192.0.2.2"});
  Sign("a.demo.test.", type::kTxt, {"x"});
  EXPECT_EQ(signer_.tally().made, 6);
  keys_ = KeysFor({SigningAlgorithm::kEcdsaP256});
  EXPECT_EQ(Sign("a.demo.test.", type::kA, {"192.0.2.1"}), first) << "by another key";
  EXPECT_EQ(signer_.tally().made, 7);
  EXPECT_EQ(signer_.tally().remembered, 0);
}

TEST_F(SignerTest, SignaturesAreMadeAnewInTheirSecondHalf) {
  Begin();
  Sign("a.demo.test.", type::kA, {"192.0.2.1"});
  const auto first = message_;
  Begin(kWeek * 3 / 8 - seconds(1));  // an eighth of a week may be less
  Sign("a.demo.test.", type::kA, {"192.0.2.1"});
  EXPECT_EQ(signer_.tally().remembered, 1);
  EXPECT_EQ(message_, first);
  Begin(kWeek / 2);
  EXPECT_EQ(Sign("a.demo.test.", type::kA, {"192.0.2.1"}), "answer: a.demo.test. A signed 1\n");
  EXPECT_EQ(signer_.tally().made, 1);
  EXPECT_NE(message_, first);
}

TEST_F(SignerTest, SignaturesOutliveWhatTheyAreGivenOutWith) {
  // Least validity, longest TTL: at the last moment a signature is remembered.
  Signer signer({.cache_size = 1_MiB, .validity = seconds(2 * 86'400)});
  EXPECT_GE(seconds(2 * 86'400) / 2, seconds(kMaxSignedTtl));
  Begin();
  EXPECT_EQ(Sign("a.demo.test.", type::kA, {"192.0.2.1"}), "answer: a.demo.test. A signed 1\n");
  // Verified as by clocks that are behind and before.
  EXPECT_EQ(Verified(message_, keys_, kSigningTime - kInceptionSkew),
            "answer: a.demo.test. A signed 1\n");
  EXPECT_EQ(Verified(message_, keys_, kSigningTime + kWeek * 7 / 8),
            "answer: a.demo.test. A signed 1\n");
  EXPECT_NE(Verified(message_, keys_, kSigningTime - kInceptionSkew - seconds(1)).find("bogus"),
            std::string::npos);
  EXPECT_NE(Verified(message_, keys_, kSigningTime + kWeek + seconds(1)).find("bogus"),
            std::string::npos);
}

TEST_F(SignerTest, ExpirationsAreSpread) {
  Begin();
  std::set<uint32_t> expirations;
  for (int i = 0; i < 30; ++i) {
    Sign("n" + std::to_string(i) + ".demo.test.", type::kA, {"192.0.2.1"});
    // The RRSIG ends with expiration, inception, tag, zone and signature.
    const size_t from_end = kSignatureBytes + keys_.zone.view().size() + 2 + 4 + 4;
    const uint8_t* p = message_.data() + message_.size() - from_end;
    const uint32_t expiration = static_cast<uint32_t>(p[0]) << 24 | p[1] << 16 | p[2] << 8 | p[3];
    const auto valid =
        seconds(expiration) - std::chrono::floor<seconds>(kSigningTime).time_since_epoch();
    EXPECT_LE(valid, kWeek);
    EXPECT_GE(valid, kWeek * 7 / 8);
    expirations.insert(expiration);
  }
  EXPECT_GT(expirations.size(), 20U);
}

TEST_F(SignerTest, AClockThatWasPutBackHasThemMadeAnew) {
  Begin();
  Sign("a.demo.test.", type::kA, {"192.0.2.1"});
  Begin(-seconds(2 * 86'400));
  EXPECT_EQ(Sign("a.demo.test.", type::kA, {"192.0.2.1"}), "answer: a.demo.test. A signed 1\n");
  EXPECT_EQ(signer_.tally().made, 1);
}

TEST_F(SignerTest, MadeUpNamesHaveABudgetASecond) {
  Begin();
  for (int i = 0; i < 10; ++i) EXPECT_EQ(SignMadeUp(i), Outcome::kSigned) << i;
  EXPECT_EQ(SignMadeUp(10), Outcome::kRefused);
  EXPECT_TRUE(signer_.tally().refused);
  EXPECT_EQ(SignMadeUp(3), Outcome::kSigned) << "what is remembered costs nothing";
  EXPECT_EQ(Sign("a.demo.test.", type::kA, {"192.0.2.1"}), "answer: a.demo.test. A signed 1\n")
      << "names of the zone are signed all the same";
  Begin(seconds(0), 1);
  EXPECT_EQ(SignMadeUp(11), Outcome::kSigned) << "the other transport's budget";
  Begin(seconds(1));
  EXPECT_FALSE(signer_.tally().refused);
  for (int i = 20; i < 30; ++i) EXPECT_EQ(SignMadeUp(i), Outcome::kSigned) << i;
  EXPECT_EQ(SignMadeUp(30), Outcome::kRefused);
  Begin(seconds(100));
  for (int i = 40; i < 50; ++i) EXPECT_EQ(SignMadeUp(i), Outcome::kSigned) << i;
  EXPECT_EQ(SignMadeUp(50), Outcome::kRefused) << "what was not used is not saved";
}

TEST_F(SignerTest, MadeUpNamesDoNotPushOutThoseOfTheZone) {
  Begin();
  for (int i = 0; i < 20; ++i)
    Sign("n" + std::to_string(i) + ".demo.test.", type::kA, {"192.0.2.1"});
  for (int second = 1; second < 160; ++second) {
    Begin(seconds(second));
    for (int i = 0; i < 10; ++i) SignMadeUp(second * 10 + i);
  }
  Begin(seconds(161));
  for (int i = 0; i < 20; ++i)
    Sign("n" + std::to_string(i) + ".demo.test.", type::kA, {"192.0.2.1"});
  EXPECT_EQ(signer_.tally().remembered, 20);
}

TEST_F(SignerTest, DrawnSetsHaveABudgetAndPlacesOfTheirOwn) {
  const auto sign_drawn = [this](int number) {
    Sign("a.demo.test.", type::kA, {"192.0.2.1", "198.51.100." + std::to_string(number)}, 300,
         Signer::Origin::kDrawn);
    return outcome_;
  };
  Begin();
  for (int i = 0; i < 10; ++i) EXPECT_EQ(SignMadeUp(i), Outcome::kSigned) << i;
  for (int i = 0; i < 10; ++i) EXPECT_EQ(sign_drawn(i), Outcome::kSigned) << i;
  EXPECT_EQ(sign_drawn(10), Outcome::kRefused);
  EXPECT_EQ(sign_drawn(3), Outcome::kSigned) << "what is remembered costs nothing";
  EXPECT_EQ(Sign("a.demo.test.", type::kA, {"192.0.2.1"}), "answer: a.demo.test. A signed 1\n");
  // More than its part of the memory holds.
  for (int second = 1; second < 80; ++second) {
    Begin(seconds(second));
    for (int i = 0; i < 10; ++i) {
      Sign("a.demo.test.", type::kA, {"10.1." + std::to_string(second) + "." + std::to_string(i)},
           300, Signer::Origin::kDrawn);
      ASSERT_EQ(outcome_, Outcome::kSigned);
    }
  }
  Begin(seconds(80));
  Sign("a.demo.test.", type::kA, {"192.0.2.1"});
  EXPECT_EQ(signer_.tally().remembered, 1) << "the zone's own were not pushed out";
}

TEST_F(SignerTest, WhatDoesNotFitLeavesTheMessageAsItWas) {
  Begin();
  EXPECT_EQ(Sign("a.demo.test.", type::kA, {"192.0.2.1"}, 300, Signer::Origin::kZone, 120),
            "answer: a.demo.test. A unsigned\n");
  EXPECT_EQ(outcome_, Outcome::kNoRoom);
}

TEST(SignatureCacheTest, KeepsWhatIsUsed) {
  SignatureCache cache(0);
  ASSERT_EQ(cache.capacity(), 4U);
  for (uint32_t i = 1; i <= 4; ++i) {
    EXPECT_EQ(cache.Find({i, i}, i), nullptr);
    cache.Place({i, i}, i)->expiration = 100 + i;
  }
  ASSERT_NE(cache.Find({1, 1}, 10), nullptr);
  EXPECT_EQ(cache.Find({1, 1}, 10)->expiration, 101U);
  EXPECT_EQ(cache.Find({1, 2}, 10), nullptr) << "both halves count";
  cache.Place({9, 9}, 11)->expiration = 109;
  EXPECT_EQ(cache.Find({2, 2}, 12), nullptr) << "not used for longest";
  EXPECT_NE(cache.Find({1, 1}, 12), nullptr);
  ASSERT_NE(cache.Find({9, 9}, 12), nullptr);
  EXPECT_EQ(cache.Find({9, 9}, 12)->expiration, 109U);
  EXPECT_EQ(cache.Place({9, 9}, 13)->expiration, 0U) << "emptied in its place";
  EXPECT_NE(cache.Find({3, 3}, 13), nullptr);
}

TEST(SignatureCacheTest, HasAboutThePlacesThatItsMemoryHolds) {
  for (size_t bytes : {size_t{1} << 16, size_t{16} << 20}) {
    SignatureCache cache(bytes);
    EXPECT_LE(cache.capacity() * 92, bytes);
    EXPECT_GE(cache.capacity() * 92, bytes - 4 * 92);
  }
}

}  // namespace
}  // namespace nearside::geodns
