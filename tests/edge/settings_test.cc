#include "edge/settings.h"

#include <gtest/gtest.h>

#include "tests/edge/messages.h"
#include "tests/support/temp_dir.h"

namespace nearside::edge {
namespace {

class EdgeSettingsTest : public testing::Test {
 protected:
  /// What is wrong with the file, with its folder left out; "" for nothing.
  std::string Complaint(std::string_view toml) {
    const std::string path = dir_.Write("edge.toml", toml);
    const auto settings = ReadEdgeSettings(path);
    if (settings) return "";
    EXPECT_EQ(settings.error().fault, Fault::kOperator);
    EXPECT_EQ(settings.error().reason, "bad_settings");
    std::string message = settings.error().message;
    const std::string folder = dir_.path() + "/";
    for (size_t at; (at = message.find(folder)) != std::string::npos;) {
      message.erase(at, folder.size());
    }
    return message;
  }

  test::TempDir dir_;
};

// DESIGN.md, "Contracts".
constexpr std::string_view kContract = R"([edge]
name = "frankfurt"
workers = 1
access_log = "off"
[[listen]]
address = "127.0.1.1:8443"
tls = true
[[listen]]
address = "127.0.1.1:8080"
[admin]
address = "127.0.1.1:7080"
[cache]
path = "var/edge"
disk = "1GiB"
memory = "256MiB"
[[certificate]]
chain = "cert.pem"
key = "key.pem"
[[site]]
name = "demo"
hosts = ["www.demo.test"]
origins = ["http://127.0.0.1:9000"]
default_ttl = "0s"
stale_if_error = "1d"
set_cookie = "bypass"
[fleet]
events = ["http://127.0.0.1:9000"]
token_file = "fleet.token"
)";

TEST_F(EdgeSettingsTest, TheContractsExampleIsRead) {
  ASSERT_EQ(Complaint(kContract), "");
  const EdgeSettings settings = ReadEdgeSettings(dir_.In("edge.toml")).value();
  EXPECT_EQ(settings.node.name, "frankfurt");
  EXPECT_EQ(settings.node.workers, 1);
  EXPECT_EQ(settings.node.access_log, "off");
  ASSERT_EQ(settings.listen.size(), 2u);
  EXPECT_EQ(settings.listen[0].address, "127.0.1.1:8443");
  EXPECT_TRUE(settings.listen[0].tls);
  EXPECT_EQ(settings.listen[0].where.line, 5);
  EXPECT_FALSE(settings.listen[1].tls);
  EXPECT_EQ(settings.admin.address, "127.0.1.1:7080");
  EXPECT_EQ(settings.cache.path, "var/edge");
  EXPECT_EQ(settings.cache.disk, 1_GiB);
  EXPECT_EQ(settings.cache.memory, 256_MiB);
  ASSERT_EQ(settings.certificates.size(), 1u);
  EXPECT_EQ(settings.certificates[0].chain, "cert.pem");
  EXPECT_EQ(settings.certificates[0].key, "key.pem");
  ASSERT_EQ(settings.sites.size(), 1u);
  EXPECT_EQ(settings.sites[0].hosts, std::vector<std::string>{"www.demo.test"});
  EXPECT_EQ(settings.sites[0].origins, std::vector<std::string>{"http://127.0.0.1:9000"});
  EXPECT_EQ(settings.sites[0].set_cookie, "bypass");
  EXPECT_EQ(settings.fleet.events, std::vector<std::string>{"http://127.0.0.1:9000"});
  EXPECT_EQ(settings.fleet.token_file, "fleet.token");
}

TEST_F(EdgeSettingsTest, Defaults) {
  const EdgeSettings settings = SettingsWith();
  EXPECT_EQ(settings.node.workers, 0);
  EXPECT_EQ(settings.node.access_log, "off");
  EXPECT_EQ(settings.node.drain_timeout, seconds(30));
  EXPECT_FALSE(settings.listen[0].tls);
  EXPECT_EQ(settings.admin.address, "");
  EXPECT_EQ(settings.cache.path, "");
  EXPECT_EQ(settings.cache.disk, 1_GiB);
  EXPECT_EQ(settings.cache.memory, 256_MiB);
  EXPECT_EQ(settings.cache.largest_object.bytes, 0u);
  EXPECT_EQ(settings.cache.disk_min_uses, 1);
  EXPECT_EQ(settings.cache.fill_window, 16_MiB);
  EXPECT_EQ(settings.cache.encoders, 64);
  EXPECT_EQ(settings.cache.encoder_threads, 0);
  EXPECT_EQ(settings.cache.reader_threads, 2);
  EXPECT_EQ(settings.cache.read_timeout, seconds(2));
  EXPECT_EQ(settings.limits.request_line, 16_KiB);
  EXPECT_EQ(settings.limits.fields, 64_KiB);
  EXPECT_EQ(settings.limits.field_lines, 200);
  EXPECT_EQ(settings.limits.body.bytes, 0u);
  EXPECT_EQ(settings.limits.streams, 128);
  EXPECT_EQ(settings.limits.abuse_budget, 200);
  EXPECT_EQ(settings.limits.abuse_refill, 20);
  EXPECT_EQ(settings.limits.head_timeout, seconds(10));
  EXPECT_EQ(settings.limits.idle_timeout, seconds(120));
  EXPECT_EQ(settings.limits.body_timeout, seconds(30));
  EXPECT_EQ(settings.limits.send_timeout, seconds(30));
  EXPECT_EQ(settings.limits.least_rate.bytes, 512u);
  EXPECT_EQ(settings.limits.connections, 100'000);
  EXPECT_EQ(settings.limits.tunnels, 10000);
  EXPECT_EQ(settings.limits.tunnel_idle_timeout, seconds(600));
  const SiteSettings& site = settings.sites[0];
  EXPECT_EQ(site.origin_host, "");
  EXPECT_EQ(site.origin_ca, "");
  EXPECT_EQ(site.origin_server_name, "");
  EXPECT_EQ(site.connect_timeout, seconds(3));
  EXPECT_EQ(site.origin_timeout, seconds(30));
  EXPECT_EQ(site.retries, 2);
  EXPECT_EQ(site.retry_percent, 20);
  EXPECT_EQ(site.eject_after, 5);
  EXPECT_EQ(site.eject_for, seconds(10));
  EXPECT_EQ(site.eject_at_most, seconds(300));
  EXPECT_FALSE(site.check);
  EXPECT_EQ(site.default_ttl, seconds(0));
  EXPECT_EQ(site.negative_ttl, seconds(5));
  EXPECT_EQ(site.stale_while_revalidate, seconds(0));
  EXPECT_EQ(site.stale_if_error, std::chrono::hours(24));
  EXPECT_EQ(site.max_event_lag, std::chrono::hours(24));
  EXPECT_EQ(site.keep, std::chrono::hours(24));
  EXPECT_EQ(site.set_cookie, "bypass");
  EXPECT_TRUE(site.compress);
  EXPECT_EQ(site.compress_smallest, 1_KiB);
  EXPECT_EQ(site.compress_largest, 10_MiB);
  EXPECT_TRUE(site.compress_types.empty());
  EXPECT_TRUE(site.normalize_accept_encoding);
  EXPECT_TRUE(site.normalize_accept_language);
  EXPECT_TRUE(settings.fleet.events.empty());
}

TEST_F(EdgeSettingsTest, DefaultsOfACheckAreThoseOfGeodns) {
  const EdgeSettings settings = SettingsWith("check = { path = \"/healthz\" }\n");
  ASSERT_TRUE(settings.sites[0].check);
  const OriginCheckSettings& check = *settings.sites[0].check;
  EXPECT_EQ(check.path, "/healthz");
  EXPECT_EQ(check.interval, seconds(5));
  EXPECT_EQ(check.timeout, seconds(2));
  EXPECT_EQ(check.rise, 2);
  EXPECT_EQ(check.fall, 3);
  EXPECT_EQ(check.status, 0);
}

/// The least that is needed; each row below adds or replaces one piece.
struct File {
  std::string edge = "name = \"frankfurt\"";
  std::string listen = "address = \"127.0.0.1:8080\"";
  std::string site = "name = \"demo\"";
  std::string hosts = "hosts = [\"www.demo.test\"]";
  std::string origins = "origins = [\"http://127.0.0.1:9000\"]";
  std::string rest;
  std::string Text() const {
    return "[edge]\n" + edge + "\n[[listen]]\n" + listen + "\n[[site]]\n" + site + "\n" + hosts +
           "\n" + origins + "\n" + rest;
  }
};

struct ComplaintRow {
  File file;
  std::string complaint;
};

std::vector<ComplaintRow> ComplaintTable() {
  const std::string host = "a host like \"www.example.org\", \"*.example.org\" or \"*\"";
  const std::string name = "1 to 63 letters, digits, \".\", \"_\" and \"-\"";
  return {
      {{.edge = "name = 7"}, "edge.toml:2: edge.name: expected text that is not empty, got 7"},
      {{.edge = ""}, "edge.toml:1: edge.name: missing; expected text that is not empty"},
      {{.edge = "name = \"two words\""},
       "edge.toml:2: edge.name: expected " + name + ", got \"two words\""},
      {{.edge = "name = \"" + std::string(64, 'x') + "\""},
       "edge.toml:2: edge.name: expected " + name + ", got \"" + std::string(64, 'x') + "\""},
      {{.edge = "name = \"a\"\nworkers = 300"},
       "edge.toml:3: edge.workers: expected a whole number from 0 to 256, got 300"},
      {{.listen = "address = \"localhost\""},
       "edge.toml:4: listen.address: expected an address and port like \"127.0.0.1:8443\", got "
       "\"localhost\""},
      {{.listen = "address = \"127.0.0.1:8443\"\ntls = true"},
       "edge.toml:5: listen.tls: expected a [[certificate]] for a TLS listener"},
      {{.rest = "[[listen]]\naddress = \"127.0.0.1:8080\"\n"},
       "edge.toml:10: listen.address: another [[listen]] has \"127.0.0.1:8080\" already"},
      {{.site = "name = \"a/b\""}, "edge.toml:6: site.name: expected " + name + ", got \"a/b\""},
      {{.hosts = "hosts = []"},
       "edge.toml:7: site.hosts: expected a list of 1 to 1000 texts, got an empty list"},
      {{.hosts = "hosts = [\"www.demo.test:8443\"]"},
       "edge.toml:7: site.hosts: expected " + host + ", got \"www.demo.test:8443\""},
      {{.hosts = "hosts = [\"http://www.demo.test\"]"},
       "edge.toml:7: site.hosts: expected " + host + ", got \"http://www.demo.test\""},
      {{.hosts = "hosts = [\"www.*.test\"]"},
       "edge.toml:7: site.hosts: expected " + host + ", got \"www.*.test\""},
      {{.hosts = "hosts = [\"*.\"]"}, "edge.toml:7: site.hosts: expected " + host + ", got \"*.\""},
      {{.hosts = "hosts = [\"a.test\", \"A.test\"]"},
       "edge.toml:7: site.hosts: \"A.test\" is named twice"},
      {{.origins = "origins = [\"ftp://x\"]"}, "edge.toml:8: site.origins: "},
      {{.origins = "origins = []"},
       "edge.toml:8: site.origins: expected a list of 1 to 64 texts, got an empty list"},
      {{.rest = "set_cookie = \"never\""},
       "edge.toml:9: site.set_cookie: expected one of \"bypass\", \"store\", got \"never\""},
      {{.rest = "default_ttl = 60"},
       "edge.toml:9: site.default_ttl: expected a duration like \"2s\", got 60"},
      {{.rest = "stale_if_errors = \"1d\""},
       "edge.toml:9: site.stale_if_errors: unknown key; "
       "did you mean \"stale_if_error\"?"},
      {{.rest = "[[site]]\nname = \"demo\"\nhosts = [\"b\"]\norigins = [\"http://b\"]\n"},
       "edge.toml:10: site.name: two sites are called \"demo\""},
      {{.rest = "[[site]]\nname = \"b\"\nhosts = [\"WWW.demo.test\"]\norigins = [\"http://b\"]\n"},
       "edge.toml:11: site.hosts: \"WWW.demo.test\" is named twice"},
      {{.rest = "[cache]\ndisk = \"1MiB\"\n"},
       "edge.toml:10: cache.disk: expected a size from 64MiB to 64TiB, got \"1MiB\""},
      {{.rest = "[admin]\naddress = \"192.0.2.1:7080\"\n"},
       "edge.toml:9: admin.token_file: expected a token file, because admin.address is not a "
       "loopback address"},
      {{.rest = "[admin]\naddress = \"7080\"\n"},
       "edge.toml:10: admin.address: expected an address and port like \"127.0.0.1:8443\", got "
       "\"7080\""},
      {{.rest = "[fleet]\nevents = [\"http://x:9000\"]\n"},
       "edge.toml:9: fleet.token_file: expected the file with the fleet's token, because "
       "fleet.events is set"},
      {{.rest = "[fleet]\nevents = [\"x:9000\"]\ntoken_file = \"t\"\n"},
       "edge.toml:10: fleet.events: "},
      {{.rest = "[[certificate]]\nchain = \"cert.pem\"\n"},
       "edge.toml:9: certificate.key: missing; expected text that is not empty"},
      {{.rest = "[limit]\nstreams = 5\n"},
       "edge.toml:9: limit: unknown key; did you mean \"limits\"?"},
      {{.rest = "[cache"}, "edge.toml:9"},
  };
}

std::vector<ComplaintRow> ComplaintsOfOrigins() {
  return {
      {{.origins = "origins = [\"http://a\", \"http://b\", \"http://A:80/\"]"},
       "edge.toml:8: site.origins: \"http://A:80/\" is named twice"},
      {{.rest = "origin_server_name = \"a:443\""},
       "edge.toml:9: site.origin_server_name: expected a name like \"origin.example.org\", got "
       "\"a:443\""},
      {{.rest = "check = { path = \"healthz\" }"},
       "edge.toml:9: site.check.path: expected a path like \"/healthz\", got \"healthz\""},
      {{.rest = "check = { interval = \"1s\" }"}, "edge.toml:9: site.check.path: missing"},
      {{.rest = "retry_percent = 101"},
       "edge.toml:9: site.retry_percent: expected a whole number from 0 to 100, got 101"},
  };
}

/// Of what a site says to its visitors, of keys, and of who speaks for a client.
std::vector<ComplaintRow> VisitorComplaintTable() {
  return {
      {{.rest = "query_ignore = [\"a*b\"]"},
       "edge.toml:9: site.query_ignore: expected a parameter's name like \"fbclid\", or the "
       "beginning of names like \"utm_*\", got \"a*b\""},
      {{.rest = "query = \"ignore\"\nquery_keep = [\"id\"]"},
       "edge.toml:5: site: query = \"ignore\" ignores every parameter: expected no query_ignore "
       "and no query_keep"},
      {{.edge = "name = \"a\"\ntrusted_proxies = [\"10.0.0.1/8\"]"},
       "edge.toml:3: edge.trusted_proxies: expected a network like \"10.0.0.0/8\" or "
       "\"2001:db8::/32\", or an address, got \"10.0.0.1/8\""},
      {{.listen = "address = \"127.0.0.1:8080\"\nproxy_protocol = true"},
       "edge.toml:5: listen.proxy_protocol: expected edge.trusted_proxies, which says whose header "
       "is believed"},
      {{.rest = "trailing_slash = \"maybe\""},
       "edge.toml:9: site.trailing_slash: expected one of \"keep\", \"add\", \"remove\", got "
       "\"maybe\""},
      {{.rest = "hsts = { preload = true }"},
       "edge.toml:9: site.hsts: preload wants include_subdomains and a max_age of 1y or more"},
      {{.rest = "cors = { }"}, "edge.toml:9: site.cors.origins: missing"},
      {{.rest = "cors = { origins = [\"app.test\"] }"},
       "edge.toml:9: site.cors.origins: expected \"*\", or an origin like "
       "\"https://app.example.org\" or \"https://*.example.org\", in lower case and without a "
       "path, got \"app.test\""},
      {{.rest = "cors = { origins = [\"https://App.test\"] }"},
       "edge.toml:9: site.cors.origins: expected"},
      {{.rest = "cors = { origins = [\"https://app.test/\"] }"},
       "edge.toml:9: site.cors.origins: expected"},
      {{.rest = "cors = { origins = [\"https://a*.test\"] }"},
       "edge.toml:9: site.cors.origins: expected"},
      {{.rest = "cors = { origins = [\"*\", \"https://app.test\"] }"},
       "edge.toml:9: site.cors: origins: \"*\" is every origin"},
      {{.rest = "cors = { origins = [\"*\"], credentials = true }"},
       "edge.toml:9: site.cors: credentials = true wants names and no \"*\""},
      {{.rest = "cors = { origins = [\"https://app.test\"], methods = [\"G T\"] }"},
       "edge.toml:9: site.cors.methods: expected a name"},
  };
}

TEST_F(EdgeSettingsTest, SaysFileLineKeyAndWhatWasExpected) {
  for (const auto& table : {ComplaintTable(), ComplaintsOfOrigins(), VisitorComplaintTable()}) {
    for (const ComplaintRow& row : table) {
      const std::string complaint = Complaint(row.file.Text());
      EXPECT_TRUE(!complaint.empty() && complaint.starts_with(row.complaint))
          << "expected: " << row.complaint << "\n     got: " << complaint;
    }
  }
}

TEST_F(EdgeSettingsTest, SaysWhatIsWrongWithCompression) {
  const std::string type =
      "edge.toml:9: site.compress_types: expected a media type like "
      "\"application/x-report\", got ";
  const auto complaint = [this](std::string rest) {
    return Complaint(File{.rest = std::move(rest)}.Text());
  };
  for (const std::string_view value :
       {"report", "text/", "/html", "text/x; charset=utf-8", "a/b/c"}) {
    const std::string quoted = "\"" + std::string(value) + "\"";
    EXPECT_EQ(complaint("compress_types = [" + quoted + "]"), type + quoted);
  }
  EXPECT_EQ(complaint("[cache]\nencoders = 0\n"),
            "edge.toml:10: cache.encoders: expected a whole number from 1 to 100000, got 0");
}

TEST_F(EdgeSettingsTest, WhatIsRightIsNotRefused) {
  const std::string files[] = {
      File{}.Text(),
      File{.edge = "name = \"a.b_c-D9\""}.Text(),
      File{.hosts = "hosts = [\"*\"]"}.Text(),
      File{.hosts = "hosts = [\"*.demo.test\", \"demo.test\", \"127.0.0.1\", \"::1\"]"}.Text(),
      File{.origins = "origins = [\"https://[::1]:9000\", \"http://b\"]"}.Text(),
      File{.listen = "address = \"[::1]:8080\""}.Text(),
      File{.rest = "compress_types = [\"application/x-report\", \"model/obj\"]"}.Text(),
      File{.rest = "[[listen]]\naddress = \"127.0.0.2:8080\"\n"}.Text(),
      File{.rest = "[admin]\naddress = \"127.9.9.9:7080\"\n"}.Text(),
      File{.rest = "[admin]\naddress = \"[::1]:7080\"\n"}.Text(),
      File{.rest = "[admin]\naddress = \"192.0.2.1:7080\"\ntoken_file = \"t\"\n"}.Text(),
      File{.rest = "[admin]\naddress = \"\"\n"}.Text(),
  };
  for (const std::string& text : files) EXPECT_EQ(Complaint(text), "") << text;
}

TEST_F(EdgeSettingsTest, WhatIsMissingIsNamed) {
  EXPECT_NE(Complaint("").find("edge"), std::string::npos);
  EXPECT_NE(Complaint("[edge]\nname=\"a\"\n").find("listen"), std::string::npos);
  EXPECT_NE(Complaint("[edge]\nname=\"a\"\n[[listen]]\naddress=\"127.0.0.1:1\"\n").find("site"),
            std::string::npos);
}

TEST_F(EdgeSettingsTest, AFileThatIsNotThereIsNamed) {
  const auto settings = ReadEdgeSettings(dir_.In("none.toml"));
  ASSERT_FALSE(settings);
  EXPECT_TRUE(settings.error().message.starts_with(dir_.In("none.toml")));
}

TEST_F(EdgeSettingsTest, EveryKeyIsDocumented) {
  const std::string document = EdgeTable().Document("edge.toml");
  for (std::string_view key : {"drain_timeout", "tls", "token_file", "fill_window", "chain",
                               "abuse_refill", "stale_if_error", "events"}) {
    EXPECT_NE(document.find(key), std::string::npos) << key;
  }
}

}  // namespace
}  // namespace nearside::edge
