#include <gtest/gtest.h>

#include <string>

#include "http/session/client.h"

namespace nearside::http {
namespace {

TEST(EndpointTest, Urls) {
  const auto text = [](std::string_view url) -> std::string {
    const auto endpoint = Endpoint::Parse(url);
    return endpoint ? endpoint->ToString() : endpoint.error().reason;
  };
  const struct {
    const char* url;
    const char* endpoint;
  } rows[] = {
      {"http://10.0.0.1:9000", "http://10.0.0.1:9000"},
      {"http://Origin.Example", "http://origin.example:80"},
      {"https://origin.example", "https://origin.example:443"},
      {"https://origin.example/", "https://origin.example:443"},
      {"HTTPS://a:1", "https://a:1"},
      {"http://[::1]:80", "http://[::1]:80"},
      {"", "bad_url"},
      {"origin.example", "bad_url"},
      {"ftp://a", "bad_url"},
      {"http://", "bad_url"},
      {"http://a/path", "bad_url"},
      {"http://a?q", "bad_url"},
      {"http://u@a", "bad_url"},
      {"http://a:0", "bad_url"},
      {"http://a:70000", "bad_url"},
      {"http://a b", "bad_url"},
  };
  for (const auto& row : rows) EXPECT_EQ(text(row.url), row.endpoint) << row.url;
}

}  // namespace
}  // namespace nearside::http
