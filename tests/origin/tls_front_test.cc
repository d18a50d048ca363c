// The API behind TLS, asked by the command line's client, which is the other half of it.

#include "origin/tls_front.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <csignal>
#include <future>
#include <thread>

#include "cli/http_client.h"
#include "tests/net/test_authority.h"
#include "tests/origin/origin_fixture.h"

namespace nearside::origin::test {
namespace {

using ::testing::HasSubstr;

// As both programs do it.
[[maybe_unused]] const auto kBrokenPipesIgnored = std::signal(SIGPIPE, SIG_IGN);

class TlsFrontTest : public OriginTest {
 protected:
  void SetUp() override {
    Start();
    Open();
  }
  void TearDown() override {
    front_.reset();
    Stop();
  }
  void Open() {
    TlsFront::Options options;
    options.addresses = {*net::SocketAddress::Parse("127.0.0.1:0")};
    auto front = TlsFront::Open(options, {CertificateFor("127.0.0.1")},
                                [this](net::Descriptor socket, std::string client) {
                                  server_->Adopt(std::move(socket), std::move(client));
                                });
    ASSERT_TRUE(front) << front.error().ToString();
    front_ = std::move(*front);
    front_->Start();
  }
  net::Certificate CertificateFor(const std::string& address) const {
    net::TestAuthority::Leaf leaf;
    leaf.names = {"origin.test"};
    leaf.addresses = {address};
    return authority_.Issue(leaf);
  }
  std::string Url() const {
    return "https://127.0.0.1:" + std::to_string(front_->addresses().front().port());
  }
  cli::HttpClient Client() const {
    return cli::HttpClient(*cli::ServerUrl::Parse(Url()), authority_.file());
  }
  static cli::HttpRequest Authorized(std::string method, std::string target) {
    cli::HttpRequest request;
    request.method = std::move(method);
    request.target = std::move(target);
    request.fields.Set("authorization", "Bearer " + std::string(kAdminToken));
    request.timeout = seconds(20);
    return request;
  }

