#pragma once

// The API described for programs (OpenAPI 3.1): made from the table of routes, so that it names
// what there is and nothing else.

#include <string>
#include <string_view>

namespace nearside::origin {

/// The JSON document, made once. Any thread.
const std::string& OpenApiDocument();

/// JSON object of the schemas that the document's operations refer to, by name.
std::string_view OpenApiSchemas();

}  // namespace nearside::origin
