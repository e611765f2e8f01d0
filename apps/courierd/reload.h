// Taking over changed settings while the node runs: all or nothing.
//
//   every part prepares (reads its files, builds what it will use; touches nothing; may fail)
//   -> all did: every part commits (cannot fail)        -> one did not: all is dropped, nothing changed
//
// What may change without a restart says the schema (config::Key::reloadable): parts only ever see settings
// in which the rest is as it runs. For the main thread.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "config/settings.h"

namespace courier::courierd {

class Reload {
 public:
  using Commit = std::function<void()>;
  struct Part {
    std::string_view name;  // what it reads: "certificates"
    // From the settings in force to the next ones. An error says which file or key is no good.
    std::function<Result<Commit>(const config::Settings& running, const config::Settings& next)> prepare;
  };
  struct Outcome {
    std::vector<std::string> applied;       // keys that have another value now
    std::vector<std::string> need_restart;  // keys that wait for a restart
    std::vector<std::string> read;          // names of the parts
  };

  // They prepare and commit in the order in which they were added.
  void add(Part part) { parts_.push_back(std::move(part)); }
  // Goes from the running settings to the wanted ones as far as it may, and makes `running` those that are in
  // force then. An error: as prepare(); nothing changed.
  Result<Outcome> run(config::Settings& running, const config::Settings& wanted) const;

 private:
  std::vector<Part> parts_;
};

}  // namespace courier::courierd
