#pragma once

// CORS for browsers that speak S3 (uploads from a page): which origins may, by a setting. Pure.

#include <optional>
#include <string>
#include <vector>

#include "http/message.h"
#include "origin/answer.h"

namespace nearside::origin {

/// A browser's question before its request.
bool IsPreflight(const http::RequestHead& head);
/// Allows the request's origin; nullopt when it is none of `allowed`: origins like
/// "https://app.example.org", or "*" for all.
std::optional<Answer> AnswerPreflight(const http::RequestHead& head,
                                      const std::vector<std::string>& allowed);
/// Adds to an answer what lets a page of an allowed origin read it.
void AddCors(const http::RequestHead& head, const std::vector<std::string>& allowed,
             Answer* answer);

}  // namespace nearside::origin