  net::TestAuthority authority_;
  std::unique_ptr<TlsFront> front_;
  std::future<int> purged_;
};

TEST_F(TlsFrontTest, TheApiIsSpokenThroughIt) {
  MakeSite();
  cli::HttpClient client = Client();
  cli::HttpRequest put = Authorized("PUT", "/v1/sites/demo/assets/a.txt");
  put.text = "content";
  auto stored = client.Send(put);
  ASSERT_TRUE(stored) << stored.error().ToString();
  EXPECT_EQ(stored->status, 201);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(client.Send(Authorized("GET", "/v1/sites/demo/assets/a.txt"))->body, "content");
  }
  EXPECT_EQ(server_->gate_counters().accepted, 2u) << "one connection, and that of MakeSite";
}

TEST_F(TlsFrontTest, LargeContentsGoBothWaysWhole) {
  MakeSite();
  std::string large(24 << 20, '\0');
  for (size_t i = 0; i < large.size(); ++i) large[i] = static_cast<char>(i * 131 >> 7);
  const std::string file = dir_.Write("large.bin", large);
  cli::HttpClient client = Client();
  cli::HttpRequest put = Authorized("PUT", "/v1/sites/demo/assets/large.bin");
  put.file = file;
  put.file_bytes = large.size();
  auto stored = client.Send(put);
  ASSERT_TRUE(stored) << stored.error().ToString();
  EXPECT_EQ(stored->status, 201) << stored->body;
  auto fetched = client.Send(Authorized("GET", "/v1/sites/demo/assets/large.bin"));
  ASSERT_TRUE(fetched) << fetched.error().ToString();
  // Compared as a truth, so that a failure does not print megabytes.
  EXPECT_TRUE(fetched->body == large) << fetched->body.size();
}

TEST_F(TlsFrontTest, ARefusalInTheMiddleOfAnUploadIsRead) {
  const std::string file = dir_.Write("large.bin", std::string(8 << 20, 'x'));
  cli::HttpClient client = Client();
  cli::HttpRequest put = Authorized("PUT", "/v1/sites/none/assets/large.bin");
  put.file = file;
  put.file_bytes = 8 << 20;
  auto refused = client.Send(put);
  ASSERT_TRUE(refused) << refused.error().ToString();
  EXPECT_EQ(refused->status, 404);
}

TEST_F(TlsFrontTest, TheClientIsTheOneWhoSpeaksTls) {
  MakeSite();
  cli::HttpClient client = Client();
  cli::HttpRequest wrong = Authorized("GET", "/v1/sites");
  wrong.fields.Set("authorization", "Bearer wrong");
  EXPECT_EQ(client.Send(wrong)->status, 401);
  cli::HttpRequest put = Authorized("PUT", "/v1/sites/demo/assets/a.txt");
  put.text = "x";
  EXPECT_EQ(client.Send(put)->status, 201);
  const auto audit = nlohmann::json::parse(client.Send(Authorized("GET", "/v1/audit"))->body);
  ASSERT_FALSE(audit["audit"].empty());
  for (const auto& entry : audit["audit"]) EXPECT_EQ(entry["client"], "127.0.0.1");
}

TEST_F(TlsFrontTest, EventsAreFollowedThroughIt) {
  MakeSite();
  cli::HttpClient client = Client();
  cli::HttpRequest follow = Authorized("GET", "/v1/events");
  std::string seen;
  follow.on_body = [&](std::string_view piece) -> Status {
    seen += piece;
    if (seen.find("event: purge") != seen.npos) return Fail(Fault::kSelf, "enough", "");
    // Told of where the log stands: now something happens.
    if (seen.find("event: position") != seen.npos && !purged_.valid()) {
      purged_ = std::async(std::launch::async, [this] {
        return Admin("POST /v1/purge", R"({"site":"demo","all":true})").status;
      });
    }
    return {};
  };
  EXPECT_EQ(client.Send(follow).error().reason, "enough");
  EXPECT_EQ(purged_.get(), 200);
  EXPECT_THAT(seen, HasSubstr("\"all\":true"));
}

TEST_F(TlsFrontTest, OnlyATrustedCertificateOfThatNameIsAccepted) {
  const auto why = [&](const std::string& url, const std::string& ca) {
    cli::HttpClient client(*cli::ServerUrl::Parse(url), ca);
    auto response = client.Send(Authorized("GET", "/v1/sites"));
    return response ? std::to_string(response->status) : response.error().ToString();
  };
  EXPECT_EQ(why(Url(), authority_.file()), "200");
  net::TestAuthority other;
  EXPECT_THAT(why(Url(), other.file()), HasSubstr("its certificate is not accepted"));
  EXPECT_THAT(why(Url(), ""), HasSubstr("--ca"));
  std::string by_name = Url();
  by_name.replace(by_name.find("127.0.0.1"), 9, "localhost");
  EXPECT_THAT(why(by_name, authority_.file()), HasSubstr("tls_failed"));
  EXPECT_THAT(why(Url(), dir_.In("none.pem")), HasSubstr("none.pem"));
  EXPECT_THAT(why("https://127.0.0.1:" + std::to_string(port()), authority_.file()),
              HasSubstr("TLS failed"));
}

TEST_F(TlsFrontTest, AClientThatLeavesInTheMiddleLeavesNothing) {
  MakeSite();
  {
    cli::HttpClient client = Client();
    cli::HttpRequest put = Authorized("PUT", "/v1/sites/demo/assets/a.bin");
    put.file = dir_.Write("half.bin", std::string(1 << 20, 'x'));
    put.file_bytes = 2 << 20;  // more than there is: the client gives up in the middle
    EXPECT_EQ(client.Send(put).error().reason, "file_changed");
  }
  cli::HttpClient client = Client();
  EXPECT_EQ(client.Send(Authorized("GET", "/v1/sites/demo/assets/a.bin"))->status, 404);
  while (node_->counters.failed_uploads.load() == 0) std::this_thread::yield();
  EXPECT_EQ(node_->counters.failed_uploads.load(), 1u);
}

TEST_F(TlsFrontTest, ANewCertificateIsShownToNewConnections) {
  net::TestAuthority renewed;
  net::TestAuthority::Leaf leaf;
  leaf.addresses = {"127.0.0.1"};
  cli::HttpClient before = Client();
  EXPECT_EQ(before.Send(Authorized("GET", "/v1/sites"))->status, 200);
  front_->UseCertificates({renewed.Issue(leaf)});
  cli::HttpClient after(*cli::ServerUrl::Parse(Url()), renewed.file());
  auto answer = after.Send(Authorized("GET", "/v1/sites"));
  // A connection that comes in the same turn may still see the old one.
  for (int i = 0; i < 100 && !answer; ++i) answer = after.Send(Authorized("GET", "/v1/sites"));
  ASSERT_TRUE(answer) << answer.error().ToString();
  EXPECT_EQ(answer->status, 200);
  EXPECT_EQ(before.Send(Authorized("GET", "/v1/sites"))->status, 200) << "it goes on";
}

}  // namespace
}  // namespace nearside::origin::test
