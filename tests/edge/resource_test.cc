#include "edge/resource.h"

#include <gtest/gtest.h>

#include "edge/cache_key.h"
#include "tests/edge/messages.h"

namespace nearside::edge {
namespace {

const Site& TheSite() {
  static const SiteTable table({DefaultSite()});
  return *table.sites().front();
}

ResourceRef Named(const http::RequestHead& request) {
  return MakeResource(TheSite(), request, request.target);
}

http::RequestHead Asking(const std::string& url) { return RequestFor("GET", url, {}); }

TEST(ResourceTest, HasTheKeyOfItsUrl) {
  const ResourceRef resource = Named(Asking("https://www.demo.test:443/a?b=1"));
  EXPECT_EQ(resource->site, &TheSite());
  EXPECT_EQ(resource->target, "/a?b=1");
  EXPECT_EQ(resource->url, "https://www.demo.test/a?b=1");
  EXPECT_EQ(resource->key, PrimaryKey(TheSite().settings.name, resource->url));
}

TEST(KnownResourcesTest, FindsWhatTheSameTextsNamed) {
  KnownResources known(1);
  const http::RequestHead request = Asking("https://www.demo.test/a");
  EXPECT_EQ(known.Find(request), nullptr);
  const ResourceRef resource = Named(request);
  known.Add(request, resource);
  EXPECT_EQ(known.Find(Asking("https://www.demo.test/a")), resource);
  for (const char* other :
       {"http://www.demo.test/a", "https://www.demo.test:443/a", "https://demo.test/a",
        "https://www.demo.test/b", "https://www.demo.test/a?", "https://www.demo.test/%61"}) {
    EXPECT_EQ(known.Find(Asking(other)), nullptr) << other;
  }
}

TEST(KnownResourcesTest, TheMethodIsNoPartOfIt) {
  KnownResources known(1);
  const http::RequestHead request = Asking("https://www.demo.test/a");
  known.Add(request, Named(request));
  EXPECT_NE(known.Find(RequestFor("HEAD", "https://www.demo.test/a", {})), nullptr);
}

TEST(KnownResourcesTest, OneThatTakesThePlaceOfAnotherIsNotMistakenForIt) {
  KnownResources known(1);
  const auto numbered = [](size_t n) {
    return Asking("https://www.demo.test/" + std::to_string(n));
  };
  const size_t many = 4 * KnownResources::kPlaces;
  for (size_t n = 0; n < many; ++n) known.Add(numbered(n), Named(numbered(n)));
  size_t found = 0;
  for (size_t n = 0; n < many; ++n) {
    const ResourceRef resource = known.Find(numbered(n));
    if (resource == nullptr) continue;
    ++found;
    EXPECT_EQ(resource->target, "/" + std::to_string(n));
  }
  EXPECT_GT(found, KnownResources::kPlaces / 2);
  EXPECT_LE(found, KnownResources::kPlaces);
}

TEST(KnownResourcesTest, LongOnesAreNotRemembered) {
  KnownResources known(1);
  const std::string origin = "https://www.demo.test";
  const size_t longest = KnownResources::kMostTextBytes - std::string("www.demo.test/").size();
  const http::RequestHead kept = Asking(origin + "/" + std::string(longest, 'a'));
  const http::RequestHead longer = Asking(origin + "/" + std::string(longest + 1, 'a'));
  known.Add(kept, Named(kept));
  known.Add(longer, Named(longer));
  EXPECT_NE(known.Find(kept), nullptr);
  EXPECT_EQ(known.Find(longer), nullptr);
}

TEST(KnownResourcesTest, ClearForgetsAll) {
  KnownResources known(1);
  const http::RequestHead request = Asking("https://www.demo.test/a");
  known.Add(request, Named(request));
  known.Clear();
  EXPECT_EQ(known.Find(request), nullptr);
  known.Add(request, Named(request));
  EXPECT_NE(known.Find(request), nullptr);
}

}  // namespace
}  // namespace nearside::edge
