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
  if (shown.empty()) {
    // Nothing was tried: a browser or a probe that knows no better is no guess.
    return Fail(Fault::kClient, "unauthorized",
                "expected the header \"Authorization: Bearer TOKEN\"");
  }
  if (const Scope scope = files()->tokens.ScopeOf(shown); scope != Scope::kNone) {
    return CallerOfFile(scope);
  }
  Result<Caller> caller = table_.Authenticate(shown, WallNow());
  if (!caller) CountFailure(client);
  return caller;
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
  const milliseconds wait = failures_.WaitOf(client, MonoNow());
  if (wait > milliseconds(0)) ++locked_out_;
  return wait;
}

void Access::CountFailure(std::string_view client) {
  std::lock_guard lock(failures_mutex_);
  failures_.Count(client, MonoNow());
}

}  // namespace nearside::origin
