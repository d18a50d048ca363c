#pragma once

#include <nghttp2/nghttp2.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "http/fields.h"
#include "tests/net/raw_peer.h"

namespace nearside::http {

inline constexpr std::string_view kHttp2ClientPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A frame as bytes.
std::string FrameText(uint8_t type, uint8_t flags, uint32_t stream_id, std::string_view payload);
/// The client's preface with an empty SETTINGS.
std::string PrefaceText();

/// What came of a stream.
struct StreamResult {
  std::string interims;  ///< "103 link: </a>\n" each
  int status = 0;
  std::string fields;  ///< without date
  std::string body;
  std::string trailers;
  bool closed = false;
  bool reset = false;  ///< by the server
  uint32_t error_code = 0;
};

/// nghttp2 as a client on a blocking socket: another's implementation on the other side.
class Http2Peer {
 public:
  struct Options {
    /// Of each stream; nothing is given back to the server unless asked for.
    uint32_t window = 65'535;
    bool give_back = true;
  };

  Http2Peer(std::unique_ptr<net::RawPeer> peer, Options options);
  explicit Http2Peer(std::unique_ptr<net::RawPeer> peer) : Http2Peer(std::move(peer), Options{}) {}
  ~Http2Peer();

  /// Sends a request and answers its stream. `lines` go behind the pseudo-fields. With `more` the
  /// body is not ended: SendBody does.
  int32_t Ask(std::string_view method, std::string_view path,
              const std::vector<FieldLine>& lines = {}, std::string_view body = "",
              bool more = false);
  /// The same with exactly these lines, pseudo-fields and all.
  int32_t AskRaw(const std::vector<FieldLine>& lines, bool end = true);
  void SendBody(int32_t stream, std::string_view body, bool end,
                const std::vector<FieldLine>& trailers = {});
  void Reset(int32_t stream, uint32_t error_code);
  /// Bytes of `stream` (and the connection) that the server may send again.
  void GiveBack(int32_t stream, int32_t bytes);
  void GiveBackConnection(int32_t bytes);
  void Ping();

  /// Reads until it holds; false when the server closes first, or nothing comes for 20 s.
  bool Await(const std::function<bool()>& condition);
  const StreamResult& AwaitEnd(int32_t stream);
  const StreamResult& Get(std::string_view path) { return AwaitEnd(Ask("GET", path)); }
  /// Reads until the server closes.
  void AwaitClose();

  StreamResult& result(int32_t stream) { return results_[stream]; }
  /// Of all GOAWAYs: last stream and code.
  const std::vector<std::pair<int32_t, uint32_t>>& goaways() const { return goaways_; }
  int pongs() const { return pongs_; }
  std::optional<uint32_t> server_setting(nghttp2_settings_id id) const;
  net::RawPeer& peer() { return *peer_; }
  /// What nghttp2 has to send, onto the wire.
  void Flush();

 private:
  friend struct PeerCallbacks;
  struct Body {
    std::string bytes;
    bool end = true;
    bool deferred = false;
    std::vector<std::pair<std::string, std::string>> trailers;
  };
  bool ReadSome();

  std::unique_ptr<net::RawPeer> peer_;
  Options options_;
  nghttp2_session* session_ = nullptr;
  std::map<int32_t, StreamResult> results_;
  std::map<int32_t, std::unique_ptr<Body>> bodies_;
  std::vector<std::pair<int32_t, uint32_t>> goaways_;
  std::map<int32_t, uint32_t> settings_;
  int pongs_ = 0;
};

/// The code of the GOAWAY in bytes read off the wire by hand; nullopt when there is none.
std::optional<uint32_t> GoawayIn(std::string_view bytes);

}  // namespace nearside::http
