#include "http/session/spare_exchanges.h"

#include <utility>

#include "http/session/http2_exchange.h"

namespace nearside::http {

SpareExchanges::SpareExchanges() { kept_.reserve(kMost); }

SpareExchanges::~SpareExchanges() = default;

std::unique_ptr<Http2Exchange> SpareExchanges::Take() {
  if (kept_.empty()) return std::make_unique<Http2Exchange>();
  std::unique_ptr<Http2Exchange> exchange = std::move(kept_.back());
  kept_.pop_back();
  return exchange;
}

void SpareExchanges::Give(std::unique_ptr<Http2Exchange> exchange) {
  const RequestHead& head = exchange->head;
  const size_t bytes = head.fields.wire_size() + head.target.size() + head.authority.size() +
                       exchange->host.size() + exchange->cookie.size() +
                       exchange->trailers.wire_size();
  if (kept_.size() < kMost && bytes <= kMostHeadBytes) kept_.push_back(std::move(exchange));
}

}  // namespace nearside::http
