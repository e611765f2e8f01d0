// The demo's own courierd: a process with a temporary directory that holds its configuration, its data and
// its log. It is killed and started again on the same data and the same ports.
//
// Only this process is ever signalled, by its id, and it dies with us should we be killed. The directory goes
// with the object unless keep() was called.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "base/clock.h"
#include "base/result.h"

namespace courier::cli::demo {

class BrokerProcess {
 public:
  // Makes the directory and the configuration; starts nothing. `program` is the path of courierd.
  static Result<BrokerProcess> prepare(const std::string& program);
  BrokerProcess(BrokerProcess&& other) noexcept;
  BrokerProcess& operator=(BrokerProcess&&) = delete;
  ~BrokerProcess();

  Result<void> start();
  // SIGKILL; returns when the process is gone.
  void kill();
  // SIGTERM, and patience; false when it had to be killed or ended with another code than 0.
  bool stop();
  // Empty while it runs; otherwise how it ended: "ended with exit code 3".
  std::optional<std::string> end();

  // Behind a load balancer, as it were: every connection starts with a PROXY header.
  uint16_t phones_port() const { return phones_port_; }
  uint16_t backend_port() const { return backend_port_; }
  pid_t pid() const { return pid_; }

  void keep() { keep_ = true; }
  const std::string& directory() const { return directory_; }
  std::string log_file() const { return directory_ + "/courierd.log"; }
  // The last lines that courierd wrote, each indented by two.
  std::string last_words() const;

 private:
  BrokerProcess() = default;
  Result<void> write_configuration() const;

  std::string program_, directory_;
  uint16_t phones_port_ = 0, backend_port_ = 0;
  pid_t pid_ = -1;
  int status_ = 0;  // as waitpid() told, once the process has ended
  bool keep_ = false;
};

}  // namespace courier::cli::demo
