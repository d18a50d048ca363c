#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "dns/edns.h"
#include "dns/name.h"
#include "dns/reply.h"
#include "net/address.h"
#include "net/descriptor.h"
#include "net/event_loop.h"
#include "runtime/result.h"

namespace nearside::geodns {

/// Asks resolvers for the addresses of one name over UDP: one after the other, each query from a
/// port and with an id of its own (RFC 5452), until one gives an answer. One that is truncated is
/// asked again over TCP (RFC 7766 §5). Owned by the loop's thread; destroying it ends the query
/// without a word.
class StubQuery final : private net::Watcher {
 public:
  using OnDone = std::function<void(Result<dns::AddressReply>)>;
  struct Options {
    std::vector<net::SocketAddress> resolvers;  ///< asked in this order, twice; not empty
    milliseconds timeout{2000};                 ///< of each try, and again of its part over TCP
    std::optional<dns::ClientSubnet> subnet;    ///< of the client that it is for (RFC 7871)
  };

  /// `type`: A or AAAA. `on_done` runs once, not from inside the constructor, and may destroy this.
  /// Errors: ParseAddressReply's, or kOrigin timeout or cut_off, or the last resolver's errno.
  StubQuery(net::EventLoop& loop, const Options& options, dns::NameView name, uint16_t type,
            OnDone on_done);
  ~StubQuery() override;
  StubQuery(const StubQuery&) = delete;
  StubQuery& operator=(const StubQuery&) = delete;

 private:
  static constexpr size_t kRounds = 2;
  enum class Step : uint8_t { kDatagram, kConnecting, kMessage };

  const net::SocketAddress& resolver() const {
    return options_.resolvers[tries_ % options_.resolvers.size()];
  }
  void Try();
  Status Open(int type, uint32_t events);
  std::vector<uint8_t> NewQuery();
  Status SendDatagram();
  Status StartTcp();
  Status SendMessage();
  void OnReady(uint32_t events) override;
  void OnDatagram();
  void OnMessage();
  void Take(std::span<const uint8_t> reply);
  void FailTry(Error error);
  void Close();
  void Done(Result<dns::AddressReply> result);

  net::EventLoop& loop_;
  const Options options_;
  const dns::Name name_;
  const uint16_t type_;
  OnDone on_done_;
  net::Timer timer_;
  size_t tries_ = 0;
  net::Descriptor socket_;
  Step step_ = Step::kDatagram;
  uint16_t id_ = 0;
  std::vector<uint8_t> received_;  ///< over TCP, with the length in front
};

}  // namespace nearside::geodns
