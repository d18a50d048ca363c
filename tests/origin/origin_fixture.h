#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "origin/api_server.h"
#include "origin/node.h"
#include "tests/origin/raw_client.h"
#include "tests/support/temp_dir.h"

namespace nearside::origin::test {

inline constexpr const char* kPassword = "correct horse battery staple";

using nearside::test::Ask;
using nearside::test::RawClient;
using nearside::test::Reply;

inline constexpr const char* kAdminToken = "admin-token-for-tests";
inline constexpr const char* kFleetToken = "fleet-token-for-tests";

/// A whole origin in this process, on a free port of loopback, its state in a folder of its own.
class OriginTest : public testing::Test {
 protected:
  void SetUp() override { Start(); }
  void TearDown() override { Stop(); }

  /// `more` is TOML behind the required tables.
  void Start(const std::string& more = "");
  void Stop();
  void Restart(const std::string& more = "") {
    Stop();
    Start(more);
  }
  /// Settings as the daemon would read them.
  OriginSettings Settings(const std::string& more) const;

  uint16_t port() const { return server_->addresses().front().port(); }

  /// A request of the admin: "PUT /v1/…", more fields ("name: value\r\n"), content.
  Reply Admin(const std::string& line, const std::string& content = "",
              const std::string& fields = "") {
    return Request(line, "authorization: Bearer " + std::string(kAdminToken) + "\r\n" + fields,
                   content);
  }
  Reply Fleet(const std::string& line, const std::string& content = "") {
    return Request(line, "authorization: Bearer " + std::string(kFleetToken) + "\r\n", content);
  }
  /// A visitor of www.demo.test (as an edge asks for one).
  Reply Visit(const std::string& path, const std::string& fields = "",
              const std::string& method = "GET");
  Reply Request(const std::string& line, const std::string& fields,
                const std::string& content = "");
  /// The text of such a request.
  static std::string Text(const std::string& line, const std::string& fields,
                          const std::string& content, const std::string& host = "127.0.0.1");

  void MakeSite(const std::string& name = "demo", const std::string& host = "www.demo.test");
  /// Publishes {path, content} pairs and returns the release's id.
  std::string Publish(const std::vector<std::pair<std::string, std::string>>& files);
  /// Makes a release, uploads what is missing, and returns its id.
  std::string Prepare(const std::vector<std::pair<std::string, std::string>>& files);

  static nlohmann::json Json(const Reply& reply) {
    return nlohmann::json::parse(reply.body, nullptr, false);
  }
  static std::string Reason(const Reply& reply) {
    const nlohmann::json json = Json(reply);
    return json.is_object() ? json.value("reason", "") : "no problem details: " + reply.body;
  }
  /// "EPOCH:N" of the newest event.
  std::string Position();

  nearside::test::TempDir dir_;
  std::string storage_;  ///< more lines of [storage]
  std::unique_ptr<Node> node_;
  std::unique_ptr<ApiServer> server_;
};

/// "sha256 digits" and "sha-256=:base64:" of a text.
std::string DigitsOf(std::string_view text);
std::string DigestFieldOf(std::string_view text);

}  // namespace nearside::origin::test
