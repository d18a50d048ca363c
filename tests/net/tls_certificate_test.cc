// What LoadCertificate and TlsServer::Create refuse, and in which words.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "net/tls.h"
#include "net/tls_context.h"
#include "tests/net/test_authority.h"

namespace nearside::net {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class CertificateTest : public testing::Test {
 protected:
  Result<Certificate> Load(const std::string& chain, const std::string& key) {
    return LoadCertificate(folder_.Write("site.pem", chain), folder_.Write("site.key", key));
  }
  void ExpectRefused(const Result<Certificate>& loaded, const std::string& file,
                     const std::string& what) {
    ASSERT_FALSE(loaded.has_value());
    EXPECT_EQ(loaded.error().reason, file.ends_with(".key") ? "bad_key" : "bad_certificate");
    EXPECT_EQ(loaded.error().fault, Fault::kOperator);
    EXPECT_THAT(loaded.error().message, AllOf(HasSubstr(file), HasSubstr(what)));
  }

  TestAuthority authority_;
  ScratchFolder folder_;
  Certificate good_ = authority_.Issue({.names = {"www.demo.test"}});
};

TEST_F(CertificateTest, APairIsReadWhole) {
  auto loaded = Load(good_.chain_pem + authority_.Pem(), good_.key_pem);
  ASSERT_TRUE(loaded.has_value()) << loaded.error().ToString();
  EXPECT_EQ(loaded->chain_pem, good_.chain_pem + authority_.Pem());
  EXPECT_EQ(loaded->key_pem, good_.key_pem);
  EXPECT_THAT(loaded->chain_file, HasSubstr("site.pem"));
  EXPECT_THAT(loaded->key_file, HasSubstr("site.key"));
}

TEST_F(CertificateTest, AnExpiredOneIsLoaded) {
  Certificate expired = authority_.Issue({.names = {"a.test"}, .from_days = -9, .until_days = -1});
  EXPECT_TRUE(Load(expired.chain_pem, expired.key_pem).has_value());
  Certificate early = authority_.Issue({.names = {"a.test"}, .from_days = 5, .until_days = 9});
  EXPECT_TRUE(Load(early.chain_pem, early.key_pem).has_value());
}

TEST_F(CertificateTest, TellsWhenItExpires) {
  const Certificate long_lived = authority_.Issue({.names = {"a.test"}, .until_days = 30});
  const Certificate short_lived = authority_.Issue({.names = {"b.test"}, .until_days = 3});
  const auto days_left = [](WallTime expires) {
    return std::chrono::round<std::chrono::hours>(expires - WallNow()).count() / 24.0;
  };
  const Certificate first = *Load(long_lived.chain_pem, long_lived.key_pem);
  const Certificate second = *Load(short_lived.chain_pem, short_lived.key_pem);
  EXPECT_NEAR(days_left(first.expires), 30, 0.1);
  EXPECT_NEAR(days_left(second.expires), 3, 0.1);
  EXPECT_EQ(EarliestExpiry({first, second}), second.expires);
  EXPECT_EQ(EarliestExpiry({}), WallTime::max());
}

TEST_F(CertificateTest, AMissingFileIsNamed) {
  std::string key = folder_.Write("site.key", good_.key_pem);
  ExpectRefused(LoadCertificate(folder_.path() + "/none.pem", key), "none.pem",
                "No such file or directory");
  ExpectRefused(LoadCertificate(folder_.Write("site.pem", good_.chain_pem), "/none.key"),
                "/none.key", "No such file or directory");
}

TEST_F(CertificateTest, TheKeyOfAnotherCertificateIsRefused) {
  ExpectRefused(Load(good_.chain_pem, KeyPem(MakeKey().get())), "site.key",
                "is the key of another certificate");
}

TEST_F(CertificateTest, ACertificateWithoutAKeyAndAKeyWithoutACertificate) {
  ExpectRefused(Load(good_.chain_pem, good_.chain_pem), "site.key", "holds no private key");
  ExpectRefused(Load(good_.key_pem, good_.key_pem), "site.pem", "holds no certificate");
  ExpectRefused(Load("", good_.key_pem), "site.pem", "holds no certificate");
  ExpectRefused(Load(good_.chain_pem, ""), "site.key", "holds no private key");
}

TEST_F(CertificateTest, AnEncryptedKeyIsRefusedWithoutAsking) {
  OpensslPtr<EVP_PKEY> key = MakeKey();
  ExpectRefused(Load(good_.chain_pem, KeyPem(key.get(), "secret")), "site.key", "is encrypted");
}

TEST_F(CertificateTest, ACutOffFileIsRefusedAtEveryLength) {
  for (size_t size = 0; size + 1 < good_.chain_pem.size(); size += 13) {
    ExpectRefused(Load(good_.chain_pem.substr(0, size), good_.key_pem), "site.pem", "");
  }
  for (size_t size = 0; size + 30 < good_.key_pem.size(); size += 13) {
    ExpectRefused(Load(good_.chain_pem, good_.key_pem.substr(0, size)), "site.key", "");
  }
}

TEST_F(CertificateTest, ABrokenSecondCertificateIsRefused) {
  std::string broken = authority_.Pem();
  broken.replace(60, 4, "!!!!");
  ExpectRefused(Load(good_.chain_pem + broken, good_.key_pem), "site.pem", "broken PEM");
}

TEST_F(CertificateTest, AServerNeedsACertificate) {
  auto server = TlsServer::Create({}, {"h2"}, TicketKeys::Random());
  ASSERT_FALSE(server.has_value());
  EXPECT_EQ(server.error().reason, "bad_certificate");
  good_.key_pem = KeyPem(MakeKey().get());
  server = TlsServer::Create({good_}, {"h2"}, TicketKeys::Random());
  ASSERT_FALSE(server.has_value());
  EXPECT_THAT(server.error().message, HasSubstr(good_.key_file));
}

TEST_F(CertificateTest, NamesComeFromTheAlternativeNamesOrElseTheCommonName) {
  auto identity = TlsIdentity::Create(
      authority_.Issue({.names = {"WWW.Demo.test", "*.demo.test"}, .addresses = {"127.0.0.1"}}));
  EXPECT_THAT((*identity)->Names(), testing::ElementsAre("www.demo.test", "*.demo.test"));
  auto common = TlsIdentity::Create(authority_.Issue({.common_name = "old.test"}));
  EXPECT_THAT((*common)->Names(), testing::ElementsAre("old.test"));
}

TEST_F(CertificateTest, CoversFollowsRfc6125) {
  auto identity = std::move(*TlsIdentity::Create(authority_.Issue(
      {.names = {"demo.test", "*.demo.test"}, .addresses = {"127.0.0.1", "::1"}})));
  struct Row {
    const char* host;
    bool covered;
  };
  for (Row row : std::initializer_list<Row>{{"demo.test", true},
                                            {"www.demo.test", true},
                                            {"a.b.demo.test", false},
                                            {"xdemo.test", false},
                                            {"test", false},
                                            {"", false},
                                            {"leaf", false},  // the common name does not count
                                            {"127.0.0.1", true},
                                            {"127.0.0.2", false},
                                            {"::1", true}}) {
    EXPECT_EQ(identity->Covers(row.host), row.covered) << row.host;
    EXPECT_EQ(identity->Covers(row.host), row.covered) << "remembered: " << row.host;
  }
  // More hosts than are remembered.
  for (int i = 0; i < 3000; ++i) {
    EXPECT_TRUE(identity->Covers("h" + std::to_string(i) + ".demo.test"));
    EXPECT_FALSE(identity->Covers("h" + std::to_string(i) + ".other.test"));
  }
}

}  // namespace
}  // namespace nearside::net
