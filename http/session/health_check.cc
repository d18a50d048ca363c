#include "http/session/health_check.h"

#include <utility>

#include "runtime/crypto.h"
#include "runtime/text_bytes.h"
#include "runtime/units.h"

namespace nearside::http {
namespace {

/// Of an interval: checks of several daemons and targets spread instead of marching in step.
constexpr double kJitter = 0.1;

uint16_t Draw() {
  uint16_t random = 0;
  RandomBytes({reinterpret_cast<uint8_t*>(&random), sizeof random});
  return random;
}

}  // namespace

milliseconds Jittered(milliseconds interval, uint16_t draw) {
  const double factor = 1 - kJitter + 2 * kJitter * draw / UINT16_MAX;
  return milliseconds(static_cast<int64_t>(static_cast<double>(interval.count()) * factor));
}

HealthCheck::HealthCheck(net::EventLoop& loop, net::Resolver& resolver, OnAnswer on_answer)
    : loop_(loop),
      resolver_(resolver),
      on_answer_(std::move(on_answer)),
      next_(loop, [this] { Ask(); }),
      timeout_(loop, [this] { OnTimeout(); }) {}

void HealthCheck::Use(HealthQuestion question, std::shared_ptr<Client> client) {
  question_ = std::move(question);
  client_ = std::move(client);
}

std::unique_ptr<Client> HealthCheck::MakeClient(net::EventLoop& loop, net::Resolver& resolver,
                                                std::shared_ptr<net::TlsClient> tls) {
  ClientLimits limits;
  limits.connect_timeout = limits.head_timeout = limits.read_timeout = std::chrono::minutes(1);
  limits.idle_connections = 0;
  return Client::Create(loop, resolver, std::move(tls), limits);
}

void HealthCheck::Ask() {
  late_ = waiting_;  // one at a time: the next one begins when this one ends
  if (late_) return;
  next_.Arm(Jittered(question_.interval, Draw()));
  timeout_.Arm(question_.timeout);
  started_ = MonoNow();
  waiting_ = true;
  call_.reset();  // before the client that it used
  head_.reset();
  body_.clear();
  if (question_.connects_only) {
    Connect();
  } else {
    AskByClient();
  }
}

void HealthCheck::AskByClient() {
  RequestHead head;
  head.method = "GET";
  head.scheme = question_.endpoint.tls ? "https" : "http";
  head.authority = question_.authority;
  head.target = question_.target;
  head.fields.Add("user-agent", question_.user_agent);
  client_of_call_ = client_;
  call_ = client_->Start(question_.endpoint, head, nullptr, 0, this);
}

void HealthCheck::Connect() {
  question_alive_ = std::make_shared<bool>(true);
  resolver_.Resolve(question_.endpoint.host, question_.endpoint.port,
                    [this, alive = std::weak_ptr<bool>(question_alive_)](auto addresses) {
                      if (alive.expired()) return;
                      if (!addresses) return Finish({.error = addresses.error().message});
                      ConnectTo(std::move(*addresses));
                    });
}

/// One address after the other: what answers at one of them is there.
void HealthCheck::ConnectTo(std::vector<net::SocketAddress> addresses) {
  net::ConnectOptions options{.address = addresses.front(), .timeout = question_.timeout};
  addresses.erase(addresses.begin());
  connector_ = net::Connector::Start(
      loop_, options, [this, rest = std::move(addresses)](auto stream) mutable {
        if (stream) return Finish({.head = ResponseHead()});  // the stream closes right here
        if (rest.empty()) return Finish({.error = stream.error().message});
        // Not from inside the connector that is about to be replaced.
        loop_.Post([this, alive = std::weak_ptr<bool>(question_alive_), rest = std::move(rest)] {
          if (!alive.expired()) ConnectTo(rest);
        });
      });
}

void HealthCheck::OnHead(ResponseHead&& head) {
  if (question_.body_bytes == 0) return Finish({.head = std::move(head)});
  head_ = std::move(head);
}

void HealthCheck::OnBody(std::span<const uint8_t> bytes) {
  if (!head_) return;
  size_t room = question_.body_bytes - body_.size();
  body_ += AsText(bytes).substr(0, room);
  if (body_.size() == question_.body_bytes) {
    Finish({.head = std::exchange(head_, {}), .body = std::exchange(body_, {})});
  }
}

void HealthCheck::OnEnd(const Fields&) {
  if (head_) Finish({.head = std::exchange(head_, {}), .body = std::exchange(body_, {})});
}

void HealthCheck::OnFailure(const Error& error) { Finish({.error = error.message}); }

void HealthCheck::OnTimeout() {
  call_.reset();  // what is left of the body does not matter either
  connector_.reset();
  question_alive_.reset();
  if (waiting_) Finish({.error = "no answer within " + FormatDuration(question_.timeout)});
}

void HealthCheck::Finish(HealthAnswer answer) {
  if (!std::exchange(waiting_, false)) return;
  answer.took = std::chrono::ceil<milliseconds>(MonoNow() - started_);
  if (late_) next_.Arm(milliseconds(0));
  on_answer_(std::move(answer));
}

}  // namespace nearside::http
