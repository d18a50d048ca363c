#include "dns/name.h"

#include <gtest/gtest.h>

#include <random>

#include "tests/dns/wire_query.h"

namespace nearside::dns {
namespace {

std::string Text(std::string_view text, std::string_view origin = ".") {
  auto base = Name::FromText(origin);
  auto name = Name::FromText(text, *base);
  return name ? name->ToText() : name.error().reason;
}

TEST(NameTest, PresentationFormIsReadAndWrittenBack) {
  const struct {
    std::string_view text, origin, want;
  } kRows[] = {
      {"www.demo.test.", ".", "www.demo.test."},
      {"www", "demo.test.", "www.demo.test."},
      {"WwW.Demo", "Test.", "WwW.Demo.Test."},
      {"@", "demo.test.", "demo.test."},
      {".", "demo.test.", "."},
      {"*", "demo.test.", "*.demo.test."},
      {"a\\.b.c.", ".", "a\\.b.c."},
      {"a\\046b.c.", ".", "a\\.b.c."},
      {"\\000\\255.", ".", "\\000\\255."},
      {"a\\ b.", ".", "a\\032b."},
      {"_sip._tcp", "demo.test.", "_sip._tcp.demo.test."},
      {"", ".", "bad_name"},
      {"a..b.", ".", "bad_name"},
      {".a.", ".", "bad_name"},
      {"..", ".", "bad_name"},
      {"a\\", ".", "bad_name"},
      {"a\\25", ".", "bad_name"},
      {"a\\256.", ".", "bad_name"},
  };
  for (const auto& row : kRows) EXPECT_EQ(Text(row.text, row.origin), row.want) << row.text;
}

TEST(NameTest, LabelsEndAtSixtyThreeBytesAndNamesAtTwoHundredFiftyFive) {
  std::string label(63, 'a');
  EXPECT_EQ(Text(label + "."), label + ".");
  EXPECT_EQ(Text(label + "a."), "bad_name");
  std::string longest = label + "." + label + "." + label + "." + std::string(61, 'b') + ".";
  ASSERT_EQ(Name::FromText(longest)->view().size(), kMaxNameBytes);
  EXPECT_EQ(Text(longest), longest);
  EXPECT_EQ(Text("b" + longest), "bad_name");
  EXPECT_EQ(Text(longest.substr(0, longest.size() - 1)), longest);
  EXPECT_EQ(Text("a", longest), "bad_name");
  std::string most_labels;
  for (size_t i = 0; i < kMaxLabels; ++i) most_labels += "a.";
  EXPECT_EQ(Name::FromText(most_labels)->view().labels(), kMaxLabels);
  EXPECT_EQ(Text("a." + most_labels), "bad_name");
}

TEST(NameTest, ComparisonIgnoresCaseAndKeepsIt) {
  auto mixed = *Name::FromText("WWW.Demo.TEST.");
  auto lower = *Name::FromText("www.demo.test.");
  EXPECT_TRUE(mixed.view().Equals(lower));
  EXPECT_EQ(mixed.ToText(), "WWW.Demo.TEST.");
  EXPECT_FALSE(lower.view().Equals(*Name::FromText("www.demo.tesu.")));
  // '[' and '{' differ by the bit that tells the case of a letter.
  EXPECT_FALSE(Name::FromText("a[.").value().view().Equals(*Name::FromText("a{.")));
  mixed.Fold();
  EXPECT_EQ(mixed.ToText(), "www.demo.test.");
}

TEST(NameTest, FoldingIsThatOfEachByteAtEveryPlaceAndLength) {
  std::vector<uint8_t> all(256 + 7);
  for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<uint8_t>(i);
  for (size_t begin = 0; begin < 8; ++begin) {
    for (size_t size = 0; size <= all.size() - begin; ++size) {
      std::vector<uint8_t> folded(size + 1, 0xEE);
      FoldBytes(std::span(all).subspan(begin, size), folded.data());
      for (size_t i = 0; i < size; ++i) {
        ASSERT_EQ(folded[i], FoldCase(all[begin + i])) << begin << ' ' << size << ' ' << i;
      }
      ASSERT_EQ(folded[size], 0xEE) << size;
    }
  }
}

TEST(NameTest, BelowGoesByLabelsNotByBytes) {
  auto zone = *Name::FromText("demo.test.");
  const struct {
    std::string_view name;
    bool below;
  } kRows[] = {{"demo.test.", true},   {"www.demo.test.", true}, {"a.b.DEMO.test.", true},
               {"xdemo.test.", false}, {"test.", false},         {".", false},
               {"demo.test.x.", false}};
  for (const auto& row : kRows) {
    EXPECT_EQ(Name::FromText(row.name)->view().IsAtOrBelow(zone), row.below) << row.name;
  }
  // The bytes of the ancestor at the end, but inside a label: \004demo\004test\000.
  auto inside = *Name::FromText("x\\004demo.test.");
  EXPECT_FALSE(inside.view().IsAtOrBelow(zone));
  EXPECT_TRUE(zone.view().IsAtOrBelow(NameView()));
}

TEST(NameTest, PrependStopsAtTheLimit) {
  Name name;
  const uint8_t label[1] = {'x'};
  size_t fitted = 0;
  while (name.Prepend(label)) ++fitted;
  EXPECT_EQ(fitted, kMaxLabels);
  EXPECT_EQ(name.view().size(), kMaxNameBytes);
  EXPECT_EQ(name.view().labels(), kMaxLabels);
  EXPECT_FALSE(Name().Prepend(std::vector<uint8_t>(64, 'x')));
  EXPECT_FALSE(Name().Prepend({}));
}

struct ReadRow {
  Malformed malformed;
  std::string text;
  size_t offset;
};

ReadRow ReadAt(const std::vector<uint8_t>& message, size_t offset) {
  Name name;
  Malformed malformed = ReadName(message, &offset, &name);
  return {malformed, malformed == Malformed::kNone ? name.ToText() : "", offset};
}

TEST(ReadNameTest, FollowsPointersBackwards) {
  // 0: demo.test.  11: www -> 0  17: -> 11 (a pointer to a pointer)
  auto message = FromHex("04 64656d6f 04 74657374 00 03 777777 c000 c00b ff");
  EXPECT_EQ(ReadAt(message, 0).text, "demo.test.");
  EXPECT_EQ(ReadAt(message, 0).offset, 11U);
  EXPECT_EQ(ReadAt(message, 11).text, "www.demo.test.");
  EXPECT_EQ(ReadAt(message, 11).offset, 17U);
  EXPECT_EQ(ReadAt(message, 17).text, "www.demo.test.");
  EXPECT_EQ(ReadAt(message, 17).offset, 19U);
  size_t offset = 11;
  EXPECT_EQ(SkipName(message, &offset), Malformed::kNone);
  EXPECT_EQ(offset, 17U);
}

TEST(ReadNameTest, EveryMalformedNameHasItsOwnError) {
  const struct {
    std::string_view hex;
    size_t offset;
    Malformed want;
  } kRows[] = {
      {"", 0, Malformed::kNameCutOff},
      {"03 7777", 0, Malformed::kNameCutOff},
      {"03 777777", 0, Malformed::kNameCutOff},
      {"c0", 0, Malformed::kNameCutOff},
      {"40", 0, Malformed::kReservedLabel},
      {"80 00", 0, Malformed::kReservedLabel},
      {"c000", 0, Malformed::kPointerForward},        // to itself
      {"c002 00", 0, Malformed::kPointerForward},     // forwards
      {"01 61 c000", 0, Malformed::kPointerForward},  // into its own labels
      {"01 61 c000", 2,
       Malformed::kPointerForward},             // a name whose rest leads to the pointer again
      {"c0ff", 0, Malformed::kPointerForward},  // out of the message
  };
  for (const auto& row : kRows) {
    EXPECT_EQ(ReadAt(FromHex(row.hex), row.offset).malformed, row.want) << row.hex;
    if (row.offset != 0) continue;  // SkipName does not follow
    size_t offset = row.offset;
    EXPECT_EQ(SkipName(FromHex(row.hex), &offset), row.want) << row.hex;
  }
}

TEST(ReadNameTest, LengthIsLimitedAcrossPointers) {
  std::vector<uint8_t> message;
  auto add_labels = [&](int count) {
    for (int i = 0; i < count; ++i) {
      message.push_back(63);
      message.insert(message.end(), 63, 'a');
    }
  };
  add_labels(3);  // 192 bytes
  message.push_back(0);
  size_t second = message.size();
  message.push_back(61);
  message.insert(message.end(), 61, 'b');  // 62 more and the root: 255
  message.insert(message.end(), {0xC0, 0});
  EXPECT_EQ(ReadAt(message, second).malformed, Malformed::kNone);
  size_t third = message.size();
  message.push_back(62);
  message.insert(message.end(), 62, 'b');
  message.insert(message.end(), {0xC0, 0});
  EXPECT_EQ(ReadAt(message, third).malformed, Malformed::kNameTooLong);
  size_t fourth = message.size();
  add_labels(4);
  message.push_back(0);
  size_t offset = fourth;
  EXPECT_EQ(SkipName(message, &offset), Malformed::kNameTooLong);
}

TEST(ReadNameTest, ChainsOfPointersEnd) {
  std::vector<uint8_t> message = {0};
  std::vector<size_t> at;
  size_t target = 0;
  for (size_t i = 0; i < kMaxLabels + 1; ++i) {
    at.push_back(message.size());
    message.push_back(static_cast<uint8_t>(0xC0 | target >> 8));
    message.push_back(static_cast<uint8_t>(target));
    target = at.back();
  }
  EXPECT_EQ(ReadAt(message, at[kMaxLabels - 1]).malformed, Malformed::kNone);
  EXPECT_EQ(ReadAt(message, at[kMaxLabels]).malformed, Malformed::kPointerLimit);
}

TEST(ReadNameTest, RandomBytesNeverReadOutside) {
  std::mt19937 random(20261120);
  for (int round = 0; round < 20'000; ++round) {
    std::vector<uint8_t> message(random() % 80);
    for (auto& byte : message) {
      byte = static_cast<uint8_t>(random() % 4 == 0 ? 0xC0 | random() % 2 : random() % 12);
    }
    for (size_t offset = 0; offset <= message.size(); offset += 7) {
      ReadRow read = ReadAt(message, offset);
      EXPECT_TRUE(read.malformed != Malformed::kNone || read.offset <= message.size());
    }
  }
}

}  // namespace
}  // namespace nearside::dns
