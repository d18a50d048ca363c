#include "origin/password_hasher.h"

#include <sodium.h>

#include <array>
#include <cerrno>
#include <cstdlib>

#include "runtime/crypto.h"

namespace nearside::origin {
namespace {

constexpr size_t kSaltBytes = 16;
constexpr size_t kTagBytes = 32;

std::string WithoutPadding(std::string text) {
  while (text.ends_with('=')) text.pop_back();
  return text;
}

/// A hash as the settings would make it, of random bytes: no password is known to have it.
std::string HashOfNobody(const HashSettings& settings) {
  std::array<uint8_t, kSaltBytes> salt{};
  std::array<uint8_t, kTagBytes> tag{};
  RandomBytes(salt);
  RandomBytes(tag);
  return "$argon2id$v=19$m=" + std::to_string(settings.memory_bytes / 1024) +
         ",t=" + std::to_string(settings.passes) + ",p=1$" + WithoutPadding(Base64Encode(salt)) +
         "$" + WithoutPadding(Base64Encode(tag));
}

}  // namespace

/// One of those that may hash at once; waits for it, if not too many do.
class PasswordHasher::Turn {
 public:
  explicit Turn(PasswordHasher& hasher) : hasher_(hasher) {
    std::unique_lock lock(hasher_.mutex_);
    if (hasher_.busy_ == hasher_.settings_.at_once) {
      if (hasher_.waiting_ >= hasher_.settings_.most_waiting) {
        ++hasher_.refused_;
        return;
      }
      ++hasher_.waiting_;
      hasher_.done_.wait(lock, [&] { return hasher_.busy_ < hasher_.settings_.at_once; });
      --hasher_.waiting_;
    }
    ++hasher_.busy_;
    ++hasher_.hashes_;
    taken_ = true;
  }
  ~Turn() {
    if (!taken_) return;
    {
      std::lock_guard lock(hasher_.mutex_);
      --hasher_.busy_;
    }
    hasher_.done_.notify_one();
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

  Status Taken() const {
    if (taken_) return {};
    return Fail(Fault::kSelf, "hashing_busy",
                "too many passwords are being checked: try again in a moment");
  }

 private:
  PasswordHasher& hasher_;
  bool taken_ = false;
};

PasswordHasher::PasswordHasher(const HashSettings& settings)
    : settings_(settings), nobody_(HashOfNobody(settings)) {
  if (sodium_init() < 0) std::abort();  // the system has no random numbers
}

Result<std::string> PasswordHasher::Hash(std::string_view password) {
  Turn turn(*this);
  if (Status taken = turn.Taken(); !taken) return unexpected(std::move(taken.error()));
  std::array<char, crypto_pwhash_STRBYTES> hash{};
  const int failed = crypto_pwhash_str_alg(hash.data(), password.data(), password.size(),
                                           static_cast<unsigned long long>(settings_.passes),
                                           settings_.memory_bytes, crypto_pwhash_ALG_ARGON2ID13);
  if (failed != 0) {
    return Fail(Fault::kSelf, "out_of_memory", "there is no memory to hash a password");
  }
  return std::string(hash.data());
}

Result<bool> PasswordHasher::IsRight(const std::string& hash, std::string_view password) {
  Turn turn(*this);
  if (Status taken = turn.Taken(); !taken) return unexpected(std::move(taken.error()));
  const std::string& known = hash.empty() ? nobody_ : hash;
  errno = 0;
  const bool right = crypto_pwhash_str_verify(known.c_str(), password.data(), password.size()) == 0;
  if (!right && errno == ENOMEM) {
    return Fail(Fault::kSelf, "out_of_memory", "there is no memory to hash a password");
  }
  return right && !hash.empty();
}

bool PasswordHasher::IsOld(const std::string& hash) const {
  const std::string& known = hash.empty() ? nobody_ : hash;
  return crypto_pwhash_str_needs_rehash(known.c_str(),
                                        static_cast<unsigned long long>(settings_.passes),
                                        settings_.memory_bytes) != 0;
}

size_t PasswordHasher::busy() const {
  std::lock_guard lock(mutex_);
  return busy_;
}

size_t PasswordHasher::waiting() const {
  std::lock_guard lock(mutex_);
  return waiting_;
}

}  // namespace nearside::origin
