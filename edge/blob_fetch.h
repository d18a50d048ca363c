#pragma once

// One content of the fleet's origin, fetched by its SHA-256 into the store.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "edge/pace.h"
#include "http/session/client.h"
#include "net/event_loop.h"
#include "runtime/crypto.h"
#include "storage/cache_store.h"

namespace nearside::edge {

/// Read at a pace, hashed, and stored only if it is what it should be. One loop's thread.
/// Destroying it gives it up: nothing of it is stored then.
class BlobFetch final : public http::CallHandler, public net::Disposable {
 public:
  struct Order {
    http::Endpoint origin;
    std::string token;
    std::string sha256;  ///< hexadecimal
    uint64_t bytes = 0;
    storage::Head head;  ///< as it is to be stored
  };
  /// `done` runs once and not from inside the constructor; it may have this disposed later. Errors:
  /// those of the client, kOrigin status_N, wrong_bytes (it is not the content that was asked for),
  /// kSelf not_stored. `store` and `pace` outlive it.
  BlobFetch(net::EventLoop& loop, http::Client& client, storage::CacheStore& store, Pace& pace,
            Order order, std::function<void(Status)> done);
  ~BlobFetch() override;
  BlobFetch(const BlobFetch&) = delete;
  BlobFetch& operator=(const BlobFetch&) = delete;

  void OnHead(http::ResponseHead&& head) override;
  void OnBody(std::span<const uint8_t> bytes) override;
  void OnEnd(const http::Fields& trailers) override;
  void OnFailure(const Error& error) override;

 private:
  void Append(std::span<const uint8_t> bytes);
  void WaitForTurn();
  void Refuse(std::string what);
  void Done(Status status);

  net::EventLoop& loop_;
  storage::CacheStore& store_;
  Pace& pace_;
  Order order_;
  std::function<void(Status)> done_;
  std::unique_ptr<http::Call> call_;
  std::unique_ptr<storage::ObjectWriter> writer_;
  int status_ = 0;
  uint64_t come_bytes_ = 0;
  uint64_t owed_bytes_ = 0;  ///< read ahead of the pace
  bool store_waits_ = false;
  ChunkRef chunk_;
  Sha256 hash_;
  net::Timer pause_;
  std::shared_ptr<BlobFetch*> self_;  ///< null inside once destroyed, for the store's answers
};

}  // namespace nearside::edge
