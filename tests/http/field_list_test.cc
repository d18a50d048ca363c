#include "http/field_list.h"

#include <gtest/gtest.h>

#include <string>

namespace nearside::http {
namespace {

std::string Members(std::string_view value, char separator = ',') {
  std::string all;
  ListReader reader(value, separator);
  while (const auto member = reader.Next()) all.append("[").append(*member).append("]");
  return all;
}

TEST(FieldListTest, Members) {
  const struct {
    const char* value;
    const char* members;
  } rows[] = {
      {"", ""},
      {" ", ""},
      {",", ""},
      {" , ,, ", ""},
      {"a", "[a]"},
      {" a ", "[a]"},
      {"a,b", "[a][b]"},
      {"a , b,", "[a][b]"},
      {"a,,b", "[a][b]"},
      {"a=\"b,c\",d", "[a=\"b,c\"][d]"},
      {R"(a="b\",c",d)", R"([a="b\",c"][d])"},
      {R"(a="b\\",d)", R"([a="b\\"][d])"},
      {"a=\"unclosed, b", "[a=\"unclosed][b]"},
      {"\"a\",\"b\"", "[\"a\"][\"b\"]"},
      {"a\t,\tb", "[a][b]"},
      {"\\", "[\\]"},
      {"\"\\", "[\"\\]"},
  };
  for (const auto& row : rows) EXPECT_EQ(Members(row.value), row.members) << row.value;
  EXPECT_EQ(Members("a; b;c=\"x;y\"", ';'), "[a][b][c=\"x;y\"]");
}

TEST(FieldListTest, Arguments) {
  const auto text = [](std::string_view member) {
    const Argument argument = SplitArgument(member);
    return std::string(argument.name) + "|" +
           (argument.value ? std::string(*argument.value) : "none");
  };
  EXPECT_EQ(text("a"), "a|none");
  EXPECT_EQ(text("a="), "a|");
  EXPECT_EQ(text("a=b"), "a|b");
  EXPECT_EQ(text(" a = b "), "a|b");
  EXPECT_EQ(text("a=b=c"), "a|b=c");
  EXPECT_EQ(text("=b"), "|b");
  EXPECT_EQ(text("a=\"b c\""), "a|\"b c\"");
}

TEST(FieldListTest, QuotedStrings) {
  EXPECT_EQ(Unquote(R"("abc")"), "abc");
  EXPECT_EQ(Unquote(R"("")"), "");
  EXPECT_EQ(Unquote(R"("a\"b\\c\d")"), R"(a"b\cd)");
  for (const char* bad : {"", "a", "\"", "\"a", "a\"", "\"a\"b", R"("a\)", R"("a\")"}) {
    EXPECT_EQ(Unquote(bad), std::nullopt) << bad;
  }
  EXPECT_EQ(UnquoteIfQuoted("plain"), "plain");
  EXPECT_EQ(UnquoteIfQuoted("\"q\""), "q");
  EXPECT_EQ(UnquoteIfQuoted("\"half"), "\"half");
}

TEST(FieldListTest, QuoteIsReadBack) {
  for (const char* text : {"", "plain", "with \"quotes\" and \\", "tab\t"}) {
    EXPECT_EQ(Unquote(Quote(text)), text);
  }
  EXPECT_EQ(Quote("a\r\nb"), "\"ab\"");
}

TEST(FieldListTest, ListHasLooksAtAllLines) {
  const Fields fields = {
      {"connection", "keep-alive, Foo"}, {"x", "bar"}, {"connection", "UPGRADE"}};
  EXPECT_TRUE(ListHas(fields, "connection", "foo"));
  EXPECT_TRUE(ListHas(fields, "connection", "upgrade"));
  EXPECT_TRUE(ListHas(fields, "connection", "Keep-Alive"));
  EXPECT_FALSE(ListHas(fields, "connection", "bar"));
  EXPECT_FALSE(ListHas(fields, "connection", "keep"));
}

TEST(FieldListTest, HopByHopFieldsAreRemovedAndWhatConnectionNames) {
  Fields fields = {
      {"connection", "close, X-One"},   {"x-one", "1"},     {"x-two", "2"},
      {"keep-alive", "timeout=5"},      {"upgrade", "h2c"}, {"te", "trailers"},
      {"transfer-encoding", "chunked"}, {"trailer", "x"},   {"proxy-connection", "close"},
      {"connection", "x-Three"},        {"x-three", "3"},   {"x-one", "again"},
      {"content-length", "5"}};
  RemoveHopByHop(&fields);
  EXPECT_EQ(fields.ToText(), "x-two: 2\ncontent-length: 5\n");
}

TEST(FieldListTest, WithoutHopByHopFieldsNothingIsTouched) {
  Fields fields = {{"a", "1"}, {"b", "2"}};
  RemoveHopByHop(&fields);
  EXPECT_EQ(fields.ToText(), "a: 1\nb: 2\n");
}

TEST(FieldListTest, MisplacedTrailers) {
  for (const char* name : {"content-length", "transfer-encoding", "host", "age", "www-authenticate",
                           "te", "set-cookie", "content-type", "authorization"}) {
    EXPECT_FALSE(MayBeTrailer(name)) << name;
  }
  for (const char* name : {"etag", "server-timing", "repr-digest", "x-checksum", "grpc-status"}) {
    EXPECT_TRUE(MayBeTrailer(name)) << name;
  }
}

}  // namespace
}  // namespace nearside::http
