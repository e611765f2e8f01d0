// What the main job is played against: a courierd of the demo's own, or a cluster of which one node dies.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "net/socket_address.h"

namespace courier::cli::demo {

struct Node {
  std::string name;
  net::SocketAddress phones, backend;  // where each of them connects
  bool proxied = false;                // phones begin with a PROXY header, as behind a load balancer
};

class Broker {
 public:
  virtual ~Broker() = default;

  // At least one; the same all the time.
  virtual const std::vector<Node>& nodes() const = 0;
  virtual size_t victim() const = 0;  // which of them kill() is for
  virtual Result<void> start() = 0;
  // SIGKILL for the victim, and nothing to soften it. A node that is alone is started again at once. What was
  // done, as "kill -9 4711".
  virtual Result<std::string> kill() = 0;
  // Empty while all is well; otherwise what ended by itself, as a sentence.
  virtual std::optional<std::string> end() = 0;
};

}  // namespace courier::cli::demo
