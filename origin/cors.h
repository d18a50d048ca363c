#pragma once

// CORS for browsers that speak S3 or upload in several goes: which origins may, by a setting. Pure.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "http/message.h"
#include "origin/answer.h"

namespace nearside::origin {

struct CorsRules {
  /// Origins like "https://app.example.org", or "*" for all. Must outlive the rules.
  const std::vector<std::string>& origins;
  std::string_view methods;  ///< that a page may use
  std::string_view exposed;  ///< fields of answers that a page may read
};

/// A browser's question before its request.
bool IsPreflight(const http::RequestHead& head);
/// Allows the request's origin; nullopt when it is none of the rules'.
std::optional<Answer> AnswerPreflight(const http::RequestHead& head, const CorsRules& rules);
/// Adds to an answer what lets a page of an allowed origin read it.
void AddCors(const http::RequestHead& head, const CorsRules& rules, Answer* answer);

}  // namespace nearside::origin
