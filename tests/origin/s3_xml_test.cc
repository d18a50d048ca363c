#include "origin/s3_xml.h"

#include <gtest/gtest.h>

namespace nearside::origin {
namespace {

std::string XmlText(const XmlElement& element) {
  std::string text = element.name + "(" + element.text;
  for (const XmlElement& child : element.children) text += XmlText(child);
  return text + ")";
}

std::string Parsed(std::string_view text) {
  const Result<XmlElement> root = ParseXml(text);
  return root ? XmlText(*root) : root.error().reason;
}

TEST(S3XmlTest, ReadsWhatClientsSend) {
  EXPECT_EQ(Parsed("<?xml version=\"1.0\"?>\n<Delete xmlns='http://x/'><Quiet>true</Quiet>"
                   "<Object><Key>a &amp; b</Key></Object></Delete>\n"),
            "Delete(Quiet(true)Object(Key(a & b)))");
  EXPECT_EQ(Parsed("<a/>"), "a()");
  EXPECT_EQ(Parsed("<s3:a b=\"1\" c='2' />"), "a()");
  EXPECT_EQ(Parsed("<a>&#xE9;&#8364;&#x1F600;&lt;&gt;&quot;&apos;</a>"),
            "a(\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80<>\"')");
  EXPECT_EQ(Parsed("<a><![CDATA[<b>&]]></a>"), "a(<b>&)");
  EXPECT_EQ(Parsed("<!-- c --><a><!-- d -->x</a><!-- e -->"), "a(x)");
}

TEST(S3XmlTest, RefusesWhatIsNotWellFormedOrCouldExpand) {
  for (const char* text : {"",
                           " ",
                           "x",
                           "<",
                           "<a",
                           "<a>",
                           "<a></b>",
                           "<a></a",
                           "<a/><b/>",
                           "<a b></a>",
                           "<a b=c></a>",
                           "<a b='<'/>",
                           "<a>&none;</a>",
                           "<a>&amp</a>",
                           "<a>&#0;</a>",
                           "<a>&#xD800;</a>",
                           "<a>&#x110000;</a>",
                           "<a><![CDATA[</a>",
                           "<!-- <a/>",
                           "<?xml <a/>",
                           "<!DOCTYPE a [<!ENTITY x \"y\">]><a>&x;</a>",
                           "<a><!DOCTYPE b></a>",
                           "< a/>",
                           "</a>"}) {
    EXPECT_EQ(Parsed(text), "malformed_xml") << text;
  }
  EXPECT_EQ(Parsed(std::string_view("<a>\0</a>", 8)), "malformed_xml");
}

TEST(S3XmlTest, HasLimits) {
  const auto nested = [](size_t depth) {
    std::string text;
    for (size_t i = 0; i < depth; ++i) text += "<a>";
    for (size_t i = 0; i < depth; ++i) text += "</a>";
    return text;
  };
  EXPECT_NE(Parsed(nested(kXmlDepth)), "malformed_xml");
  EXPECT_EQ(Parsed(nested(kXmlDepth + 1)), "malformed_xml");
  EXPECT_EQ(Parsed(nested(100'000)), "malformed_xml");
  std::string many = "<a>";
  for (size_t i = 0; i < kXmlElements; ++i) many += "<b/>";
  EXPECT_EQ(Parsed(many + "</a>"), "malformed_xml");
}

TEST(S3XmlTest, WhatIsWrittenIsReadBack) {
  XmlWriter xml;
  xml.OpenS3("Root");
  xml.Element("Text", std::string_view("a<b>&\"c'\r\n\x01\xEF\xBF\xBF."));
  xml.Element("Number", uint64_t{18446744073709551615u});
  xml.Flag("Flag", false);
  xml.Close();
  EXPECT_EQ(Parsed(std::move(xml).Take()),
            "Root(Text(a<b>&\"c'\r\n\xEF\xBF\xBD\xEF\xBF\xBD.)Number(18446744073709551615)"
            "Flag(false))");
}

}  // namespace
}  // namespace nearside::origin
