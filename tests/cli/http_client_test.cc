#include "cli/http_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include "tests/cli/scripted_server.h"
#include "tests/support/temp_dir.h"

namespace nearside::cli::test {
namespace {

using ::testing::HasSubstr;

HttpClient ClientOf(const ScriptedServer& server) {
  return HttpClient(ServerUrl::Parse(server.url()).value());
}

HttpRequest Get(std::string target = "/") {
  HttpRequest request;
  request.target = std::move(target);
  request.timeout = seconds(20);
  return request;
}

const std::string kOk = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

TEST(HttpClientTest, SendsAProperRequestAndReadsTheAnswer) {
  std::string head;
  ScriptedServer server({[&](int fd) {
    head = ScriptedServer::ReadHead(fd);
    ScriptedServer::Write(
        fd,
        "HTTP/1.1 201 Created\r\netag: \"x\"\r\ntransfer-encoding: chunked\r\n\r\n"
        "5\r\nhello\r\n0\r\n\r\n");
  }});
  HttpClient client = ClientOf(server);
  HttpRequest request = Get("/a?b");
  request.fields.Set("x-test", "1");
  const HttpResponse response = client.Send(request).value();
  EXPECT_EQ(response.status, 201);
  EXPECT_EQ(response.body, "hello");
  EXPECT_EQ(response.fields.Get("etag"), "\"x\"");
  EXPECT_THAT(head, HasSubstr("GET /a?b HTTP/1.1\r\n"));
  EXPECT_THAT(head, HasSubstr("x-test: 1\r\n"));
  EXPECT_THAT(head, HasSubstr("127.0.0.1:" + std::to_string(server.port()) + "\r\n"));
}

TEST(HttpClientTest, KeepsTheConnectionAndConnectsAnewWhenItDiedIdle) {
  ScriptedServer server({[](int fd) {
                           (void)ScriptedServer::ReadHead(fd);
                           ScriptedServer::Write(fd, kOk);
                           (void)ScriptedServer::ReadHead(fd);
                           ScriptedServer::Write(fd, kOk);
                         },
                         [](int fd) {
                           (void)ScriptedServer::ReadHead(fd);
                           ScriptedServer::Write(fd, kOk);
                         }});
  HttpClient client = ClientOf(server);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(client.Send(Get())->body, "ok") << i;
}

TEST(HttpClientTest, AConnectionThatWasClosedMeanwhileLosesNoPost) {
  const auto serve_one = [](int fd) {
    (void)ScriptedServer::ReadHead(fd);
    ScriptedServer::Write(fd, kOk);
  };
  ScriptedServer server({serve_one, serve_one, serve_one});
  HttpClient client = ClientOf(server);
  EXPECT_EQ(client.Send(Get())->status, 200);
  // The second connection is served only when the first has been closed.
  HttpClient other = ClientOf(server);
  EXPECT_EQ(other.Send(Get())->status, 200);
  HttpRequest post = Get();
  post.method = "POST";
  post.text = "";
  EXPECT_EQ(client.Send(post)->status, 200);
}

TEST(HttpClientTest, APostIsNotSentTwice) {
  ScriptedServer server({[](int fd) {
    (void)ScriptedServer::ReadHead(fd);
    ScriptedServer::Write(fd, kOk);
    (void)ScriptedServer::ReadHead(fd);
  }});
  HttpClient client = ClientOf(server);
  HttpRequest post = Get();
  post.method = "POST";
  post.text = "";
  EXPECT_EQ(client.Send(post)->status, 200);
  EXPECT_EQ(client.Send(post).error().reason, "unreachable");
}

TEST(HttpClientTest, ARefusalInTheMiddleOfAnUploadIsRead) {
  nearside::test::TempDir dir;
  const std::string file = dir.Write("large", std::string(50'000'000, 'x'));
  ScriptedServer server({[](int fd) {
    (void)ScriptedServer::ReadHead(fd);
    ScriptedServer::Write(fd, "HTTP/1.1 413 Content Too Large\r\ncontent-length: 3\r\n\r\nbig");
    char dropped[65536];
    while (::recv(fd, dropped, sizeof dropped, 0) > 0) {
    }
  }});
  HttpClient client = ClientOf(server);
  HttpRequest put = Get();
  put.method = "PUT";
  put.file = file;
  put.file_bytes = 50'000'000;
  uint64_t sent = 0;
  put.on_sent = [&](uint64_t n) { sent += n; };
  const Result<HttpResponse> response = client.Send(put);
  ASSERT_TRUE(response) << response.error().ToString();
  EXPECT_EQ(response->status, 413);
  EXPECT_EQ(response->body, "big");
  EXPECT_LT(sent, 50'000'000u);
}

TEST(HttpClientTest, AFileThatBecameShorterIsSaidSo) {
  nearside::test::TempDir dir;
  ScriptedServer server({[](int fd) {
    (void)ScriptedServer::ReadHead(fd);
    (void)ScriptedServer::ReadHead(fd);  // the rest, until the client ends the connection
  }});
  HttpClient client = ClientOf(server);
  HttpRequest put = Get();
  put.method = "PUT";
  put.file = dir.Write("short", "12345");
  put.file_bytes = 10;
  EXPECT_EQ(client.Send(put).error().reason, "file_changed");
  put.file = dir.In("none");
  EXPECT_EQ(client.Send(put).error().reason, "cannot_read");
}

TEST(HttpClientTest, AContentGoesToItsTakerInPiecesAndItsErrorEndsTheRequest) {
  const std::string content(300'000, 'x');
  const auto serve = [&](int fd) {
    (void)ScriptedServer::ReadHead(fd);
    ScriptedServer::Write(fd, "HTTP/1.1 200 OK\r\ncontent-length: 300000\r\n\r\n" + content);
  };
  ScriptedServer server({serve, serve});
  HttpClient client = ClientOf(server);
  HttpRequest request = Get();
  std::string taken;
  request.on_body = [&](std::string_view piece) -> Status {
    taken += piece;
    return {};
  };
  EXPECT_EQ(client.Send(request)->body, "");
  EXPECT_EQ(taken, content);
  HttpClient second = ClientOf(server);
  request.on_body = [](std::string_view) -> Status {
    return Fail(Fault::kOperator, "cannot_write", "full");
  };
  EXPECT_EQ(second.Send(request).error().reason, "cannot_write");
}

TEST(HttpClientTest, NonsenseAndCutOffAnswersAreErrors) {
  const std::pair<std::string, std::string> rows[] = {
      {"SSH-2.0-OpenSSH\r\n", "bad_response"},
      {"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhel", "unreachable"},
      {"", "unreachable"},
      {"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n", "bad_response"},
  };
  for (const auto& [answer, reason] : rows) {
    ScriptedServer server({[&answer = answer](int fd) {
      (void)ScriptedServer::ReadHead(fd);
      ScriptedServer::Write(fd, answer);
    }});
    HttpClient client = ClientOf(server);
    EXPECT_EQ(client.Send(Get()).error().reason, reason) << answer;
  }
}

TEST(HttpClientTest, ASilentServerIsATimeout) {
  ScriptedServer server({[](int fd) {
    while (!ScriptedServer::ReadHead(fd).empty()) {
    }
  }});
  HttpClient client = ClientOf(server);
  HttpRequest request = Get();
  request.timeout = milliseconds(50);
  EXPECT_EQ(client.Send(request).error().reason, "timeout");
}

TEST(HttpClientTest, ARefusedConnectionSaysWhereItWentAndWhatToDo) {
  uint16_t port = 0;
  {
    ScriptedServer server({});
    port = server.port();
  }
  HttpClient client(ServerUrl::Parse("http://127.0.0.1:" + std::to_string(port)).value());
  const Error error = client.Send(Get()).error();
  EXPECT_EQ(error.reason, "unreachable");
  EXPECT_THAT(error.message, HasSubstr("Connection refused"));
  EXPECT_THAT(error.message, HasSubstr("--origin"));
}

TEST(ServerUrlTest, TakesHttpUrlsWithoutAPath) {
  EXPECT_EQ(ServerUrl::Parse("http://127.0.0.1:9000")->Authority(), "127.0.0.1:9000");
  EXPECT_EQ(ServerUrl::Parse("http://origin.test/")->Authority(), "origin.test:80");
  EXPECT_EQ(ServerUrl::Parse("http://[::1]:9000")->ToString(), "http://[::1]:9000");
  EXPECT_EQ(ServerUrl::Parse("https://origin.test")->ToString(), "https://origin.test:443");
  EXPECT_TRUE(ServerUrl::Parse("https://origin.test:9443")->tls);
  EXPECT_FALSE(ServerUrl::Parse("http://origin.test")->tls);
  for (const char* url :
       {"", "127.0.0.1:9000", "ftp://x", "http://x/path", "http://x?q", "http://"}) {
    EXPECT_EQ(ServerUrl::Parse(url).error().reason, "bad_url") << url;
  }
}

}  // namespace
}  // namespace nearside::cli::test
