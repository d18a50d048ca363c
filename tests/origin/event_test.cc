#include "origin/event.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>

#include "origin/rules_files.h"

namespace nearside::origin {
namespace {

using ::testing::SizeIs;

storage::Site Demo() {
  storage::Site site;
  site.name = "demo";
  site.hosts = {"demo.test", "www.demo.test"};
  return site;
}

/// The event as an edge reads it.
nlohmann::json Read(const storage::NewEvent& event) {
  storage::Event stored;
  stored.position = {7, 42};
  stored.time = FromUnixMillis(1000);
  stored.type = event.type;
  stored.body = event.body;
  const nlohmann::json json = nlohmann::json::parse(EventJson(stored), nullptr, false);
  EXPECT_FALSE(json.is_discarded()) << event.body;
  return json;
}

TEST(EventTest, APurgeHasAllMembers) {
  Forget forget;
  forget.urls = {"/a.css", "/b?x=\"1\""};
  forget.prefixes = {"/img/"};
  forget.tags = {"product-7"};
  const auto events = EventsOf("purge", Demo(), forget);
  ASSERT_THAT(events, SizeIs(1));
  EXPECT_EQ(events[0].site, "demo");
  EXPECT_EQ(Read(events[0]), nlohmann::json::parse(R"({"epoch":7,"seq":42,"time":1000,
      "type":"purge","site":"demo","hosts":["demo.test","www.demo.test"],
      "urls":["/a.css","/b?x=\"1\""],"prefixes":["/img/"],"tags":["product-7"],
      "all":false,"soft":false})"));
}

TEST(EventTest, ALargeOneBecomesSeveralThatTogetherNameEverythingOnce) {
  Forget forget;
  for (int i = 0; i < 5000; ++i)
    forget.urls.push_back("/" + std::string(100, 'x') + std::to_string(i));
  for (int i = 0; i < 3000; ++i) forget.tags.push_back("tag-" + std::to_string(i));
  const auto events = EventsOf("purge", Demo(), forget);
  EXPECT_GT(events.size(), 1u);
  std::multiset<std::string> urls;
  std::multiset<std::string> tags;
  for (const storage::NewEvent& event : events) {
    EXPECT_LT(event.body.size(), kEventBytes);
    const nlohmann::json json = Read(event);
    for (const auto& url : json["urls"]) urls.insert(url.get<std::string>());
    for (const auto& tag : json["tags"]) tags.insert(tag.get<std::string>());
  }
  EXPECT_EQ(urls, std::multiset<std::string>(forget.urls.begin(), forget.urls.end()));
  EXPECT_EQ(tags, std::multiset<std::string>(forget.tags.begin(), forget.tags.end()));
}

TEST(EventTest, AnActivationNamesEveryUrlOfTheChangedPathsAndIsSoft) {
  const storage::Site site = Demo();
  const std::vector<std::string> paths = {"a b.css", "docs/index.html"};
  const nlohmann::json json = Read(AnnounceActivation({site, 5, paths}, {}).at(0));
  EXPECT_EQ(json["type"], "activate");
  EXPECT_EQ(json["release"], "5");
  EXPECT_EQ(json["soft"], true);
  EXPECT_EQ(json["all"], false);
  EXPECT_EQ(json["urls"], nlohmann::json({"/a%20b.css", "/docs/index.html", "/docs/", "/docs"}));
}

TEST(EventTest, AnActivationOfVeryManyPathsMeansTheWholeSite) {
  const storage::Site site = Demo();
  std::vector<std::string> paths(kAnnouncedPaths + 1, "x");
  const auto events = AnnounceActivation({site, 5, paths}, {});
  ASSERT_THAT(events, SizeIs(1));
  EXPECT_EQ(Read(events[0])["all"], true);
  EXPECT_EQ(Read(events[0])["soft"], true);
}

TEST(EventTest, AReplacedAssetIsStaleAndARemovedOneGone) {
  const storage::Site site = Demo();
  const std::vector<std::string> paths = {"a.css"};
  EXPECT_EQ(Read(AnnounceAsset({site, 1, paths}, false).at(0))["soft"], true);
  EXPECT_EQ(Read(AnnounceAsset({site, 1, paths}, true).at(0))["soft"], false);
}

TEST(EventTest, WhatIsRewrittenToAChangedFileIsNamedByATag) {
  const storage::Site site = Demo();
  const http::RedirectRules rules =
      http::RedirectRules::Parse("/app/* /app.html 200\n/old /new.html\n").value();
  const std::vector<std::string> paths = {"app.html", "new.html"};
  const nlohmann::json json = Read(AnnounceActivation({site, 5, paths}, rules).at(0));
  EXPECT_EQ(json["tags"], nlohmann::json({RewriteTagOf("app.html")}));
  EXPECT_EQ(json["all"], false);
  // Of a single asset the rules are not known for certain.
  const std::vector<std::string> one = {"new.html"};
  EXPECT_EQ(Read(AnnounceAsset({site, 1, one}, true).at(0))["tags"],
            nlohmann::json({RewriteTagOf("new.html")}));
}

TEST(EventTest, ChangedRulesMakeTheWholeSiteStale) {
  const storage::Site site = Demo();
  for (const char* file : {"_headers", "_redirects"}) {
    const std::vector<std::string> paths = {file};
    for (const nlohmann::json& json : {Read(AnnounceActivation({site, 5, paths}, {}).at(0)),
                                       Read(AnnounceAsset({site, 1, paths}, false).at(0)),
                                       Read(AnnounceAsset({site, 1, paths}, true).at(0))}) {
      EXPECT_EQ(json["all"], true);
      EXPECT_EQ(json["soft"], true);
    }
  }
}

TEST(EventTest, ADeletedSiteIsGoneWhole) {
  const storage::Site site = Demo();
  const std::vector<std::string> none;
  const nlohmann::json deleted = Read(AnnounceSite({site, 0, none}, true).at(0));
  EXPECT_EQ(deleted["deleted"], true);
  EXPECT_EQ(deleted["all"], true);
  EXPECT_EQ(deleted["soft"], false);
  EXPECT_EQ(Read(AnnounceSite({site, 0, none}, false).at(0))["deleted"], false);
}

TEST(EventTest, AMessageIsServerSentEventsToTheByte) {
  storage::Event event{{7, 42}, FromUnixMillis(1000), "purge", "demo", "\"type\":\"purge\"}"};
  EXPECT_EQ(EventMessage(event),
            "id: 7:42\nevent: purge\ndata: "
            "{\"epoch\":7,\"seq\":42,\"time\":1000,\"type\":\"purge\"}\n\n");
  EXPECT_EQ(PositionMessage({7, 42}, FromUnixMillis(5)),
            "event: position\ndata: {\"epoch\":7,\"seq\":42,\"time\":5,\"type\":\"position\"}\n\n");
}

}  // namespace
}  // namespace nearside::origin
