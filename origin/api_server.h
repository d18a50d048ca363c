#pragma once

// The API's addresses: the gate, the pools behind it, the followers; and which request goes where.

#include <memory>
#include <mutex>
#include <unordered_set>
#include <vector>

#include "net/address.h"
#include "origin/account_service.h"
#include "origin/api.h"
#include "origin/followers.h"
#include "origin/gate.h"
#include "origin/node.h"
#include "origin/pool.h"
#include "origin/s3_service.h"

namespace nearside::origin {

/// Owned by the main thread; the rest happens on threads of its own.
class ApiServer {
 public:
  /// Listens, but accepts nothing yet. Error: kOperator address_in_use, bad_address.
  static Result<std::unique_ptr<ApiServer>> Open(Node& node,
                                                 const std::vector<net::SocketAddress>& addresses);
  ~ApiServer();
  void Start() { gate_->Start(); }

  /// A connection of a client at `client`, behind TLS that somebody else speaks. Any thread.
  void Adopt(net::Descriptor socket, std::string client) {
    gate_->Adopt(std::move(socket), std::move(client));
  }
  /// Stops accepting; requests under way go on, each the last on its connection.
  void Drain();
  /// Nothing is under way any more: requests and receipts; streams of events do not count.
  bool idle() const;
  /// Breaks the connections of what is still under way (the drain's deadline).
  void CutOff();

  const std::vector<net::SocketAddress>& addresses() const { return gate_->addresses(); }
  GateCounters gate_counters() const { return gate_->counters(); }
  const Followers& followers() const { return *followers_; }
  /// Busy and waiting work of the visitors' threads / their number: 1 is all that they can do.
  double load() const;
  void ExportMetrics(metrics::Registry& registry) const;

 private:
  /// What a request is for, decided by its head alone.
  struct Purpose {
    RequestKind kind = RequestKind::kApi;
    bool s3 = false;
  };

  explicit ApiServer(Node& node);
  Status Bind(const std::vector<net::SocketAddress>& addresses);
  Purpose PurposeOf(const http::RequestHead& head) const;
  Pool& PoolOf(RequestKind kind);
  void OnRequest(std::unique_ptr<Conversation> conversation);
  void ServeVisitor(std::unique_ptr<Conversation> conversation);
  void ServeApi(RequestKind kind, std::unique_ptr<Conversation> conversation);
  void ServeS3(RequestKind kind, std::unique_ptr<Conversation> conversation);
  void ServeAccount(std::unique_ptr<Conversation> conversation);
  void ExpireUploads();
  void StartFollowing(const FollowLog& follow, std::unique_ptr<Conversation> conversation);
  void Await(RequestKind kind, const AwaitEdges& awaited,
             std::unique_ptr<Conversation> conversation);
  void Finish(RequestKind kind, const Answer& answer, std::unique_ptr<Conversation> conversation);
  /// A stream of events is logged when it begins.
  void LogRequest(RequestKind kind, const Answer& answer, const Conversation& conversation,
                  bool complete);
  void FinishAtOnce(RequestKind kind, const Answer& answer,
                    std::unique_ptr<Conversation> conversation);
  void RefuseBusy(const Purpose& purpose, std::unique_ptr<Conversation> conversation);
  void GiveBack(std::unique_ptr<Conversation> conversation);
  void ExportRequests(metrics::Registry& registry) const;
  void ExportConnections(metrics::Registry& registry) const;

  Node& node_;
  Api api_;
  S3Service s3_;
  SettledClock parts_clock_;  ///< by which S3's uploads expire
  AccountService account_pages_;
  Pool visitors_;
  Pool uploads_;
  Pool small_;  ///< the API's other requests
  Pool s3_readers_;
  Pool accounts_;
  MonoTime next_expiry_;  ///< the followers' thread
  std::unique_ptr<Followers> followers_;
  std::unique_ptr<Gate> gate_;
  mutable std::mutex under_way_mutex_;
  std::unordered_set<Conversation*> under_way_;
};

}  // namespace nearside::origin
