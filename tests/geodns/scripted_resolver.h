#pragma once

#include <list>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "dns/edns.h"
#include "dns/record_type.h"
#include "net/address.h"
#include "net/descriptor.h"
#include "net/event_loop.h"
#include "net/listener.h"

namespace nearside::geodns {

/// A resolver on loopback, by UDP and TCP, whose answers a test chooses. On the loop's thread.
class ScriptedResolver final : public net::Watcher {
 public:
  explicit ScriptedResolver(net::EventLoop& loop);
  ~ScriptedResolver() override;

  net::SocketAddress address() const;

  bool silent = false;
  bool forges = false;     ///< another id before the right one
  bool truncates = false;  ///< over UDP
  bool hangs_up = false;   ///< over TCP, in the middle of an answer
  dns::Rcode rcode = dns::Rcode::kNoError;
  std::vector<std::string> ipv4, ipv6;
  uint32_t ttl = 60;
  int queries = 0;
  int tcp_queries = 0;
  /// Subnets asked for, as "198.51.100.0/24", each with how often.
  std::map<std::string, int> subnets;
  struct Tailored {
    std::string ipv4;
    uint8_t scope = 0;
  };
  /// What a subnet gets instead of `ipv4`; the scope of others is 0.
  std::map<std::string, Tailored> tailored;

 private:
  class Connection;
  void OnReady(uint32_t) override;
  std::vector<uint8_t> AnswerTo(std::span<const uint8_t> query, bool over_tcp, int id_offset = 0);

  net::EventLoop& loop_;
  net::Descriptor socket_;
  std::unique_ptr<net::Listener> listener_;
  std::list<std::unique_ptr<Connection>> connections_;
};

}  // namespace nearside::geodns
