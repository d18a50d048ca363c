#include "net/proxy_header.h"
#include "runtime/text_bytes.h"

#include <gtest/gtest.h>

#include <random>
#include <set>
#include <string>

namespace nearside::net {
namespace {

const std::string kSignature("\r\n\r\n\0\r\nQUIT\n", 12);
const std::string kIpv4("\xc0\x00\x02\x07\x7f\x00\x00\x01\x12\x67\x01\xbb", 12);
const std::string kIpv6 = std::string("\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07", 16) +
                          std::string(15, '\0') + "\x01" + std::string("\x12\x67\x01\xbb", 4);

/// A header with this version and command, family and transport, and bytes behind its fixed part.
std::string Header(uint8_t command, uint8_t family, const std::string& rest) {
  std::string text = kSignature;
  text += static_cast<char>(command);
  text += static_cast<char>(family);
  text += static_cast<char>(rest.size() >> 8);
  text += static_cast<char>(rest.size() & 255);
  return text + rest;
}

ProxyHeader Parse(std::string_view text) { return ParseProxyHeader(AsBytes(text)); }

/// "192.0.2.7:4711", "itself", "wants 16", or the refusal's name.
std::string Text(std::string_view bytes) {
  const ProxyHeader header = Parse(bytes);
  if (header.refusal != ProxyRefusal::kNone) return std::string(ProxyRefusalName(header.refusal));
  if (header.needed > bytes.size()) return "wants " + std::to_string(header.needed);
  EXPECT_LE(header.needed, bytes.size());
  return header.source.is_set() ? header.source.ToString() : "itself";
}

TEST(ProxyHeaderTest, WhatItSays) {
  const std::string values("\x03\0\x04\1\2\3\4\x04\0\0", 10);
  const struct {
    const char* name;
    std::string header;
    std::string expected;
  } rows[] = {
      {"IPv4", Header(0x21, 0x11, kIpv4), "192.0.2.7:4711"},
      {"IPv6", Header(0x21, 0x21, kIpv6), "[2001:db8::7]:4711"},
      {"IPv4 with further values", Header(0x21, 0x11, kIpv4 + values), "192.0.2.7:4711"},
      {"values that are cut off", Header(0x21, 0x11, kIpv4 + "\x03\xff"), "192.0.2.7:4711"},
      {"IPv6 with further values", Header(0x21, 0x21, kIpv6 + values), "[2001:db8::7]:4711"},
      {"LOCAL", Header(0x20, 0x00, ""), "itself"},
      {"LOCAL with addresses", Header(0x20, 0x11, kIpv4), "itself"},
      {"LOCAL with a family nobody knows", Header(0x20, 0xff, "x"), "itself"},
      {"UNSPEC", Header(0x21, 0x00, ""), "itself"},
      {"UNSPEC with bytes", Header(0x21, 0x00, "xyz"), "itself"},
      {"IPv4 of no transport", Header(0x21, 0x10, kIpv4), "itself"},
      {"UNIX", Header(0x21, 0x31, std::string(216, 'x')), "itself"},
      {"datagrams", Header(0x21, 0x12, kIpv4), "bad_family"},
      {"another transport", Header(0x21, 0x13, kIpv4), "bad_family"},
      {"another family", Header(0x21, 0x41, kIpv4), "bad_family"},
      {"IPv4, too short", Header(0x21, 0x11, kIpv4.substr(0, 11)), "too_short"},
      {"IPv4 without addresses", Header(0x21, 0x11, ""), "too_short"},
      {"IPv6 with IPv4's length", Header(0x21, 0x21, kIpv4), "too_short"},
      {"another command", Header(0x22, 0x11, kIpv4), "bad_command"},
      {"version 1 in binary", Header(0x11, 0x11, kIpv4), "bad_version"},
      {"version 3", Header(0x31, 0x11, kIpv4), "bad_version"},
      {"the longest", Header(0x21, 0x11, kIpv4 + std::string(kMostProxyBytes - 28, 'x')),
       "192.0.2.7:4711"},
      {"longer", Header(0x21, 0x11, kIpv4 + std::string(kMostProxyBytes - 27, 'x')), "too_long"},
      {"version 1", "PROXY TCP4 192.0.2.7 127.0.0.1 4711 443\r\n", "version_1"},
      {"version 1, unknown", "PROXY UNKNOWN\r\n", "version_1"},
      {"no header", "GET / HTTP/1.1\r\n", "not_proxy"},
      {"POST, which begins alike", "POST / HTTP/1.1\r\n", "not_proxy"},
      {"HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "not_proxy"},
      {"TLS", std::string("\x16\x03\x01\x02\x00", 5), "not_proxy"},
      {"a bent signature", std::string("\r\n\r\n\0\r\nQUIX\n", 12), "not_proxy"},
  };
  for (const auto& row : rows) EXPECT_EQ(Text(row.header), row.expected) << row.name;
}

TEST(ProxyHeaderTest, WhetherTheClientSpokeTls) {
  const auto tls = [](uint8_t flags, std::string_view more = "") {
    std::string value("\x20\0", 2);
    value += static_cast<char>(5 + more.size());
    value += static_cast<char>(flags);
    return value + std::string(4, '\0') + std::string(more);
  };
  const std::string crc("\x03\0\x04\1\2\3\4", 7);
  const std::string version("\x21\0\x07TLSv1.3", 10);
  const struct {
    const char* name;
    std::string values;
    bool expected;
  } rows[] = {
      {"nothing said", "", false},
      {"another value", crc, false},
      {"TLS", tls(1), true},
      {"TLS with a client's certificate, version told", tls(7, version), true},
      {"TLS behind another value", crc + tls(1), true},
      {"and before one", tls(1) + crc, true},
      {"a certificate of another connection, no TLS on this one", tls(4), false},
      {"the first one counts", tls(0) + tls(1), false},
      {"a version outside of it", version, false},
      {"empty", std::string("\x20\0\0", 3), false},
      {"only its flags", std::string("\x20\0\1\1", 4), true},
      {"cut off", tls(1).substr(0, 7), false},
      {"behind one that is cut off", std::string("\x03\0\xff", 3) + tls(1), false},
  };
  for (const auto& row : rows) {
    EXPECT_EQ(Parse(Header(0x21, 0x11, kIpv4 + row.values)).over_tls, row.expected) << row.name;
    EXPECT_EQ(Parse(Header(0x21, 0x21, kIpv6 + row.values)).over_tls, row.expected) << row.name;
    EXPECT_FALSE(Parse(Header(0x20, 0x11, kIpv4 + row.values)).over_tls) << row.name << ", LOCAL";
  }
}

TEST(ProxyHeaderTest, EveryByteShortWaitsAndNothingBehindIsWanted) {
  for (const std::string& header :
       {Header(0x21, 0x11, kIpv4 + "more"), Header(0x21, 0x21, kIpv6), Header(0x20, 0x00, "")}) {
    for (size_t size = 0; size < header.size(); ++size) {
      const size_t wanted = size < 16 ? 16 : header.size();
      EXPECT_EQ(Text(header.substr(0, size)), "wants " + std::to_string(size == 0 ? 16 : wanted))
          << size;
    }
    // What is behind it is not looked at.
    EXPECT_EQ(Parse(header + "x").needed, header.size());
    EXPECT_EQ(Text(header + "x"), Text(header));
  }
  // A version 1 header is told by its first word.
  EXPECT_EQ(Text("PROXY"), "wants 6");
  EXPECT_EQ(Text("P"), "wants 6");
  EXPECT_EQ(Text("PO"), "not_proxy");
}

TEST(ProxyHeaderTest, RandomBytesDoNoHarm) {
  const uint32_t seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  for (int i = 0; i < 20'000; ++i) {
    std::string header = Header(0x21, 0x11, kIpv4);
    for (size_t n = random() % 3 + 1; n > 0; --n) {
      header[random() % header.size()] = static_cast<char>(random());
    }
    header.resize(random() % (header.size() + 8));
    const ProxyHeader parsed = Parse(header);
    EXPECT_LE(parsed.needed, kMostProxyBytes);
  }
}

TEST(ProxyHeaderTest, EveryRefusalHasANameAndAText) {
  std::set<std::string_view> names;
  for (size_t i = 1; i < kProxyRefusals; ++i) {
    const auto refusal = static_cast<ProxyRefusal>(i);
    EXPECT_TRUE(names.insert(ProxyRefusalName(refusal)).second) << i;
    EXPECT_FALSE(ProxyRefusalName(refusal).empty());
    EXPECT_FALSE(ProxyRefusalText(refusal).empty());
  }
}

}  // namespace
}  // namespace nearside::net
