#pragma once

#include <string_view>

namespace nearside::http {

/// Whether the name of the file holds a hash of its content, as bundlers write it, so that its
/// content can never change: "main.5f3c1b2e.js", "index-BxY3kQ9a.css", "app-5XQ3PLBA.js". What
/// could be a word, a date or a number is not taken for one ("hero-background.jpg",
/// "report.20240101.pdf"): a file wrongly held for immutable would be stuck in browsers for a year.
bool HasHashedName(std::string_view path);

}  // namespace nearside::http
