#include "tests/origin/origin_fixture.h"

#include "runtime/crypto.h"

namespace nearside::origin::test {

std::string DigitsOf(std::string_view text) { return HexEncode(Sha256Of(text)); }

std::string DigestFieldOf(std::string_view text) {
  return "sha-256=:" + Base64Encode(Sha256Of(text)) + ":";
}

OriginSettings OriginTest::Settings(const std::string& more) const {
  const std::string text =
      "[origin]\nname = \"origin-1\"\napi = [\"127.0.0.1:0\"]\n"
      "[storage]\nmetadata = \"sqlite:" +
      dir_.In("meta.db") + "\"\nblobs = \"file:" + dir_.In("blobs") + "\"\n" + storage_ +
      "[auth]\ntoken_file = \"" + dir_.In("admin.token") + "\"\nfleet_token_file = \"" +
      dir_.In("fleet.token") + "\"\n" + more;
  OriginSettings settings;
  const Status read = OriginTable().ReadText(text, "origin.toml", &settings);
  EXPECT_TRUE(read) << read.error().ToString();
  return settings;
}

void OriginTest::Start(const std::string& more) {
  dir_.Write("admin.token", kAdminToken);
  dir_.Write("fleet.token", kFleetToken);
  auto tokens = Tokens::Load(dir_.In("admin.token"), dir_.In("fleet.token"));
  ASSERT_TRUE(tokens) << tokens.error().ToString();
  auto node = Node::Open(Settings(more), *tokens);
  ASSERT_TRUE(node) << node.error().ToString();
  node_ = std::move(*node);
  auto server = ApiServer::Open(*node_, {*net::SocketAddress::Parse("127.0.0.1:0")});
  ASSERT_TRUE(server) << server.error().ToString();
  server_ = std::move(*server);
  server_->Start();
}

void OriginTest::Stop() {
  server_.reset();
  node_.reset();
}

std::string OriginTest::Text(const std::string& line, const std::string& fields,
                             const std::string& content, const std::string& host) {
  const bool has_content =
      !content.empty() || line.starts_with("PUT ") || line.starts_with("POST ");
  const std::string length =
      has_content ? "content-length: " + std::to_string(content.size()) + "\r\n" : "";
  return line + " HTTP/1.1\r\nhost: " + host + "\r\n" + fields + length + "\r\n" + content;
}

Reply OriginTest::Request(const std::string& line, const std::string& fields,
                          const std::string& content) {
  return nearside::test::Ask(port(), Text(line, fields, content));
}

Reply OriginTest::Visit(const std::string& path, const std::string& fields,
                        const std::string& method) {
  return nearside::test::Ask(port(), Text(method + " " + path, fields, "", "www.demo.test"));
}

void OriginTest::MakeSite(const std::string& name, const std::string& host) {
  const Reply reply =
      Admin("POST /v1/sites", R"({"name":")" + name + R"(","hosts":[")" + host + R"("]})");
  ASSERT_EQ(reply.status, 201) << reply.body;
}

std::string OriginTest::Prepare(const std::vector<std::pair<std::string, std::string>>& files) {
  nlohmann::json manifest;
  manifest["assets"] = nlohmann::json::array();
  for (const auto& [path, content] : files) {
    manifest["assets"].push_back(
        {{"path", path}, {"sha256", DigitsOf(content)}, {"bytes", content.size()}});
  }
  const Reply created = Admin("POST /v1/sites/demo/releases", manifest.dump());
  EXPECT_EQ(created.status, 201) << created.body;
  const nlohmann::json release = Json(created);
  for (const auto& [path, content] : files) {
    for (const nlohmann::json& missing : release["missing"]) {
      if (missing != DigitsOf(content)) continue;
      const Reply put = Admin("PUT /v1/blobs/" + DigitsOf(content), content);
      EXPECT_TRUE(put.status == 201 || put.status == 200) << put.body;
    }
  }
  return release["id"].get<std::string>();
}

std::string OriginTest::Publish(const std::vector<std::pair<std::string, std::string>>& files) {
  const std::string id = Prepare(files);
  const Reply activated = Admin("POST /v1/sites/demo/releases/" + id + "/activate");
  EXPECT_EQ(activated.status, 200) << activated.body;
  return id;
}

std::string OriginTest::Position() {
  const nlohmann::json edges = Json(Admin("GET /v1/edges"));
  return std::to_string(edges["epoch"].get<uint64_t>()) + ":" +
         std::to_string(edges["seq"].get<uint64_t>());
}

}  // namespace nearside::origin::test
