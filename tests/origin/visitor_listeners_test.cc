#include "origin/visitor_listeners.h"

#include <filesystem>
#include <future>
#include <thread>

#include "http/session/client.h"
#include "origin/answer_body.h"
#include "tests/net/test_authority.h"
#include "tests/origin/origin_fixture.h"

namespace nearside::origin::test {
namespace {

using ::testing::HasSubstr;

class VisitorListenersTest : public OriginTest {
 protected:
  void SetUp() override {
    StartAll();
    MakeSite();
  }
  /// `more`: tables behind those of the listeners.
  void StartAll(const std::string& more = "") {
    Start(
        "[[listen]]\naddress = \"127.0.0.1:0\"\ntls = false\n"
        "[[listen]]\naddress = \"127.0.0.1:0\"\ntls = true\n"
        "[[certificate]]\nchain = \"x\"\nkey = \"y\"\n" +
        more);
    auto listeners =
        VisitorListeners::Open(*node_, {authority_.Issue({.names = {"www.demo.test"}})});
    ASSERT_TRUE(listeners) << listeners.error().ToString();
    listeners_ = std::move(*listeners);
    listeners_->Start();
  }
  void TearDown() override {
    listeners_.reset();
    OriginTest::TearDown();
  }

  uint16_t clear_port() const { return listeners_->addresses().at(0).port(); }
  uint16_t tls_port() const { return listeners_->addresses().at(1).port(); }
  Reply Get(const std::string& path, const std::string& fields = "",
            const std::string& method = "GET", const std::string& host = "www.demo.test") {
    return Ask(clear_port(), Text(method + " " + path, fields, "", host));
  }
  /// "status body" of a request over TLS that trusts `ca_file`, or the reason of its failure.
  std::string GetByTls(const std::string& ca_file, const std::string& path);

  net::TestAuthority authority_;
  std::unique_ptr<VisitorListeners> listeners_;
};

/// Gathers one response and ends the loop.
class Gathered final : public http::CallHandler {
 public:
  explicit Gathered(net::EventLoop& loop) : loop_(loop) {}
  void OnHead(http::ResponseHead&& head) override { text = std::to_string(head.status) + " "; }
  void OnBody(std::span<const uint8_t> bytes) override {
    text.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }
  void OnEnd(const http::Fields&) override { loop_.Stop(); }
  void OnFailure(const Error& error) override {
    text = error.reason;
    loop_.Stop();
  }
  std::string text;

