#include "origin/backup.h"
#include "origin/origin_server.h"
#include "runtime/daemon.h"

int main(int argc, char** argv) {
  return nearside::RunDaemon(
      {
          .name = "nearside-origin",
          .purpose = "Takes uploads, publishes releases of sites at once, tells every edge what to "
                     "forget, and serves the sites when no edge is left.",
          .example = "  openssl rand -hex 32 > admin.token\n"
                     "  nearside-origin --check --config /etc/nearside/origin.toml\n"
                     "  nearside-origin --config /etc/nearside/origin.toml\n"
                     "  nearside-origin --config worker.toml --role worker   # jobs alone\n"
                     "  nearside-origin backup --config /etc/nearside/origin.toml --to /backup\n"
                     "  nearside publish ./public --site demo    # the client\n",
          .options = {nearside::origin::RoleOption()},
          .check = nearside::origin::CheckOrigin,
          .run = nearside::origin::RunOrigin,
          .commands = nearside::origin::BackupCommands(),
      },
      argc, argv);
}
