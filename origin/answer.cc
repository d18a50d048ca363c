#include "origin/answer.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "http/date.h"
#include "http/http1_writer.h"
#include "http/message.h"

namespace nearside::origin {
namespace {

struct ReasonStatus {
  std::string_view reason;
  int status;
};

constexpr std::array kReasons = {
    ReasonStatus{"unauthorized", 401},
    ReasonStatus{"token_revoked", 401},
    ReasonStatus{"token_expired", 401},
    ReasonStatus{"forbidden", 403},
    ReasonStatus{"cors_refused", 403},
    ReasonStatus{"form_refused", 403},
    ReasonStatus{"sign_up_closed", 403},
    ReasonStatus{"wrong_password", 403},
    ReasonStatus{"no_such_site", 404},
    ReasonStatus{"no_such_release", 404},
    ReasonStatus{"no_such_receipt", 404},
    ReasonStatus{"no_such_asset", 404},
    ReasonStatus{"no_such_blob", 404},
    ReasonStatus{"no_such_route", 404},
    ReasonStatus{"no_such_token", 404},
    ReasonStatus{"no_such_upload", 404},
    ReasonStatus{"no_such_account", 404},
    ReasonStatus{"no_such_job", 404},
    ReasonStatus{"method_not_allowed", 405},
    ReasonStatus{"body_timeout", 408},
    ReasonStatus{"too_slow", 408},
    ReasonStatus{"site_exists", 409},
    ReasonStatus{"host_taken", 409},
    ReasonStatus{"too_many_tokens", 409},
    ReasonStatus{"account_exists", 409},
    ReasonStatus{"too_many_accounts", 409},
    ReasonStatus{"password_changed", 409},
    ReasonStatus{"job_not_dead", 409},
    ReasonStatus{"missing_blobs", 409},
    ReasonStatus{"offset_mismatch", 409},
    ReasonStatus{"upload_expired", 410},
    ReasonStatus{"upload_lost", 410},
    ReasonStatus{"precondition_failed", 412},
    ReasonStatus{"unsupported_version", 412},
    ReasonStatus{"body_too_large", 413},
    ReasonStatus{"quota_exceeded", 413},
    ReasonStatus{"upload_length_exceeded", 413},
    ReasonStatus{"path_too_long", 414},
    ReasonStatus{"unsupported_coding", 415},
    ReasonStatus{"unsupported_type", 415},
    ReasonStatus{"digest_mismatch", 422},
    ReasonStatus{"length_mismatch", 422},
    ReasonStatus{"bytes_mismatch", 422},
    ReasonStatus{"bad_manifest", 422},
    ReasonStatus{"bad_site", 422},
    ReasonStatus{"bad_purge", 422},
    ReasonStatus{"bad_report", 422},
    ReasonStatus{"bad_rules", 422},
    ReasonStatus{"bad_token", 422},
    ReasonStatus{"upload_locked", 423},
    ReasonStatus{"bad_account", 422},
    ReasonStatus{"bad_account_name", 422},
    ReasonStatus{"bad_password", 422},
    ReasonStatus{"too_many_failures", 429},
    ReasonStatus{"too_many_uploads", 429},
    ReasonStatus{"checksum_mismatch", 460},
    ReasonStatus{"blob_collected", 503},
    ReasonStatus{"database_busy", 503},
    ReasonStatus{"too_many_followers", 503},
    ReasonStatus{"hashing_busy", 503},
    ReasonStatus{"forms_busy", 503},
    ReasonStatus{"job_queue_full", 503},
    ReasonStatus{"no_queue", 503},
    ReasonStatus{"no_sessions", 503},
    ReasonStatus{"out_of_memory", 503},
    ReasonStatus{"too_many_sessions", 503},
    ReasonStatus{"ENOSPC", 507},
    ReasonStatus{"EDQUOT", 507},
    ReasonStatus{"EFBIG", 507},
};

std::string Dump(const nlohmann::json& json) {
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace

BodyPiece BodyPiece::Text(std::string text) {
  BodyPiece piece;
  piece.bytes = text.size();
  piece.text = std::move(text);
  return piece;
}

BodyPiece BodyPiece::Blob(const storage::BlobId& id, uint64_t first, uint64_t bytes) {
  BodyPiece piece;
  piece.blob = id;
  piece.first = first;
  piece.bytes = bytes;
  return piece;
}

uint64_t Answer::body_bytes() const {
  uint64_t total = 0;
  for (const BodyPiece& piece : body) total += piece.bytes;
  return total;
}

Status OpenBody(const storage::BlobStore& blobs, Answer* answer) {
  for (BodyPiece& piece : answer->body) {
    if (!piece.blob || piece.reader) continue;
    auto reader = blobs.Read(*piece.blob);
    if (!reader) {
      return Fail(Fault::kSelf, "blob_lost",
                  "metadata names content that is not there: " + reader.error().message);
    }
    if ((*reader)->size() < piece.first + piece.bytes) {
      return Fail(Fault::kSelf, "blob_truncated",
                  "blob " + storage::BlobName(*piece.blob) + " is shorter than metadata says");
    }
    piece.reader = std::move(*reader);
  }
  return {};
}

std::string LastResponse(const Answer& answer, bool to_head) {
  http::Fields fields = answer.fields;
  fields.Add("content-length", std::to_string(answer.body_bytes()));
  std::string out;
  http::AppendResponseHead(answer.status, fields.lines(), {},
                           {.close = true, .date = http::FormatDate(WallNow())}, &out);
  if (to_head) return out;
  for (const BodyPiece& piece : answer.body) out += piece.text;
  return out;
}

Answer TextAnswer(int status, std::string_view text) {
  Answer answer;
  answer.status = status;
  answer.fields.Add("content-type", "text/plain; charset=utf-8");
  answer.body.push_back(BodyPiece::Text(std::string(text)));
  return answer;
}

Answer JsonAnswer(int status, std::string json) {
  Answer answer;
  answer.status = status;
  answer.fields.Add("content-type", "application/json");
  answer.fields.Add("cache-control", "no-store");
  json += '\n';
  answer.body.push_back(BodyPiece::Text(std::move(json)));
  return answer;
}

Answer ProblemAnswer(int status, const Error& error, std::string_view members) {
  nlohmann::ordered_json problem;
  problem["type"] = "urn:nearside:problem:" + error.reason;
  problem["title"] = http::ReasonPhrase(status);
  problem["status"] = status;
  problem["detail"] = error.message;
  problem["reason"] = error.reason;
  std::string text = problem.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  if (!members.empty()) {
    text.pop_back();
    text += ',';
    text += members;
    text += '}';
  }
  Answer answer = JsonAnswer(status, std::move(text));
  answer.fields.Set("content-type", "application/problem+json");
  if (status == 401) answer.fields.Add("www-authenticate", "Bearer realm=\"nearside\"");
  if (status == 503) answer.fields.Add("retry-after", "1");
  answer.reason = error.reason;
  return answer;
}

Answer ProblemAnswer(const Error& error) { return ProblemAnswer(StatusOfError(error), error); }

int StatusOfError(const Error& error) {
  const auto found = std::find_if(kReasons.begin(), kReasons.end(), [&](const ReasonStatus& row) {
    return row.reason == error.reason;
  });
  if (found != kReasons.end()) return found->status;
  return error.fault == Fault::kClient ? 400 : 500;
}

std::string JsonString(std::string_view text) { return Dump(std::string(text)); }

}  // namespace nearside::origin
