#include "courier/demo/running_cluster.h"

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>

#include "net/socket.h"

namespace courier::cli::demo {
namespace {

tl::unexpected<Error> wrong(std::string sentence) {
  return fail(Error(std::make_error_code(std::errc::invalid_argument), std::move(sentence)));
}

template <typename Number>
std::optional<Number> whole(std::string_view text) {
  Number number = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), number);
  if (read.ec != std::errc() || read.ptr != text.data() + text.size() || number <= 0) return {};
  return number;
}

}  // namespace

Result<RunningCluster> RunningCluster::of(std::span<const std::string> nodes, const std::string& victim) {
  RunningCluster cluster;
  for (const std::string& text : nodes) {
    const size_t equals = text.find('='), colon = text.rfind(':');
    std::optional<uint16_t> port;
    if (equals != std::string::npos && colon != std::string::npos)
      port = whole<uint16_t>(text.substr(colon + 1));
    if (!port || equals == 0 || equals + 1 >= colon) {
      return wrong(fmt::format("--node \"{}\" is not NAME=HOST:PORT, such as n1=127.0.0.1:18811", text));
    }
    const std::string name = text.substr(0, equals);
    if (cluster.find(name) < cluster.nodes_.size())
      return wrong(fmt::format("--node \"{}\" is there twice", name));
    auto addresses = net::resolve(text.substr(equals + 1, colon - equals - 1), *port);
    if (!addresses) return wrong(fmt::format("--node \"{}\": {}", text, addresses.error().message));
    cluster.nodes_.push_back({name, addresses->front(), addresses->front()});
  }
  if (cluster.nodes_.size() < 2) return wrong("a cluster has two nodes or more: --node once for each");
  const size_t equals = victim.find('=');
  cluster.victim_ = cluster.find(victim.substr(0, equals));
  const auto pid = whole<pid_t>(equals == std::string::npos ? "" : victim.substr(equals + 1));
  if (cluster.victim_ == cluster.nodes_.size() || !pid) {
    return wrong(
        fmt::format("--kill \"{}\" is not NAME=PID, the name of a --node and the id of its process", victim));
  }
  cluster.pid_ = *pid;
  return cluster;
}

size_t RunningCluster::find(const std::string& name) const {
  const auto found =
      std::find_if(nodes_.begin(), nodes_.end(), [&](const Node& node) { return node.name == name; });
  return static_cast<size_t>(found - nodes_.begin());
}

Result<std::string> RunningCluster::kill() {
  if (::kill(pid_, SIGKILL) != 0) {
    const int error = errno;
    return fail(Error(
        std::error_code(error, std::generic_category()),
        fmt::format("cannot kill {}, process {}: {}", nodes_[victim_].name, pid_, std::strerror(error))));
  }
  return fmt::format("kill -9 {}, which was {}", pid_, nodes_[victim_].name);
}

}  // namespace courier::cli::demo
