#pragma once

namespace nearside {

/// Blocks SIGTERM, SIGINT and SIGHUP in this thread and all it starts later, so that a signalfd or
/// sigwait receives them, and ignores SIGPIPE: a peer that left is an EPIPE. Called before any
/// thread exists.
void BlockDaemonSignals();

}  // namespace nearside
