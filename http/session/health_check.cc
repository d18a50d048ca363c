#include "http/session/health_check.h"

#include <utility>

#include "runtime/crypto.h"
#include "runtime/units.h"

namespace nearside::http {
namespace {

/// Of an interval: checks of several daemons and targets spread instead of marching in step.
constexpr double kJitter = 0.1;

/// An interval shortened or lengthened by up to kJitter.
milliseconds Jittered(milliseconds interval) {
  uint16_t random = 0;
  RandomBytes({reinterpret_cast<uint8_t*>(&random), sizeof random});
  double factor = 1 - kJitter + 2 * kJitter * random / UINT16_MAX;
  return milliseconds(static_cast<int64_t>(static_cast<double>(interval.count()) * factor));
}

}  // namespace

HealthCheck::HealthCheck(net::EventLoop& loop, OnAnswer on_answer)
    : loop_(loop),
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
  next_.Arm(Jittered(question_.interval));
  timeout_.Arm(question_.timeout);
  started_ = MonoNow();
  waiting_ = true;
  RequestHead head;
  head.method = "GET";
  head.scheme = question_.endpoint.tls ? "https" : "http";
  head.authority = question_.authority;
  head.target = question_.target;
  head.fields.Add("user-agent", question_.user_agent);
  call_.reset();  // before the client that it used
  client_of_call_ = client_;
  call_ = client_->Start(question_.endpoint, head, nullptr, 0, this);
}

void HealthCheck::OnHead(ResponseHead&& head) { Finish({.head = std::move(head)}); }

void HealthCheck::OnFailure(const Error& error) { Finish({.error = error.message}); }

void HealthCheck::OnTimeout() {
  call_.reset();  // what is left of the body does not matter either
  if (waiting_) Finish({.error = "no answer within " + FormatDuration(question_.timeout)});
}

void HealthCheck::Finish(HealthAnswer answer) {
  if (!std::exchange(waiting_, false)) return;
  answer.took = std::chrono::ceil<milliseconds>(MonoNow() - started_);
  if (late_) next_.Arm(milliseconds(0));
  on_answer_(std::move(answer));
}

}  // namespace nearside::http
