// The demo's own courierd: a process with a temporary directory that holds its configuration, its data and
// its log. It is killed and started again on the same data and the same ports.
//
// Only this process is ever signalled, by its id, and it dies with us should we be killed. The directory goes
// with the object unless keep() was called.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "courier/demo/broker.h"

namespace courier::cli::demo {

class BrokerProcess final : public Broker {
 public:
  // Makes the directory and the configuration; starts nothing. `program` is the path of courierd.
  static Result<BrokerProcess> prepare(const std::string& program);
  BrokerProcess(BrokerProcess&& other) noexcept;
  BrokerProcess& operator=(BrokerProcess&&) = delete;
  ~BrokerProcess() override;

  // One, behind a load balancer, as it were.
  const std::vector<Node>& nodes() const override { return nodes_; }
  size_t victim() const override { return 0; }
  Result<void> start() override;
  // Returns when the process is gone and another has begun to start.
  Result<std::string> kill() override;
  // SIGTERM, and patience; false when it had to be killed or ended with another code than 0.
  bool stop();
  std::optional<std::string> end() override;

  void keep() { keep_ = true; }
  const std::string& directory() const { return directory_; }
  std::string log_file() const { return directory_ + "/courierd.log"; }
  // The last lines that courierd wrote, each indented by two.
  std::string last_words() const;

 private:
  BrokerProcess() = default;
  Result<void> write_configuration() const;
  void kill_and_wait();
  bool ended();

  std::string program_, directory_;
  std::vector<Node> nodes_;
  pid_t pid_ = -1;
  int status_ = 0;  // as waitpid() told, once the process has ended
  bool keep_ = false;
};

}  // namespace courier::cli::demo
