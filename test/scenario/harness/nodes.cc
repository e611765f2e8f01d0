#include "harness/nodes.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <map>
#include <mutex>
#include <thread>

#include "harness/broker.h"
#include "harness/client.h"

namespace courier::scenario {
namespace {

struct Doors {
  uint16_t admin_port = 0;
  bool promised = false;
};

std::mutex mutex;
std::map<uint16_t, Doors> doors;               // guarded by mutex
std::map<std::string, uint32_t> where_it_was;  // client id: node; guarded by mutex
uint32_t turn = 0;                             // guarded by mutex

uint16_t admin_port_of(uint16_t port) {
  const std::lock_guard lock(mutex);
  const auto at = doors.find(port);
  return at == doors.end() ? 0 : at->second.admin_port;
}

struct Progress {
  double read, waiting;
};

Progress progress(uint32_t node, uint16_t admin_port) {
  const std::string figures = http_get(node, admin_port, "/metrics");
  return {figure(figures, "courier_log_position"), figure(figures, "courier_commits_waiting")};
}

template <typename Condition>
void wait_until(const Condition& so, const char* what) {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (!so()) {
    if (std::chrono::steady_clock::now() > deadline) throw Broken(std::string("waited in vain for ") + what);
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

}  // namespace

uint32_t node_count() {
  static const uint32_t count = [] {
    const char* text = std::getenv("COURIER_NODES");
    return text != nullptr ? static_cast<uint32_t>(std::atoi(text)) : 1;
  }();
  return count;
}

std::string node_address(uint32_t node) {
  return "127.0.0." + std::to_string(node + 1);
}

void open_doors(const std::vector<uint16_t>& ports, uint16_t admin_port) {
  const std::lock_guard lock(mutex);
  for (const uint16_t port : ports) doors[port] = {admin_port, true};
}

void close_doors(uint16_t admin_port) {
  const std::lock_guard lock(mutex);
  std::erase_if(doors, [&](const auto& door) { return door.second.admin_port == admin_port; });
}

uint32_t next_node(uint16_t port, const std::string& client_id) {
  const std::lock_guard lock(mutex);
  if (!doors.contains(port)) return 0;
  const auto next = [] { return turn++ % node_count(); };
  uint32_t node = next();
  if (client_id.empty()) return node;
  const auto [known, is_new] = where_it_was.emplace(client_id, node);
  if (!is_new && known->second == node) node = next();
  return known->second = node;
}

void promised_at(uint16_t port) {
  if (node_count() == 1) return;
  const std::lock_guard lock(mutex);
  const auto at = doors.find(port);
  if (at == doors.end()) return;
  for (auto& [other, door] : doors) door.promised |= door.admin_port == at->second.admin_port;
}

void settle_promises(uint16_t port) {
  if (node_count() == 1) return;
  {
    const std::lock_guard lock(mutex);
    const auto at = doors.find(port);
    if (at == doors.end() || !at->second.promised) return;
    for (auto& [other, door] : doors) door.promised &= door.admin_port != at->second.admin_port;
  }
  settle(port);
}

void settle(uint16_t port) {
  const uint16_t admin_port = admin_port_of(port);
  if (admin_port == 0 || node_count() == 1) return;
  double newest = 0;
  for (uint32_t node = 0; node < node_count(); ++node) {
    const auto is_idle = [&] {
      const Progress now = progress(node, admin_port);
      newest = std::max(newest, now.read);
      return now.waiting == 0;
    };
    wait_until(is_idle, "a node to have all that it began in the log");
  }
  for (uint32_t node = 0; node < node_count(); ++node) {
    wait_until([&] { return progress(node, admin_port).read >= newest; }, "a node to read the log");
  }
}

}  // namespace courier::scenario
