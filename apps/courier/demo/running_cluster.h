// A cluster that others started on this machine, as the demo's broker: tools/cluster, for one.
#pragma once

#include <sys/types.h>

#include <span>
#include <string>

#include "courier/demo/broker.h"

namespace courier::cli::demo {

class RunningCluster final : public Broker {
 public:
  // `nodes` are "NAME=HOST:PORT", at least two; `victim` is "NAME=PID". BLOCKS, for HOST is resolved. The
  // generic category's invalid_argument, with a sentence.
  static Result<RunningCluster> of(std::span<const std::string> nodes, const std::string& victim);

  const std::vector<Node>& nodes() const override { return nodes_; }
  size_t victim() const override { return victim_; }
  Result<void> start() override { return {}; }
  Result<std::string> kill() override;
  // Its nodes are no children of this process: how they fare shows at their connections.
  std::optional<std::string> end() override { return {}; }

 private:
  size_t find(const std::string& name) const;  // nodes_.size() if there is none

  std::vector<Node> nodes_;
  size_t victim_ = 0;
  pid_t pid_ = 0;
};

}  // namespace courier::cli::demo
