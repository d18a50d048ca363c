#include "http/accept_language.h"

#include <gtest/gtest.h>

namespace nearside::http {
namespace {

/// Its text, and behind " → " the one language wanted most; "none" when it is not understood.
std::string Read(const Fields& request) {
  const auto asked = AcceptLanguage::Parse(request);
  return asked ? asked->ToText() + " → " + std::string(asked->first()) : "none";
}

TEST(AcceptLanguageTest, OneTextForWhatWantsTheSame) {
  const struct {
    std::string_view value, text;
  } rows[] = {
      {"de", "de → de"},
      {"DE", "de → de"},
      {"de;q=0.3", "de → de"},
      {"en, de", "de, en → "},
      {"de,en", "de, en → "},
      {" eN ,\t De", "de, en → "},
      {"de;q=0.5, en;q=0.5", "de, en → "},
      {"en, de;q=0.9", "en, de;q=0.9 → en"},
      {"en, de;q=0.1", "en, de;q=0.9 → en"},
      {"de;q=0.1, en", "en, de;q=0.9 → en"},
      {"fr;q=0.5, de;q=1.0", "de, fr;q=0.9 → de"},
      {"en-US,en;q=0.5", "en-us, en;q=0.9 → en-us"},
      {"en-US,en;q=0.9,de;q=0.8,fr;q=0.8", "en-us, en;q=0.9, de;q=0.8, fr;q=0.8 → en-us"},
      {"de, de;q=0.2", "de → de"},
      {"de;q=0.2, en;q=0.1, DE", "de, en;q=0.9 → de"},
      {"*", "* → "},
      {"de, *;q=0.5", "de, *;q=0.9 → de"},
      {"zh-Hant-TW", "zh-hant-tw → zh-hant-tw"},
      // What is refused matters only where something accepted covers it.
      {"de, en;q=0", "de → de"},
      {"en, en-GB;q=0", "en, en-gb;q=0 → en"},
      {"*, fr;q=0", "*, fr;q=0 → "},
      {"en-GB, en;q=0", "en-gb → en-gb"},
      {"eng, en;q=0", "eng → eng"},
      {"de, *;q=0", "de → de"},
      // Ranks, and not the weights themselves.
      {"a;q=1, b;q=0.99, c;q=0.98, d;q=0.97, e;q=0.96, f;q=0.95, g;q=0.94, h;q=0.93, i;q=0.92, "
       "j;q=0.91",
       "a, b;q=0.9, c;q=0.8, d;q=0.7, e;q=0.6, f;q=0.5, g;q=0.4, h;q=0.3, i;q=0.2, j;q=0.1 → a"},
      {"a;q=1, b;q=0.99, c;q=0.98, d;q=0.97, e;q=0.96, f;q=0.95, g;q=0.94, h;q=0.93, i;q=0.92, "
       "j;q=0.91, k;q=0.9",
       "a, b;q=0.99, c;q=0.98, d;q=0.97, e;q=0.96, f;q=0.95, g;q=0.94, h;q=0.93, i;q=0.92, "
       "j;q=0.91, k;q=0.9 → a"},
      // Not understood.
      {"", "none"},
      {",", "none"},
      {"de;q=0", "none"},
      {"de;q=high", "none"},
      {"de, en;q=.9", "none"},
      {"de_DE", "none"},
      {"de en", "none"},
      {"\"de\"", "none"},
      {"1de", "none"},
      {"a-tag-that-is-longer-than-any-language", "none"},
  };
  for (const auto& row : rows) EXPECT_EQ(Read({{"accept-language", row.value}}), row.text);
  EXPECT_EQ(Read({}), "none");
  EXPECT_EQ(Read({{"accept-language", "de"}, {"accept-language", "en;q=0.5"}}),
            "de, en;q=0.9 → de");
}

TEST(AcceptLanguageTest, AtMostThirtyTwo) {
  std::string value = "de";
  for (int i = 1; i < 32; ++i) value += ",x-" + std::to_string(i);
  EXPECT_TRUE(AcceptLanguage::Parse({{"accept-language", value}}).has_value());
  value += ",en";
  EXPECT_FALSE(AcceptLanguage::Parse({{"accept-language", value}}).has_value());
}

TEST(AcceptLanguageTest, ATextIsItsOwnText) {
  for (std::string_view value :
       {"fr;q=0.2, de-AT;q=0.7, de;q=0.7, *;q=0.1", "en, en-GB;q=0", "de, en"}) {
    const std::string text = AcceptLanguage::Parse({{"accept-language", value}})->ToText();
    EXPECT_EQ(AcceptLanguage::Parse({{"accept-language", text}})->ToText(), text);
  }
}

TEST(AcceptLanguageTest, TheLanguageOfAResponse) {
  EXPECT_EQ(SoleContentLanguage({}), "");
  EXPECT_EQ(SoleContentLanguage({{"content-language", ""}}), "");
  EXPECT_EQ(SoleContentLanguage({{"content-language", "de"}}), "de");
  EXPECT_EQ(SoleContentLanguage({{"content-language", " De-AT ,"}}), "de-at");
  EXPECT_EQ(SoleContentLanguage({{"content-language", "mi, en"}}), "");
  EXPECT_EQ(SoleContentLanguage({{"content-language", "mi"}, {"content-language", "en"}}), "");
}

}  // namespace
}  // namespace nearside::http
