#include "http/http1_body.h"

#include <gtest/gtest.h>

#include <string>

namespace nearside::http {
namespace {

/// Body, then how it ended, then what is left of the input.
std::string Read(std::string_view input) {
  Http1BodyReader reader;
  reader.Start(BodyFraming::kChunked, 0, {});
  std::string body;
  while (true) {
    switch (reader.Next(&input)) {
      case Http1BodyReader::State::kPiece:
        body.append(reinterpret_cast<const char*>(reader.piece().data()), reader.piece().size());
        break;
      case Http1BodyReader::State::kMore:
        return body + "|more";
      case Http1BodyReader::State::kEnd:
        return body + "|end|" + std::string(input);
      case Http1BodyReader::State::kRefused:
        return body + "|" + std::string(RefusalName(reader.refusal()));
    }
  }
}

TEST(Http1BodyTest, ChunkedBodies) {
  const struct {
    std::string input;
    const char* outcome;
  } rows[] = {
      {"0\r\n\r\n", "|end|"},
      {"5\r\nhello\r\n0\r\n\r\nnext", "hello|end|next"},
      {"00005\r\nhello\r\n00\r\n\r\n", "hello|end|"},
      {"a\r\n0123456789\r\n0\r\n\r\n", "0123456789|end|"},
      {"A\r\n0123456789\r\n0\r\n\r\n", "0123456789|end|"},
      {"5;a\r\nhello\r\n0;last\r\n\r\n", "hello|end|"},
      {"5 ; a=\"b\"\r\nhello\r\n0\r\n\r\n", "hello|end|"},
      {"5\r\nhel", "hel|more"},
      {"5\r\nhello\r\n0\r\n", "hello|more"},
      {"\r\n", "|bad_chunk_size"},
      {"x\r\n", "|bad_chunk_size"},
      {"-1\r\n", "|bad_chunk_size"},
      {"+1\r\n", "|bad_chunk_size"},
      {" 5\r\n", "|bad_chunk_size"},
      {"0x5\r\n", "|bad_chunk_size"},
      {"5 \r\nhello", "|bad_chunk_size"},
      {"5 5\r\n", "|bad_chunk_size"},
      {"5,5\r\n", "|bad_chunk_size"},
      {"1000000000000000\r\n", "|bad_chunk_size"},
      {"ffffffffffffffffff\r\n", "|bad_chunk_size"},
      {"5\nhello", "|bare_lf"},
      {"5;a\nb\r\n", "|bare_lf"},
      {"5;a\rb\r\n", "|bare_cr"},
      {"5\r\nhello0\r\n\r\n", "hello|bad_chunk_end"},
      {"5\r\nhello\n0\r\n\r\n", "hello|bad_chunk_end"},
      {"5\r\nhello\rx", "hello|bad_chunk_end"},
      {"5\r\nhello \r\n", "hello|bad_chunk_end"},
      {"0\r\nbad trailer\r\n\r\n", "|missing_colon"},
      {"5;" + std::string(300, 'x') + "\r\nhello", "|chunk_line_too_long"},
      {"fffffffffffffff\r\nx", "x|more"},
  };
  for (const auto& row : rows) EXPECT_EQ(Read(row.input), row.outcome) << row.input;
}

TEST(Http1BodyTest, AllExtensionsTogetherAreBounded) {
  std::string input;
  for (int i = 0; i < 100; ++i) input += "1;" + std::string(200, 'e') + "\r\nx\r\n";
  EXPECT_TRUE(Read(input).ends_with("|too_many_extensions"));
}

TEST(Http1BodyTest, ByLength) {
  Http1BodyReader reader;
  reader.Start(BodyFraming::kLength, 5, {});
  std::string_view input = "hel";
  EXPECT_EQ(reader.Next(&input), Http1BodyReader::State::kPiece);
  EXPECT_EQ(reader.piece().size(), 3u);
  EXPECT_EQ(reader.Next(&input), Http1BodyReader::State::kMore);
  EXPECT_FALSE(reader.EndOfInput());
  input = "lo and more";
  EXPECT_EQ(reader.Next(&input), Http1BodyReader::State::kPiece);
  EXPECT_EQ(reader.piece().size(), 2u);
  EXPECT_EQ(reader.Next(&input), Http1BodyReader::State::kEnd);
  EXPECT_EQ(input, " and more");
  EXPECT_TRUE(reader.EndOfInput());
}

TEST(Http1BodyTest, ChunkSizes) {
  uint64_t size = 0;
  EXPECT_EQ(ParseChunkSize("fffffffffffffff", &size), Refusal::kNone);
  EXPECT_EQ(size, 0xfffffffffffffffu);
  EXPECT_EQ(ParseChunkSize("0", &size), Refusal::kNone);
  EXPECT_EQ(size, 0u);
}

TEST(Http1LineTest, FindControlLooksAtEveryByte) {
  for (size_t size = 0; size < 70; ++size) {
    const std::string plain(size, 'a');
    EXPECT_EQ(FindControl(plain), size);
    for (size_t place = 0; place < size; ++place) {
      for (const char control : {'\0', '\r', '\n', '\x1f', '\x7f', '\x01'}) {
        std::string text = plain;
        text[place] = control;
        ASSERT_EQ(FindControl(text), place) << size;
      }
      for (const char fine : {'\t', ' ', '\x80', '\xff', '~'}) {
        std::string text = plain;
        text[place] = fine;
        ASSERT_EQ(FindControl(text), size) << place;
      }
    }
  }
}

}  // namespace
}  // namespace nearside::http
