#include "origin/access.h"

#include "origin/token_text.h"

namespace nearside::origin {
namespace {

Caller CallerOfFile(Scope scope) {
  Caller caller;
  if (scope == Scope::kFleet) {
    caller.name = "auth.fleet_token_file";
    caller.fleet = true;
  } else {
    caller.name = "auth.token_file";
    caller.rights.Add(Right::kAdmin);
  }
  return caller;
}

}  // namespace

Access::Access(storage::Metadata& metadata, const AuthSettings& settings, Tokens files,
               std::string s3_key)
    : table_(metadata),
      files_(std::make_shared<const Files>(Files{std::move(files), std::move(s3_key)})),
      failures_(settings.failures, settings.limit_loopback) {}

std::shared_ptr<const Access::Files> Access::files() const {
  std::lock_guard lock(files_mutex_);
  return files_;
}

void Access::SetFiles(Tokens files, std::string s3_key) {
  std::lock_guard lock(files_mutex_);
  if (s3_key.empty()) s3_key = files_->s3_key;  // the file is gone; nobody signs with nothing
  auto fresh = std::make_shared<const Files>(Files{std::move(files), std::move(s3_key)});
  files_ = std::move(fresh);
}

Result<Caller> Access::Authenticate(const http::Fields& fields, std::string_view client) {
  const std::string_view shown = BearerOf(fields);
  Result<Caller> caller =
      Fail(Fault::kClient, "unauthorized", "expected the header \"Authorization: Bearer TOKEN\"");
  if (!shown.empty()) {
    if (const Scope scope = files()->tokens.ScopeOf(shown); scope != Scope::kNone) {
      return CallerOfFile(scope);
    }
    caller = table_.Authenticate(shown, WallNow());
  }
  if (caller) return caller;
  // Without a token nothing was tried: a browser or a probe that knows no better is no guess.
  const milliseconds wait = Failed(client, shown.empty() ? Shown::kNothing : Shown::kWrong);
  if (wait == milliseconds(0)) return caller;
  return Fail(Fault::kClient, "too_many_failures",
              "too many wrong tokens came from this address: the next is looked at in " +
                  std::to_string(std::chrono::ceil<seconds>(wait).count()) + " s");
}

Result<S3Credential> Access::FindS3Credential(std::string_view access_key_id) const {
  Result<Caller> caller = table_.Find(access_key_id, WallNow());
  if (!caller) return unexpected(std::move(caller.error()));
  return S3Credential{S3SecretOf(access_key_id), std::move(*caller)};
}

std::string Access::S3SecretOf(std::string_view token_id) const {
  return origin::S3SecretOf(files()->s3_key, token_id);
}

milliseconds Access::LockedOutFor(std::string_view client) {
  std::lock_guard lock(failures_mutex_);
  return failures_.WaitOf(client, MonoNow());
}

milliseconds Access::Failed(std::string_view client, Shown shown) {
  std::lock_guard lock(failures_mutex_);
  const MonoTime now = MonoNow();
  const milliseconds wait = failures_.WaitOf(client, now);
  if (wait > milliseconds(0)) {
    ++locked_out_;
  } else if (shown == Shown::kWrong) {
    failures_.Count(client, now);
  }
  return wait;
}

}  // namespace nearside::origin
