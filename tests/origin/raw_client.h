#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace nearside::test {

/// A response as it came over the wire.
struct Reply {
  int status = 0;
  std::string head;  ///< status line and fields, lines ended by "\n", names in lower case
  std::string body;
  /// The first value of a field (name in lower case); "" when there is none.
  std::string Field(std::string_view name) const;
  /// All of them, in order.
  std::vector<std::string> Fields(std::string_view name) const;
};

/// A connection that sends what a test wants, however wrong, and reads with a limit of 20 s, after
/// which it gives up with an empty result. One thread.
class RawClient {
 public:
  /// From 127.0.0.`source`.
  explicit RawClient(uint16_t port, uint8_t source = 1);
  ~RawClient();
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  /// False when the peer takes no more.
  bool Send(std::string_view bytes);
  /// The next response; status 0 when the connection ended or nothing came.
  Reply Read(bool head_request = false);
  /// Everything up to and with `end`.
  std::string ReadUntil(std::string_view end);
  /// Whether the peer ends the connection (what comes before is dropped).
  bool Ends();
  /// Sends our end.
  void EndSending();
  /// Goes away with a RST.
  void Reset();

 private:
  bool Fill();
  int fd_ = -1;
  std::string buffer_;
};

/// One request on a connection of its own.
Reply Ask(uint16_t port, std::string_view request);

}  // namespace nearside::test
