#pragma once

// The API: every route, without a connection. docs/origin.md describes it from outside.

#include <optional>
#include <string>
#include <variant>

#include "http/message.h"
#include "http/redirect_rules.h"
#include "origin/answer.h"
#include "origin/audit.h"
#include "origin/caller.h"
#include "origin/fleet.h"
#include "origin/node.h"
#include "origin/request_body.h"
#include "origin/resumable_uploads.h"
#include "origin/route.h"
#include "origin/upload_fields.h"

namespace nearside::origin {

/// Waiting for edges longer than this is not promised.
inline constexpr milliseconds kLongestWait = seconds(60);
inline constexpr size_t kSmallBody = 1 << 20;     ///< JSON bodies other than manifests
inline constexpr size_t kReportBytes = 64 << 10;  ///< of an edge

struct ApiRequest {
  const http::RequestHead& head;
  std::string_view client;  ///< address, for logs
  RequestBody& body;
  Caller caller = {};  ///< set by Handle
};

/// The request becomes a stream of events.
struct FollowLog {
  std::optional<storage::LogPosition> after;
  std::string token;  ///< the caller's id: the stream ends with it
};

/// The answer comes when the edges have applied a position, or when it has been waited for long
/// enough.
struct AwaitEdges {
  storage::LogPosition position;
  WallTime since;
  milliseconds patience{0};
  int status = 200;
  std::string members;       ///< JSON members of the answer beside the receipt's
  http::Fields fields = {};  ///< of the answer
};

inline storage::AuditEntry RecordOf(const ApiRequest& request, const Deed& deed) {
  return RecordOf(request.caller, request.client, deed);
}

using ApiOutcome = std::variant<Answer, FollowLog, AwaitEdges>;

/// The JSON answer to what was waited for: `members` and the receipt.
Answer ReceiptAnswer(const AwaitEdges& awaited, const Receipt& receipt);

/// Whether a request is one of those that take long to come in, and so have threads of their own.
bool IsUpload(const http::RequestHead& head);

/// Any thread; blocks on disk and on the request's body.
class Api {
 public:
  explicit Api(Node& node) : node_(node), uploads_(node) {}
  ApiOutcome Handle(const ApiRequest& request);
  /// The same for who has shown in another way who it is: an account.
  ApiOutcome HandleAs(Caller caller, const ApiRequest& request);
  /// Gives back what uploads in several goes have left.
  void ExpireUploads() { uploads_.Expire(); }

 private:
  ApiOutcome HandleByToken(const ApiRequest& request, const Result<Route>& route);
  ApiOutcome HandleRoute(const Result<Route>& route, const ApiRequest& request);
  /// `method` is the one that is meant: see MethodOf in api.cc.
  ApiOutcome DispatchUpload(const Route& route, const ApiRequest& request, std::string_view method);
  ApiOutcome Dispatch(const Route& route, const ApiRequest& request, std::string_view method);
  /// The answer to an error; one that says who may not do what is logged as well.
  Answer Refused(const ApiRequest& request, const Error& error) const;

  // api_assets.cc
  ApiOutcome GetAsset(const Route& route, const ApiRequest& request);
  ApiOutcome PutAsset(const Route& route, const ApiRequest& request);
  ApiOutcome DeleteAsset(const Route& route, const ApiRequest& request);
  ApiOutcome ListAssets(const Route& route, const ApiRequest& request);
  ApiOutcome GetBlob(const Route& route, const ApiRequest& request);
  ApiOutcome PutBlob(const Route& route, const ApiRequest& request);
  Result<storage::StoredBlob> Receive(const ApiRequest& request,
                                      const storage::BlobExpectation& expected);
  /// What is refused in any case, told before the content is read; the transaction asks again.
  Status CheckBeforeContent(const Route& to, const http::Fields& conditions);
  /// If-Match and the like against what stands at the path (RFC 9110 §13.1). Error: kClient
  /// precondition_failed.
  static Status CheckConditions(std::string_view method, const http::Fields& fields,
                                const std::optional<storage::Asset>& there);
  static storage::Announce AnnouncePut(const ApiRequest& request, const std::string& site,
                                       const storage::Asset& asset);
  /// The end of every put of an asset.
  ApiOutcome AssetPut(const ApiRequest& request, const std::string& site,
                      const storage::Asset& asset, const storage::AssetChange& change);

