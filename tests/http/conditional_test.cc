#include "http/conditional.h"

#include <gtest/gtest.h>

#include <string>

#include "http/date.h"

namespace nearside::http {
namespace {

constexpr WallTime kNow = WallTime(seconds(1'795'000'000));
constexpr WallTime kModified = WallTime(seconds(1'700'000'000));
const std::string kSame = FormatDate(kModified);
const std::string kOlder = FormatDate(kModified - seconds(1));
const std::string kNewer = FormatDate(kModified + seconds(1));

const char* Name(Precondition precondition) {
  switch (precondition) {
    case Precondition::kNone:
      return "none";
    case Precondition::kHolds:
      return "holds";
    case Precondition::kNotModified:
      return "304";
    case Precondition::kFailed:
      return "412";
  }
  return "?";
}

Validators Ours() {
  Validators validators;
  validators.etag = ParseEntityTag("\"v1\"");
  validators.last_modified = kModified;
  return validators;
}

std::string Get(const Fields& request) {
  return Name(EvaluatePreconditions("GET", request, Ours(), kNow));
}
std::string Put(const Fields& request) {
  return Name(EvaluatePreconditions("PUT", request, Ours(), kNow));
}

TEST(ConditionalTest, WithoutPreconditionsThereIsNone) {
  EXPECT_EQ(Get({}), "none");
  EXPECT_EQ(Get({{"range", "bytes=0-1"}}), "none");
}

TEST(ConditionalTest, IfNoneMatch) {
  EXPECT_EQ(Get({{"if-none-match", "\"v1\""}}), "304");
  EXPECT_EQ(Get({{"if-none-match", "W/\"v1\""}}), "304");
  EXPECT_EQ(Get({{"if-none-match", "\"v0\", \"v1\""}}), "304");
  EXPECT_EQ(Get({{"if-none-match", "\"v0\""}, {"if-none-match", "\"v1\""}}), "304");
  EXPECT_EQ(Get({{"if-none-match", "*"}}), "304");
  EXPECT_EQ(Get({{"if-none-match", "\"v0\""}}), "holds");
  EXPECT_EQ(Get({{"if-none-match", "v1"}}), "holds");
  EXPECT_EQ(Get({{"if-none-match", ""}}), "holds");
  EXPECT_EQ(Put({{"if-none-match", "*"}}), "412");
  EXPECT_EQ(Put({{"if-none-match", "\"v1\""}}), "412");
  EXPECT_EQ(Put({{"if-none-match", "\"v0\""}}), "holds");
}

TEST(ConditionalTest, IfModifiedSince) {
  EXPECT_EQ(Get({{"if-modified-since", kSame}}), "304");
  EXPECT_EQ(Get({{"if-modified-since", kNewer}}), "304");
  EXPECT_EQ(Get({{"if-modified-since", kOlder}}), "holds");
  EXPECT_EQ(Get({{"if-modified-since", "yesterday"}}), "none");
  EXPECT_EQ(Get({{"if-modified-since", kSame}, {"if-modified-since", kSame}}), "none");
  EXPECT_EQ(Get({{"if-modified-since", kSame + ", " + kSame}}), "none");
  EXPECT_EQ(Put({{"if-modified-since", kSame}}), "none");
}

TEST(ConditionalTest, IfNoneMatchWinsOverIfModifiedSince) {
  EXPECT_EQ(Get({{"if-none-match", "\"v0\""}, {"if-modified-since", kSame}}), "holds");
  EXPECT_EQ(Get({{"if-none-match", "\"v1\""}, {"if-modified-since", kOlder}}), "304");
}

TEST(ConditionalTest, IfMatch) {
  EXPECT_EQ(Get({{"if-match", "\"v1\""}}), "holds");
  EXPECT_EQ(Get({{"if-match", "\"v0\", \"v1\""}}), "holds");
  EXPECT_EQ(Get({{"if-match", "*"}}), "holds");
  EXPECT_EQ(Get({{"if-match", "\"v0\""}}), "412");
  EXPECT_EQ(Get({{"if-match", "W/\"v1\""}}), "412");  // strong comparison
  EXPECT_EQ(Put({{"if-match", "\"v0\""}}), "412");
}

TEST(ConditionalTest, IfUnmodifiedSince) {
  EXPECT_EQ(Put({{"if-unmodified-since", kSame}}), "holds");
  EXPECT_EQ(Put({{"if-unmodified-since", kNewer}}), "holds");
  EXPECT_EQ(Put({{"if-unmodified-since", kOlder}}), "412");
  EXPECT_EQ(Put({{"if-unmodified-since", "never"}}), "none");
  EXPECT_EQ(Put({{"if-unmodified-since", kOlder}, {"if-unmodified-since", kOlder}}), "none");
  EXPECT_EQ(Put({{"if-unmodified-since", kOlder + ", " + kOlder}}), "none");
}

TEST(ConditionalTest, IfMatchWinsOverIfUnmodifiedSince) {
  EXPECT_EQ(Put({{"if-match", "\"v1\""}, {"if-unmodified-since", kOlder}}), "holds");
  EXPECT_EQ(Put({{"if-match", "\"v0\""}, {"if-unmodified-since", kNewer}}), "412");
}

TEST(ConditionalTest, BothHalvesAreEvaluatedInOrder) {
  EXPECT_EQ(Get({{"if-match", "\"v1\""}, {"if-none-match", "\"v1\""}}), "304");
  EXPECT_EQ(Get({{"if-match", "\"v0\""}, {"if-none-match", "\"v1\""}}), "412");
  EXPECT_EQ(Get({{"if-unmodified-since", kNewer}, {"if-modified-since", kNewer}}), "304");
  EXPECT_EQ(Get({{"if-match", "*"}, {"if-none-match", "\"v0\""}}), "holds");
}

TEST(ConditionalTest, WithoutARepresentationStarDoesNotMatch) {
  Validators nothing;
  nothing.exists = false;
  EXPECT_STREQ(Name(EvaluatePreconditions("PUT", {{"if-match", "*"}}, nothing, kNow)), "412");
  EXPECT_STREQ(Name(EvaluatePreconditions("PUT", {{"if-none-match", "*"}}, nothing, kNow)),
               "holds");
}

TEST(ConditionalTest, WithoutValidatorsNothingMatches) {
  const Validators bare;
  EXPECT_STREQ(Name(EvaluatePreconditions("GET", {{"if-none-match", "\"v1\""}}, bare, kNow)),
               "holds");
  EXPECT_STREQ(Name(EvaluatePreconditions("GET", {{"if-none-match", "*"}}, bare, kNow)), "304");
  EXPECT_STREQ(Name(EvaluatePreconditions("GET", {{"if-modified-since", kSame}}, bare, kNow)),
               "none");
  EXPECT_STREQ(Name(EvaluatePreconditions("GET", {{"if-unmodified-since", kSame}}, bare, kNow)),
               "none");
  EXPECT_STREQ(Name(EvaluatePreconditions("GET", {{"if-match", "\"v1\""}}, bare, kNow)), "412");
}

TEST(ConditionalTest, SomeMethodsHaveNoPreconditions) {
  for (const char* method : {"OPTIONS", "TRACE", "CONNECT"}) {
    EXPECT_STREQ(Name(EvaluatePreconditions(method, {{"if-match", "\"v0\""}}, Ours(), kNow)),
                 "none");
  }
  EXPECT_STREQ(Name(EvaluatePreconditions("HEAD", {{"if-none-match", "\"v1\""}}, Ours(), kNow)),
               "304");
}

TEST(ConditionalTest, IfRange) {
  const auto holds = [](std::string_view value) {
    return IfRangeHolds({{"if-range", value}}, Ours(), kNow);
  };
  EXPECT_TRUE(IfRangeHolds({}, Ours(), kNow));
  EXPECT_TRUE(holds("\"v1\""));
  EXPECT_FALSE(holds("\"v0\""));
  EXPECT_FALSE(holds("W/\"v1\""));
  EXPECT_TRUE(holds(kSame));
  EXPECT_FALSE(holds(kNewer));  // exact, unlike If-Unmodified-Since
  EXPECT_FALSE(holds(kOlder));
  EXPECT_FALSE(holds("junk"));
  EXPECT_FALSE(holds(""));
}

TEST(ConditionalTest, IfRangeNeedsAStrongDate) {
  Validators fresh = Ours();
  fresh.date = kModified;  // sent within the second it was modified in
  EXPECT_FALSE(IfRangeHolds({{"if-range", kSame}}, fresh, kNow));
  fresh.date = kModified + seconds(1);
  EXPECT_TRUE(IfRangeHolds({{"if-range", kSame}}, fresh, kNow));
  EXPECT_FALSE(IfRangeHolds({{"if-range", kSame}}, Ours(), kModified));
  EXPECT_FALSE(IfRangeHolds({{"if-range", "\"v1\""}}, Validators(), kNow));
}

TEST(ConditionalTest, ValidatorsOfAResponse) {
  const Fields fields = {{"etag", "W/\"x\""}, {"last-modified", kSame}, {"date", kNewer}};
  const Validators validators = ValidatorsOf(fields, kNow);
  EXPECT_TRUE(validators.etag->weak);
  EXPECT_EQ(validators.last_modified, kModified);
  EXPECT_EQ(validators.date, kModified + seconds(1));
  const Fields bad = {{"etag", "x"}, {"last-modified", "y"}};
  EXPECT_FALSE(ValidatorsOf(bad, kNow).etag);
  EXPECT_FALSE(ValidatorsOf(bad, kNow).last_modified);
}

}  // namespace
}  // namespace nearside::http
