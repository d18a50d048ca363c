#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "http/fields.h"
#include "runtime/result.h"
#include "storage/blob_store.h"

namespace nearside::origin {

/// A piece of a response's content: a text, or bytes of a blob.
struct BodyPiece {
  std::string text;
  std::optional<storage::BlobId> blob;  ///< then `first` and `bytes` say which part of it
  uint64_t first = 0;
  uint64_t bytes = 0;
  std::shared_ptr<const storage::BlobReader> reader;  ///< set by OpenBody

  static BodyPiece Text(std::string text);
  static BodyPiece Blob(const storage::BlobId& id, uint64_t first, uint64_t bytes);
};

/// A response before it meets a connection: the same for Poco's server and for http/session. A
/// value.
struct Answer {
  int status = 200;
  http::Fields fields;          ///< without framing and Date
  std::vector<BodyPiece> body;  ///< also for HEAD: whoever sends it leaves it out
  std::string reason;           ///< of an error, for logs and metrics; "" when all is well

  uint64_t body_bytes() const;
};

/// Opens the blobs of the body. An error (kSelf) means that metadata and blobs disagree, or the
/// disk fails.
Status OpenBody(const storage::BlobStore& blobs, Answer* answer);

/// The whole of a response of texts, the last on its connection, for one send. `to_head`: it
/// answers HEAD.
std::string LastResponse(const Answer& answer, bool to_head = false);

Answer TextAnswer(int status, std::string_view text);
Answer JsonAnswer(int status, std::string json);
/// RFC 9457 problem details: what happened and, in the error's message, what to do about it.
/// `members` is JSON to add ("\"epoch\":7"), or "".
Answer ProblemAnswer(int status, const Error& error, std::string_view members = "");
/// The same with the status that the error's reason stands for.
Answer ProblemAnswer(const Error& error);
/// 400 for a client's fault and 500 for others where the reason has no status of its own.
int StatusOfError(const Error& error);

/// `text` as a JSON string with its quotes; bytes that are not UTF-8 become U+FFFD.
std::string JsonString(std::string_view text);

}  // namespace nearside::origin
