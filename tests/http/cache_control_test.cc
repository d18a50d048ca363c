#include "http/cache_control.h"

#include <gtest/gtest.h>

#include <string>

namespace nearside::http {
namespace {

/// All that was understood, in a fixed order.
std::string Text(const CacheControl& control) {
  std::string text;
  const auto flag = [&](const char* name, bool set) {
    if (set) text.append(name).append(" ");
  };
  const auto delta = [&](const char* name, const std::optional<seconds>& value) {
    if (value) text.append(name).append("=").append(std::to_string(value->count())).append(" ");
  };
  const auto names = [&](const char* name, const std::vector<std::string>& list) {
    for (const std::string& entry : list) text.append(name).append("[").append(entry).append("] ");
  };
  flag("no-cache", control.no_cache);
  flag("no-store", control.no_store);
  flag("no-transform", control.no_transform);
  flag("only-if-cached", control.only_if_cached);
  flag("must-revalidate", control.must_revalidate);
  flag("proxy-revalidate", control.proxy_revalidate);
  flag("must-understand", control.must_understand);
  flag("public", control.is_public);
  flag("private", control.is_private);
  flag("immutable", control.immutable);
  delta("max-age", control.max_age);
  delta("s-maxage", control.s_maxage);
  delta("min-fresh", control.min_fresh);
  delta("max-stale", control.max_stale);
  delta("stale-while-revalidate", control.stale_while_revalidate);
  delta("stale-if-error", control.stale_if_error);
  names("no-cache", control.no_cache_fields);
  names("private", control.private_fields);
  for (const auto& [name, value] : control.extensions) {
    text.append("ext:").append(name).append(value ? "=" + *value : "").append(" ");
  }
  if (!text.empty()) text.pop_back();
  return text;
}

struct Row {
  const char* value;
  const char* understood;
};

TEST(CacheControlTest, EveryDirective) {
  const Row rows[] = {
      {"", ""},
      {"no-cache", "no-cache"},
      {"no-store", "no-store"},
      {"no-transform", "no-transform"},
      {"only-if-cached", "only-if-cached"},
      {"must-revalidate", "must-revalidate"},
      {"proxy-revalidate", "proxy-revalidate"},
      {"must-understand", "must-understand"},
      {"public", "public"},
      {"private", "private"},
      {"immutable", "immutable"},
      {"max-age=600", "max-age=600"},
      {"s-maxage=600", "s-maxage=600"},
      {"min-fresh=5", "min-fresh=5"},
      {"max-stale=5", "max-stale=5"},
      {"max-stale", "max-stale=2147483648"},
      {"stale-while-revalidate=30", "stale-while-revalidate=30"},
      {"stale-if-error=30", "stale-if-error=30"},
      {"public, max-age=31536000, immutable", "public immutable max-age=31536000"},
      {"MAX-AGE=5, No-Store", "no-store max-age=5"},
      {" , max-age=5 ,, no-store,", "no-store max-age=5"},
  };
  for (const Row& row : rows)
    EXPECT_EQ(Text(ParseCacheControl(row.value)), row.understood) << row.value;
}

TEST(CacheControlTest, Arguments) {
  const Row rows[] = {
      {"max-age=\"600\"", "max-age=600"},
      {"max-age=0", "max-age=0"},
      {"max-age=007", "max-age=7"},
      {"max-age=2147483648", "max-age=2147483648"},
      {"max-age=2147483649", "max-age=2147483648"},
      {"max-age=99999999999999999999999", "max-age=2147483648"},
      // RFC 9111 §4.2.1: bad freshness means stale.
      {"max-age", "max-age=0"},
      {"max-age=", "max-age=0"},
      {"max-age=-1", "max-age=0"},
      {"max-age=+5", "max-age=0"},
      {"max-age=1.5", "max-age=0"},
      {"max-age=abc", "max-age=0"},
      {"max-age=5s", "max-age=0"},
      {"max-age='5'", "max-age=0"},
      {"max-age =5", "max-age=0"},
      {"max-age= 5", "max-age=0"},
      {"max-age=\"5", "max-age=0"},
      {"s-maxage=x", "s-maxage=0"},
      // What would allow more is nothing when it is bad.
      {"stale-while-revalidate=x", ""},
      {"stale-while-revalidate", ""},
      {"stale-if-error=-5", ""},
      {"max-stale=x", ""},
      {"min-fresh=x", ""},
      {"min-fresh", ""},
      // Flags have no argument; one that comes is not looked at.
      {"no-store=\"yes\"", "no-store"},
      {"public=1", "public"},
      {"immutable=\"60\"", "immutable"},
  };
  for (const Row& row : rows)
    EXPECT_EQ(Text(ParseCacheControl(row.value)), row.understood) << row.value;
}

TEST(CacheControlTest, FieldNames) {
  const Row rows[] = {
      {"no-cache=\"Set-Cookie\"", "no-cache[set-cookie]"},
      {"no-cache=set-cookie", "no-cache[set-cookie]"},
      {"private=\"a, B ,c\"", "private[a] private[b] private[c]"},
      {"private=\"a\", private", "private private[a]"},
      {"private=\"\"", "private"},
      {"private=\", ,\"", "private"},
      // Something else than names among them: the stricter meaning holds as well.
      {"private=\"a, b c\"", "private private[a]"},
      {"no-cache=\"a;b, c\"", "no-cache no-cache[c]"},
      {"no-cache=\"not a name\"", "no-cache"},
      {"no-cache=", "no-cache"},
  };
  for (const Row& row : rows)
    EXPECT_EQ(Text(ParseCacheControl(row.value)), row.understood) << row.value;
}

TEST(CacheControlTest, OfTwoTheStricterCounts) {
  const Row rows[] = {
      {"max-age=1, max-age=1800", "max-age=1"},
      {"max-age=1800, max-age=1", "max-age=1"},
      {"max-age=5, max-age=x", "max-age=0"},
      {"stale-if-error=5, stale-if-error=x", "stale-if-error=5"},
      {"max-stale, max-stale=5", "max-stale=5"},
      {"min-fresh=5, min-fresh=50", "min-fresh=50"},
  };
  for (const Row& row : rows)
    EXPECT_EQ(Text(ParseCacheControl(row.value)), row.understood) << row.value;
}

TEST(CacheControlTest, QuotesHideDirectives) {
  EXPECT_EQ(Text(ParseCacheControl("extension=\"max-age=3600\", max-age=1")),
            "max-age=1 ext:extension=max-age=3600");
  EXPECT_EQ(Text(ParseCacheControl(R"(extension="a\", no-store, ", public)")),
            R"(public ext:extension=a", no-store, )");
  // A quote that is never closed hides nothing.
  EXPECT_TRUE(ParseCacheControl("max-age=60, x=\"a, no-store").no_store);
  EXPECT_TRUE(ParseCacheControl(R"(max-age=60, x="a\", private)").is_private);
  EXPECT_FALSE(ParseCacheControl("x=\"a, no-store\", max-age=60").no_store);
}

TEST(CacheControlTest, UnknownDirectivesAreKept) {
  EXPECT_EQ(Text(ParseCacheControl("Foo, bar=1, baz=\"a b\", max-age=1")),
            "max-age=1 ext:foo ext:bar=1 ext:baz=a b");
  EXPECT_EQ(Text(ParseCacheControl("=5, =")), "");
}

TEST(CacheControlTest, AllLinesCountTogether) {
  const Fields fields = {
      {"cache-control", "max-age=5"}, {"x", "no-store"}, {"cache-control", "public"}};
  EXPECT_EQ(Text(ParseCacheControl(fields)), "public max-age=5");
}

TEST(CacheControlTest, ADirectiveIsFoundWhereItsFlagIsSet) {
  for (const std::string_view text :
       {"no-store", "No-Store", "max-age=1, no-store=\"x\"", "private=\"no-store\"", "no-store x",
        "\"no-store", "a=\"b, no-store", "a=\"b, no-store\"", "no-storee", "xno-store", "",
        " no-store = 1", "no-store=", ",, no-store ,", "=no-store", "no-store;", "no-stor\xe9"}) {
    const Fields fields = {{"x", "no-store"}, {"cache-control", "public"}, {"cache-control", text}};
    EXPECT_EQ(HasDirective(fields, "no-store"), ParseCacheControl(fields).no_store) << text;
  }
  EXPECT_TRUE(HasDirective({{"cache-control", "max-age=1, no-store"}}, "no-store"));
  EXPECT_FALSE(HasDirective({{"pragma", "no-store"}}, "no-store"));
}

TEST(TargetedCacheControlTest, IsADictionary) {
  const auto text = [](std::string_view value) -> std::string {
    const Fields fields = {{"cdn-cache-control", value}};
    const auto control = ParseTargetedCacheControl(fields, "cdn-cache-control");
    return control ? Text(*control) : "ignored";
  };
  EXPECT_EQ(text("max-age=600, stale-if-error=30"), "max-age=600 stale-if-error=30");
  EXPECT_EQ(text("no-store"), "no-store");
  EXPECT_EQ(text("no-store=?0, max-age=1"), "max-age=1");
  EXPECT_EQ(text("max-age=600;p=1"), "max-age=600");
  EXPECT_EQ(text("max-age=1, max-age=600"), "max-age=600");  // RFC 9651: the last of a key
  EXPECT_EQ(text("max-age=\"600\""), "max-age=0");
  EXPECT_EQ(text("max-age=1.5"), "max-age=0");
  EXPECT_EQ(text("max-age=token"), "max-age=0");
  EXPECT_EQ(text("max-age=-5"), "max-age=0");
  EXPECT_EQ(text("max-age"), "max-age=0");
  EXPECT_EQ(text("max-age=(1 2)"), "max-age=0");
  EXPECT_EQ(text("max-stale"), "max-stale=2147483648");
  EXPECT_EQ(text("private=\"set-cookie\""), "private[set-cookie]");
  // RFC 9213 §2.1: true or a string, nothing else.
  EXPECT_EQ(text("private=set-cookie"), "private");
  EXPECT_EQ(text("no-cache=5"), "no-cache");
  EXPECT_EQ(text("no-cache=(\"a\")"), "no-cache");
  EXPECT_EQ(text("private=?0, max-age=1"), "max-age=1");
  EXPECT_EQ(text("foo=bar, max-age=1"), "max-age=1 ext:foo=bar");
  for (const char* bad :
       {"", " ", "max-age=600,", "max-age=", "Max-Age=600", "max-age=60 0", "max-age=600 ,,"}) {
    EXPECT_EQ(text(bad), "ignored") << bad;
  }
}

TEST(TargetedCacheControlTest, LinesAreJoinedAndAbsenceIsIgnored) {
  const Fields fields = {{"cdn-cache-control", "max-age=5"}, {"cdn-cache-control", "public"}};
  EXPECT_EQ(Text(*ParseTargetedCacheControl(fields, "cdn-cache-control")), "public max-age=5");
  EXPECT_FALSE(ParseTargetedCacheControl(fields, "nearside-cache-control"));
}

}  // namespace
}  // namespace nearside::http
