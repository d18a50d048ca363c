// What browsers send to the pages of accounts: forms and cookies. A form that is taken holds each
// name once and says the same when it is written again; a cookie's value is a part of what was
// sent; and what is shown again is no markup.

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "http/fields.h"
#include "http/uri.h"
#include "origin/cookie.h"
#include "origin/form.h"
#include "origin/html.h"

namespace {

using namespace nearside;
using namespace nearside::origin;

void Require(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const Result<Form> form = Form::Parse(text)) {
    Require(form->size() <= kFormFields);
    const std::string value(form->Get("a"));
    Require(value.find('\0') == std::string::npos);
    const Result<Form> again = Form::Parse("a=" + http::PercentEncode(value));
    Require(again && again->Get("a") == value);
  }
  const http::Fields fields{{"cookie", text}};
  const std::string cookie = CookieOf(fields, "a");
  Require(text.find(cookie) != std::string_view::npos);
  Require(cookie.find(';') == std::string::npos);
  const std::string html = HtmlEscape(text);
  Require(html.find_first_of("<>\"'") == std::string::npos && html.size() >= size);
  return 0;
}
