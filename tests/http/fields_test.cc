#include "http/fields.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>

namespace nearside::http {
namespace {

TEST(FieldsTest, NamesAreLoweredAndValuesKept) {
  Fields fields;
  fields.Add("Content-TYPE", "Text/HTML");
  fields.Add("X-Empty", "");
  EXPECT_EQ(fields.ToText(), "content-type: Text/HTML\nx-empty: \n");
}

TEST(FieldsTest, KeepsOrderAndRepeatedLines) {
  const Fields fields = {{"a", "1"}, {"b", "2"}, {"a", "3"}};
  EXPECT_EQ(fields.ToText(), "a: 1\nb: 2\na: 3\n");
  EXPECT_EQ(fields.size(), 3u);
  EXPECT_EQ(fields.Joined("a"), "1, 3");
  EXPECT_EQ(fields.Joined("none"), "");
  EXPECT_EQ(fields.Get("a"), "1");
  EXPECT_EQ(fields.Get("none"), std::nullopt);
  EXPECT_TRUE(fields.Has("b"));
  EXPECT_FALSE(fields.Has("B"));
}

TEST(FieldsTest, JoinedKeepsEmptyMembers) {
  const Fields fields = {{"a", ""}, {"a", "2"}, {"a", ""}};
  EXPECT_EQ(fields.Joined("a"), ", 2, ");
}

TEST(FieldsTest, SetReplacesAllLinesByOneInTheFirstPlace) {
  Fields fields = {{"a", "1"}, {"b", "2"}, {"a", "3"}, {"c", "4"}, {"a", "5"}};
  fields.Set("A", "new");
  EXPECT_EQ(fields.ToText(), "a: new\nb: 2\nc: 4\n");
  fields.Set("d", "added");
  EXPECT_EQ(fields.ToText(), "a: new\nb: 2\nc: 4\nd: added\n");
}

TEST(FieldsTest, RemoveAnswersHowMany) {
  Fields fields = {{"a", "1"}, {"b", "2"}, {"a", "3"}};
  EXPECT_EQ(fields.Remove("a"), 2u);
  EXPECT_EQ(fields.Remove("a"), 0u);
  EXPECT_EQ(fields.ToText(), "b: 2\n");
}

TEST(FieldsTest, WireSizeIsKeptByEveryChange) {
  Fields fields;
  EXPECT_EQ(fields.wire_size(), 0u);
  fields.Add("ab", "cde");
  EXPECT_EQ(fields.wire_size(), 37u);
  fields.Add("x", "y");
  EXPECT_EQ(fields.wire_size(), 71u);
  fields.Set("ab", "c");
  EXPECT_EQ(fields.wire_size(), 69u);
  fields.Remove("x");
  EXPECT_EQ(fields.wire_size(), 35u);
  fields.Clear();
  EXPECT_EQ(fields.wire_size(), 0u);
  EXPECT_TRUE(fields.empty());
}

TEST(FieldsTest, ViewsStayWhereTheyAreWhileTheListGrows) {
  Fields fields;
  fields.Add("first", "value of the first");
  const FieldLine first = fields.lines()[0];
  for (int i = 0; i < 1000; ++i) fields.Add("name" + std::to_string(i), std::string(100, 'v'));
  fields.Remove("name5");
  EXPECT_EQ(first.name, "first");
  EXPECT_EQ(first.value, "value of the first");
  EXPECT_EQ(fields.lines()[0].value.data(), first.value.data());
}

TEST(FieldsTest, ValuesLargerThanABlockAreStored) {
  Fields fields;
  const std::string large(100'000, 'x');
  fields.Add("large", large);
  fields.Add("small", "s");
  EXPECT_EQ(fields.Get("large"), large);
  EXPECT_EQ(fields.Get("small"), "s");
}

TEST(FieldsTest, MovedListsKeepTheirViewsValidAndTheOldOneIsEmpty) {
  Fields fields = {{"a", "1"}};
  const std::string_view value = *fields.Get("a");
  Fields moved = std::move(fields);
  EXPECT_EQ(value.data(), moved.Get("a")->data());
  EXPECT_TRUE(fields.empty());  // NOLINT(bugprone-use-after-move): what is tested
  EXPECT_EQ(fields.wire_size(), 0u);
  fields.Add("b", "2");
  EXPECT_EQ(fields.ToText(), "b: 2\n");
  EXPECT_EQ(moved.ToText(), "a: 1\n");
}

TEST(FieldsTest, CopiesAreIndependent) {
  Fields fields = {{"a", "1"}, {"b", "2"}};
  Fields copy = fields;
  fields.Clear();
  fields.Add("c", "3");
  EXPECT_EQ(copy.ToText(), "a: 1\nb: 2\n");
  const Fields& same = copy;
  copy = same;
  EXPECT_EQ(copy.ToText(), "a: 1\nb: 2\n");
}

TEST(FieldsTest, ACopyHasWhatIsLeftOfAListInSeveralBlocks) {
  Fields fields = {{"a", std::string(900, 'a')}, {"b", "2"}, {"empty", ""}};
  fields.Add("c", std::string(3000, 'c'));
  fields.Add("d", "4");
  fields.Set("a", std::string(500, 'A'));
  fields.Remove("b");
  Fields copy = {{"old", "line"}};
  copy = fields;
  EXPECT_EQ(copy.ToText(), fields.ToText());
  EXPECT_EQ(copy.wire_size(), fields.wire_size());
  const std::string text = copy.ToText();
  fields.Set("d", "5");
  fields = {};
  EXPECT_EQ(copy.ToText(), text);
  copy.Add("e", "6");
  EXPECT_EQ(copy.ToText(), text + "e: 6\n");
  copy = fields;
  EXPECT_TRUE(copy.empty());
  EXPECT_EQ(copy.wire_size(), 0u);
}

TEST(FieldsTest, AListMayBecomeLargerThanWasReserved) {
  Fields fields;
  fields.Reserve(0, 0);
  fields.Reserve(2, 6);
  const std::string value(2000, 'v');
  fields.Add("ab", "c");
  const FieldLine first = fields.lines()[0];
  fields.Add("de", value);
  fields.Reserve(1, 1);
  fields.Add("f", "");
  EXPECT_EQ(fields.ToText(), "ab: c\nde: " + value + "\nf: \n");
  EXPECT_EQ(fields.lines()[0].value.data(), first.value.data());
}

TEST(FieldsTest, EveryByteOfANameIsLoweredAsItself) {
  std::string bytes;
  std::string lowered;
  for (int c = 0; c < 256; ++c) {
    bytes += static_cast<char>(c);
    lowered += static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
  }
  for (size_t size = 0; size <= 24; ++size) {
    for (size_t at = 0; at + size <= bytes.size(); ++at) {
      EXPECT_EQ(LowerName(bytes.substr(at, size)), lowered.substr(at, size));
    }
  }
}

TEST(FieldsTest, AListThatWasClearedIsFilledAgainInTheSameMemory) {
  Fields fields;
  fields.Add("name", "value");
  const char* place = fields.lines()[0].name.data();
  fields.Clear();
  fields.Add("other", "thing");
  EXPECT_EQ(fields.lines()[0].name.data(), place);
}

TEST(FieldsTest, ValueMayBeAViewIntoTheListItself) {
  Fields fields = {{"a", "1"}};
  for (int i = 0; i < 200; ++i) fields.Add("again", *fields.Get("a"));
  EXPECT_EQ(fields.lines().back().value, "1");
  fields.Set("a", *fields.Get("again"));
  EXPECT_EQ(fields.Get("a"), "1");
}

TEST(FieldSyntaxTest, Tokens) {
  EXPECT_TRUE(IsToken("content-type"));
  EXPECT_TRUE(IsToken("!#$%&'*+-.^_`|~09azAZ"));
  for (const char* bad :
       {"", " ", "a b", "a:", "a\t", "\"a\"", "a,b", "a/b", "(a)", "\x7f", "\x80"}) {
    EXPECT_FALSE(IsToken(bad)) << bad;
  }
  EXPECT_FALSE(IsToken(std::string_view("a\0b", 3)));
}

TEST(FieldSyntaxTest, Values) {
  EXPECT_TRUE(IsFieldValue(""));
  EXPECT_TRUE(IsFieldValue("text with spaces\tand tabs"));
  EXPECT_TRUE(IsFieldValue("obs-text \xe4\xf6\xfc"));
  for (const char* bad : {"a\rb", "a\nb", "a\r\nb", "\x01", "a\x7f"})
    EXPECT_FALSE(IsFieldValue(bad));
  EXPECT_FALSE(IsFieldValue(std::string_view("a\0b", 3)));
}

}  // namespace
}  // namespace nearside::http
