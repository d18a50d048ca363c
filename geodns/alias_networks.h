#pragma once

// What a name outside our zones leads to for networks of clients: answers that its owner tailors by
// client subnet (RFC 7871), learned one by one for those who ask.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "geodns/address.h"

namespace nearside::geodns {

/// A network that wants to know what a target leads to for its own clients.
struct AliasAsk {
  uint32_t target = 0;  ///< AliasNetworks::target
  Network network;
  Network source{};  ///< of whoever sent the query, in the width of SourceOf
  bool operator==(const AliasAsk&) const = default;
};

/// On the way from one worker to the control loop: a ring without locks and of fixed size. One
/// thread puts and one takes. What finds no room is lost, and comes again with the next query.
class AliasAsks {
 public:
  /// False: no room. No allocation. The same as the last one, if that still waits, is not put
  /// twice.
  bool Put(const AliasAsk& ask);
  /// False: none waits.
  bool Take(AliasAsk* ask);

 private:
  static constexpr size_t kSize = 256;  // a power of two
  std::array<AliasAsk, kSize> ring_;
  alignas(64) std::atomic<size_t> end_{0};
  alignas(64) std::atomic<size_t> begin_{0};
};

/// The answers of one target at one moment. Immutable but for Answer::asked; any thread.
class AliasNetworks {
 public:
  struct Answer {
    Network network;
    /// For who tells more bits of its client than these there may be a better one (the scope was
    /// longer than what was asked about).
    uint8_t most_known = UINT8_MAX;
    std::vector<IpAddress> addresses;
    uint32_t ttl = 0;  ///< seconds, as AliasResult's
    /// Set by whoever answers with it, so that what nobody wants is not kept.
    std::shared_ptr<std::atomic<bool>> asked;
  };
  /// Of the clients of one address family.
  struct Family {
    bool is_tailored = true;  ///< the target's owner tells them apart, or nobody knows yet
    bool wants_asks = true;   ///< a network without an answer should ask for one
  };

  /// Of several answers for one network the first counts. `interim_ttl`: of the answer for all,
  /// while a network waits for its own.
  AliasNetworks(uint32_t target, std::vector<Answer> answers, std::array<Family, 2> families,
                uint32_t interim_ttl);

  struct Found {
    const Answer* answer = nullptr;  ///< null: what all get
    uint8_t scope = 0;               ///< bits of the client that the choice depended on
    bool is_wanted = false;          ///< an answer of its own should be asked for
  };
  /// `known_bits`: how many bits of `client` are told, MostBits at most. No allocation.
  Found Find(const IpAddress& client, uint8_t known_bits) const;

  /// The number of the target in its resolver.
  uint32_t target() const { return target_; }
  uint32_t interim_ttl() const { return interim_ttl_; }
  size_t size() const { return answers_.size(); }

  /// What is told of a client at most (RFC 7871 §11.1).
  static constexpr uint8_t MostBits(bool is_ipv6) { return is_ipv6 ? 56 : 24; }

 private:
  const uint32_t target_;
  std::vector<Answer> answers_;  ///< by family, bits, address
  /// Lengths of networks that there are, by family, the longest first.
  std::array<std::vector<uint8_t>, 2> lengths_;
  const std::array<Family, 2> families_;  ///< IPv4, IPv6
  const uint32_t interim_ttl_;
};

/// Who asks, as far as places are shared out: one site has a /24 or a /56 to send queries from.
inline Network SourceOf(const IpAddress& sender) {
  return Network::Of(sender, AliasNetworks::MostBits(sender.is_ipv6));
}

/// Whether an address may be one of the Internet's: what is private, or means only this machine or
/// link, is nobody else's business and tells nothing (RFC 6890).
bool IsGlobal(const IpAddress& address);

}  // namespace nearside::geodns
