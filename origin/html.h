#pragma once

#include <string>
#include <string_view>

namespace nearside::origin {

/// `text` as it may stand in HTML, between tags and between the quotes of an attribute (the HTML
/// Standard §13.1.2.3, §13.1.4). Control characters that HTML does not have become U+FFFD.
std::string HtmlEscape(std::string_view text);

/// HTML as it is put together: markup is literals of ours, everything else is escaped. There is no
/// third way.
class Html {
 public:
  template <size_t N>
  Html& Markup(const char (&literal)[N]) {
    html_.append(literal, N - 1);
    return *this;
  }
  Html& Text(std::string_view text) {
    html_ += HtmlEscape(text);
    return *this;
  }
  Html& Add(const Html& other) {
    html_ += other.html_;
    return *this;
  }
  const std::string& text() const { return html_; }

 private:
  std::string html_;
};

}  // namespace nearside::origin
