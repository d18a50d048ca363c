#include "origin/asker.h"

#include <gtest/gtest.h>

namespace nearside::origin {
namespace {

struct AskerRow {
  const char* peer;
  const char* scheme;
  const char* chain;  ///< X-Forwarded-For; null: none
  const char* proto;  ///< X-Forwarded-Proto; null: none
  const char* address;
  bool https;
};

TEST(AskerTest, EdgesSayWhoAsksAndOthersDoNot) {
  const net::AddressRanges trusted =
      net::AddressRanges::Parse({"10.0.0.0/8", "127.0.0.0/8", "::1"}).value();
  const AskerRow rows[] = {
      // Nobody between.
      {"192.0.2.1", "https", nullptr, nullptr, "192.0.2.1", true},
      {"192.0.2.1", "http", nullptr, nullptr, "192.0.2.1", false},
      // A client that says it is another one.
      {"192.0.2.1", "http", "198.51.100.7", "https", "192.0.2.1", false},
      {"192.0.2.1", "https", "198.51.100.7", "http", "192.0.2.1", true},
      // An edge.
      {"10.0.0.1", "http", "192.0.2.1", "https", "192.0.2.1", true},
      {"10.0.0.1", "https", "192.0.2.1", "http", "192.0.2.1", false},
      {"10.0.0.1", "https", "192.0.2.1", nullptr, "192.0.2.1", true},
      {"::1", "http", "2001:db8::1", "https", "2001:db8::1", true},
      // A client that lies to an edge: what the edge appended counts.
      {"10.0.0.1", "http", "203.0.113.9, 192.0.2.1", "https", "192.0.2.1", true},
      // A proxy before the edge.
      {"10.0.0.1", "http", "192.0.2.1, 10.0.0.2", "https", "192.0.2.1", true},
      {"10.0.0.1", "http", "203.0.113.9,192.0.2.1 ,10.0.0.2", "https", "192.0.2.1", true},
      {"10.0.0.1", "http", "10.0.0.3, 10.0.0.2", "https", "10.0.0.3", true},
      // Proxies that write the client's port as well.
      {"10.0.0.1", "http", "192.0.2.1:4711", "https", "192.0.2.1", true},
      {"10.0.0.1", "http", "[2001:db8::1]:4711, 10.0.0.2:80", "https", "2001:db8::1", true},
      // Nonsense ends the chain.
      {"10.0.0.1", "http", "192.0.2.1, unknown, 10.0.0.2", "https", "10.0.0.2", true},
      {"10.0.0.1", "http", "garbage", "https", "10.0.0.1", true},
      {"10.0.0.1", "http", "", "HTTPS", "10.0.0.1", false},
      {"unknown", "http", "192.0.2.1", "https", "unknown", false},
  };
  for (const AskerRow& row : rows) {
    http::RequestHead request;
    request.scheme = row.scheme;
    if (row.chain != nullptr) request.fields.Add("x-forwarded-for", row.chain);
    if (row.proto != nullptr) request.fields.Add("x-forwarded-proto", row.proto);
    const Asker asker = AskerOf(request, row.peer, trusted);
    const std::string where =
        std::string(row.peer) + " says " + (row.chain == nullptr ? "nothing" : row.chain);
    EXPECT_EQ(asker.address, row.address) << where;
    EXPECT_EQ(asker.https, row.https) << where;
  }
}

}  // namespace
}  // namespace nearside::origin
