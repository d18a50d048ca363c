#pragma once

#include <memory>
#include <string>

#include "storage/session_store.h"

namespace nearside::storage {

/// Sessions in an LMDB environment of their own below `folder`, shared by all processes of one
/// machine (and one PID namespace). A file that is damaged is put aside, unless another process
/// has it open, and all have to sign in again: sites go on being served.
///
/// Every change but a use is synchronised before it is answered. NOSYNC would be quicker, and was
/// refused: a power cut can then leave a file that is none (docs/decisions/accounts.md).
///
/// Errors: kOperator cannot_open, with the folder.
Result<std::unique_ptr<SessionStore>> OpenLmdbSessions(const std::string& folder,
                                                       const SessionOptions& options);

}  // namespace nearside::storage
