#pragma once

// The asking side without origins: calls are recorded, and answered as the test says. The loop's
// thread.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "http/session/client.h"

namespace nearside::edge {

class FakeClient final : public http::Client {
 public:
  /// A request under way, or over.
  struct Started {
    http::Endpoint endpoint;
    http::RequestHead head;
    std::string body;
    http::CallHandler* handler = nullptr;  ///< null: cancelled, or over

    bool over() const { return handler == nullptr; }
    /// What arrives from the origin.
    void Head(int status);
    void Body(std::string_view bytes);
    void End();
    void Fail(std::string_view reason);
  };

  std::unique_ptr<http::Call> Start(const http::Endpoint& endpoint, const http::RequestHead& head,
                                    std::unique_ptr<http::BodySource> body,
                                    std::optional<uint64_t> body_bytes,
                                    http::CallHandler* handler) override;
  size_t idle_connections() const override { return 0; }
  size_t open_connections() const override { return calls.size(); }

  /// The calls whose target begins with `target`, in order.
  std::vector<std::shared_ptr<Started>> To(std::string_view target) const;

  std::vector<std::shared_ptr<Started>> calls;
};

}  // namespace nearside::edge
