// Origins over TLS: whom we take them for, and what a person is told when it is somebody else.

#include "tests/edge/loop_origin.h"
#include "tests/edge/request_fixture.h"
#include "tests/net/test_authority.h"

namespace nearside::edge {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class RequestTlsOriginTest : public RequestTest {
 protected:
  ~RequestTlsOriginTest() override {
    On([this] { tls_origin_.reset(); });
  }
  /// An origin with that certificate, and a worker that trusts `authority`.
  void StartWithLeaf(const net::TestAuthority::Leaf& leaf, std::string_view site = "") {
    On([&] {
      tls_origin_ = std::make_unique<LoopOrigin>(
          thread_.loop(), *net::TlsServer::Create({authority_.Issue(leaf)}, {"http/1.1"},
                                                  net::TicketKeys::Random()));
    });
    StartWith("origin_ca = \"" + trusted_.file() + "\"\n" + std::string(site),
              {tls_origin_->url()});
  }
  void StartTrusted(const net::TestAuthority::Leaf& leaf, std::string_view site = "") {
    On([&] {
      tls_origin_ = std::make_unique<LoopOrigin>(
          thread_.loop(),
          *net::TlsServer::Create({trusted_.Issue(leaf)}, {"http/1.1"}, net::TicketKeys::Random()));
    });
    StartWith("origin_ca = \"" + trusted_.file() + "\"\n" + std::string(site),
              {tls_origin_->url()});
  }

  net::TestAuthority authority_;
  net::TestAuthority trusted_;
  std::unique_ptr<LoopOrigin> tls_origin_;
};

TEST_F(RequestTlsOriginTest, TheHostOfItsUrlIsItsName) {
  StartTrusted({.names = {"www.demo.test"}, .addresses = {"127.0.0.1"}});
  EXPECT_THAT(Answer(Get("/a")), StartsWith("200 "));
  EXPECT_EQ(On([&] { return tls_origin_->asked; }), "www.demo.test/a");
}

TEST_F(RequestTlsOriginTest, OriginServerNameIsAskedForAndVerified) {
  StartTrusted({.names = {"internal.test"}},
               "origin_server_name = \"internal.test\"\norigin_host = \"app.test\"\n");
  EXPECT_THAT(Answer(Get("/a")), StartsWith("200 "));
  EXPECT_EQ(On([&] { return tls_origin_->server_name; }), "internal.test");
  EXPECT_EQ(On([&] { return tls_origin_->asked; }), "app.test/a");
}

TEST_F(RequestTlsOriginTest, TheClientsHostIsNotWhatIsVerified) {
  StartTrusted({.names = {"www.demo.test"}});
  EXPECT_THAT(Answer(Get("/a")),
              AllOf(StartsWith("502 fwd=uri-miss; detail=origin_wrong_name|502 Bad Gateway"),
                    HasSubstr("mismatch"), HasSubstr("Set origin_server_name")));
  EXPECT_EQ(Counted(Reason::kOriginWrongName), 1u);
}

TEST_F(RequestTlsOriginTest, OriginHostIsNotWhatIsVerified) {
  StartTrusted({.names = {"app.test"}}, "origin_host = \"app.test\"\n");
  EXPECT_THAT(Answer(Get("/a")), HasSubstr("detail=origin_wrong_name"));
}

TEST_F(RequestTlsOriginTest, AnExpiredCertificateIsNamed) {
  StartTrusted({.addresses = {"127.0.0.1"}, .from_days = -30, .until_days = -1});
  EXPECT_THAT(Answer(Get("/a")),
              AllOf(StartsWith("502 fwd=uri-miss; detail=origin_expired|502 Bad Gateway"),
                    HasSubstr("has expired"), HasSubstr("Renew the origin's certificate")));
}

TEST_F(RequestTlsOriginTest, AnUnknownAuthorityIsNamed) {
  StartWithLeaf({.addresses = {"127.0.0.1"}});
  EXPECT_THAT(Answer(Get("/a")),
              AllOf(StartsWith("502 fwd=uri-miss; detail=origin_untrusted|502 Bad Gateway"),
                    HasSubstr("issuer"), HasSubstr("Set origin_ca")));
}

}  // namespace
}  // namespace nearside::edge
