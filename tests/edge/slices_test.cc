#include "edge/slices.h"

#include <gtest/gtest.h>

#include "tests/edge/messages.h"

namespace nearside::edge {
namespace {

using http::Fields;

constexpr uint64_t kSlice = 100;

std::string SliceFor(std::string_view range, std::string_view method = "GET") {
  Fields fields;
  if (!range.empty()) fields.Add("range", range);
  const auto n =
      FirstSlice(RequestFor(method, "https://www.demo.test/a", std::move(fields)), kSlice);
  return n ? std::to_string(*n) : "none";
}

TEST(SlicesTest, TheFirstRangeTellsTheFirstSlice) {
  const struct {
    const char* range;
    const char* slice;
  } rows[] = {
      {"bytes=0-", "0"},
      {"bytes=0-0", "0"},
      {"bytes=99-", "0"},
      {"bytes=100-", "1"},
      {"bytes=250-260", "2"},
      {"bytes=-5", "0"},
      {"bytes=500-, 300-301", "3"},
      {"bytes=500-, -1", "0"},
      {"BYTES=100-", "1"},
      {"", "none"},
      {"bytes=", "none"},
      {"bytes=5-1", "none"},
      {"pages=1-2", "none"},
      {"bytes=a-", "none"},
      {"bytes=99999999999999999999-", "none"},
  };
  for (const auto& row : rows) EXPECT_EQ(SliceFor(row.range), row.slice) << row.range;
  for (const char* condition : {"if-range", "if-match", "if-none-match", "if-modified-since"}) {
    const Fields fields = {{"range", "bytes=500-"}, {condition, "\"v\""}};
    EXPECT_EQ(FirstSlice(GetFor("https://a.test/", fields), kSlice), uint64_t{0}) << condition;
  }
  EXPECT_EQ(SliceFor("bytes=0-", "HEAD"), "none");
  EXPECT_EQ(FirstSlice(GetFor("https://a.test/", {{"range", "bytes=0-"}}), 0), std::nullopt);
}

TEST(SlicesTest, TheLastBytesAreATail) {
  const struct {
    const char* range;
    uint64_t tail_bytes;
  } rows[] = {
      {"bytes=-5", 5}, {"BYTES= -5", 5}, {"bytes=-100", 100}, {"bytes=-101", 0},   {"bytes=-0", 0},
      {"bytes=5-", 0}, {"bytes=0-4", 0}, {"bytes=-5,-6", 0},  {"bytes=--5", 0},    {"pages=-5", 0},
      {"bytes=", 0},   {"bytes=-", 0},   {"bytes=-5,", 5},    {"bytes=-5,0-0", 0}, {"", 0},
  };
  for (const auto& row : rows) {
    const Fields fields = {{"range", row.range}};
    EXPECT_EQ(TailOf(GetFor("https://a.test/", fields), kSlice), row.tail_bytes) << row.range;
  }
  for (const char* condition :
       {"if-range", "if-match", "if-none-match", "if-modified-since", "if-unmodified-since"}) {
    const Fields fields = {{"range", "bytes=-5"}, {condition, "\"v\""}};
    EXPECT_EQ(TailOf(GetFor("https://a.test/", fields), kSlice), 0u) << condition;
  }
  const Fields twice = {{"range", "bytes=-5"}, {"range", "bytes=-6"}};
  EXPECT_EQ(TailOf(GetFor("https://a.test/", twice), kSlice), 0u);
  EXPECT_EQ(TailOf(GetFor("https://a.test/", {{"range", "bytes=-5"}}), 0), 0u) << "no slices";
  EXPECT_EQ(TailOf(RequestFor("HEAD", "https://a.test/", {{"range", "bytes=-5"}}), kSlice), 0u);
}

TEST(SlicesTest, MoreRangesThanARequestMayHaveAreNoReasonForASlice) {
  std::string range = "bytes=0-0";
  for (size_t i = 0; i < http::kRangesInRequest; ++i) range += ",5-5";
  EXPECT_EQ(SliceFor(range), "none");
}

TEST(SlicesTest, SpansCoverTheWholeAndNothingElse) {
  const Slicing slicing{.slice_bytes = 100, .total_bytes = 250};
  EXPECT_EQ(SliceSpan(slicing, 0), (ByteSpan{0, 100}));
  EXPECT_EQ(SliceSpan(slicing, 1), (ByteSpan{100, 200}));
  EXPECT_EQ(SliceSpan(slicing, 2), (ByteSpan{200, 250}));
  EXPECT_EQ(SliceSpan(slicing, 3), (ByteSpan{250, 250}));
}

TEST(SlicesTest, LengthsAreWholeChunks) {
  SiteSettings site = DefaultSite();
  EXPECT_EQ(SliceBytes(site), 64 * kChunkBytes);
  for (const auto& [setting, bytes] :
       {std::pair{uint64_t{0}, uint64_t{0}}, std::pair{uint64_t{1}, uint64_t{kChunkBytes}},
        std::pair{uint64_t{2 * kChunkBytes + 1}, uint64_t{2 * kChunkBytes}}}) {
    site.slice = {setting};
    EXPECT_EQ(SliceBytes(site), bytes);
  }
}

StoredResponse Film(std::string_view etag = "\"v1\"", Slicing slicing = {100, 250}) {
  StoredResponse film;
  film.status = 200;
  film.fields.Add("etag", etag);
  film.slicing = slicing;
  return film;
}

TEST(SlicesTest, KeysTellVersionsAndCutsApart) {
  Key256 key;
  Key256 other;
  other.bytes.fill(1);
  const Key256 first = SliceKey(key, Film(), 0);
  EXPECT_EQ(first, SliceKey(key, Film(), 0));
  EXPECT_NE(first, SliceKey(key, Film(), 1));
  EXPECT_NE(first, SliceKey(other, Film(), 0));
  EXPECT_NE(first, SliceKey(key, Film("\"v2\""), 0));
  EXPECT_NE(first, SliceKey(key, Film("\"v1\"", {100, 251}), 0));
  EXPECT_NE(first, SliceKey(key, Film("\"v1\"", {50, 250}), 0));
  EXPECT_NE(first, key);
}

/// "slice 250", "whole 250", or "unusable".
std::string Read(Fields fields, uint64_t n) {
  const PartialAnswer answer =
      ReadPartial({.status = 206, .fields = std::move(fields)}, n, kSlice, kNow);
  if (answer.kind == PartialAnswer::Kind::kUnusable) return "unusable";
  EXPECT_EQ(answer.whole.status, 200);
  EXPECT_FALSE(answer.whole.fields.Has("content-range"));
  const bool slice = answer.kind == PartialAnswer::Kind::kSlice;
  if (slice) {
    EXPECT_EQ(answer.slicing.slice_bytes, kSlice);
    EXPECT_EQ(std::to_string(answer.slicing.total_bytes),
              answer.whole.fields.Joined("content-length"));
  }
  return (slice ? "slice " : "whole ") + answer.whole.fields.Joined("content-length");
}

TEST(SlicesTest, WhatAPartIsGoodFor) {
  const struct {
    const char* content_range;
    const char* length;
    const char* etag;
    uint64_t n;
    const char* expected;
  } rows[] = {
      {"bytes 0-99/250", "100", "\"v\"", 0, "slice 250"},
      {"bytes 100-199/250", "100", "\"v\"", 1, "slice 250"},
      {"bytes 200-249/250", "50", "\"v\"", 2, "slice 250"},
      {"bytes 0-99/250", "", "\"v\"", 0, "slice 250"},      // chunked
      {"bytes 0-99/250", "99", "\"v\"", 0, "unusable"},     // contradicts itself
      {"bytes 0-99/250", "100", "", 0, "unusable"},         // no validator
      {"bytes 0-99/250", "100", "W/\"v\"", 0, "unusable"},  // RFC 9110 §15.3.7.3: a strong one
      {"bytes 0-99/250", "100", "v", 0, "unusable"},
      {"bytes 0-99/*", "100", "\"v\"", 0, "unusable"},
      {"bytes 0-98/250", "99", "\"v\"", 0, "unusable"},      // less than was asked for
      {"bytes 100-199/250", "100", "\"v\"", 0, "unusable"},  // another one
      {"bytes 200-299/250", "100", "\"v\"", 2, "unusable"},  // behind its end
      {"pages 0-99/250", "100", "\"v\"", 0, "unusable"},
      {"bytes 0-99/4611686018427387904", "100", "\"v\"", 0, "slice 4611686018427387904"},
      {"bytes 0-99/4611686018427387905", "100", "\"v\"", 0, "unusable"},
      {"", "100", "\"v\"", 0, "unusable"},
      {"bytes 0-49/50", "50", "", 0, "whole 50"},  // needs no validator
      {"bytes 0-99/100", "100", "", 0, "whole 100"},
      {"bytes 0-49/50", "49", "", 0, "unusable"},
  };
  for (const auto& row : rows) {
    Fields fields;
    if (*row.content_range != 0) fields.Add("content-range", row.content_range);
    if (*row.length != 0) fields.Add("content-length", row.length);
    if (*row.etag != 0) fields.Add("etag", row.etag);
    EXPECT_EQ(Read(std::move(fields), row.n), row.expected)
        << row.content_range << " " << row.length << " " << row.etag;
  }
  EXPECT_EQ(Read({{"content-range", "bytes 0-99/250"},
                  {"content-range", "bytes 0-9/250"},
                  {"etag", "\"v\""}},
                 0),
            "unusable");
}

// RFC 9530 §2: the representation's stays, that of the part is not of the whole.
TEST(SlicesTest, TheDigestOfAPartIsNotThatOfTheWhole) {
  const auto digests = [](std::string_view content_range) {
    const http::ResponseHead part{.status = 206,
                                  .fields = {{"content-range", content_range},
                                             {"content-digest", "sha-256=:x:"},
                                             {"repr-digest", "sha-256=:y:"},
                                             {"etag", "\"v\""}}};
    const Fields whole = ReadPartial(part, 0, kSlice, kNow).whole.fields;
    return std::pair(whole.Has("content-digest"), whole.Has("repr-digest"));
  };
  EXPECT_EQ(digests("bytes 0-99/250"), std::pair(false, true));
  EXPECT_EQ(digests("bytes 0-49/50"), std::pair(true, true)) << "it is all of it";
}

TEST(SlicesTest, ADateIsAValidatorWhereItIsStrongAndThereIsNoTag) {
  const struct {
    Fields fields;
    const char* expected;
  } rows[] = {
      {{{"last-modified", DateAt(-9)}, {"date", DateAt(-8)}}, "slice 250"},
      {{{"last-modified", DateAt(-9)}, {"date", DateAt(-9)}}, "unusable"},
      {{{"last-modified", DateAt(-1)}}, "slice 250"},
      {{{"last-modified", DateAt(0)}}, "unusable"},
      {{{"last-modified", "once"}}, "unusable"},
      {{{"last-modified", DateAt(-9)}, {"etag", "W/\"v\""}}, "unusable"},
      {{{"last-modified", DateAt(0)}, {"etag", "\"v\""}}, "slice 250"},
  };
  for (const auto& row : rows) {
    Fields fields = row.fields;
    fields.Add("content-range", "bytes 0-99/250");
    EXPECT_EQ(Read(fields, 0), row.expected) << TextOf(row.fields);
  }
  StoredResponse film;
  film.fields = {{"last-modified", DateAt(-9)}};
  film.slicing = {100, 250};
  const auto is_slice = [&film](std::string_view modified) {
    return IsSliceOf({.status = 206,
                      .fields = {{"content-range", "bytes 0-99/250"}, {"last-modified", modified}}},
                     film, 0, kNow);
  };
  EXPECT_TRUE(is_slice(DateAt(-9)));
  EXPECT_FALSE(is_slice(DateAt(-8)));
}

TEST(SlicesTest, ASliceIsOfTheStoredVersionOrOfNone) {
  const struct {
    int status;
    const char* content_range;
    const char* etag;
    bool is;
  } rows[] = {
      {206, "bytes 100-199/250", "\"v1\"", true},    {206, "bytes 100-199/250", "\"v2\"", false},
      {206, "bytes 100-199/250", "W/\"v1\"", false}, {206, "bytes 100-199/251", "\"v1\"", false},
      {206, "bytes 0-99/250", "\"v1\"", false},      {206, "bytes 100-198/250", "\"v1\"", false},
      {200, "bytes 100-199/250", "\"v1\"", false},   {206, "bytes 100-199/250", "", false},
  };
  for (const auto& row : rows) {
    Fields fields = {{"content-range", row.content_range}};
    if (*row.etag != 0) fields.Add("etag", row.etag);
    EXPECT_EQ(IsSliceOf({.status = row.status, .fields = fields}, Film(), 1, kNow), row.is)
        << row.status << " " << row.content_range << " " << row.etag;
  }
}

TEST(SlicesTest, AWholeIsOfTheStoredVersionOrOfNone) {
  const struct {
    int status;
    Fields fields;
    bool is;
  } rows[] = {
      {200, {{"etag", "\"v1\""}, {"content-length", "250"}}, true},
      {200, {{"etag", "\"v1\""}}, true},
      {200, {{"etag", "\"v1\""}, {"content-length", "251"}}, false},
      {200, {{"etag", "\"v2\""}, {"content-length", "250"}}, false},
      {200, {{"etag", "W/\"v1\""}, {"content-length", "250"}}, false},
      {200, {{"content-length", "250"}}, false},
      {200, {{"etag", "\"v1\""}, {"content-encoding", "gzip"}}, false},
      {206, {{"etag", "\"v1\""}, {"content-length", "250"}}, false},
      {503, {{"etag", "\"v1\""}, {"content-length", "250"}}, false},
  };
  for (const auto& row : rows) {
    EXPECT_EQ(IsWholeOf({.status = row.status, .fields = row.fields}, Film(), kNow), row.is)
        << row.status << " " << row.fields.ToText();
  }
}

}  // namespace
}  // namespace nearside::edge
