#include "origin/html.h"

#include <gtest/gtest.h>

namespace nearside::origin {
namespace {

TEST(HtmlTest, NothingOfATextIsMarkup) {
  EXPECT_EQ(HtmlEscape("<script>alert(\"it's\" & more)</script>"),
            "&lt;script&gt;alert(&quot;it&#39;s&quot; &amp; more)&lt;/script&gt;");
  EXPECT_EQ(HtmlEscape("\" onfocus='x'"), "&quot; onfocus=&#39;x&#39;");
  EXPECT_EQ(HtmlEscape("plain \xC3\xA4\tand\n"), "plain \xC3\xA4\tand\n");
  EXPECT_EQ(HtmlEscape(std::string_view("a\0b\x1b\x7f\r", 6)),
            "a\xEF\xBF\xBD"
            "b\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");
  EXPECT_EQ(HtmlEscape("&amp;"), "&amp;amp;");
}

TEST(HtmlTest, MarkupIsOfLiteralsAndTextsAreEscaped) {
  Html inner;
  inner.Markup("<b>").Text("a<b").Markup("</b>");
  Html html;
  html.Markup("<p title=\"").Text("\"").Markup("\">").Add(inner).Markup("</p>");
  EXPECT_EQ(html.text(), "<p title=\"&quot;\"><b>a&lt;b</b></p>");
}

}  // namespace
}  // namespace nearside::origin
