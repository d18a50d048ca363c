#include "origin/password_rules.h"

#include <algorithm>
#include <array>
#include <string>

#include "http/fields.h"

namespace nearside::origin {
namespace {

/// What lists of leaked passwords begin with, of those that are long enough, in lower case.
constexpr std::array<std::string_view, 60> kTriedFirst = {
    "00000000",   "11111111",  "111111111",  "1111111111", "11223344",   "12121212",    "123123123",
    "1234567890", "12345678",  "123456789",  "1234567899", "123456789a", "1234qwer",    "12344321",
    "12341234",   "147258369", "1q2w3e4r",   "1q2w3e4r5t", "1qaz2wsx",   "87654321",    "987654321",
    "9876543210", "a1234567",  "a12345678",  "a123456789", "aa123456",   "aa12345678",  "abc12345",
    "abcd1234",   "abcdefgh",  "admin123",   "adminadmin", "asdfasdf",   "asdfghjk",    "asdfghjkl",
    "baseball",   "changeme",  "computer",   "corvette",   "dragon123",  "football",    "iloveyou",
    "iloveyou1",  "internet",  "jennifer",   "letmein1",   "liverpool",  "master123",   "michelle",
    "p@ssw0rd",   "passw0rd",  "password",   "password1",  "password12", "password123", "princess",
    "q1w2e3r4",   "qwerty123", "qwertyuiop", "sunshine"};

/// Characters of UTF-8: bytes that begin one.
size_t CharactersOf(std::string_view text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  }));
}

/// One character again and again, or a run of neighbours: "aaaaaaaa", "3456789".
bool IsRun(std::string_view text) {
  if (text.size() < 2) return true;
  const int step = text[1] - text[0];
  if (step < -1 || step > 1) return false;
  for (size_t i = 1; i < text.size(); ++i) {
    if (text[i] - text[i - 1] != step) return false;
  }
  return true;
}

tl::unexpected<Error> BadPassword(std::string message) {
  return Fail(Fault::kClient, "bad_password", std::move(message));
}

}  // namespace

Status CheckPassword(std::string_view password, std::string_view account_name) {
  if (CharactersOf(password) < kLeastPasswordCharacters) {
    return BadPassword("the password is too short: choose one of " +
                       std::to_string(kLeastPasswordCharacters) +
                       " characters or more, the longer the better");
  }
  if (password.size() > kMostPasswordBytes) {
    return BadPassword("the password is longer than " + std::to_string(kMostPasswordBytes) +
                       " bytes");
  }
  const std::string lower = http::LowerName(password);
  const std::string name = http::LowerName(account_name);
  const std::string_view local = std::string_view(name).substr(0, name.find('@'));
  if (std::find(kTriedFirst.begin(), kTriedFirst.end(), lower) != kTriedFirst.end() ||
      IsRun(lower)) {
    return BadPassword("the password is one of those that are tried first: choose another one");
  }
  if (lower == name || lower == local) {
    return BadPassword("the password is the account's name: choose another one");
  }
  return {};
}

}  // namespace nearside::origin
