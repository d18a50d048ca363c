#include "edge/stored_response.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <random>

#include "runtime/crypto.h"
#include "tests/edge/messages.h"

namespace nearside::edge {
namespace {

StoredResponse TextPage() {
  StoredResponse page;
  page.status = 203;
  page.fields = {{"content-type", "text/html"}, {"etag", "\"a\""}, {"x-empty", ""}, {"etag", "b"}};
  page.freshness = {.response_time = kNow,
                    .initial_age = milliseconds(1),
                    .lifetime = seconds(60),
                    .while_revalidate = seconds(7),
                    .if_error = std::chrono::hours(24),
                    .must_revalidate = true,
                    .always_validate = false,
                    .heuristic = true,
                    .has_validator = true};
  page.control = "max-age=60";
  page.origin_etag = "\"b\"";
  page.negotiated = true;
  page.tags = {"product-7", "blog"};
  page.url = "https://www.demo.test/a?b=c";
  page.slicing = {.slice_bytes = 65'520, .total_bytes = uint64_t{1} << 40, .since_purge = 7};
  page.tail_bytes = 500;
  return page;
}

StoredResponse Index() {
  StoredResponse index;
  index.url = "https://www.demo.test/";
  index.since = 77;
  for (uint8_t i = 1; i <= 3; ++i) {
    Variant variant{.selecting = {{"accept", std::to_string(i)}, {"cookie", ""}},
                    .key = {},
                    .stored_at = kNow + seconds(i),
                    .date = kNow - seconds(i),
                    .language = i == 2 ? "de" : ""};
    variant.key.bytes.fill(i);
    index.variants.push_back(std::move(variant));
  }
  return index;
}

std::string Describe(const StoredResponse& response) {
  const Freshness& f = response.freshness;
  std::string text = response.url + " " + std::to_string(response.status) + "\n" +
                     response.fields.ToText() + response.control + "\n" +
                     FormatIsoTime(f.response_time);
  for (milliseconds span : {f.initial_age, f.lifetime, f.while_revalidate, f.if_error}) {
    text += " " + FormatDuration(span);
  }
  for (bool flag : {f.must_revalidate, f.always_validate, f.heuristic, f.has_validator}) {
    text += flag ? " yes" : " no";
  }
  text += " " + response.origin_etag + (response.negotiated ? " negotiated" : "");
  for (const std::string& tag : response.tags) text += " #" + tag;
  text += " " + std::to_string(response.slicing.slice_bytes) + "/" +
          std::to_string(response.slicing.total_bytes) + "@" +
          std::to_string(response.slicing.since_purge) + " -" +
          std::to_string(response.tail_bytes) + " since " + std::to_string(response.since);
  for (const Variant& variant : response.variants) {
    text += "\n" + HexEncode(variant.key.bytes) + " " + FormatIsoTime(variant.stored_at) + " " +
            FormatIsoTime(variant.date) + " " + variant.language + " " + variant.selecting.ToText();
  }
  return text;
}

TEST(StoredResponseTest, ComesBackAsItWas) {
  for (const StoredResponse& response : {TextPage(), Index(), StoredResponse()}) {
    const auto decoded = DecodeStored(EncodeStored(response));
    ASSERT_NE(decoded, nullptr);
    EXPECT_EQ(Describe(*decoded), Describe(response));
  }
}

TEST(StoredResponseTest, EachFlagHasABitOfItsOwn) {
  for (bool Freshness::*flag : {&Freshness::must_revalidate, &Freshness::always_validate,
                                &Freshness::heuristic, &Freshness::has_validator}) {
    StoredResponse response;
    response.freshness.*flag = true;
    EXPECT_EQ(Describe(*DecodeStored(EncodeStored(response))), Describe(response));
  }
}

TEST(StoredResponseTest, AnIndexIsToldByItsVariants) {
  EXPECT_FALSE(DecodeStored(EncodeStored(TextPage()))->is_index());
  EXPECT_TRUE(DecodeStored(EncodeStored(Index()))->is_index());
}

TEST(StoredResponseTest, EveryShortLengthAndOneByteMoreAreRefused) {
  for (const StoredResponse& response : {TextPage(), Index()}) {
    const std::string bytes = EncodeStored(response);
    for (size_t length = 0; length < bytes.size(); ++length) {
      EXPECT_EQ(DecodeStored(bytes.substr(0, length)), nullptr) << length;
    }
    EXPECT_EQ(DecodeStored(bytes + '\0'), nullptr);
  }
}

TEST(StoredResponseTest, AnotherVersionIsRefused) {
  std::string bytes = EncodeStored(TextPage());
  ++bytes[0];
  EXPECT_EQ(DecodeStored(bytes), nullptr);
}

TEST(StoredResponseTest, HugeCountsAreRefusedWithoutMemory) {
  std::string bytes = EncodeStored(StoredResponse());
  constexpr size_t kBehindVariants = 5 * sizeof(uint64_t);  // behind their count
  bytes.replace(bytes.size() - kBehindVariants - 4, 4, "\xff\xff\xff\xff");
  EXPECT_EQ(DecodeStored(bytes), nullptr);
}

TEST(StoredResponseTest, DamagedBytesAreRefusedOrReadButNeverMore) {
  const unsigned seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  const std::string page = EncodeStored(TextPage()), index = EncodeStored(Index());
  for (int round = 0; round < 20'000; ++round) {
    std::string bytes = round % 2 == 0 ? page : index;
    for (unsigned flips = 1 + random() % 8; flips > 0; --flips) {
      bytes[random() % bytes.size()] = static_cast<char>(random());
    }
    if (random() % 4 == 0) bytes.resize(random() % bytes.size());
    if (const auto decoded = DecodeStored(bytes)) {
      EXPECT_EQ(DecodeStored(EncodeStored(*decoded)) != nullptr, true);
    }
  }
}

TEST(StoredResponseTest, ChargeGrowsWithWhatIsHeld) {
  StoredResponse response;
  size_t charge = response.charge();
  EXPECT_GE(charge, sizeof(StoredResponse));
  const auto grows_by = [&](size_t least) {
    const size_t before = std::exchange(charge, response.charge());
    EXPECT_GE(charge, before + least);
  };
  response.fields.Add("content-type", std::string(1000, 'x'));
  grows_by(1000);
  response.url = std::string(100, 'u');
  grows_by(100);
  response.control = std::string(100, 'c');
  grows_by(100);
  response.origin_etag = std::string(100, 'e');
  grows_by(100);
  response.tags.push_back(std::string(50, 't'));
  grows_by(50);
  response.variants.push_back({.selecting = {{"accept", std::string(500, 'x')}}});
  grows_by(500);
  response.variants.back().language = std::string(30, 'l');
  grows_by(30);
}

}  // namespace
}  // namespace nearside::edge
