#pragma once

// One request on one connection, and its answer, by Poco's server classes: blocking, on a pool's
// thread. The head was read and judged by http's strict parser before (origin/gate.h); its bytes
// are taken off the socket uninterpreted, because where two readers disagree about a head's end a
// request can be smuggled. Bodies are cut by http's reader as well: Poco's chunked stream cannot
// tell a cut-off body from a whole one.

#include <memory>
#include <string>
#include <string_view>

#include "http/http1_parser.h"
#include "http/message.h"
#include "net/descriptor.h"
#include "origin/answer.h"
#include "origin/rate_window.h"
#include "origin/request_body.h"
#include "runtime/clock.h"

namespace Poco::Net {
class StreamSocket;
}

namespace nearside::origin {

struct ConversationLimits {
  milliseconds body_timeout = seconds(30);  ///< without a byte of an expected body
  milliseconds send_timeout = seconds(30);  ///< without the client taking a byte
  /// Of a body, in every stretch of `least_rate_after`; of a response, after it.
  uint64_t least_bytes_per_second = 1024;
  milliseconds least_rate_after = seconds(20);
};

/// What is to become of the connection.
enum class Afterwards {
  kKeep,    ///< wait for the next request
  kLinger,  ///< the client may still be sending: shut down our side, read and drop for a moment,
            ///< close
  kClose,
};

/// One thread at a time: made by the gate, used by a pool's thread, given back to the gate.
class Conversation final : public RequestBody {
 public:
  struct Head {
    http::RequestHead request;
    http::Http1Framing framing;
    bool expects_continue = false;
    size_t bytes = 0;  ///< its length, with empty lines before it; all are still in the socket
    /// The client's address where it is not the socket's peer: TLS is spoken elsewhere. Or "".
    std::string tls_client;
  };
  Conversation(const Poco::Net::StreamSocket& socket, Head head, const ConversationLimits& limits);
  ~Conversation() override;

  const http::RequestHead& request() const { return head_.request; }
  /// The client's address without port.
  const std::string& client() const { return client_; }
  /// Head::tls_client.
  const std::string& tls_client() const { return head_.tls_client; }
  MonoTime started() const { return started_; }

  Result<size_t> Read(std::span<uint8_t> out) override;
  std::optional<uint64_t> announced_bytes() const override;
  bool present() const override { return head_.framing.body != http::BodyFraming::kNone; }
  void Inform(int status, const http::Fields& fields) override;

  /// Sends the answer, once, and settles what is to become of the connection: see afterwards().
  /// Never throws and reports no error: a client that left is no concern of the handler.
  void Respond(const Answer& answer);
  /// The same for texts, from a thread that must not block: in one send, which a client that takes
  /// nothing loses; the last answer on its connection.
  void RespondAtOnce(const Answer& answer);
  /// Sends the head of a response that ends with its connection, and hands over the socket
  /// (non-blocking from then on). Not open when the client has left.
  net::Descriptor StartStream(const Answer& answer);
  /// Answers are the last on their connection from now on (the server drains).
  /// What is still to come is small: no more than `patience` without a byte, and the least rate
  /// from then on.
  void Hurry(milliseconds patience);
  void CloseAfterwards() { closing_ = true; }

  /// Breaks the connection under whoever uses it. Any thread.
  void CutOff() override;

  Afterwards afterwards() const { return afterwards_; }
  uint64_t received_bytes() const { return received_; }
  uint64_t sent_bytes() const { return sent_; }
  Poco::Net::StreamSocket& socket();

 private:
  struct Poco_;
  bool Begin();
  bool TakeHead();
  Result<size_t> Receive();
  uint64_t BytesToCome() const;
  std::string HeadText();
  Status SendAnswer(const Answer& answer);
  Status SendPiece(const BodyPiece& piece);
  void SendBytes(const void* data, size_t size);
  bool DropRest();
  bool MayKeep();
  void PrepareHead(const Answer& answer, bool keep);

  Head head_;
  ConversationLimits limits_;
  const MonoTime started_;
  std::string client_;
  std::unique_ptr<Poco_> poco_;
  http::Http1BodyReader body_;
  std::span<const uint8_t> piece_;  ///< of the body, not yet handed out
  std::vector<uint8_t> input_;      ///< received bytes that body_ cuts
  std::string_view input_left_;
  RateWindow receiving_;
  bool comes_slowly_ = false;
  MonoTime sending_since_;
  bool body_done_ = false;
  bool body_failed_ = false;
  bool gone_ = false;  ///< it has left, or has been sent a part of something
  bool closing_ = false;
  uint64_t received_ = 0;
  uint64_t sent_ = 0;
  Afterwards afterwards_ = Afterwards::kClose;
};

}  // namespace nearside::origin
