#pragma once

#include <string_view>

namespace nearside::net {

/// Tells the service manager that started this process how it is ("READY=1", "STOPPING=1"), by the
/// datagram that sd_notify(3) describes to the socket that NOTIFY_SOCKET names. Without one, or
/// when nobody listens there, nothing happens: serving does not depend on it. Any thread.
void NotifyServiceManager(std::string_view state);

}  // namespace nearside::net
