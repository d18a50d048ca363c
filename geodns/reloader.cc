#include "geodns/reloader.h"

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

namespace nearside::geodns {

std::string ReloadReport::ToJson() const {
  using Json = nlohmann::ordered_json;
  const Json json = {
      {"reloaded", true}, {"zones", zones}, {"places", places}, {"need_restart", need_restart}};
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

Reloader::Reloader(net::EventLoop& loop, Prepare prepare, Apply apply)
    : loop_(loop), prepare_(std::move(prepare)), apply_(std::move(apply)) {}

Reloader::~Reloader() {
  if (loader_.joinable()) loader_.join();
}

void Reloader::Request(Extent extent, OnDone on_done) {
  if (on_done != nullptr) (loading_ ? next_ : waiting_).push_back(std::move(on_done));
  if (loading_) {
    again_ = std::max(again_.value_or(extent), extent);
    return;
  }
  Start(extent);
}

void Reloader::Start(Extent extent) {
  loading_ = true;
  if (loader_.joinable()) loader_.join();
  loader_ = std::thread([this, read = prepare_(extent)] {
    auto loaded = std::make_shared<Result<World>>(read());
    loop_.Post([this, loaded] { OnLoaded(*loaded); });
  });
}

void Reloader::OnLoaded(Result<World>& loaded) {
  loading_ = false;
  // Also when it is to be read once more: whoever asks again and again is not to be put off for
  // ever.
  const Result<ReloadReport> report = apply_(loaded);
  for (const OnDone& on_done : std::exchange(waiting_, {})) on_done(report);
  const auto again = std::exchange(again_, std::nullopt);
  if (!again) return;
  waiting_ = std::exchange(next_, {});
  Start(*again);
}

}  // namespace nearside::geodns
