#include "origin/account_name.h"

#include <algorithm>

#include "http/characters.h"
#include "http/fields.h"

namespace nearside::origin {
namespace {

constexpr http::CharacterSet kNameCharacters = http::AlphanumericAnd("._+@-");

}  // namespace

Result<std::string> NormalAccountName(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  const bool good = text.size() >= 2 && text.size() <= kAccountNameBytes &&
                    (http::IsAlpha(text.front()) || http::IsDigit(text.front())) &&
                    http::AllIn(kNameCharacters, text) &&
                    std::count(text.begin(), text.end(), '@') <= 1 && text.back() != '@';
  if (good) return http::LowerName(text);
  return Fail(Fault::kClient, "bad_account_name",
              "expected an e-mail address or a name of 2 to " + std::to_string(kAccountNameBytes) +
                  " letters, digits and . _ + - that begins with a letter or digit");
}

}  // namespace nearside::origin
