#pragma once

// A file of three slices and some at a scripted origin that serves it as servers of files do.

#include <gmock/gmock.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "edge/cache_key.h"
#include "http/range.h"
#include "tests/edge/patterns.h"
#include "tests/edge/request_fixture.h"

namespace nearside::edge {

inline constexpr std::string_view kTagged = "Cache-Control: max-age=60\nETag: \"v1\"\n";
inline constexpr std::string_view kSliced = "slice = \"64KiB\"\n";  // one chunk

class RequestSlicesTest : public RequestTest {
 protected:
  FakeExchange& GetRange(std::string_view range, http::Fields fields = {},
                         std::string_view target = "/film") {
    fields.Add("range", range);
    return Get(target, std::move(fields));
  }
  /// The next request of the edge, answered as a server of files would.
  std::string AnswerRange(std::string_view lines = kTagged) {
    const ScriptedOrigin::Asked asked = origin_.Next();
    const http::RangeSelection selected = http::SelectRanges(asked.Field("range"), film_.size());
    if (selected.ranges.size() != 1) {
      asked.Answer("200 OK", lines, film_);
    } else {
      const http::ByteRange range = selected.ranges.front();
      const std::string told =
          "Content-Range: " + http::FormatContentRange({.range = range, .length = film_.size()}) +
          "\n";
      asked.Answer("206 Partial Content", told + std::string(lines),
                   std::string_view(film_).substr(range.first, range.size()));
    }
    return asked.Field("range");
  }
  /// The next request of the edge is for the whole: its first thousand bytes have come to `client`.
  ScriptedOrigin::Asked BeginWhole(const FakeExchange& client) {
    const ScriptedOrigin::Asked asked = origin_.Next();
    asked.Send(
        "HTTP/1.1 200 OK\r\nAccept-Ranges: bytes\r\nCache-Control: max-age=60\r\n"
        "ETag: \"v1\"\r\nContent-Length: " +
        std::to_string(film_.size()) + "\r\n\r\n" + Part(0, 1000));
    EXPECT_TRUE(thread_.Await([&] { return client.body.size() == 1000; }));
    return asked;
  }
  /// The film is known, and its first slice stored.
  void HaveFirstSlice() {
    FakeExchange& first = GetRange("bytes=0-9");
    AnswerRange();
    Answer(first);
  }
  std::string Part(uint64_t first, uint64_t size) const { return film_.substr(first, size); }

  std::string film_ = Pattern(3 * kChunkBytes + 1000);
};

}  // namespace nearside::edge
