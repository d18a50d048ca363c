#pragma once

#include <nghttp2/nghttp2.h>

namespace nearside::http {

/// The C side of Http2Connection, whose address is nghttp2's user data. Immutable after its first
/// use; any thread.
struct Http2Callbacks {
  static const nghttp2_session_callbacks* Get();
  static const nghttp2_option* Options();
  /// Reads the body of the stream's exchange.
  static const nghttp2_data_provider* BodyProvider();
};

}  // namespace nearside::http
