// The distance between the demo's regions: takes the packets that cross from one network to another
// out of a TUN device, holds each for half of the round trip that its two regions are apart, and
// puts it back. The kernel does the routing (wide-area.sh).
//
//   long_haul DEVICE LINKS-FILE
//
// The file is read again when it changes, so a drill cuts a region off by writing into it:
//
//   region frankfurt 10.77.1.0/24
//   region tokyo 10.77.3.0/24
//   link frankfurt tokyo 160ms         # the round trip; or "down"
//
// Regions without a link have no way to each other. On SIGTERM it ends at once.

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <fstream>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::microseconds;

constexpr size_t kMostPacketBytes = 65535;
/// What one direction between two regions holds at most: 160 ms at 1.6 Gbit/s.
constexpr size_t kMostWaitingBytes = 32 << 20;
constexpr auto kLookAtFile = std::chrono::milliseconds(100);

struct Region {
  std::string name;
  uint32_t network = 0;
  uint32_t mask = 0;
};

struct Packet {
  Clock::time_point due;
  std::vector<uint8_t> bytes;
};

/// One direction between two regions. Its delay is one for all packets, so they leave in order.
struct Direction {
  std::optional<microseconds> delay;  ///< unset: down
  std::deque<Packet> waiting;
  size_t waiting_bytes = 0;
  uint64_t dropped = 0;
};

struct Links {
  std::vector<Region> regions;
  std::map<std::pair<size_t, size_t>, std::optional<microseconds>> delays;  ///< one way
};

[[noreturn]] void Die(const std::string& message) {
  std::fprintf(stderr, "long_haul: %s\n", message.c_str());
  std::exit(1);
}

std::optional<Region> ParseRegion(const std::string& name, const std::string& text) {
  const size_t slash = text.find('/');
  in_addr address{};
  if (slash == std::string::npos ||
      inet_pton(AF_INET, text.substr(0, slash).c_str(), &address) != 1)
    return std::nullopt;
  char* end = nullptr;
  const long bits = std::strtol(text.c_str() + slash + 1, &end, 10);
  if (*end != '\0' || bits < 1 || bits > 32) return std::nullopt;
  const auto mask = static_cast<uint32_t>(0xffffffffULL << (32 - bits));
  return Region{name, ntohl(address.s_addr) & mask, mask};
}

std::optional<size_t> FindRegion(const Links& links, const std::string& name) {
  for (size_t i = 0; i < links.regions.size(); ++i) {
    if (links.regions[i].name == name) return i;
  }
  return std::nullopt;
}

