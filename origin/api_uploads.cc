// Uploads in several goes: tus 1.0 and draft-ietf-httpbis-resumable-upload on the same resources.
// What either protocol says is turned into the same steps of ResumableUploads.

#include <algorithm>

#include "http/date.h"
#include "origin/api.h"
#include "origin/asset_path.h"
#include "origin/content_digest.h"
#include "origin/cors.h"
#include "origin/manifest.h"
#include "origin/visitor.h"

namespace nearside::origin {
namespace {

constexpr int kUploadResumptionSupported = 104;
constexpr std::string_view kCorsMethods = "POST, HEAD, PATCH, DELETE, OPTIONS";
constexpr std::string_view kCorsExposed =
    "Location, Upload-Offset, Upload-Length, Upload-Defer-Length, Upload-Metadata, Upload-Expires, "
    "Upload-Complete, Upload-Limit, Tus-Resumable, Tus-Version, Tus-Extension, Tus-Max-Size, "
    "Tus-Checksum-Algorithm, ETag, Repr-Digest, Content-Location";

std::string PathOfUpload(const storage::ResumableUpload& upload) {
  return "/v1/sites/" + upload.site + "/uploads/" + upload.id;
}

http::Fields ConditionsOf(const storage::ResumableUpload& upload) {
  http::Fields fields;
  for (const auto& [name, value] : upload.conditions) fields.Add(name, value);
  return fields;
}

void SetFields(const http::Fields& fields, ApiOutcome* outcome) {
  http::Fields* to = nullptr;
  if (auto* answer = std::get_if<Answer>(outcome)) to = &answer->fields;
  if (auto* awaited = std::get_if<AwaitEdges>(outcome)) to = &awaited->fields;
  if (to == nullptr) return;
  for (const http::FieldLine& line : fields.lines()) to->Set(line.name, line.value);
}

/// A content that says nothing is none, whatever its type.
bool BringsContent(const RequestBody& body) { return body.announced_bytes().value_or(1) > 0; }

Status CheckType(std::string_view type, std::string_view wanted) {
  if (type == wanted) return {};
  return Fail(Fault::kClient, "unsupported_type",
              "expected Content-Type: " + std::string(wanted) + ", got \"" +
                  std::string(type.substr(0, 80)) + "\"");
}

tl::unexpected<Error> InconsistentLength(uint64_t said, uint64_t known) {
  return Fail(Fault::kClient, "inconsistent_length",
              "the upload has " + std::to_string(known) + " bytes by what was said before, or by " +
                  "what has come, and " + std::to_string(said) + " by this request");
}

/// Of a content that is the whole, Content-Digest is the whole's, in however many goes it comes.
Status TakeDigestOfWhole(UploadClaims* claims, storage::ResumableUpload* upload) {
  if (!claims->complete.value_or(false) || !claims->check || claims->check->tus) return {};
  storage::BlobId digest;
  std::copy(claims->check->digest.begin(), claims->check->digest.end(), digest.bytes.begin());
  if (upload->expected && *upload->expected != digest) {
    return Fail(Fault::kClient, "bad_digest", "Repr-Digest and Content-Digest differ");
  }
  upload->expected = digest;
  claims->check.reset();
  return {};
}

/// What of a PUT does not go together with several goes.
Status CheckNewUpload(const ApiRequest& request) {
  if (request.head.fields.Has("content-range")) {
    return Fail(Fault::kClient, "bad_request",
                "an upload begins with its first byte: send no Content-Range");
  }
  if (request.head.fields.Has("upload-concat")) {
    return Fail(Fault::kClient, "unsupported_extension",
                "uploads cannot be concatenated here: send one (no parallelUploads)");
  }
  Result<std::optional<milliseconds>> wait = QueryWait(request.head.query(), kLongestWait);
  return wait ? Status() : Status(unexpected(std::move(wait.error())));
}

}  // namespace

std::string Api::UploadLimit(milliseconds age) const {
  const auto whole = std::chrono::duration_cast<seconds>(std::max(age, milliseconds(0)));
  return "max-size=" + std::to_string(node_.settings.limits.asset.bytes) +
         ", max-age=" + std::to_string(whole.count());
}

http::Fields Api::UploadFields(const storage::ResumableUpload& upload) const {
  const bool done = upload.state == storage::ResumableState::kDone;
  http::Fields fields;
  fields.Add("cache-control", "no-store");
  fields.Add("upload-offset", std::to_string(upload.offset));
  fields.Add("upload-complete", done ? "?1" : "?0");
  if (upload.length) fields.Add("upload-length", std::to_string(*upload.length));
  if (done) {
    fields.Add("etag", EntityTagOf(upload.asset, upload.asset.blob, TagReader::kWriters));
    fields.Add("repr-digest", FormatReprDigest(upload.asset.blob));
    fields.Add("content-location",
               "/v1/sites/" + upload.site + "/assets" + AssetUrl(upload.asset.path));
    return fields;
  }
  if (!upload.length) fields.Add("upload-defer-length", "1");
  fields.Add("upload-expires", http::FormatDate(upload.expires));
  fields.Add("upload-limit", UploadLimit(upload.expires - WallNow()));
  return fields;
}

Answer Api::UploadProblem(const Error& error) const {
  Answer answer = ProblemAnswer(error);
  if (answer.status == 413)
    answer.fields.Add("upload-limit", UploadLimit(node_.settings.uploads.expiry));
  if (error.reason == "unsupported_version") answer.fields.Add("tus-version", kTusVersion);
  return answer;
}

void Api::DressUpload(const http::RequestHead& head, ApiOutcome* outcome) const {
  auto* answer = std::get_if<Answer>(outcome);
  if (answer == nullptr) {
    http::Fields fields;
    fields.Add("tus-resumable", kTusVersion);
    Answer dressed;
    AddCors(head, {node_.settings.uploads.cors_origins, kCorsMethods, kCorsExposed}, &dressed);
    for (const http::FieldLine& line : dressed.fields.lines()) fields.Add(line.name, line.value);
    return SetFields(fields, outcome);
  }
  answer->fields.Set("tus-resumable", kTusVersion);
  if (IsPreflight(head)) return;
  AddCors(head, {node_.settings.uploads.cors_origins, kCorsMethods, kCorsExposed}, answer);
}

ApiOutcome Api::UploadOptions(const ApiRequest& request) {
  if (IsPreflight(request.head)) {
    const CorsRules rules{node_.settings.uploads.cors_origins, kCorsMethods, kCorsExposed};
    if (auto allowed = AnswerPreflight(request.head, rules)) return std::move(*allowed);
    return ProblemAnswer(
        Error{Fault::kClient, "cors_refused", "this origin is not one of uploads.cors_origins"});
  }
  Answer answer;
  answer.status = 204;
  answer.fields.Add("tus-version", kTusVersion);
  answer.fields.Add("tus-extension", kTusExtensions);
  answer.fields.Add("tus-checksum-algorithm", kTusChecksums);
  answer.fields.Add("tus-max-size", std::to_string(node_.settings.limits.asset.bytes));
  answer.fields.Add("accept-patch", std::string(kDraftContent) + ", " + std::string(kTusContent));
  answer.fields.Add("upload-limit", UploadLimit(node_.settings.uploads.expiry));
  return answer;
}

/// What a request says of the whole's length, compared with what is known. `upload` is given it.
Status Api::CheckLength(const UploadClaims& claims, const ApiRequest& request,
                        storage::ResumableUpload* upload) {
  std::optional<uint64_t> said = claims.length;
  const std::optional<uint64_t> content = request.body.announced_bytes();
  if (claims.complete.value_or(false) && content) {
    const uint64_t implied = upload->offset + *content;
    if (said && *said != implied) return InconsistentLength(implied, *said);
    said = implied;
  }
  if (!said) return {};
  if (upload->length && *upload->length != *said) {
    return InconsistentLength(*said, *upload->length);
  }
  if (*said < upload->offset) return InconsistentLength(*said, upload->offset);
  if (*said > node_.settings.limits.asset.bytes) {
    return Fail(Fault::kClient, "body_too_large",
                "the upload is larger than limits.asset allows: " +
                    FormatSize(node_.settings.limits.asset));
  }
  upload->length = said;
  return {};
}

Result<storage::ResumableUpload> Api::NewUpload(const Route& route, const ApiRequest& request,
                                                const UploadClaims& claims) {
  const http::Fields& fields = request.head.fields;
  std::string path = route.path;
  if (path.empty()) path = QueryValue(request.head.query(), "path").value_or("");
  Result<storage::ResumableUpload> upload = ReadNewUpload(fields, claims.protocol, path);
  if (!upload) return upload;
  upload->site = route.site;
  const bool tus = claims.protocol == UploadProtocol::kTus;
  Status good = CheckNewUpload(request);
  if (good && tus && !claims.length && !claims.deferred) {
    good = Fail(Fault::kClient, "bad_length",
                "expected Upload-Length, or Upload-Defer-Length: 1 where it is not known yet");
  }
  if (good && !tus && !claims.complete) {
    good = Fail(Fault::kClient, "bad_request",
                "expected Upload-Complete: ?1, or ?0 when more is to come");
  }
  if (good && tus && BringsContent(request.body)) {
    good = CheckType(fields.Get("content-type").value_or(""), kTusContent);
  }
  if (good) good = CheckLength(claims, request, &*upload);
  Route to = route;
  to.path = upload->asset.path;
  if (good) good = CheckBeforeContent(to, ConditionsOf(*upload));
  if (!good) return unexpected(std::move(good.error()));
  return upload;
}

ApiOutcome Api::BeginUpload(const Route& route, const ApiRequest& request) {
  const auto fail = [&](const Error& error) {
    ++node_.counters.failed_uploads;
    return UploadProblem(error);
  };
  Result<UploadClaims> claims = ReadUploadClaims(request.head.method, request.head.fields);
  if (!claims) return fail(claims.error());
  Result<storage::ResumableUpload> upload = NewUpload(route, request, *claims);
  if (!upload) return fail(upload.error());
  if (Status good = TakeDigestOfWhole(&*claims, &*upload); !good) return fail(good.error());
  if (Status made = uploads_.Create(&*upload); !made) return fail(made.error());
  auto in_hand = uploads_.Take(upload->site, upload->id, Others::kLeave);
  if (!in_hand) return fail(in_hand.error());
  if (claims->informed) {
    http::Fields interim;
    interim.Add("location", PathOfUpload(*upload));
    interim.Add("upload-limit", UploadLimit(upload->expires - WallNow()));
    interim.Add("upload-draft-interop-version", kDraftVersion);
    request.body.Inform(kUploadResumptionSupported, interim);
  }
  ApiOutcome outcome = TakeContent(request, *claims, in_hand->get());
  auto* answer = std::get_if<Answer>(&outcome);
  const bool failed = answer != nullptr && answer->status >= 400;
  // Nobody can go on with an upload whose name was never said.
  if (failed && !claims->informed) GiveUp(in_hand->get());
  if (failed) return outcome;
  const bool done = (*in_hand)->upload.state == storage::ResumableState::kDone;
  // What a PUT, or the draft, finishes at once is answered as the put that it is.
  if (done && route.kind == RouteKind::kAsset) return outcome;
  if (answer != nullptr && answer->status == 204) answer->status = 201;
  http::Fields location;
  location.Add("location", PathOfUpload(*upload));
  SetFields(location, &outcome);
  return outcome;
}

void Api::GiveUp(UploadInHand* in_hand) {
  if (in_hand->partial == nullptr) return;  // it is gone already, or whole
  ++node_.counters.failed_uploads;
  (void)uploads_.Remove(in_hand);
}

ApiOutcome Api::TakeContent(const ApiRequest& request, const UploadClaims& claims,
                            UploadInHand* in_hand) {
  ResumableUploads::Content content{.body = request.body,
                                    .last = claims.complete.value_or(false),
                                    .whole_by_length = claims.protocol == UploadProtocol::kTus,
                                    .check = claims.check};
  if (claims.informed) {
    content.on_kept = [&](uint64_t offset) {
      http::Fields interim;
      interim.Add("upload-offset", std::to_string(offset));
      interim.Add("upload-draft-interop-version", kDraftVersion);
      request.body.Inform(kUploadResumptionSupported, interim);
    };
  }
  Result<bool> whole = uploads_.Append(in_hand, content);
  if (!whole) {
    // More than was announced, which nobody can take back: no end of this upload would be right.
    const bool too_much = StatusOfError(whole.error()) == 413 && !request.body.announced_bytes();
    if (too_much) GiveUp(in_hand);
    return UploadProblem(whole.error());
  }
  if (*whole) return FinishUpload(request, claims.protocol, in_hand);
  Answer answer;
  answer.status = 204;
  answer.fields = UploadFields(in_hand->upload);
  return answer;
}

ApiOutcome Api::FinishUpload(const ApiRequest& request, UploadProtocol protocol,
                             UploadInHand* in_hand) {
  const std::string site = in_hand->upload.site;
  const http::Fields conditions = ConditionsOf(in_hand->upload);
  Result<storage::AssetChange> change = uploads_.Finish(
      in_hand,
      {.precondition =
           [&](const std::optional<storage::Asset>& now) {
             return CheckConditions("PUT", conditions, now);
           },
       .announce = [&](const storage::Asset& asset) { return AnnouncePut(request, site, asset); }});
  if (!change) {
    Answer answer = UploadProblem(change.error());
    // To the draft's clients: all has come, and it is the put that has failed.
    if (change.error().fault == Fault::kClient) answer.fields.Add("upload-complete", "?1");
    return answer;
  }
  ApiOutcome outcome = AssetPut(request, site, in_hand->upload.asset, *change);
  http::Fields fields = UploadFields(in_hand->upload);
  if (protocol == UploadProtocol::kTus) {
    Answer answer;
    answer.status = 204;
    outcome = std::move(answer);
  } else {
    // They would be about the content of this answer, which names both inside.
    fields.Remove("repr-digest");
    fields.Remove("content-location");
  }
  SetFields(fields, &outcome);
  return outcome;
}

ApiOutcome Api::LookAtUpload(const Route& route, const ApiRequest& request) {
  Result<UploadClaims> claims = ReadUploadClaims("HEAD", request.head.fields);
  if (!claims) return UploadProblem(claims.error());
  // Who asks has lost the connection on which it was sending.
  auto in_hand = uploads_.Take(route.site, route.name, Others::kInterrupt);
  if (!in_hand) return UploadProblem(in_hand.error());
  if ((*in_hand)->upload.state == storage::ResumableState::kSealed) {
    // An origin died between the last byte and the put.
    ApiOutcome finished = FinishUpload(request, UploadProtocol::kTus, in_hand->get());
    if (std::get<Answer>(finished).status >= 400) return finished;
  }
  Answer answer;
  answer.status = 204;
  answer.fields = UploadFields((*in_hand)->upload);
  const std::string& metadata = (*in_hand)->upload.metadata;
  if (!metadata.empty()) answer.fields.Add("upload-metadata", metadata);
  return answer;
}

ApiOutcome Api::AppendToUpload(const Route& route, const ApiRequest& request) {
  Result<UploadClaims> claims = ReadUploadClaims("PATCH", request.head.fields);
  if (!claims) return UploadProblem(claims.error());
  const bool tus = claims->protocol == UploadProtocol::kTus;
  Status good = CheckType(request.head.fields.Get("content-type").value_or(""),
                          tus ? kTusContent : kDraftContent);
  if (good) good = CheckContentCoding(request.head.fields);
  if (good && !claims->offset) {
    good = Fail(Fault::kClient, "bad_offset", "expected Upload-Offset with a number of bytes");
  }
  if (good && !tus && !claims->complete) {
    good = Fail(Fault::kClient, "bad_request",
                "expected Upload-Complete: ?1, or ?0 when more is to come");
  }
  if (!good) return UploadProblem(good.error());
  // The draft's clients send one request at a time, so an older one is of a lost connection.
  auto in_hand = uploads_.Take(route.site, route.name, tus ? Others::kLeave : Others::kInterrupt);
  if (!in_hand) return UploadProblem(in_hand.error());
  storage::ResumableUpload& upload = (*in_hand)->upload;
  if (upload.offset != *claims->offset) {
    const Error error{Fault::kClient, "offset_mismatch",
                      "the upload goes on at " + std::to_string(upload.offset) + ", not at " +
                          std::to_string(*claims->offset)};
    Answer answer = ProblemAnswer(StatusOfError(error), error,
                                  "\"expected-offset\":" + std::to_string(upload.offset) +
                                      ",\"provided-offset\":" + std::to_string(*claims->offset));
    answer.fields.Add("upload-offset", std::to_string(upload.offset));
    return answer;
  }
  const bool empty = !BringsContent(request.body);
  if (upload.state == storage::ResumableState::kSealed && empty) {
    return FinishUpload(request, claims->protocol, in_hand->get());
  }
  if (upload.state != storage::ResumableState::kOpen) {
    if (tus && empty) {
      Answer answer;
      answer.status = 204;
      answer.fields = UploadFields(upload);
      return answer;
    }
    return UploadProblem(Error{Fault::kClient, "completed_upload",
                               "all of this upload has come: nothing can be added"});
  }
  if (good = CheckLength(*claims, request, &upload); !good) return UploadProblem(good.error());
  return TakeContent(request, *claims, in_hand->get());
}

ApiOutcome Api::RemoveUpload(const Route& route, const ApiRequest& request) {
  Result<UploadClaims> claims = ReadUploadClaims("DELETE", request.head.fields);
  if (!claims) return UploadProblem(claims.error());
  auto in_hand = uploads_.Take(route.site, route.name, Others::kInterrupt);
  if (!in_hand) return UploadProblem(in_hand.error());
  if (Status removed = uploads_.Remove(in_hand->get()); !removed) {
    return UploadProblem(removed.error());
  }
  Answer answer;
  answer.status = 204;
  return answer;
}

}  // namespace nearside::origin
