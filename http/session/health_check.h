#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "http/session/client.h"
#include "net/connector.h"
#include "net/event_loop.h"
#include "net/resolver.h"
#include "runtime/clock.h"

namespace nearside::http {

/// What is asked, and how often.
struct HealthQuestion {
  Endpoint endpoint;
  std::string authority;  ///< for Host
  std::string target;     ///< path and query
  std::string user_agent;
  size_t body_bytes = 0;       ///< of the answer's body that are wanted; what is longer is cut
  bool connects_only = false;  ///< TCP alone: nothing is sent, and the answer's head is empty
  milliseconds interval = seconds(5);  ///< give or take a tenth
  milliseconds timeout = seconds(2);   ///< of the whole: connection, TLS and what is wanted
};

/// What came of one question: a head, or why there was none.
struct HealthAnswer {
  std::optional<ResponseHead> head;
  std::string body;  ///< up to HealthQuestion::body_bytes
  std::string error;
  milliseconds took{};
};

/// An interval shortened or lengthened by up to a tenth, by a draw of 16 bits: those who check the
/// same do not keep step. Pure.
milliseconds Jittered(milliseconds interval, uint16_t draw);

/// Asks a server again and again whether it is well, one question at a time. What an answer means
/// is its owner's to know. The loop's thread.
class HealthCheck final : private CallHandler {
 public:
  using OnAnswer = std::function<void(HealthAnswer)>;
  /// `loop` and `resolver` outlive it. `on_answer` may change what is asked, and must not destroy
  /// this.
  HealthCheck(net::EventLoop& loop, net::Resolver& resolver, OnAnswer on_answer);

  /// From the next question on; one that is under way ends as it began.
  void Use(HealthQuestion question, std::shared_ptr<Client> client);
  /// The first question comes at once, so that little is done on what is taken for granted.
  void Begin() { next_.Arm(milliseconds(0)); }

  /// A client for questions: each goes on a connection of its own, so that TCP, TLS and the
  /// certificate are checked as well.
  static std::unique_ptr<Client> MakeClient(net::EventLoop& loop, net::Resolver& resolver,
                                            std::shared_ptr<net::TlsClient> tls);

 private:
  void OnHead(ResponseHead&& head) override;
  void OnBody(std::span<const uint8_t> bytes) override;
  void OnEnd(const Fields&) override;
  void OnFailure(const Error& error) override;
  void Ask();
  void AskByClient();
  void Connect();
  void ConnectTo(std::vector<net::SocketAddress> addresses);
  void OnTimeout();
  void Finish(HealthAnswer answer);

  net::EventLoop& loop_;
  net::Resolver& resolver_;
  const OnAnswer on_answer_;
  HealthQuestion question_;
  std::shared_ptr<Client> client_;
  net::Timer next_;
  net::Timer timeout_;
  std::shared_ptr<Client> client_of_call_;
  std::unique_ptr<Call> call_;
  std::optional<ResponseHead> head_;  ///< while its body is read
  std::string body_;
  std::unique_ptr<net::Connector> connector_;
  std::shared_ptr<bool> question_alive_;  ///< a look-up of an earlier question is too late
  MonoTime started_;
  bool waiting_ = false;
  bool late_ = false;  ///< the time of the next question has come while one was under way
};

}  // namespace nearside::http
