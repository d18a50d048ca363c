#include "runtime/log.h"

#include <gtest/gtest.h>

#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

namespace nearside {
namespace {

class LogTest : public testing::Test {
 protected:
  void SetUp() override { StartLog("edge", Level::kInfo); }

  /// The line without its time, whose form is checked.
  static std::string WithoutTime(std::string_view line) {
    constexpr std::string_view kForm = "time=0000-00-00T00:00:00.000Z ";
    bool good = line.size() > kForm.size() && line.find('\n') == line.size() - 1;
    for (size_t i = 0; good && i < kForm.size(); ++i) {
      good = kForm[i] == '0' ? line[i] >= '0' && line[i] <= '9' : line[i] == kForm[i];
    }
    if (!good) return "no line of ours: " + std::string(line);
    return std::string(line.substr(kForm.size(), line.size() - kForm.size() - 1));
  }

  template <typename F>
  static std::string Logged(F log) {
    testing::internal::CaptureStderr();
    log();
    return testing::internal::GetCapturedStderr();
  }
};

TEST_F(LogTest, OneEventIsOneLine) {
  const std::string line = Logged([] {
    Log(Level::kWarning, "origin_down",
        {{"site", "demo"}, {"origin", std::string("http://127.0.0.1:9000")}, {"tries", 3}});
  });
  EXPECT_EQ(WithoutTime(line),
            "level=warning daemon=edge event=origin_down site=demo "
            "origin=http://127.0.0.1:9000 tries=3");
}

TEST_F(LogTest, EveryLevelHasItsName) {
  StartLog("edge", Level::kDebug);
  const std::pair<Level, std::string> rows[] = {{Level::kDebug, "debug"},
                                                {Level::kInfo, "info"},
                                                {Level::kWarning, "warning"},
                                                {Level::kError, "error"}};
  for (const auto& [level, name] : rows) {
    EXPECT_EQ(WithoutTime(Logged([level = level] { Log(level, "ready"); })),
              "level=" + name + " daemon=edge event=ready");
  }
}

TEST_F(LogTest, WhatIsBelowTheLeastLevelIsNotWritten) {
  StartLog("geodns", Level::kWarning);
  EXPECT_EQ(Logged([] { Log(Level::kDebug, "x"); }), "");
  EXPECT_EQ(Logged([] { Log(Level::kInfo, "x"); }), "");
  EXPECT_EQ(WithoutTime(Logged([] { Log(Level::kError, "x"); })),
            "level=error daemon=geodns event=x");
}

TEST_F(LogTest, EveryKindOfValueIsWritten) {
  const std::pair<LogField, std::string> rows[] = {
      {{"k", "plain"}, "k=plain"},
      {{"k", std::string_view("view")}, "k=view"},
      {{"k", true}, "k=true"},
      {{"k", false}, "k=false"},
      {{"k", -7}, "k=-7"},
      {{"k", uint64_t{18446744073709551615u}}, "k=18446744073709551615"},
      {{"k", 0.5}, "k=0.500000"},
      {{"k", ""}, "k=\"\""},
      {{"k", "two words"}, "k=\"two words\""},
      {{"k", "a=b"}, "k=\"a=b\""},
      {{"k", "say \"hi\""}, R"(k="say \"hi\"")"},
      {{"k", "back\\slash"}, R"(k="back\\slash")"},
      {{"k", "line\nfeed\r\ttab"}, R"(k="line\nfeed\r\ttab")"},
      {{"k", std::string_view("nul\0\x1b\x7f", 6)}, R"(k="nul\x00\x1b\x7f")"},
      {{"k", "größe"}, "k=größe"},
      {{"k", "{}%v"}, "k={}%v"},
  };
  for (const auto& [field, text] : rows) {
    EXPECT_EQ(WithoutTime(Logged([field = field] { Log(Level::kInfo, "e", {field}); })),
              "level=info daemon=edge event=e " + text);
  }
}

TEST_F(LogTest, LinesOfSeveralThreadsDoNotMix) {
  const std::string all = Logged([] {
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([i] {
        for (int n = 0; n < 100; ++n) Log(Level::kInfo, "tick", {{"thread", i}, {"n", n}});
      });
    }
    for (std::thread& thread : threads) thread.join();
  });
  std::istringstream lines(all);
  std::multiset<std::string> seen;
  for (std::string line; std::getline(lines, line);) seen.insert(WithoutTime(line + "\n"));
  EXPECT_EQ(seen.size(), 400u);
  for (int i = 0; i < 4; ++i) {
    for (int n = 0; n < 100; ++n) {
      const std::string line = "level=info daemon=edge event=tick thread=" + std::to_string(i) +
                               " n=" + std::to_string(n);
      EXPECT_EQ(seen.count(line), 1u) << line;
    }
  }
}

}  // namespace
}  // namespace nearside
