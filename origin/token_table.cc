#include "origin/token_table.h"

#include "origin/token_text.h"
#include "runtime/crypto.h"
#include "runtime/log.h"

namespace nearside::origin {
namespace {

constexpr seconds kNoteEvery{60};

tl::unexpected<Error> Unknown() {
  return Fail(Fault::kClient, "unauthorized",
              "the token is not known here: expected one of auth.token_file, or one made by POST "
              "/v1/tokens");
}

Status CheckOpens(const storage::Token& token, WallTime now) {
  if (token.is_revoked()) {
    return Fail(Fault::kClient, "token_revoked",
                "the token \"" + token.name + "\" was revoked at " + FormatIsoTime(token.revoked));
  }
  if (token.HasExpired(now)) {
    return Fail(Fault::kClient, "token_expired",
                "the token \"" + token.name + "\" has expired at " + FormatIsoTime(token.expires) +
                    ": make another one by POST /v1/tokens");
  }
  return {};
}

}  // namespace

Status TokenTable::Refresh() {
  std::lock_guard refreshing(refresh_mutex_);
  Result<std::vector<storage::Token>> tokens = metadata_.Tokens();
  if (!tokens) return unexpected(std::move(tokens.error()));
  auto fresh = std::make_shared<Snapshot>();
  for (storage::Token& token : *tokens) {
    Caller caller;
    caller.token = token.id;
    caller.name = token.name;
    caller.site = token.site;
    caller.rights = RightsOf(token.scopes);
    std::string id = token.id;
    fresh->emplace(std::move(id), Row{std::move(token), std::move(caller)});
  }
  {
    std::lock_guard lock(uses_mutex_);
    std::erase_if(uses_, [&](const auto& use) { return !fresh->contains(use.first); });
  }
  std::lock_guard lock(mutex_);
  snapshot_ = std::move(fresh);
  return {};
}

void TokenTable::Follow(const storage::LogState& log) {
  if (log.tokens == followed_) return;
  if (Status read = Refresh(); !read) {
    // The next look tries again.
    return Log(Level::kError, "tokens_not_read", {{"error", read.error().ToString()}});
  }
  followed_ = log.tokens;
}

std::shared_ptr<const TokenTable::Snapshot> TokenTable::snapshot() const {
  std::lock_guard lock(mutex_);
  return snapshot_;
}

Result<Caller> TokenTable::Authenticate(std::string_view text, WallTime now) {
  const std::optional<TokenText> shown = ParseTokenText(text);
  if (!shown) return Unknown();
  const std::string digest = DigestOfSecret(shown->secret);
  const std::shared_ptr<const Snapshot> rows = snapshot();
  const auto found = rows->find(shown->id);
  // An id that nobody has is compared as well: the time tells nothing of it.
  const std::string nobody(digest.size(), '0');
  const bool right =
      EqualInConstantTime(digest, found == rows->end() ? nobody : found->second.token.digest);
  if (!right || found == rows->end()) return Unknown();
  if (Status opens = CheckOpens(found->second.token, now); !opens) {
    return unexpected(std::move(opens.error()));
  }
  NoteUse(shown->id, now);
  return found->second.caller;
}

Result<Caller> TokenTable::Find(std::string_view id, WallTime now) const {
  const std::shared_ptr<const Snapshot> rows = snapshot();
  const auto found = rows->find(std::string(id));
  if (found == rows->end()) return Unknown();
  if (Status opens = CheckOpens(found->second.token, now); !opens) {
    return unexpected(std::move(opens.error()));
  }
  return found->second.caller;
}

void TokenTable::NoteUse(const std::string& id, WallTime now) {
  {
    std::lock_guard lock(uses_mutex_);
    WallTime& noted = uses_[id];
    if (now >= noted && now - noted < kNoteEvery) return;
    noted = now;
  }
  if (Status kept = metadata_.NoteTokenUse(id, now); !kept) {
    Log(Level::kWarning, "token_use_not_noted", {{"error", kept.error().ToString()}});
  }
}

}  // namespace nearside::origin