/// "160ms" as half of it, "down" as nothing. False: neither.
bool ParseRoundTrip(const std::string& text, std::optional<microseconds>* one_way) {
  one_way->reset();
  if (text == "down") return true;
  char* end = nullptr;
  const double round_trip = std::strtod(text.c_str(), &end);
  if (std::strcmp(end, "ms") != 0 || !(round_trip >= 0 && round_trip <= 10'000)) return false;
  *one_way = microseconds(static_cast<int64_t>(round_trip * 500));
  return true;
}

/// False and a message on stderr when a line makes no sense; what is in force stays.
bool ReadLinks(const std::string& path, Links* links) {
  std::ifstream file(path);
  std::string line;
  for (int number = 1; std::getline(file, line); ++number) {
    std::istringstream words(line.substr(0, line.find('#')));
    std::string kind, first, second, third;
    if (!(words >> kind)) continue;
    words >> first >> second >> third;
    bool good = false;
    if (kind == "region") {
      const auto region = ParseRegion(first, second);
      good = region.has_value();
      if (good) links->regions.push_back(*region);
    } else if (kind == "link") {
      const auto a = FindRegion(*links, first);
      const auto b = FindRegion(*links, second);
      std::optional<microseconds> delay;
      good = a && b && a != b && ParseRoundTrip(third, &delay);
      if (good) links->delays[{*a, *b}] = links->delays[{*b, *a}] = delay;
    }
    if (good) continue;
    std::fprintf(stderr,
                 "long_haul: %s:%d: expected \"region NAME NETWORK/BITS\" or \"link REGION REGION "
                 "160ms\" (or down)\n",
                 path.c_str(), number);
    return false;
  }
  return !links->regions.empty();
}

int OpenTun(const std::string& name) {
  const int device = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (device < 0) Die(std::string("/dev/net/tun: ") + std::strerror(errno));
  ifreq request{};
  std::strncpy(request.ifr_name, name.c_str(), IFNAMSIZ - 1);
  request.ifr_flags = IFF_TUN | IFF_NO_PI;
  if (ioctl(device, TUNSETIFF, &request) != 0) Die(name + ": " + std::strerror(errno));
  return device;
}

class LongHaul {
 public:
  LongHaul(int device, std::string links_file)
      : device_(device), links_file_(std::move(links_file)) {
    if (!Reload()) Die("cannot begin without a file of links");
  }

  [[noreturn]] void Run() {
    auto next_look = Clock::now() + kLookAtFile;
    while (true) {
      pollfd ready{.fd = device_, .events = POLLIN, .revents = 0};
      const auto wait = UntilNext(next_look);
      const timespec patience{.tv_sec = wait.count() / 1'000'000,
                              .tv_nsec = wait.count() % 1'000'000 * 1000};
      ppoll(&ready, 1, &patience, nullptr);
      TakeAll();
      SendDue();
      if (Clock::now() < next_look) continue;
      next_look = Clock::now() + kLookAtFile;
      if (HasChanged()) Reload();
    }
  }

 private:
  microseconds UntilNext(Clock::time_point next) const {
    for (const auto& [between, direction] : directions_) {
      if (!direction.waiting.empty()) next = std::min(next, direction.waiting.front().due);
    }
    const auto left = std::chrono::duration_cast<microseconds>(next - Clock::now());
    return std::max(left, microseconds(0));
  }

  void TakeAll() {
    while (true) {
      const ssize_t size = read(device_, buffer_.data(), buffer_.size());
      if (size <= 0) return;
      Take({buffer_.begin(), buffer_.begin() + size});
    }
  }

  void Take(std::vector<uint8_t> packet) {
    constexpr size_t kIpv4HeaderBytes = 20;
    if (packet.size() < kIpv4HeaderBytes || packet[0] >> 4 != 4) return;
    const auto from = RegionOf(&packet[12]);
    const auto to = RegionOf(&packet[16]);
    if (!from || !to) return;
    const auto found = directions_.find({*from, *to});
    if (found == directions_.end()) return;
    Direction& direction = found->second;
    if (!direction.delay || direction.waiting_bytes + packet.size() > kMostWaitingBytes) {
      ++direction.dropped;
      return;
    }
    direction.waiting_bytes += packet.size();
    direction.waiting.push_back({Clock::now() + *direction.delay, std::move(packet)});
  }

  std::optional<size_t> RegionOf(const uint8_t* address) const {
    uint32_t number = 0;
    std::memcpy(&number, address, sizeof number);
    number = ntohl(number);
    for (size_t i = 0; i < links_.regions.size(); ++i) {
      const Region& region = links_.regions[i];
      if ((number & region.mask) == region.network) return i;
    }
    return std::nullopt;
  }

  void SendDue() {
    const auto now = Clock::now();
    for (auto& [between, direction] : directions_) {
      while (!direction.waiting.empty() && direction.waiting.front().due <= now) {
        const std::vector<uint8_t>& bytes = direction.waiting.front().bytes;
        if (write(device_, bytes.data(), bytes.size()) < 0) ++direction.dropped;
        direction.waiting_bytes -= bytes.size();
        direction.waiting.pop_front();
      }
    }
  }

  bool HasChanged() const {
    struct stat now {};
    if (stat(links_file_.c_str(), &now) != 0) return false;
    return now.st_mtim.tv_sec != read_.st_mtim.tv_sec ||
           now.st_mtim.tv_nsec != read_.st_mtim.tv_nsec || now.st_ino != read_.st_ino;
  }

  /// What is on its way across a link that goes down is lost with it.
  bool Reload() {
    Links links;
    stat(links_file_.c_str(), &read_);
    if (!ReadLinks(links_file_, &links)) return false;
    std::map<std::pair<size_t, size_t>, Direction> directions;
    for (const auto& [between, delay] : links.delays) {
      Direction& direction = directions[between];
      if (delay) direction = std::move(directions_[between]);
      direction.delay = delay;
      std::fprintf(stderr, "long_haul: %s to %s: %s\n", links.regions[between.first].name.c_str(),
                   links.regions[between.second].name.c_str(),
                   delay ? (std::to_string(delay->count() / 1000) + " ms").c_str() : "down");
    }
    links_ = std::move(links);
    directions_ = std::move(directions);
    return true;
  }

  const int device_;
  const std::string links_file_;
  struct stat read_ {};
  Links links_;
  std::map<std::pair<size_t, size_t>, Direction> directions_;
  std::array<uint8_t, kMostPacketBytes> buffer_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: long_haul DEVICE LINKS-FILE\n");
    return 2;
  }
  // The kernel spares a container's first process signals that it has no handler for.
  std::signal(SIGTERM, [](int) { ::_exit(0); });
  static LongHaul long_haul(OpenTun(argv[1]), argv[2]);
  long_haul.Run();
}
