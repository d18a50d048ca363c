#include "runtime/result.h"

#include <cstring>

namespace nearside {

std::string_view FaultName(Fault fault) {
  switch (fault) {
    case Fault::kClient:
      return "client";
    case Fault::kOrigin:
      return "origin";
    case Fault::kOperator:
      return "operator";
    case Fault::kSelf:
      return "self";
  }
  return "self";
}

std::string Error::ToString() const { return message + " (" + reason + ")"; }

Error Error::In(std::string_view context) && {
  message.insert(0, std::string(context) + ": ");
  return std::move(*this);
}

tl::unexpected<Error> FailErrno(std::string_view what, int error_number) {
  const char* name = strerrorname_np(error_number);
  const char* text = strerrordesc_np(error_number);
  std::string message(what);
  message += ": ";
  message += text != nullptr ? text : "error " + std::to_string(error_number);
  return Fail(Fault::kSelf, name != nullptr ? name : "errno", std::move(message));
}

}  // namespace nearside
