#include "http/http1_writer.h"

#include <gtest/gtest.h>

#include "tests/http/http1_trace.h"

namespace nearside::http {
namespace {

TEST(Http1WriterTest, ResponseHeads) {
  const FieldLine lines[] = {{"content-type", "text/plain"}};
  const FieldLine more[] = {{"age", "5"}};
  std::string out;
  AppendResponseHead(200, lines, more, {.date = "Sun, 06 Nov 1994 08:49:37 GMT"}, &out);
  EXPECT_EQ(out,
            "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\nage: 5\r\n"
            "date: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n");
  out.clear();
  AppendResponseHead(404, {}, {}, {.zero_length = true, .close = true}, &out);
  EXPECT_EQ(out, "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
  out.clear();
  AppendResponseHead(299, {}, {}, {.chunked = true, .keep_alive = true}, &out);
  EXPECT_EQ(out, "HTTP/1.1 299 \r\ntransfer-encoding: chunked\r\nconnection: keep-alive\r\n\r\n");
}

TEST(Http1WriterTest, InterimHeads) {
  std::string out;
  AppendInterimHead(103, {{"link", "</a.css>"}}, &out);
  EXPECT_EQ(out, "HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\n");
}

RequestHead Head(std::string_view method) {
  RequestHead head;
  head.method = method;
  head.authority = "a.test:80";
  head.target = "/x?y";
  return head;
}

TEST(Http1WriterTest, RequestHeads) {
  RequestHead head = Head("GET");
  head.fields = {{"accept", "*/*"},       {"host", "evil"},
                 {"content-length", "5"}, {"transfer-encoding", "chunked"},
                 {"connection", "x"},     {"x", "y"}};
  std::string out;
  AppendRequestHead(head, {}, &out);
  EXPECT_EQ(out, "GET /x?y HTTP/1.1\r\nhost: a.test:80\r\naccept: */*\r\nx: y\r\n\r\n");
}

TEST(Http1WriterTest, RequestFraming) {
  const auto text = [](std::string_view method, const RequestFraming& framing) {
    std::string out;
    AppendRequestHead(Head(method), framing, &out);
    return out.substr(out.find("a.test:80\r\n") + 11);
  };
  EXPECT_EQ(text("GET", {}), "\r\n");
  EXPECT_EQ(text("POST", {}), "content-length: 0\r\n\r\n");
  EXPECT_EQ(text("DELETE", {}), "\r\n");
  EXPECT_EQ(text("PUT", {.has_body = true, .body_bytes = 7}), "content-length: 7\r\n\r\n");
  EXPECT_EQ(text("PUT", {.has_body = true}), "transfer-encoding: chunked\r\n\r\n");
  EXPECT_EQ(text("GET", {.close = true}), "connection: close\r\n\r\n");
}

TEST(Http1WriterTest, WhatIsWrittenIsReadBack) {
  std::string out;
  RequestHead head = Head("PUT");
  head.fields = {{"etag", "\"x\""}};
  AppendRequestHead(head, {.has_body = true}, &out);
  char buffer[kChunkHeaderBytes];
  out.append(FormatChunkHeader(26, buffer)).append("abcdefghijklmnopqrstuvwxyz\r\n");
  const Fields trailers = {{"x-sum", "1"}};
  AppendLastChunk(&trailers, &out);
  EXPECT_EQ(
      TraceRequests({out}),
      "PUT /x?y at a.test:80\netag: \"x\"\n= chunked, keep-alive\nbody abcdefghijklmnopqrstuvwxyz\n"
      "end x-sum: 1\n\n");
}

TEST(Http1WriterTest, ChunkHeaders) {
  char buffer[kChunkHeaderBytes];
  EXPECT_EQ(FormatChunkHeader(0, buffer), "0\r\n");
  EXPECT_EQ(FormatChunkHeader(255, buffer), "ff\r\n");
  EXPECT_EQ(FormatChunkHeader(~uint64_t{0}, buffer), "ffffffffffffffff\r\n");
  std::string out;
  AppendLastChunk(nullptr, &out);
  EXPECT_EQ(out, "0\r\n\r\n");
}

}  // namespace
}  // namespace nearside::http
