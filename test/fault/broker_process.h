// One courierd as a process of its own: started, killed, started again on the same folder and port.
//
//   folder/courierd.toml   its settings, written anew at each start
//   folder/data/           what must survive
//   folder/courierd.log    what all its runs said
//
// Used on one thread. The process does not outlive this one.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace courier::fault {

class BrokerProcess {
 public:
  struct Options {
    std::string program;
    std::string folder;
    uint16_t port = 0;
    // What the process finds in its environment in addition.
    std::map<std::string, std::string> environment;
  };
  explicit BrokerProcess(Options options) : options_(std::move(options)) {}
  ~BrokerProcess() { kill(); }
  BrokerProcess(const BrokerProcess&) = delete;
  BrokerProcess& operator=(const BrokerProcess&) = delete;

  // Returns once the process exists; it is ready later. `settings`: "key = value" lines by section.
  using Settings = std::map<std::string, std::vector<std::string>>;
  Result<void> start(const Settings& settings = {});
  bool running() const { return pid_ > 0; }
  pid_t pid() const { return pid_; }

  // SIGKILL; it is gone when this returns.
  void kill();
  // SIGTERM.
  void tell_to_stop();
  // Its exit code if it has ended by itself (minus the signal's number if one ended it); then it is not
  // running.
  std::optional<int> ended();

  const std::string& folder() const { return options_.folder; }
  std::string data_dir() const { return options_.folder + "/data"; }
  std::string log_file() const { return options_.folder + "/courierd.log"; }
  // Bytes of the log so far; log_since() gives what came after.
  size_t log_size() const;
  std::string log_since(size_t offset) const;

 private:
  Result<void> write_settings(const Settings& settings) const;

  const Options options_;
  pid_t pid_ = 0;
};

}  // namespace courier::fault