 private:
  net::EventLoop& loop_;
};

std::string VisitorListenersTest::GetByTls(const std::string& ca_file, const std::string& path) {
  auto loop = net::EventLoop::Create().value();
  auto resolver = net::Resolver::Create(*loop).value();
  auto client = http::Client::Create(*loop, *resolver,
                                     net::TlsClient::Create(ca_file, {"http/1.1"}).value(), {});
  http::RequestHead head;
  head.method = "GET";
  head.scheme = "https";
  head.authority = "www.demo.test";
  head.target = path;
  http::Endpoint endpoint{true, "127.0.0.1", tls_port(), "www.demo.test"};
  Gathered gathered(*loop);
  auto call = client->Start(endpoint, head, nullptr, std::nullopt, &gathered);
  loop->Run();
  call.reset();
  return gathered.text;
}

TEST_F(VisitorListenersTest, ServesTheActiveReleaseOverTls) {
  Publish({{"index.html", "home"}});
  EXPECT_EQ(GetByTls(authority_.file(), "/"), "200 home");
  EXPECT_EQ(GetByTls(authority_.file(), "/nothing"), "404 Nothing is here.\n");
}

TEST_F(VisitorListenersTest, NewCertificatesServeNewConnections) {
  Publish({{"index.html", "home"}});
  const net::TestAuthority second;
  EXPECT_EQ(GetByTls(second.file(), "/"), "tls_untrusted");
  listeners_->UseCertificates({second.Issue({.names = {"www.demo.test"}})});
  // A connection that comes in the same turn may still see the old one.
  for (int i = 0; i < 100 && GetByTls(second.file(), "/") != "200 home"; ++i) {
    std::this_thread::sleep_for(milliseconds(10));
  }
  EXPECT_EQ(GetByTls(second.file(), "/"), "200 home");
  EXPECT_EQ(GetByTls(authority_.file(), "/"), "tls_untrusted");
}

TEST_F(VisitorListenersTest, BodiesOfEverySizeAreByteForByte) {
  std::vector<std::pair<std::string, std::string>> files;
  for (const size_t size :
       {size_t{0}, size_t{1}, AnswerBody::kPieceBytes - 1, AnswerBody::kPieceBytes,
        AnswerBody::kPieceBytes + 1, 5 * AnswerBody::kPieceBytes + 3}) {
    std::string content(size, '\0');
    for (size_t i = 0; i < size; ++i) content[i] = static_cast<char>((i * 2654435761u) >> 24);
    files.emplace_back("f" + std::to_string(size), content);
  }
  Publish(files);
  for (const auto& [path, content] : files) {
    const Reply reply = Get("/" + path);
    EXPECT_EQ(reply.status, 200) << path;
    EXPECT_EQ(reply.Field("content-length"), std::to_string(content.size()));
    EXPECT_TRUE(reply.body == content) << path;
  }
}

TEST_F(VisitorListenersTest, RangesConditionalsAndHeadAreTheSameAsForEdges) {
  Publish({{"a.txt", std::string(200'000, 'a') + "0123456789"}});
  EXPECT_EQ(Get("/a.txt", "range: bytes=200002-200004\r\n").body, "234");
  const Reply several = Get("/a.txt", "range: bytes=0-1,200008-200009\r\n");
  EXPECT_EQ(several.status, 206);
  EXPECT_THAT(several.body, HasSubstr("Content-Range: bytes 0-1/200010\r\n\r\naa\r\n"));
  EXPECT_THAT(several.body, HasSubstr("Content-Range: bytes 200008-200009/200010\r\n\r\n89\r\n"));
  const std::string tag = Get("/a.txt", "", "HEAD").Field("etag");
  EXPECT_EQ(Get("/a.txt", "if-none-match: " + tag + "\r\n").status, 304);
  RawClient client(clear_port());
  client.Send(Text("HEAD /a.txt", "", "", "www.demo.test"));
  EXPECT_EQ(client.Read(/*head_request=*/true).Field("content-length"), "200010");
  client.Send(Text("GET /a.txt", "range: bytes=-1\r\n", "", "www.demo.test"));
  EXPECT_EQ(client.Read().body, "9");
}

TEST_F(VisitorListenersTest, NothingButSitesAndHealthIsServed) {
  EXPECT_EQ(Get("/v1/sites", "authorization: Bearer " + std::string(kAdminToken) + "\r\n", "GET",
                "127.0.0.1")
                .status,
            421);
  EXPECT_EQ(Get("/", "", "GET", "other.test").status, 421);
  EXPECT_EQ(Get("/healthz", "", "GET", "127.0.0.1").status, 200);
  EXPECT_EQ(Get("/healthz", "", "GET", "origin-1").body, "ok\n");
  EXPECT_EQ(Get("/healthz").status, 404);  // a path of the site's own
  EXPECT_EQ(Get("/", "", "DELETE").status, 405);
}

TEST_F(VisitorListenersTest, ABlobThatFailsInTheMiddleNeverLooksWhole) {
  const std::string content(3 * AnswerBody::kPieceBytes, 'x');
  Publish({{"a.bin", content}});
  const std::string name = DigitsOf(content);
  const std::string file =
      dir_.In("blobs/" + name.substr(0, 2) + "/" + name.substr(2, 2) + "/" + name);
  RawClient client(clear_port());
  // Cut behind what has been opened and read: the length was promised already.
  client.Send("GET /a.bin HTTP/1.1\r\nhost: www.demo.test\r\n\r\n");
  std::filesystem::resize_file(file, AnswerBody::kPieceBytes);
  const Reply reply = client.Read();
  if (reply.status == 200 && reply.body.size() == content.size()) return;  // it was quicker than we
  EXPECT_NE(reply.body.size(), content.size());
}

TEST_F(VisitorListenersTest, DrainingFinishesAndEnds) {
  Publish({{"index.html", "home"}});
  RawClient idle(clear_port());
  idle.Send(Text("GET /", "", "", "www.demo.test"));
  EXPECT_EQ(idle.Read().body, "home");
  std::promise<void> drained;
  listeners_->Drain(seconds(20), [&] { drained.set_value(); });
  drained.get_future().wait();
  EXPECT_TRUE(idle.Ends());
}

TEST_F(VisitorListenersTest, PeopleSignInHereToo) {
  listeners_.reset();
  Stop();
  storage_ = "sessions = \"lmdb:" + dir_.In("sessions") + "\"\n";
  StartAll(
      "[accounts]\nhosts = [\"account.test\"]\nsecure = false\nhash_memory = \"8KiB\"\n"
      "hash_passes = 1\n");
  ASSERT_TRUE(node_->accounts.Create({"alice", "correct horse battery staple"}, {}, "admin",
                                     {.action = "account_created"}));
  const Reply form = Get("/account/sign-in", "", "GET", "account.test");
  EXPECT_EQ(form.status, 200);
  const std::string cookie = form.Field("set-cookie").substr(0, form.Field("set-cookie").find(';'));
  constexpr std::string_view kToken = "name=\"form_token\" value=\"";
  const size_t at = form.body.find(kToken) + kToken.size();
  const std::string token = form.body.substr(at, form.body.find('"', at) - at);
  const auto post = [&](const std::string& content) {
    return Ask(clear_port(),
               Text("POST /account/sign-in",
                    "cookie: " + cookie + "\r\ncontent-type: application/x-www-form-urlencoded\r\n",
                    content, "account.test"));
  };
  const Reply done =
      post("form_token=" + token + "&name=alice&password=correct+horse+battery+staple");
  EXPECT_EQ(done.status, 303) << done.body;
  EXPECT_THAT(done.Field("set-cookie"), testing::StartsWith("nearside-session="));
  const Reply page =
      Get("/account", "cookie: " + done.Field("set-cookie") + "\r\n", "GET", "account.test");
  EXPECT_THAT(page.body, HasSubstr("<span>alice</span>"));
  EXPECT_EQ(post("form_token=" + token + "&x=" + std::string(100'000, 'x')).status, 413);
  EXPECT_EQ(post("").status, 403);
  EXPECT_EQ(Get("/account", "", "HEAD", "account.test").status, 303);
  EXPECT_EQ(Get("/account").status, 404);  // a site's host has none of it
}

TEST_F(VisitorListenersTest, ABusyAddressIsNamedWithFileLineAndKey) {
  OriginSettings settings = Settings(
      "[[listen]]\naddress = \"127.0.0.1:" + std::to_string(clear_port()) + "\"\ntls = false\n");
  Node other(settings, storage::Metadata::Open("sqlite:" + dir_.In("o.db"), {}).value(),
             storage::BlobStore::Open("file:" + dir_.In("o")).value(),
             Tokens::Load(dir_.In("admin.token"), "").value(), "a key for S3",
             LineLog::Open("off").value());
  auto second = VisitorListeners::Open(other, {});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().fault, Fault::kOperator);
  EXPECT_THAT(second.error().message, HasSubstr("origin.toml:"));
  EXPECT_THAT(second.error().message, HasSubstr("listen.address"));
}

}  // namespace
}  // namespace nearside::origin::test
