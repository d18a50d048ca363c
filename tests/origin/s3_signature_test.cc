#include "origin/s3_signature.h"

#include <gtest/gtest.h>

namespace nearside::origin {
namespace {

// The examples that AWS publishes with the algorithm ("Examples: Signature Calculations", Amazon S3
// API reference): keys, requests of 2013-05-24T00:00:00Z, and what must come out.
constexpr std::string_view kExampleSecret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
constexpr std::string_view kExampleHost = "examplebucket.s3.amazonaws.com";
constexpr std::string_view kEmptySha =
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const WallTime kExampleTime = FromUnixMillis(1369353600000);

http::RequestHead SignedHead(const std::string& method, const std::string& target,
                             std::initializer_list<http::FieldLine> fields) {
  http::RequestHead head;
  head.method = method;
  head.target = target;
  head.authority = kExampleHost;
  head.fields = http::Fields(fields);
  return head;
}

std::string FieldOf(std::string_view names, std::string_view signature) {
  return "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
         "SignedHeaders=" +
         std::string(names) + ",Signature=" + std::string(signature);
}

/// "" when the signature holds, else the reason why it does not.
std::string Verdict(const http::RequestHead& head, std::string_view secret = kExampleSecret,
                    WallTime now = kExampleTime) {
  const auto authorization = ReadS3Authorization(head, now);
  if (!authorization) return authorization.error().reason;
  const auto signer = CheckS3Signature(head, *authorization, secret);
  return signer ? "" : signer.error().reason;
}

http::RequestHead ExampleGet() {
  return SignedHead(
      "GET", "/test.txt",
      {{"range", "bytes=0-9"},
       {"x-amz-content-sha256", kEmptySha},
       {"x-amz-date", "20130524T000000Z"},
       {"authorization",
        FieldOf("host;range;x-amz-content-sha256;x-amz-date",
                "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41")}});
}

std::string PresignedTarget(std::string_view expires = "86400") {
  return "/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F"
         "20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=" +
         std::string(expires) +
         "&X-Amz-SignedHeaders=host&X-Amz-Signature="
         "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404";
}

TEST(S3SignatureTest, PublishedExamplesHold) {
  const http::RequestHead rows[] = {
      ExampleGet(),
      SignedHead("PUT", "/test%24file.text",
                 {{"date", "Fri, 24 May 2013 00:00:00 GMT"},
                  {"x-amz-date", "20130524T000000Z"},
                  {"x-amz-storage-class", "REDUCED_REDUNDANCY"},
                  {"x-amz-content-sha256",
                   "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"},
                  {"authorization",
                   FieldOf("date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
                           "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd")}}),
      SignedHead("GET", "/?lifecycle",
                 {{"x-amz-date", "20130524T000000Z"},
                  {"x-amz-content-sha256", kEmptySha},
                  {"authorization",
                   FieldOf("host;x-amz-content-sha256;x-amz-date",
                           "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543")}}),
      SignedHead("GET", "/?max-keys=2&prefix=J",
                 {{"x-amz-date", "20130524T000000Z"},
                  {"x-amz-content-sha256", kEmptySha},
                  {"authorization",
                   FieldOf("host;x-amz-content-sha256;x-amz-date",
                           "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7")}}),
      SignedHead("GET", PresignedTarget(), {}),
  };
  for (const http::RequestHead& head : rows) {
    EXPECT_EQ(Verdict(head), "") << head.target;
    EXPECT_EQ(Verdict(head, "another secret"), "signature_mismatch") << head.target;
  }
}

TEST(S3SignatureTest, WhatWasSignedCannotBeChanged) {
  const auto changed = [](auto change) {
    http::RequestHead head = ExampleGet();
    change(head);
    return Verdict(head);
  };
  EXPECT_EQ(changed([](auto& head) { head.method = "DELETE"; }), "signature_mismatch");
  EXPECT_EQ(changed([](auto& head) { head.target = "/other.txt"; }), "signature_mismatch");
  EXPECT_EQ(changed([](auto& head) { head.target = "/test.txt?acl"; }), "signature_mismatch");
  EXPECT_EQ(changed([](auto& head) { head.authority = "other.example"; }), "signature_mismatch");
  EXPECT_EQ(changed([](auto& head) { head.fields.Set("range", "bytes=0-8"); }),
            "signature_mismatch");
  EXPECT_EQ(changed([](auto& head) { head.fields.Set("x-amz-date", "20130524T000001Z"); }),
            "signature_mismatch");
  EXPECT_EQ(
      changed([](auto& head) { head.fields.Set("x-amz-content-sha256", "UNSIGNED-PAYLOAD"); }),
      "signature_mismatch");
  EXPECT_EQ(changed([](auto& head) { head.fields.Add("x-amz-copy-source", "/a/b"); }),
            "headers_not_signed");
  EXPECT_EQ(changed([](auto& head) { head.fields.Add("accept", "text/html"); }), "");
}

TEST(S3SignatureTest, OneSpellingOfPathAndQueryIsSigned) {
  http::RequestHead head = ExampleGet();
  for (const char* target : {"/test.txt", "/tes%74.txt", "/%74est.txt"}) {
    head.target = target;
    EXPECT_EQ(Verdict(head), "") << target;
  }
  // An encoded slash is another path than a slash.
  const auto canonical = [](const std::string& target) {
    http::RequestHead one = ExampleGet();
    one.target = target;
    S3Authorization authorization;
    const std::string text = S3CanonicalRequest(one, authorization).value();
    const size_t path = text.find('\n') + 1;
    return text.substr(path, text.find('\n', text.find('\n', path) + 1) - path);
  };
  EXPECT_EQ(canonical("/a%2fb/(c)~"), "/a%2Fb/%28c%29~\n");
  EXPECT_EQ(canonical("/?b=2&a=1&a=0&a-b=3&c"), "/\na=0&a=1&a-b=3&b=2&c=");
  EXPECT_EQ(canonical("/?q=a+b&r=%2f%7E"), "/\nq=a%20b&r=%2F~");
  head.target = "/a%zz";
  EXPECT_EQ(Verdict(head), "invalid_uri");
}

TEST(S3SignatureTest, TheClockMayBeFifteenMinutesOff) {
  const auto at = [](int offset) {
    return Verdict(ExampleGet(), kExampleSecret, kExampleTime + seconds(offset));
  };
  EXPECT_EQ(at(900), "");
  EXPECT_EQ(at(-900), "");
  EXPECT_EQ(at(901), "time_skewed");
  EXPECT_EQ(at(-901), "time_skewed");
}

TEST(S3SignatureTest, APresignedUrlEnds) {
  const auto at = [](const std::string& target, int offset) {
    return Verdict(SignedHead("GET", target, {}), kExampleSecret, kExampleTime + seconds(offset));
  };
  EXPECT_EQ(at(PresignedTarget(), 86400), "");
  EXPECT_EQ(at(PresignedTarget(), 86401), "request_expired");
  EXPECT_EQ(at(PresignedTarget(), -901), "time_skewed");
  EXPECT_EQ(at(PresignedTarget("86401"), 0), "signature_mismatch");
  for (const char* expires : {"", "0", "-1", "604801", "1x", "99999999999999999999"}) {
    EXPECT_EQ(at(PresignedTarget(expires), 0), "bad_query_authorization") << expires;
  }
}

TEST(S3SignatureTest, EveryFormThatIsNoneIsRefusedByName) {
  const auto with = [](const std::string& field) {
    http::RequestHead head = ExampleGet();
    head.fields.Set("authorization", field);
    return Verdict(head);
  };
  const std::string names = "host;range;x-amz-content-sha256;x-amz-date";
  const std::string digits(64, 'a');
  const std::string good = FieldOf(names, digits);
  EXPECT_EQ(with(good), "signature_mismatch");
  const std::pair<std::string, std::string> rows[] = {
      {"AWS AKIA:signature", "signature_version"},
      {"AWS4-ECDSA-P256-SHA256 Credential=a", "signature_version"},
      {"Bearer token", "access_denied"},
      {"AWS4-HMAC-SHA256 ", "bad_authorization"},
      {FieldOf(names, "short"), "bad_authorization"},
      {FieldOf(names, std::string(64, 'A')), "bad_authorization"},
      {FieldOf("Host", digits), "bad_authorization"},
      {FieldOf("x-amz-date;host", digits), "bad_authorization"},
      {FieldOf("range", digits), "headers_not_signed"},
      {"AWS4-HMAC-SHA256 Credential=A/20130525/us-east-1/s3/aws4_request, SignedHeaders=host, "
       "Signature=" +
           digits,
       "bad_authorization"},
      {"AWS4-HMAC-SHA256 Credential=A/20130524/us-east-1/ec2/aws4_request, SignedHeaders=host, "
       "Signature=" +
           digits,
       "bad_authorization"},
      {"AWS4-HMAC-SHA256 Credential=A/us-east-1/s3/aws4_request, SignedHeaders=host, "
       "Signature=" +
           digits,
       "bad_authorization"},
  };
  for (const auto& [field, reason] : rows) EXPECT_EQ(with(field), reason) << field;
  http::RequestHead head = ExampleGet();
  head.fields.Set("x-amz-date", "2013-05-24");
  EXPECT_EQ(Verdict(head), "access_denied");
  head = ExampleGet();
  head.fields.Remove("x-amz-content-sha256");
  EXPECT_EQ(Verdict(head), "invalid_request");
  head = ExampleGet();
  head.fields.Set("x-amz-content-sha256", "anything");
  EXPECT_EQ(Verdict(head), "invalid_argument");
  head = ExampleGet();
  head.target = PresignedTarget();
  EXPECT_EQ(Verdict(head), "invalid_argument");  // two signatures
}

TEST(S3SignatureTest, OfManyValuesSpacesCountOnce) {
  http::RequestHead head = SignedHead("GET", "/", {{"x-a", "one"}, {"x-a", "two   words"}});
  S3Authorization authorization;
  authorization.signed_headers = {"host", "x-a"};
  const std::string canonical = S3CanonicalRequest(head, authorization).value();
  EXPECT_NE(canonical.find("\nx-a:one,two words\n"), std::string::npos) << canonical;
}

}  // namespace
}  // namespace nearside::origin