  // api_uploads.cc
  /// A new upload in several goes: POST to the site's uploads, or the draft's PUT of an asset.
  ApiOutcome BeginUpload(const Route& route, const ApiRequest& request);
  ApiOutcome UploadOptions(const ApiRequest& request);
  ApiOutcome LookAtUpload(const Route& route, const ApiRequest& request);
  ApiOutcome AppendToUpload(const Route& route, const ApiRequest& request);
  ApiOutcome RemoveUpload(const Route& route, const ApiRequest& request);
  Result<storage::ResumableUpload> NewUpload(const Route& route, const ApiRequest& request,
                                             const UploadClaims& claims);
  Status CheckLength(const UploadClaims& claims, const ApiRequest& request,
                     storage::ResumableUpload* upload);
  /// Appends the request's content; the answer is of that upload, and of the put if it is whole.
  ApiOutcome TakeContent(const ApiRequest& request, const UploadClaims& claims,
                         UploadInHand* in_hand);
  /// Removes one of which nothing can become.
  void GiveUp(UploadInHand* in_hand);
  ApiOutcome FinishUpload(const ApiRequest& request, UploadProtocol protocol,
                          UploadInHand* in_hand);
  Answer UploadProblem(const Error& error) const;
  http::Fields UploadFields(const storage::ResumableUpload& upload) const;
  /// `age`: how long one may still take.
  std::string UploadLimit(milliseconds age) const;
  /// What every answer about uploads says.
  void DressUpload(const http::RequestHead& head, ApiOutcome* outcome) const;

  // api_releases.cc
  ApiOutcome ListReleases(const Route& route, const ApiRequest& request);
  ApiOutcome CreateRelease(const Route& route, const ApiRequest& request);
  ApiOutcome GetRelease(const Route& route);
  ApiOutcome Activate(const Route& route, const ApiRequest& request);
  Result<http::RedirectRules> RulesToActivate(const Route& route);

  // api_sites.cc
  ApiOutcome ListSites(const ApiRequest& request);
  ApiOutcome CreateSite(const ApiRequest& request);
  ApiOutcome GetSite(const Route& route);
  ApiOutcome PutSite(const Route& route, const ApiRequest& request);
  Status CheckQuotaChange(const ApiRequest& request, const storage::SiteDraft& draft);
  ApiOutcome DeleteSite(const Route& route, const ApiRequest& request);

  // api_fleet.cc
  ApiOutcome Purge(const ApiRequest& request);
  ApiOutcome Events(const ApiRequest& request);
  ApiOutcome ListEdges();
  ApiOutcome GetEdge(const Route& route);
  ApiOutcome ReportEdge(const Route& route, const ApiRequest& request);
  ApiOutcome RemoveEdge(const Route& route, const ApiRequest& request);

  // api_preparation.cc
  ApiOutcome PrepareRelease(const Route& route, const ApiRequest& request);
  ApiOutcome GetPreparation(const Route& route, const ApiRequest& request);

  // api_receipts.cc
  ApiOutcome ListContent(const Route& route, const ApiRequest& request);
  ApiOutcome ListReceipts(const ApiRequest& request);
  ApiOutcome GetReceipt(const Route& route, const ApiRequest& request);
  storage::DraftReceipt DraftReceiptOf(const Route& route);

  // api_tokens.cc
  ApiOutcome ListTokens(const ApiRequest& request);
  ApiOutcome CreateToken(const ApiRequest& request);
  ApiOutcome GetToken(const Route& route, const ApiRequest& request);
  ApiOutcome RevokeToken(const Route& route, const ApiRequest& request);
  ApiOutcome ListAudit(const ApiRequest& request);
  void TokensChanged();

  // api_accounts.cc
  ApiOutcome ListAccounts(const ApiRequest& request);
  ApiOutcome CreateAccount(const ApiRequest& request);
  ApiOutcome GetAccount(const Route& route);
  ApiOutcome DeleteAccount(const Route& route, const ApiRequest& request);
  ApiOutcome PutGrants(const Route& route, const ApiRequest& request);
  ApiOutcome PutPassword(const Route& route, const ApiRequest& request);
  ApiOutcome ListSessions(const Route& route);
  ApiOutcome EndSessions(const Route& route, const ApiRequest& request);

  // api_jobs.cc
  ApiOutcome ListJobs(const ApiRequest& request);
  ApiOutcome RetryJob(const Route& route, const ApiRequest& request);

  /// A change that was made.
  struct Change {
    std::string_view event;  ///< its name in the log: "asset_put"
    std::string site;
    int status = 200;
    storage::LogPosition position;
    WallTime since;       ///< when it was made, for the receipt
    std::string members;  ///< JSON members of the answer
  };
  /// The end of every change: it is logged, visitors and followers are told, and the answer carries
  /// the position, or waits for the edges when the request says ?wait=.
  ApiOutcome Done(const ApiRequest& request, Change change);

  /// The record of a change that no event announces, right after it. When it cannot be written,
  /// that is logged: the change was made.
  void Record(const ApiRequest& request, const Deed& deed);

  Node& node_;
  ResumableUploads uploads_;
};

}  // namespace nearside::origin
