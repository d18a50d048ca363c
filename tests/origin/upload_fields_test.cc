#include "origin/upload_fields.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/crypto.h"
#include "runtime/text_bytes.h"

namespace nearside::origin {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

std::string Base64(std::string_view text) { return Base64Encode(AsBytes(text)); }

/// "key=value;" for each pair, or the reason.
std::string Metadata(std::string_view text) {
  const Result<MetadataPairs> pairs = ParseUploadMetadata(text);
  if (!pairs) return pairs.error().reason;
  std::string shown;
  for (const auto& [key, value] : *pairs) shown += key + "=" + value + ";";
  return shown;
}

TEST(UploadMetadataTest, PairsAreKeysAndBase64) {
  const std::pair<std::string, std::string> rows[] = {
      {"", ""},
      {"filename d29ybGQ=", "filename=world;"},
      {"filename d29ybGQ=,is_confidential", "filename=world;is_confidential=;"},
      {"a ,b eA==", "a=;b=x;"},
      {"a eA==, b eQ==", "a=x;b=y;"},
      {"name " + Base64("grüße.txt"), "name=grüße.txt;"},
      {"zero " + Base64(std::string_view("\0", 1)), std::string("zero=\0;", 7)},
  };
  for (const auto& [text, shown] : rows) EXPECT_EQ(Metadata(text), shown) << text;
}

TEST(UploadMetadataTest, EveryBadFormIsRefused) {
  std::string many;
  for (int i = 0; i < 65; ++i) many += (i > 0 ? ",k" : "k") + std::to_string(i) + " eA==";
  const std::string rows[] = {
      ",",
      "a,",
      ",a",
      "a eA==,",
      "a eA==,,b eA==",
      "a  eA==",
      "a eA",
      "a eA===",
      "a e-A=",
      "a eA== eA==",
      "a eA==,a eQ==",
      "a eA==,A eQ==",
      " ",
      "ä eA==",
      "a\tb eA==",
      "a \"x\"",
      many,
      "a " + Base64(std::string(4000, 'x')),
  };
  for (const std::string& text : rows) {
    EXPECT_EQ(Metadata(text), "bad_metadata") << text.substr(0, 60);
  }
}

/// Kind and digest, or the reason.
std::string Checksum(std::string_view text) {
  const Result<ContentCheck> check = ParseUploadChecksum(text);
  if (!check) return check.error().reason;
  EXPECT_TRUE(check->tus);
  return std::to_string(static_cast<int>(check->kind)) + " " +
         HexEncode(AsBytes(check->digest)).substr(0, 6);
}

TEST(UploadChecksumTest, HasAnAlgorithmASpaceAndItsDigest) {
  const std::string sha1 = Base64(std::string(20, 'a'));
  const std::string sha256 = Base64(std::string(32, 'b'));
  const std::string md5 = Base64(std::string(16, 'c'));
  const std::pair<std::string, std::string> rows[] = {
      {"sha1 " + sha1, "1 616161"},
      {"sha256 " + sha256, "2 626262"},
      {"md5 " + md5, "0 636363"},
      {"", "unsupported_checksum"},
      {"sha512 " + sha256, "unsupported_checksum"},
      {"SHA1 " + sha1, "unsupported_checksum"},
      {" sha1 " + sha1, "unsupported_checksum"},
      {"sha1", "bad_checksum"},
      {"sha1 ", "bad_checksum"},
      {"sha1  " + sha1, "bad_checksum"},
      {"sha1 " + sha256, "bad_checksum"},
      {"sha256 " + sha1, "bad_checksum"},
      {"md5 " + md5.substr(0, md5.size() - 1), "bad_checksum"},
      {"md5 " + md5 + ",", "bad_checksum"},
      {"sha1 " + sha1 + " x", "bad_checksum"},
  };
  for (const auto& [text, shown] : rows) EXPECT_EQ(Checksum(text), shown) << text;
}

TEST(ByteCountTest, IsDigitsAloneBelowTwoToThe63) {
  EXPECT_EQ(ParseByteCount("0"), 0u);
  EXPECT_EQ(ParseByteCount("007"), 7u);
  EXPECT_EQ(ParseByteCount("9223372036854775807"), uint64_t{INT64_MAX});
  for (const char* text : {"", "-1", "+1", " 1", "1 ", "1.0", "0x1", "1e3", "9223372036854775808",
                           "99999999999999999999", "1, 1"}) {
    EXPECT_EQ(ParseByteCount(text), std::nullopt) << text;
  }
}

/// What is claimed, in words, or the reason.
std::string Claims(std::string_view method, const http::Fields& fields) {
  const Result<UploadClaims> claims = ReadUploadClaims(method, fields);
  if (!claims) return claims.error().reason;
  std::string text = claims->protocol == UploadProtocol::kTus ? "tus" : "draft";
  if (claims->offset) text += " offset " + std::to_string(*claims->offset);
  if (claims->length) text += " length " + std::to_string(*claims->length);
  if (claims->deferred) text += " deferred";
  if (claims->complete) text += *claims->complete ? " complete" : " incomplete";
  if (claims->informed) text += " informed";
  if (claims->check) text += claims->check->tus ? " checksum" : " digest";
  return text;
}

TEST(UploadClaimsTest, TusSaysItsVersionAndCounts) {
  struct Row {
    http::Fields fields;
    std::string claims;
  };
  const Row rows[] = {
      {{{"tus-resumable", "1.0.0"}}, "tus"},
      {{{"tus-resumable", "1.0.0"}, {"upload-length", "5"}}, "tus length 5"},
      {{{"tus-resumable", "1.0.0"}, {"upload-defer-length", "1"}}, "tus deferred"},
      {{{"tus-resumable", "1.0.0"}, {"upload-offset", "7"}}, "tus offset 7"},
      {{{"tus-resumable", "1.0.0"}, {"upload-complete", "?1"}}, "tus"},
      {{{"tus-resumable", "1.0.0"}, {"upload-checksum", "md5 AAAAAAAAAAAAAAAAAAAAAA=="}},
       "tus checksum"},
      {{{"tus-resumable", "1.0.0"}, {"upload-offset", "-1"}}, "bad_offset"},
      {{{"tus-resumable", "1.0.0"}, {"upload-offset", ""}}, "bad_offset"},
      {{{"tus-resumable", "1.0.0"}, {"upload-offset", "1"}, {"upload-offset", "1"}}, "bad_offset"},
      {{{"tus-resumable", "1.0.0"}, {"upload-length", "x"}}, "bad_length"},
      {{{"tus-resumable", "1.0.0"}, {"upload-defer-length", "0"}}, "bad_length"},
      {{{"tus-resumable", "1.0.0"}, {"upload-length", "5"}, {"upload-defer-length", "1"}},
       "bad_length"},
      {{{"tus-resumable", "1.0.0"}, {"upload-checksum", "crc32 AAAA"}}, "unsupported_checksum"},
      {{{"tus-resumable", "1.0.0"}, {"content-digest", "sha-256=x"}}, "bad_digest"},
      {{{"tus-resumable", "0.2.2"}}, "unsupported_version"},
      {{{"tus-resumable", "1.0.0"}, {"tus-resumable", "1.0.0"}}, "unsupported_version"},
      {{}, "unsupported_version"},
      {{{"content-type", "application/offset+octet-stream"}}, "unsupported_version"},
  };
  for (const Row& row : rows) {
    EXPECT_EQ(Claims("PATCH", row.fields), row.claims) << row.fields.ToText();
  }
  // The methods that mean the same in both protocols need no version, but it must not be another.
  EXPECT_EQ(Claims("HEAD", {}), "draft");
  EXPECT_EQ(Claims("DELETE", {}), "draft");
  EXPECT_EQ(Claims("HEAD", {{"tus-resumable", "0.2.2"}}), "unsupported_version");
}

TEST(UploadClaimsTest, WhatIsMalformedInTheDraftIsIgnored) {
  struct Row {
    http::Fields fields;
    std::string claims;
  };
  const Row rows[] = {
      {{{"upload-complete", "?1"}}, "draft complete"},
      {{{"upload-complete", "?0"}, {"upload-offset", "12"}}, "draft offset 12 incomplete"},
      {{{"upload-complete", "?0"}, {"upload-length", "12;a=1"}}, "draft length 12 incomplete"},
      {{{"upload-complete", "?1"}, {"upload-draft-interop-version", "8"}},
       "draft complete informed"},
      {{{"upload-complete", "?1"}, {"upload-draft-interop-version", "6"}}, "draft complete"},
      {{{"upload-draft-interop-version", "8"}}, "draft informed"},
      {{{"content-type", "application/partial-upload"}}, "draft"},
      {{{"upload-complete", "1"}}, "draft"},
      {{{"upload-complete", "?2"}}, "draft"},
      {{{"upload-complete", "?1, ?1"}}, "draft"},
      {{{"upload-complete", "?1"}, {"upload-offset", "-1"}}, "draft complete"},
      {{{"upload-complete", "?1"}, {"upload-offset", "1.5"}}, "draft complete"},
      {{{"upload-complete", "?1"}, {"upload-length", "\"5\""}}, "draft complete"},
  };
  for (const Row& row : rows) {
    EXPECT_EQ(Claims("PATCH", row.fields), row.claims) << row.fields.ToText();
  }
}

std::string Reason(const http::Fields& fields, UploadProtocol protocol,
                   std::string_view path = "") {
  const auto upload = ReadNewUpload(fields, protocol, path);
  return upload ? "none" : upload.error().reason;
}

TEST(NewUploadTest, MetadataNamesWhatAPutSaysInFields) {
  const std::string metadata = "filename " + Base64("ignored.txt") + ",path " + Base64("a/b.css") +
                               ",filetype " + Base64("text/x-own") + ",Cache-Control " +
                               Base64("no-store") + ",surrogate-key " + Base64("news shop") +
                               ",if-none-match " + Base64("*") + ",relativePath,colour " +
                               Base64("red");
  const auto upload = ReadNewUpload({{"upload-metadata", metadata},
                                     {"content-type", "application/offset+octet-stream"},
                                     {"cache-control", "max-age=1"},
                                     {"content-language", "de"},
                                     {"if-match", "\"x\""}},
                                    UploadProtocol::kTus, "");
  ASSERT_TRUE(upload) << upload.error().ToString();
  EXPECT_EQ(upload->asset.path, "a/b.css");
  EXPECT_EQ(upload->asset.content_type, "text/x-own");
  EXPECT_THAT(upload->asset.headers,
              testing::UnorderedElementsAre(Pair("cache-control", "no-store"),
                                            Pair("content-language", "de")));
  EXPECT_THAT(upload->asset.tags, ElementsAre("news", "shop"));
  EXPECT_THAT(upload->conditions,
              testing::UnorderedElementsAre(Pair("if-none-match", "*"), Pair("if-match", "\"x\"")));
  EXPECT_EQ(upload->metadata, metadata);
}

TEST(NewUploadTest, TheTypeIsTheDraftsFieldOrMadeOfTheName) {
  const auto type = [](const http::Fields& fields, UploadProtocol protocol) {
    return ReadNewUpload(fields, protocol, "a.css")->asset.content_type;
  };
  EXPECT_EQ(type({{"content-type", "text/plain"}}, UploadProtocol::kDraft), "text/plain");
  EXPECT_EQ(type({{"content-type", "text/plain"}}, UploadProtocol::kTus),
            "text/css; charset=utf-8");
  EXPECT_EQ(type({{"content-type", "application/partial-upload"}}, UploadProtocol::kDraft),
            "text/css; charset=utf-8");
  EXPECT_EQ(type({{"upload-metadata", "filetype "}}, UploadProtocol::kTus),
            "text/css; charset=utf-8");
}

TEST(NewUploadTest, WhatAPutRefusesIsRefused) {
  const auto metadata = [](const std::string& pairs) {
    return http::Fields{{"upload-metadata", pairs}};
  };
  const UploadProtocol tus = UploadProtocol::kTus;
  EXPECT_EQ(Reason({}, tus), "bad_metadata");
  EXPECT_EQ(Reason(metadata("colour eA=="), tus), "bad_metadata");
  EXPECT_EQ(Reason(metadata("path"), tus), "bad_metadata");
  EXPECT_EQ(Reason(metadata("path " + Base64("../x")), tus), "bad_path");
  EXPECT_EQ(Reason(metadata("path " + Base64("/etc/passwd")), tus), "bad_path");
  EXPECT_EQ(Reason(metadata("path " + Base64("a\nb")), tus), "bad_path");
  EXPECT_EQ(Reason(metadata("path " + Base64("\xff")), tus), "bad_path");
  EXPECT_EQ(Reason(metadata("path " + Base64(std::string(1025, 'a'))), tus), "path_too_long");
  EXPECT_EQ(Reason(metadata("cache-control " + Base64("a\r\nset-cookie: x")), tus, "a"),
            "bad_metadata");
  EXPECT_EQ(Reason(metadata("filetype " + Base64("text/html\r\nx: y")), tus, "a"), "bad_metadata");
  EXPECT_EQ(Reason(metadata("filetype " + Base64("nonsense")), tus, "a"), "bad_manifest");
  EXPECT_EQ(Reason(metadata("cache-tag " + Base64(std::string(300, 'a'))), tus, "a"),
            "bad_manifest");
  EXPECT_EQ(Reason(metadata("repr-digest " + Base64("sha-256=:AAAA:")), tus, "a"), "bad_digest");
  EXPECT_EQ(Reason({{"content-encoding", "gzip"}}, UploadProtocol::kDraft, "a"),
            "unsupported_coding");
}

}  // namespace
}  // namespace nearside::origin
