#pragma once

// What a site says to its visitors by itself: redirects, preflights, and the fields that are added
// to every answer. Pure; DESIGN.md, "For visitors".

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "edge/reason.h"
#include "edge/settings.h"
#include "http/message.h"

namespace nearside::edge {

/// An answer that needs neither cache nor origin.
struct VisitorAnswer {
  int status = 0;
  Reason reason = Reason::kRedirectHttps;
  http::Fields fields;  ///< without Content-Length
  std::string text;
};

/// A site's rules with their texts made once. Immutable, any thread.
class VisitorRules {
 public:
  /// None.
  VisitorRules() = default;
  explicit VisitorRules(const SiteSettings& site);

  /// Whether any request is answered by a rule.
  bool answers() const { return answers_; }
  /// The answer to a request whose target is well formed; nullopt: it goes its way. The first of
  /// these that applies: a CORS preflight, the redirect to https, the one for the trailing slash.
  std::optional<VisitorAnswer> Answer(const http::RequestHead& request) const;

  /// Whether any answer gets further fields.
  bool adds_fields() const { return adds_fields_; }
  /// Adds to `extra` what an answer to `request` gets beside the `prepared` lines of a stored
  /// response. These are never stored, so that no client's Origin shapes what another one gets.
  /// Returns the prepared lines that are still to be sent: where the origin speaks of CORS and the
  /// site's rules do as well, the others are copied into `extra`.
  std::span<const http::FieldLine> AddFields(const http::RequestHead& request,
                                             std::span<const http::FieldLine> prepared,
                                             http::Fields* extra) const;

 private:
  struct Cors {
    bool any_origin = false;
    std::vector<std::string> origins;
    bool credentials = false;
    std::string methods, headers, expose, max_age;
    bool Allows(std::string_view origin) const;
  };
  std::optional<VisitorAnswer> Preflight(const http::RequestHead& request) const;
  std::optional<VisitorAnswer> ToHttps(const http::RequestHead& request) const;
  std::optional<VisitorAnswer> ToSlash(const http::RequestHead& request) const;
  void AddCors(const http::Fields& request, http::Fields* fields) const;

  enum class Slash : uint8_t { kKeep, kAdd, kRemove };
  bool answers_ = false;
  bool adds_fields_ = false;
  bool to_https_ = false;
  int https_port_ = 443;
  Slash slash_ = Slash::kKeep;
  std::string hsts_;  ///< Strict-Transport-Security, or ""
  std::optional<Cors> cors_;
};

}  // namespace nearside::edge
