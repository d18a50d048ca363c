#pragma once

#include <string_view>

namespace nearside::http {

/// The Content-Type of a file by the extension of its path, in any case: "a/page.html" →
/// "text/html; charset=utf-8". "application/octet-stream" where the extension is unknown or
/// missing.
std::string_view MediaTypeOfPath(std::string_view path);

/// Whether a body of this Content-Type shrinks under compression: text and its relatives.
bool IsCompressible(std::string_view content_type);

}  // namespace nearside::http
