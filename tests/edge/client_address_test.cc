#include "edge/client_address.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace nearside::edge {
namespace {

constexpr auto kX = ForwardedField::kXForwardedFor;
constexpr auto kF = ForwardedField::kForwarded;

struct AddressRow {
  const char* name;
  std::string_view peer;
  http::Fields fields;
  ForwardedField field;
  std::string_view address, chain;
};

/// Trusted are 10.0.0.0/8, 192.0.2.1 and 2001:db8:1::/48.
void Expect(const std::vector<AddressRow>& rows) {
  const auto trusted =
      net::AddressRanges::Parse({"10.0.0.0/8", "192.0.2.1", "2001:db8:1::/48"}).value();
  for (const AddressRow& row : rows) {
    const auto peer = net::SocketAddress::FromLiteral(row.peer, 4711).value();
    const ClientAddress client = ClientOf(peer, row.fields, trusted, row.field);
    EXPECT_EQ(client.address, row.address) << row.name;
    EXPECT_EQ(client.chain, row.chain) << row.name;
  }
}

TEST(ClientAddressTest, WhoIsNotTrustedSpeaksForNobody) {
  Expect({
      {"no field", "203.0.113.9", {}, kX, "203.0.113.9", ""},
      {"a field", "203.0.113.9", {{"x-forwarded-for", "1.1.1.1"}}, kX, "203.0.113.9", ""},
      {"a trusted address in it",
       "203.0.113.9",
       {{"x-forwarded-for", "1.1.1.1, 10.0.0.1"}},
       kX,
       "203.0.113.9",
       ""},
      {"the other field", "203.0.113.9", {{"forwarded", "for=1.1.1.1"}}, kF, "203.0.113.9", ""},
      {"beside a trusted one", "192.0.2.2", {{"x-forwarded-for", "1.1.1.1"}}, kX, "192.0.2.2", ""},
      {"IPv6", "2001:db8:2::1", {{"x-forwarded-for", "1.1.1.1"}}, kX, "2001:db8:2::1", ""},
  });
}

TEST(ClientAddressTest, OfTrustedOnesTheLastThatIsNotIsTheClient) {
  Expect({
      {"no field", "10.0.0.1", {}, kX, "10.0.0.1", ""},
      {"one hop",
       "10.0.0.1",
       {{"x-forwarded-for", "203.0.113.9"}},
       kX,
       "203.0.113.9",
       "203.0.113.9"},
      {"two hops",
       "192.0.2.1",
       {{"x-forwarded-for", "203.0.113.9, 10.2.3.4"}},
       kX,
       "203.0.113.9",
       "203.0.113.9, 10.2.3.4"},
      {"two lines",
       "10.0.0.1",
       {{"x-forwarded-for", "203.0.113.9"}, {"x-forwarded-for", "10.2.3.4"}},
       kX,
       "203.0.113.9",
       "203.0.113.9, 10.2.3.4"},
      {"IPv6",
       "2001:db8:1::7",
       {{"x-forwarded-for", "2001:db8:9::1"}},
       kX,
       "2001:db8:9::1",
       "2001:db8:9::1"},
      {"ports",
       "10.0.0.1",
       {{"x-forwarded-for", "[2001:db8:9::1]:4711, 10.2.3.4:80"}},
       kX,
       "2001:db8:9::1",
       "[2001:db8:9::1]:4711, 10.2.3.4:80"},
      {"all are trusted",
       "10.0.0.1",
       {{"x-forwarded-for", "10.1.1.1, 10.2.2.2"}},
       kX,
       "10.1.1.1",
       "10.1.1.1, 10.2.2.2"},
      {"a mapped address",
       "::ffff:10.0.0.1",
       {{"x-forwarded-for", "203.0.113.9"}},
       kX,
       "203.0.113.9",
       "203.0.113.9"},
  });
}

TEST(ClientAddressTest, WhatStandsBeforeTheClientIsItsOwnTale) {
  Expect({
      {"a forged hop",
       "10.0.0.1",
       {{"x-forwarded-for", "1.1.1.1, 203.0.113.9"}},
       kX,
       "203.0.113.9",
       "1.1.1.1, 203.0.113.9"},
      {"a forged trusted one",
       "10.0.0.1",
       {{"x-forwarded-for", "1.1.1.1, 10.9.9.9, 203.0.113.9"}},
       kX,
       "203.0.113.9",
       "1.1.1.1, 10.9.9.9, 203.0.113.9"},
      {"garbage before",
       "10.0.0.1",
       {{"x-forwarded-for", "<x>, 203.0.113.9"}},
       kX,
       "203.0.113.9",
       "<x>, 203.0.113.9"},
      {"unknown before trusted",
       "10.0.0.1",
       {{"x-forwarded-for", "1.1.1.1, unknown, 10.2.3.4"}},
       kX,
       "10.2.3.4",
       "1.1.1.1, unknown, 10.2.3.4"},
      {"unknown last",
       "10.0.0.1",
       {{"x-forwarded-for", "1.1.1.1, unknown"}},
       kX,
       "10.0.0.1",
       "1.1.1.1, unknown"},
      {"a name", "10.0.0.1", {{"x-forwarded-for", "localhost"}}, kX, "10.0.0.1", "localhost"},
      {"a bad bracket", "10.0.0.1", {{"x-forwarded-for", "[::1"}}, kX, "10.0.0.1", "[::1"},
      {"brackets around IPv4",
       "10.0.0.1",
       {{"x-forwarded-for", "[1.1.1.1]"}},
       kX,
       "10.0.0.1",
       "[1.1.1.1]"},
      {"behind a bracket", "10.0.0.1", {{"x-forwarded-for", "[::1]x"}}, kX, "10.0.0.1", "[::1]x"},
      {"the field that is not believed",
       "10.0.0.1",
       {{"forwarded", "for=1.1.1.1"}, {"x-forwarded-for", "203.0.113.9"}},
       kX,
       "203.0.113.9",
       "203.0.113.9"},
      {"nothing in the one that is",
       "10.0.0.1",
       {{"forwarded", "for=1.1.1.1"}},
       kX,
       "10.0.0.1",
       ""},
      {"commas alone", "10.0.0.1", {{"x-forwarded-for", ",,"}}, kX, "10.0.0.1", ",,"},
  });
}

// RFC 7239.
TEST(ClientAddressTest, ForwardedIsReadByItsGrammar) {
  Expect({
      {"plain",
       "10.0.0.1",
       {{"forwarded", "for=203.0.113.9"}},
       kF,
       "203.0.113.9",
       "for=203.0.113.9"},
      {"among others",
       "10.0.0.1",
       {{"forwarded", "proto=https;FOR=\"203.0.113.9:99\";by=10.0.0.1"}},
       kF,
       "203.0.113.9",
       "proto=https;FOR=\"203.0.113.9:99\";by=10.0.0.1"},
      {"IPv6",
       "10.0.0.1",
       {{"forwarded", "for=\"[2001:db8:9::1]:99\""}},
       kF,
       "2001:db8:9::1",
       "for=\"[2001:db8:9::1]:99\""},
      {"two hops, one forged",
       "10.0.0.1",
       {{"forwarded", "for=1.1.1.1, for=203.0.113.9;proto=http, for=10.2.3.4"}},
       kF,
       "203.0.113.9",
       "for=1.1.1.1, for=203.0.113.9;proto=http, for=10.2.3.4"},
      {"a quoted comma is no hop",
       "10.0.0.1",
       {{"forwarded", "for=203.0.113.9;host=\"a, for=1.1.1.1\""}},
       kF,
       "203.0.113.9",
       "for=203.0.113.9;host=\"a, for=1.1.1.1\""},
      {"hidden", "10.0.0.1", {{"forwarded", "for=_hidden"}}, kF, "10.0.0.1", "for=_hidden"},
      {"without for", "10.0.0.1", {{"forwarded", "proto=https"}}, kF, "10.0.0.1", "proto=https"},
      {"no value", "10.0.0.1", {{"forwarded", "for"}}, kF, "10.0.0.1", "for"},
  });
}

TEST(ClientAddressTest, NobodyIsTrustedByDefault) {
  const auto peer = net::SocketAddress::FromLiteral("127.0.0.1", 1).value();
  EXPECT_EQ(ClientOf(peer, {{"x-forwarded-for", "1.1.1.1"}}, {}, kX).address, "127.0.0.1");
}

TEST(ClientAddressTest, TheSchemeIsThatOfTheHopThatSawTheClient) {
  const auto trusted = net::AddressRanges::Parse({"10.0.0.0/8"}).value();
  struct SchemeRow {
    std::string_view peer;
    http::Fields fields;
    ForwardedField field;
    std::string_view scheme;
  };
  const SchemeRow rows[] = {
      {"10.0.0.1", {{"x-forwarded-proto", "https"}}, kX, "https"},
      {"10.0.0.1", {{"x-forwarded-proto", "HTTP"}}, kX, "http"},
      {"10.0.0.1", {{"x-forwarded-proto", "https, http"}}, kX, "http"},
      {"10.0.0.1", {{"x-forwarded-proto", "http"}, {"x-forwarded-proto", "https"}}, kX, "https"},
      {"10.0.0.1", {{"x-forwarded-proto", "wss"}}, kX, ""},
      {"10.0.0.1", {{"x-forwarded-proto", ""}}, kX, ""},
      {"10.0.0.1", {}, kX, ""},
      {"10.0.0.1", {{"forwarded", "for=203.0.113.9;proto=https"}}, kX, ""},
      {"10.0.0.1", {{"forwarded", "for=203.0.113.9;proto=https"}}, kF, "https"},
      {"10.0.0.1", {{"forwarded", "Proto=\"https\";for=203.0.113.9"}}, kF, "https"},
      {"10.0.0.1",
       {{"forwarded",
         "for=1.1.1.1;proto=http, for=203.0.113.9;proto=https, for=10.2.3.4;proto=http"}},
       kF,
       "https"},
      {"10.0.0.1", {{"forwarded", "for=203.0.113.9"}}, kF, ""},
      {"10.0.0.1", {{"forwarded", "for=unknown;proto=https"}}, kF, ""},
      {"10.0.0.1", {{"x-forwarded-proto", "https"}}, kF, ""},
      {"203.0.113.9", {{"x-forwarded-proto", "https"}}, kX, ""},
      {"203.0.113.9", {{"forwarded", "for=10.0.0.1;proto=https"}}, kF, ""},
  };
  for (const SchemeRow& row : rows) {
    const auto peer = net::SocketAddress::FromLiteral(row.peer, 4711).value();
    EXPECT_EQ(ClientOf(peer, row.fields, trusted, row.field).scheme, row.scheme)
        << row.peer << "\n"
        << row.fields.ToText();
  }
}

}  // namespace
}  // namespace nearside::edge
