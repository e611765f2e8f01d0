#include "reload.h"

#include <utility>

#include "config/schema.h"

namespace courier::courierd {

Result<Reload::Outcome> Reload::run(config::Settings& running, const config::Settings& wanted) const {
  config::Changes changes = config::changes(running, wanted);
  std::vector<Commit> commits;
  Outcome outcome;
  for (const Part& part : parts_) {
    auto commit = part.prepare(running, changes.settings);
    if (!commit) return fail(std::move(commit).error());
    commits.push_back(*std::move(commit));
    outcome.read.emplace_back(part.name);
  }
  for (const Commit& commit : commits) commit();
  running = std::move(changes.settings);
  outcome.applied = std::move(changes.applied);
  outcome.need_restart = std::move(changes.need_restart);
  return outcome;
}

}  // namespace courier::courierd
