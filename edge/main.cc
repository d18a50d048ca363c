#include "edge/edge_server.h"
#include "runtime/daemon.h"

int main(int argc, char** argv) {
  return nearside::RunDaemon(
      {
          .name = "nearside-edge",
          .purpose =
              "An HTTP/2 edge cache: serves sites from RAM and LMDB, asks the origin on a miss.",
          .example = "  nearside-edge --check --config /etc/nearside/edge.toml\n"
                     "  nearside-edge --config /etc/nearside/edge.toml\n"
                     "  curl http://127.0.0.1:7080/status      # its admin listener\n",
          .check = nearside::edge::CheckEdge,
          .run = [](const std::string& config,
                    const nearside::CommandValues&) { return nearside::edge::RunEdge(config); },
      },
      argc, argv);
}
