#include "geodns/geodns_server.h"
#include "geodns/key_commands.h"
#include "runtime/daemon.h"

int main(int argc, char** argv) {
  return nearside::RunDaemon(
      {
          .name = "nearside-geodns",
          .purpose =
              "An authoritative DNS server that leads each client to the nearest healthy point of "
              "presence.",
          .example =
              "  nearside-geodns --check --config /etc/nearside/geodns.toml\n"
              "  nearside-geodns --config /etc/nearside/geodns.toml\n"
              "  nearside-geodns keygen --config /etc/nearside/geodns.toml --zone demo.test\n"
              "  kdig @127.0.0.1 -p 5300 www.demo.test +subnet=133.11.0.0/16\n"
              "  curl 'http://127.0.0.1:7053/explain?name=www.demo.test&client=133.11.0.1'\n",
          .signals = "SIGUSR2 starts the program anew, hands\n"
                     "it the sockets and leaves when it answers: an upgrade that loses no query.\n",
          .check = nearside::geodns::CheckGeodns,
          .run = [](const std::string& config,
                    const nearside::CommandValues&) { return nearside::geodns::RunGeodns(config); },
          .commands = nearside::geodns::KeyCommands(),
      },
      argc, argv);
}
