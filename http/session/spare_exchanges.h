#pragma once

#include <cstddef>
#include <memory>
#include <vector>

namespace nearside::http {

class Http2Exchange;

/// Exchanges that are over, for later streams of any connection of a worker. The latest comes back
/// first: a turn answers one connection after the other, and each finds warm what the one before it
/// has used. One thread.
class SpareExchanges {
 public:
  static constexpr size_t kMost = 128;
  /// What had a larger head than this is not kept.
  static constexpr size_t kMostHeadBytes = 4096;

  SpareExchanges();
  ~SpareExchanges();
  SpareExchanges(const SpareExchanges&) = delete;
  SpareExchanges& operator=(const SpareExchanges&) = delete;

  /// One in any state, or a new one: it is to be Reset.
  std::unique_ptr<Http2Exchange> Take();
  /// `exchange` has neither handler nor body any more.
  void Give(std::unique_ptr<Http2Exchange> exchange);

  size_t size() const { return kept_.size(); }

 private:
  std::vector<std::unique_ptr<Http2Exchange>> kept_;
};

}  // namespace nearside::http
