#include "edge/error_pages.h"

#include <algorithm>
#include <array>

#include "runtime/file.h"

namespace nearside::edge {
namespace {

constexpr int kFirstStatus = 400;
constexpr int kLastStatus = 599;
/// RFC 9110 §8, RFC 9530: what is said of a representation.
constexpr std::array<std::string_view, 14> kOriginsBodyFields = {
    "accept-ranges",    "content-digest",   "content-disposition",
    "content-encoding", "content-language", "content-length",
    "content-location", "content-md5",      "content-range",
    "content-type",     "digest",           "etag",
    "last-modified",    "repr-digest"};

/// Reads `file` into pages[status], if there is one.
Status ReadPage(const std::string& file, int status, std::map<int, std::string>* pages) {
  auto text = ReadFile(file, kLargestErrorPage);
  if (text) {
    pages->emplace(status, std::move(*text));
  } else if (text.error().reason != "ENOENT") {
    return Fail(Fault::kOperator, "bad_error_pages", text.error().message);
  }
  return {};
}

}  // namespace

Result<ErrorPages> ErrorPages::Read(const std::string& folder) {
  ErrorPages pages;
  if (folder.empty()) return pages;
  for (const int of_class : {4, 5}) {
    const std::string file = folder + "/" + std::to_string(of_class) + "xx.html";
    if (auto read = ReadPage(file, of_class, &pages.pages_); !read) {
      return tl::unexpected<Error>(read.error());
    }
  }
  for (int status = kFirstStatus; status <= kLastStatus; ++status) {
    const std::string file = folder + "/" + std::to_string(status) + ".html";
    if (auto read = ReadPage(file, status, &pages.pages_); !read) {
      return tl::unexpected<Error>(read.error());
    }
  }
  if (pages.pages_.empty()) {
    return Fail(Fault::kOperator, "bad_error_pages",
                folder + ": expected a folder with pages like 502.html, 4xx.html or 5xx.html");
  }
  return pages;
}

const std::string* ErrorPages::Find(int status) const {
  auto found = pages_.find(status);
  if (found == pages_.end()) found = pages_.find(status / 100);
  return found != pages_.end() ? &found->second : nullptr;
}

void AddWithoutBodyFields(std::span<const http::FieldLine> lines, http::Fields* kept) {
  for (const http::FieldLine& line : lines) {
    if (!std::binary_search(kOriginsBodyFields.begin(), kOriginsBodyFields.end(), line.name)) {
      kept->Add(line.name, line.value);
    }
  }
}

}  // namespace nearside::edge
