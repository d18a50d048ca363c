#pragma once

// What each route asks of the caller's token. Pure.

#include <string_view>

#include "origin/caller.h"
#include "origin/route.h"

namespace nearside::origin {

/// Over which sites a caller needs the right.
enum class Reach {
  kOpen,  ///< no token is needed
  kOne,   ///< the route's site
  kAll,   ///< every site, for what belongs to none
  kSome,  ///< any; the handler looks closer, or what it shows is the caller's alone
};

struct Need {
  Reach reach = Reach::kAll;
  Right right = Right::kAdmin;
  bool fleet = false;  ///< the fleet's token opens it as well
};

/// `method` is one that the route has.
Need NeedOf(RouteKind kind, std::string_view method);

/// Errors: kClient forbidden.
Status CheckAccess(const Caller& caller, const Route& route, std::string_view method);

}  // namespace nearside::origin
