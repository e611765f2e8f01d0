#include "load/agent.h"

#include <poll.h>

#include <algorithm>
#include <vector>

#include <fmt/format.h>

#include "load/limits.h"
#include "load/worker_process.h"
#include "net/listener.h"

namespace courier::load {

namespace {

constexpr int kLookMs = 250;

}  // namespace

Result<void> run_agent(const AgentOptions& options) {
  auto listener = net::Listener::open(options.listen);
  if (!listener) return fail(std::move(listener.error()));
  options.say(fmt::format("waiting for leaders on {}", listener->address().to_string()));
  std::vector<WorkerProcess> workers;
  while (!options.stopped()) {
    pollfd waited{.fd = listener->fd(), .events = POLLIN, .revents = 0};
    ::poll(&waited, 1, kLookMs);
    std::erase_if(workers, [](WorkerProcess& worker) { return worker.ended(); });
    for (net::Accepted accepted = listener->accept(); accepted.outcome != net::AcceptOutcome::none;
         accepted = listener->accept()) {
      if (accepted.outcome == net::AcceptOutcome::stalled) break;
      if (accepted.outcome == net::AcceptOutcome::refused) continue;
      const std::string peer = accepted.peer.to_string();
      if (workers.size() >= kSessionsMax) {
        options.say(fmt::format("{} was turned away: {} workers are at work already", peer, workers.size()));
        continue;
      }
      auto worker = WorkerProcess::start(options.program, std::move(accepted.fd));
      if (!worker) {
        options.say(worker.error().message);
        continue;
      }
      workers.push_back(std::move(*worker));
      options.say(fmt::format("a worker for {}", peer));
    }
  }
  return {};
}

}  // namespace courier::load
