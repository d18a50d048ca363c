#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "edge/settings.h"
#include "http/accept_encoding.h"
#include "http/message.h"
#include "runtime/hash.h"

namespace nearside::edge {

/// An authority as keys see it: RFC 9110 §4.2.3, the port that the scheme implies is the same as an
/// empty one and as none. A view into it.
std::string_view NormalAuthority(std::string_view scheme, std::string_view authority);

/// The URI of a request as keys see it: scheme, authority without its default port, and the target
/// normalised (http/uri.h), which is also what a fill asks the origin for: what shapes a stored
/// response is what stands in its key.
std::string NormalUrl(const http::RequestHead& request, std::string_view normal_target);

/// The normal URL that a reference in a response to a request for `normal_url` means; nullopt when
/// it means none that a request could name.
std::optional<std::string> NormalReference(std::string_view normal_url, std::string_view reference);
/// The target in a normal URL.
std::string_view TargetOf(std::string_view normal_url);

/// The normal URLs under which a site with these hosts may have answered for the same target: by
/// http and https, under the host of `normal_url` and under the others. Those by a pattern cannot
/// be listed. With a port that no scheme implies only the scheme of `normal_url` is.
std::vector<std::string> UrlsOfPath(const std::vector<std::string>& hosts,
                                    std::string_view normal_url);

/// Where the resource's response, or the index of its variants, is stored. The method is not part
/// of it: only responses to GET are stored, and HEAD is answered from them.
Key256 PrimaryKey(std::string_view site, std::string_view normal_url);
/// Where one variant is stored. `selecting` has a line for each field that Vary names, in order of
/// name.
Key256 VariantKey(const Key256& primary, const http::Fields& selecting);

/// Whether a request has a Cookie or Authorization: what answers it may be its sender's alone.
bool SaysWhoAsks(const http::Fields& request);
/// Not a place: what is remembered under it of a resource holds for requests that say who asks
/// alone.
Key256 AskersKey(const Key256& key);

/// The values of the fields named by `vary` (a response's joined Vary value) in a request, sorted
/// by name, "" for absent ones: normalised as edge/negotiation says, others with the whitespace
/// around commas removed (RFC 9111 §4.1).
http::Fields SelectingFields(std::string_view vary, const http::Fields& request,
                             const SiteSettings& site);
/// The same fields of another request: what would select a variant of its own.
http::Fields SelectingLike(const http::Fields& selecting, const http::Fields& request,
                           const SiteSettings& site);
/// For a response whose coding is chosen here: all requests whose best coding is `best` select it,
/// whatever else they accept. Its value is then "=br". Does nothing where the site compares
/// Accept-Encoding as it came.
void SelectByBestCoding(http::Coding best, const SiteSettings& site, http::Fields* selecting);

/// Which of a resource's variants a request selects. What it says is normalised once, however many
/// there are, and without allocating where they vary by Accept-Encoding alone. What it is made of
/// must outlive it.
class Selector {
 public:
  Selector(const http::Fields& request, const SiteSettings& site)
      : request_(request), site_(site) {}
  /// Whether it is a variant stored with `selecting`. `language`, if not "": the response's, in
  /// lower case: of a request that wants this one most of all, Accept-Language may differ.
  bool Selects(const http::Fields& selecting, std::string_view language = {});

 private:
  struct Value {
    std::string name;
    std::string normal;
  };
  bool Matches(const http::FieldLine& line);
  http::CodingSet codings();
  std::string_view wanted_language();

  const http::Fields& request_;
  const SiteSettings& site_;
  std::optional<http::CodingSet> codings_;
  std::optional<std::string> language_;  ///< wanted most
  std::vector<Value> values_;            ///< of the fields asked for so far
};
/// For one variant.
bool Selects(const http::Fields& selecting, const http::Fields& request, const SiteSettings& site);

}  // namespace nearside::edge
