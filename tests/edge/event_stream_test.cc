#include "edge/event_stream.h"

#include <gtest/gtest.h>

#include <random>

namespace nearside::edge {
namespace {

/// All events of `bytes`, fed in pieces that end at `cuts`, one "[id|type|data]" each.
std::string EventsOf(std::string_view bytes, const std::vector<size_t>& cuts = {}) {
  std::string text;
  EventStreamParser parser([&](std::string_view id, std::string_view type, std::string_view data) {
    text.append("[").append(id).append("|").append(type).append("|").append(data).append("]");
  });
  size_t begin = 0;
  for (size_t cut : cuts) {
    EXPECT_TRUE(parser.Feed(bytes.substr(begin, cut - begin)));
    begin = cut;
  }
  EXPECT_TRUE(parser.Feed(bytes.substr(begin)));
  return text;
}

TEST(EventStreamTest, ReadsAsTheStandardSays) {
  struct Row {
    const char* name;
    std::string_view bytes, events;
  };
  constexpr Row kRows[] = {
      {"one event", "data: a\n\n", "[||a]"},
      {"all fields", "id: 1:2\nevent: purge\ndata: {}\n\n", "[1:2|purge|{}]"},
      {"lines of data", "data: a\ndata\ndata: b\n\n", "[||a\n\nb]"},
      {"empty data is an event", "data:\n\n", "[||]"},
      {"no data is none", "event: x\nid: 1\n\n", ""},
      {"the id stays, the type does not", "id: 7\nevent: x\ndata: a\n\ndata: b\n\n",
       "[7|x|a][7||b]"},
      {"an empty id resets it", "id: 7\ndata: a\n\nid\ndata: b\n\n", "[7||a][||b]"},
      {"a type without data is forgotten", "event: x\n\ndata: a\n\n", "[||a]"},
      {"comments", ": heartbeat\n\n:\ndata: a\n: b\n\n", "[||a]"},
      {"one space is taken", "data:  a \n\n", "[|| a ]"},
      {"no space needed", "data:a\n\n", "[||a]"},
      {"colons in the value", "data: a: b\n\n", "[||a: b]"},
      {"unknown fields", "retry: 5\nfoo: bar\nDATA: x\ndata: a\n\n", "[||a]"},
      {"CR", "data: a\r\rdata: b\r\r", "[||a][||b]"},
      {"CR LF", "data: a\r\n\r\ndata: b\r\n\r\n", "[||a][||b]"},
      {"mixed ends", "data: a\r\ndata: b\rdata: c\n\n", "[||a\nb\nc]"},
      {"LF CR is two ends", "data: a\n\rdata: b\n\n", "[||a][||b]"},
      {"an event that is not closed waits", "data: a\n", ""},
      {"a byte order mark",
       "\xEF\xBB\xBF"
       "data: a\n\n",
       "[||a]"},
      {"a mark later is text",
       "data: a\n\n\xEF\xBB\xBF"
       "data: b\n\n",
       "[||a]"},
  };
  for (const Row& row : kRows) EXPECT_EQ(EventsOf(row.bytes), row.events) << row.name;
}

TEST(EventStreamTest, AnySplitGivesTheSameEvents) {
  const std::string bytes =
      "\xEF\xBB\xBF: log\r\n\r\nid: 4:1\r\nevent: position\r\ndata: {\"a\":1}\r\n\r\n"
      "id: 4:2\ndata: x\ndata: y\n\n: heartbeat\n\ndata: \xC3\xA9\r\rdata: z\n\n";
  const std::string whole = EventsOf(bytes);
  ASSERT_EQ(whole, "[4:1|position|{\"a\":1}][4:2||x\ny][4:2||\xC3\xA9][4:2||z]");
  for (size_t cut = 0; cut <= bytes.size(); ++cut) EXPECT_EQ(EventsOf(bytes, {cut}), whole) << cut;
  std::vector<size_t> each_byte(bytes.size());
  for (size_t i = 0; i < bytes.size(); ++i) each_byte[i] = i;
  EXPECT_EQ(EventsOf(bytes, each_byte), whole);
}

TEST(EventStreamTest, EveryShortLengthGivesABeginningOfTheEvents) {
  const std::string bytes = "id: 1\ndata: a\n\nevent: x\ndata: b\ndata: c\n\n";
  const std::string whole = EventsOf(bytes);
  for (size_t length = 0; length < bytes.size(); ++length) {
    EXPECT_TRUE(whole.starts_with(EventsOf(std::string_view(bytes).substr(0, length)))) << length;
  }
}

TEST(EventStreamTest, GarbageNeverBreaksIt) {
  const unsigned seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  constexpr std::string_view kAlphabet = "\r\n: dataidevent\xff";
  for (int round = 0; round < 2'000; ++round) {
    std::string bytes(random() % 60, ' ');
    for (char& c : bytes) c = kAlphabet[random() % kAlphabet.size()];
    const size_t cut = bytes.empty() ? 0 : random() % bytes.size();
    EXPECT_EQ(EventsOf(bytes, {cut}), EventsOf(bytes)) << bytes;
  }
}

TEST(EventStreamTest, AnEventHasALimit) {
  constexpr size_t kLimit = EventStreamParser::kLongestEvent;
  const auto feed = [](std::string_view first, std::string_view second) {
    size_t longest = 0;
    EventStreamParser parser(
        [&](auto, auto, std::string_view data) { longest = std::max(longest, data.size()); });
    const bool taken = parser.Feed(first) && parser.Feed(second);
    return taken ? std::to_string(longest) : "refused";
  };
  const std::string most(kLimit - 6, 'x');
  EXPECT_EQ(feed("data: " + most, "\n\n"), std::to_string(kLimit - 6));
  EXPECT_EQ(feed("data: " + most, "x"), "refused");
  EXPECT_EQ(feed(std::string(kLimit + 1, 'x'), ""), "refused");
  // Many lines add up.
  const std::string half(kLimit / 2, 'x');
  EXPECT_EQ(feed("data: " + half + "\n", "data: " + half + "\n\n"), "refused");
  // And what is done with does not.
  EXPECT_EQ(feed("data: " + half + "\n\n", "data: " + half + "\n\n"), std::to_string(kLimit / 2));
}

}  // namespace
}  // namespace nearside::edge
