#include "dns/dnssec.h"

#include <gtest/gtest.h>
#include <ldns/ldns.h>

#include <algorithm>
#include <memory>
#include <numeric>
#include <random>

#include "dns/rdata.h"
#include "dns/record_type.h"
#include "dns/wire.h"
#include "runtime/crypto.h"
#include "runtime/signing_key.h"
#include "tests/dns/wire_query.h"
#include "tests/dns/words.h"

namespace nearside::dns {
namespace {

struct RrDeleter {
  void operator()(ldns_rr* rr) const { ldns_rr_free(rr); }
};
using RrPtr = std::unique_ptr<ldns_rr, RrDeleter>;

RrPtr LdnsRecord(const std::string& text) {
  ldns_rr* record = nullptr;
  const ldns_status status = ldns_rr_new_frm_str(&record, text.c_str(), 0, nullptr, nullptr);
  EXPECT_EQ(status, LDNS_STATUS_OK) << text;
  return RrPtr(record);
}

std::vector<uint8_t> RdataOfLdns(const ldns_rr* record) {
  std::vector<uint8_t> rdata;
  for (size_t i = 0; i < ldns_rr_rd_count(record); ++i) {
    const ldns_rdf* rdf = ldns_rr_rdf(record, i);
    rdata.insert(rdata.end(), ldns_rdf_data(rdf), ldns_rdf_data(rdf) + ldns_rdf_size(rdf));
  }
  return rdata;
}

std::vector<uint8_t> FromBase64(std::string_view text) {
  const std::string bytes = *Base64Decode(text);
  return {bytes.begin(), bytes.end()};
}

struct RfcKey {
  std::string zone;
  uint8_t algorithm;
  std::string public_key;
  uint16_t tag;
  std::string digest;
};

/// RFC 6605 §6.1, RFC 8080 §6.1.
const RfcKey kRfcKeys[] = {
    {"example.net.", 13,
     "GojIhhXUN/u4v54ZQqGSnyhWJwaubCvTmeexv7bR6edbkrSqQpF64cYbcB7wNcP+e+MAnLr+Wi9xMWyQLc8NAA==",
     55648, "b4c8c1fe2e7477127b27115656ad6256f424625bf5c1e2770ce6d6e37df61d17"},
    {"example.com.", 15, "l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4=", 3613,
     "3aa5ab37efce57f737fc1627013fee07bdf241bd10f3b1964ab55c78e79a304b"},
    {"example.com.", 15, "zPnZ/QwEe7S8C5SPz2OfS5RR40ATk2/rYnE9xHIEijs=", 35217,
     "401781b934e392de492ec77ae2e15d70f6575a1c0bc59c5275c04ebe80c6614c"},
};

TEST(DnssecTest, KeysOfTheRfcsHaveTheirTagsAndDigests) {
  for (const RfcKey& key : kRfcKeys) {
    const auto dnskey = DnskeyRdata(key.algorithm, FromBase64(key.public_key));
    EXPECT_EQ(KeyTag(dnskey), key.tag);
    EXPECT_EQ(RdataToText(type::kDnskey, dnskey),
              "257 3 " + std::to_string(key.algorithm) + " " + key.public_key);
    std::string upper = key.zone;
    upper[0] = 'E';
    for (const std::string& zone : {key.zone, upper}) {
      EXPECT_EQ(RdataToText(type::kDs, DsRdata(*Name::FromText(zone), dnskey)),
                std::to_string(key.tag) + " " + std::to_string(key.algorithm) + " 2 " + key.digest);
    }
  }
}

TEST(DnssecTest, LdnsHasTheSameTagsAndDigests) {
  std::mt19937 random(7);
  for (int round = 0; round < 200; ++round) {
    std::vector<uint8_t> key(random() % 2 == 0 ? 64 : 32);
    for (uint8_t& byte : key) byte = static_cast<uint8_t>(random());
    const uint8_t algorithm = key.size() == 64 ? kAlgorithmEcdsaP256 : kAlgorithmEd25519;
    const auto dnskey = DnskeyRdata(algorithm, key);
    const RrPtr record =
        LdnsRecord("Demo.test. 60 IN DNSKEY " + RdataToText(type::kDnskey, dnskey));
    ASSERT_NE(record, nullptr);
    EXPECT_EQ(RdataOfLdns(record.get()), dnskey);
    EXPECT_EQ(ldns_calc_keytag(record.get()), KeyTag(dnskey));
    const RrPtr ds(ldns_key_rr2ds(record.get(), LDNS_SHA256));
    EXPECT_EQ(RdataOfLdns(ds.get()), DsRdata(*Name::FromText("demo.test."), dnskey));
  }
}

TEST(DnssecTest, LdnsFoldsTheSameNames) {
  for (const char* text :
       {"X. 60 IN NS Ns.X.", "X. 60 IN CNAME Ns.X.", "X. 60 IN PTR Ns.X.", "X. 60 IN DNAME Ns.X.",
        "X. 60 IN MX 10 Mail.X.", "X. 60 IN SOA NS.x. Host.X. 1 2 3 4 5", "X. 60 IN RP A.X. B.X.",
        "X. 60 IN SRV 1 2 3 T.X.", "X. 60 IN NAPTR 1 2 \"U\" \"E2U\" \"!A!B!\" R.X.",
        "X. 60 IN AFSDB 1 A.X.", "X. 60 IN KX 1 A.X.", "X. 60 IN RT 1 A.X.",
        "X. 60 IN PX 1 A.X. B.X.", "X. 60 IN MINFO A.X. B.X.", "X. 60 IN TXT \"Not A Name\"",
        "X. 60 IN HINFO \"Cpu\" \"Os\"", "X. 60 IN NSEC A.X. A", "X. 60 IN TYPE65280 \\# 3 014100",
        "X. 60 IN CAA 0 issue \"CA.X\""}) {
    const RrPtr record = LdnsRecord(text);
    ASSERT_NE(record, nullptr);
    const auto type = static_cast<uint16_t>(ldns_rr_get_type(record.get()));
    std::vector<uint8_t> rdata = RdataOfLdns(record.get());
    const std::vector<uint8_t> before = rdata;
    FoldNames(type, rdata);
    ldns_rr2canonical(record.get());
    EXPECT_EQ(rdata, RdataOfLdns(record.get())) << text;
    EXPECT_EQ(rdata != before, HasNamesToFold(type)) << text;
  }
}

TEST(DnssecTest, FoldingStaysInsideMalformedData) {
  std::mt19937 random(8);
  for (int round = 0; round < 20'000; ++round) {
    std::vector<uint8_t> rdata(random() % 24);
    for (uint8_t& byte : rdata)
      byte = static_cast<uint8_t>(random() % 2 == 0 ? random() : random() % 9);
    const std::vector<uint8_t> before = rdata;
    FoldNames(static_cast<uint16_t>(random() % 64), rdata);
    for (size_t i = 0; i < rdata.size(); ++i) ASSERT_EQ(FoldCase(before[i]), FoldCase(rdata[i]));
  }
}

TEST(DnssecTest, RecordsAreOrderedByTheirBytes) {
  // RFC 4034 §6.3: as if the end were before any byte.
  const std::vector<std::vector<uint8_t>> ordered = {{}, {0}, {0, 0}, {0, 1}, {1}, {0x7F}, {0x80}};
  for (size_t a = 0; a < ordered.size(); ++a) {
    for (size_t b = 0; b < ordered.size(); ++b) {
      const int order = CompareRdata(ordered[a], ordered[b]);
      EXPECT_EQ(order < 0, a < b);
      EXPECT_EQ(order == 0, a == b);
    }
  }
}

TEST(DnssecTest, LabelsCountWithoutRootAndStar) {
  for (const auto& [name, labels] :
       std::initializer_list<std::pair<const char*, int>>{{".", 0},
                                                          {"test.", 1},
                                                          {"*.test.", 1},
                                                          {"a.*.test.", 3},
                                                          {"*.*.test.", 2},
                                                          {"*x.test.", 2}}) {
    EXPECT_EQ(SignedLabels(*Name::FromText(name)), labels) << name;
  }
}

TEST(DnssecTest, BitmapsAreAsLdnsReadsThem) {
  const std::vector<std::vector<uint16_t>> kRows = {
      {1}, {1, 15, 46, 47, 1234}, {46, 47, 128}, {257}, {1, 255, 256, 257, 511, 512, 65535}};
  for (const auto& types : kRows) {
    std::vector<uint8_t> bitmap(kMaxTypeBitmapBytes);
    bitmap.resize(EncodeTypeBitmap(types, bitmap.data()));
    const std::unique_ptr<ldns_rdf, decltype(&ldns_rdf_deep_free)> rdf(
        ldns_rdf_new_frm_data(LDNS_RDF_TYPE_BITMAP, bitmap.size(), bitmap.data()),
        ldns_rdf_deep_free);
    for (unsigned type = 0; type < 65536; ++type) {
      const bool wanted = std::find(types.begin(), types.end(), type) != types.end();
      ASSERT_EQ(ldns_nsec_bitmap_covers_type(rdf.get(), static_cast<ldns_rr_type>(type)), wanted)
          << type;
    }
  }
  // The example of RFC 4034 §4.3.
  std::vector<uint8_t> bitmap(kMaxTypeBitmapBytes);
  bitmap.resize(EncodeTypeBitmap(kRows[1], bitmap.data()));
  EXPECT_EQ(bitmap, FromHex("0006 400100000003 041b 0000000000000000000000000000000000000000000000"
                            "00000020"));
  std::vector<uint16_t> all(65536);
  for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<uint16_t>(i);
  bitmap.resize(kMaxTypeBitmapBytes);
  EXPECT_EQ(EncodeTypeBitmap(all, bitmap.data()), kMaxTypeBitmapBytes);
}

TEST(DnssecTest, TheRoomForABitmapIsKnownBefore) {
  const struct {
    std::vector<uint16_t> types;
    size_t most;
  } kRows[] = {{{}, 0}, {{1}, 34}, {{46, 47, 128, 255}, 34}, {{1, 256, 65535}, 102}};
  for (const auto& row : kRows) {
    std::vector<uint8_t> bitmap(kMaxTypeBitmapBytes);
    EXPECT_EQ(MostTypeBitmapBytes(row.types), row.most);
    EXPECT_LE(EncodeTypeBitmap(row.types, bitmap.data()), row.most);
  }
  std::vector<uint16_t> all(65'536);
  std::iota(all.begin(), all.end(), uint16_t{0});
  EXPECT_EQ(MostTypeBitmapBytes(all), kMaxTypeBitmapBytes);
}

TEST(DnssecTest, NextNamesAreTheNextOnes) {
  const Name apex = *Name::FromText("x.");
  const auto next = [&](const std::string& name) {
    return NextName(*Name::FromText(name), apex).ToText();
  };
  const auto beside = [&](const std::string& name) {
    return NextNameBeside(*Name::FromText(name), apex).ToText();
  };
  EXPECT_EQ(next("a.x."), "\\000.a.x.");
  EXPECT_EQ(next("x."), "\\000.x.");
  EXPECT_EQ(beside("sub.x."), "sub\\000.x.");
  const std::string label63(63, 'k');
  EXPECT_EQ(beside(label63 + ".x."), std::string(62, 'k') + "l.x.");
  EXPECT_EQ(beside(std::string(62, 'k') + "@.x."), std::string(62, 'k') + "[.x.")
      << "upper case letters are lower case ones in this order";
  std::string last;
  for (int i = 0; i < 63; ++i) last += "\\255";
  EXPECT_EQ(beside(last + ".a.x."), "a\\000.x.") << "no label of its length comes after it";
  EXPECT_EQ(beside(last + ".x."), "x.") << "the last name leads back to the apex";
  // 255 and 254 bytes: nothing fits below any more.
  const std::string long_parent = label63 + "." + label63 + "." + label63 + ".x.";
  EXPECT_EQ(next(std::string(59, 'k') + "." + long_parent),
            std::string(58, 'k') + "l." + long_parent);
  EXPECT_EQ(next(std::string(58, 'k') + "." + long_parent),
            std::string(58, 'k') + "\\000." + long_parent);
  EXPECT_EQ(next(std::string(57, 'k') + "." + long_parent),
            "\\000." + std::string(57, 'k') + "." + long_parent);
}

TEST(DnssecTest, NextNamesComeAfterInTheOrderOfLdns) {
  std::mt19937 random(9);
  const Name apex = *Name::FromText("x.");
  for (int round = 0; round < 3000; ++round) {
    Name name = apex;
    while (random() % 4 != 0) {
      std::vector<uint8_t> label(1 + random() % 63);
      for (uint8_t& c : label)
        c = FoldCase(static_cast<uint8_t>(random() % 3 == 0 ? 255 : random()));
      if (!name.Prepend(label)) break;
    }
    const auto rdf = [](NameView view) {
      return std::unique_ptr<ldns_rdf, decltype(&ldns_rdf_deep_free)>(
          ldns_rdf_new_frm_data(LDNS_RDF_TYPE_DNAME, view.size(), view.data()), ldns_rdf_deep_free);
    };
    for (const Name& next : {NextName(name, apex), NextNameBeside(name, apex)}) {
      if (next.view().Equals(apex)) continue;
      EXPECT_LT(ldns_dname_compare(rdf(name).get(), rdf(next).get()), 0) << name.ToText();
      EXPECT_TRUE(next.view().IsAtOrBelow(apex));
    }
  }
}

/// A raw private key as the PKCS #8 that runtime/ reads.
SigningKey KeyFromRaw(std::string_view header_hex, std::string_view private_base64) {
  std::vector<uint8_t> der = FromHex(header_hex);
  const auto raw = FromBase64(private_base64);
  der.insert(der.end(), raw.begin(), raw.end());
  auto key = SigningKey::FromPem("-----BEGIN PRIVATE KEY-----\n" + Base64Encode(der) +
                                 "\n-----END PRIVATE KEY-----\n");
  EXPECT_TRUE(key) << key.error().message;
  return std::move(*key);
}

/// What an RRSIG signs: its own data and one record (RFC 4034 §3.1.8.1).
std::vector<uint8_t> ToSign(const RrsigHead& head, NameView zone, NameView owner,
                            std::span<const uint8_t> rdata) {
  std::vector<uint8_t> bytes(kRrsigFixedBytes + kMaxNameBytes);
  bytes.resize(EncodeRrsigHead(head, zone, bytes.data()));
  bytes.insert(bytes.end(), owner.data(), owner.data() + owner.size());
  uint8_t fixed[10];
  Store16(fixed, head.type_covered);
  Store16(fixed + 2, rr_class::kIn);
  Store32(fixed + 4, head.original_ttl);
  Store16(fixed + 8, static_cast<uint16_t>(rdata.size()));
  bytes.insert(bytes.end(), fixed, fixed + sizeof fixed);
  bytes.insert(bytes.end(), rdata.begin(), rdata.end());
  return bytes;
}

/// RFC 8080 §6.1: Ed25519 signs the same each time.
TEST(DnssecTest, SignsTheExamplesOfRfc8080) {
  const struct {
    std::string_view secret;
    uint16_t tag;
    std::string_view signature;
  } kRows[] = {
      {"ODIyNjAzODQ2MjgwODAxMjI2NDUxOTAyMDQxNDIyNjI=", 3613,
       "oL9krJun7xfBOIWcGHi7mag5/hdZrKWw15jPGrHpjQeRAvTdszaPD+QLs3fx8A4M3e23mRZ9VrbpMngwcrqNAg=="},
      {"DSSF3o0s0f+ElWzj9E/Osxw8hLpk55chkmx0LYN5WiY=", 35217,
       "zXQ0bkYgQTEFyfLyi9QoiY6D8ZdYo4wyUhVioYZXFdT410QPRITQSqJSnzQoSm5poJ7gD7AQR0O7KuI5k2pcBg=="},
  };
  const Name zone = *Name::FromText("example.com.");
  const auto mx = *RdataFromWords(type::kMx, Words("10 mail.example.com."), {});
  for (const auto& row : kRows) {
    const SigningKey key = KeyFromRaw("302e020100300506032b657004220420", row.secret);
    EXPECT_EQ(KeyTag(DnskeyRdata(kAlgorithmEd25519, key.PublicBytes())), row.tag);
    const RrsigHead head{type::kMx, kAlgorithmEd25519, 2, 3600, 1440021600, 1438207200, row.tag};
    EXPECT_EQ(Base64Encode(key.Sign(ToSign(head, zone, zone, mx))), row.signature);
  }
}

/// RFC 6605 §6.1: the key's public half, and a signature that ldns takes for the example's record.
TEST(DnssecTest, SignsTheExampleOfRfc6605) {
  const SigningKey key =
      KeyFromRaw("3041020100301306072a8648ce3d020106082a8648ce3d030107042730250201010420",
                 "GU6SnQ/Ou+xC5RumuIUIuJZteXT2z0O/ok1s38Et6mQ=");
  const auto dnskey = DnskeyRdata(kAlgorithmEcdsaP256, key.PublicBytes());
  EXPECT_EQ(RdataToText(type::kDnskey, dnskey), "257 3 13 " + kRfcKeys[0].public_key);
  const std::string fields = "A 13 3 3600 20100909100439 20100812100439 55648 example.net. ";
  const RrsigHead head{type::kA, kAlgorithmEcdsaP256, 3, 3600, 1284026679, 1281607479, 55648};
  const Name owner = *Name::FromText("www.example.net.");
  const uint8_t address[] = {192, 0, 2, 1};
  const Signature ours = key.Sign(ToSign(head, *Name::FromText("example.net."), owner, address));
  const RrPtr record = LdnsRecord("www.example.net. 3600 IN A 192.0.2.1");
  const RrPtr key_record =
      LdnsRecord("example.net. 3600 IN DNSKEY " + RdataToText(type::kDnskey, dnskey));
  const std::string of_the_rfc =
      "qx6wLYqmh+l9oCKTN6qIc+bw6ya+KJ8oMz0YP107epXAyGmt+3SNruPFKG7tZoLBLlUzGGus7ZwmwWep666VCw==";
  std::string wrong = Base64Encode(ours);
  wrong[0] = wrong[0] == 'A' ? 'B' : 'A';
  for (const std::string& text : {Base64Encode(ours), of_the_rfc, wrong}) {
    const RrPtr rrsig = LdnsRecord("www.example.net. 3600 IN RRSIG " + fields + text);
    ldns_rr_list* set = ldns_rr_list_new();
    ldns_rr_list_push_rr(set, record.get());
    const ldns_status status =
        ldns_verify_rrsig_time(set, rrsig.get(), key_record.get(), 1282000000);
    ldns_rr_list_free(set);
    EXPECT_EQ(status == LDNS_STATUS_OK, text != wrong) << text;
  }
}

TEST(DnssecTest, RecordsOfKeysAreReadAndPrinted) {
  for (uint16_t type : {type::kDnskey, type::kCdnskey}) {
    auto rdata = RdataFromWords(type,
                                Words("257 3 13 GojIhhXUN/u4v54ZQqGSnyhWJwaubCvTmeexv7bR6edb "
                                      "krSqQpF64cYbcB7wNcP+e+MAnLr+Wi9xMWyQLc8NAA=="),
                                {});
    ASSERT_TRUE(rdata) << rdata.error().message;
    EXPECT_EQ(KeyTag(*rdata), 55648);
    EXPECT_FALSE(RdataFromWords(type, Words("257 3 13 not-base64"), {}));
    EXPECT_FALSE(RdataFromWords(type, Words("257 3 13"), {}));
  }
  EXPECT_TRUE(RdataFromWords(type::kCds, Words("1 13 2 00ff"), {}));
  EXPECT_EQ(TypeFromText("CDNSKEY"), type::kCdnskey);
  EXPECT_EQ(TypeToText(type::kNxname), "NXNAME");
}

}  // namespace
}  // namespace nearside::dns
