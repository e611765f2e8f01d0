#include "auth/acl/rules.h"

#include <sys/stat.h>

#include <utility>

#include "base/log.h"

namespace courier::auth::acl {
namespace {

// An error of several lines is several lines of the log.
void log_each_line(std::string_view text) {
  while (!text.empty()) log::error("the ACL file is no good", {{"error", cut_line(text)}});
}

}  // namespace

Result<std::unique_ptr<Rules>> Rules::open(std::string path) {
  std::unique_ptr<Rules> rules(new Rules(std::move(path)));
  if (rules->path_.empty()) {
    rules->put_in_force(RuleSet::open(rules->labels_));
    return rules;
  }
  // The stamp first: a change between the two is then read twice, not missed.
  rules->stamp_ = stamp_of(rules->path_);
  auto set = RuleSet::read(rules->path_, rules->labels_);
  if (!set) return fail(set.error());
  rules->put_in_force(*std::move(set));
  return rules;
}

std::optional<Rules::Stamp> Rules::stamp_of(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return std::nullopt;
  const auto ns = [](const timespec& t) { return t.tv_sec * kNsPerSecond + t.tv_nsec; };
  return Stamp{ns(status.st_mtim), ns(status.st_ctim), status.st_size, status.st_ino};
}

bool Rules::refresh(MonoNs now) {
  const std::lock_guard lock(looking_);
  if (path_.empty() || (looked_at_ && now - *looked_at_ < kNsPerSecond)) return false;
  looked_at_ = now;
  if (stamp_of(path_) == stamp_) return false;
  const auto changed = look(Report::log);
  return changed && *changed;
}

Result<bool> Rules::reload() {
  const std::lock_guard lock(looking_);
  if (path_.empty() || stamp_of(path_) == stamp_) return false;
  return look(Report::caller);
}

// Under looking_.
Result<bool> Rules::look(Report report) {
  const auto before = stamp_of(path_);
  auto set = RuleSet::read(path_, labels_);
  // Half of a file that is being written may be good rules, without those that deny.
  if (stamp_of(path_) != before) return false;
  stamp_ = before;
  if (!set) {
    if (report == Report::log) {
      log_each_line(set.error().message);
      log::error("the ACL file changed but is no good; the rules from before stay in force",
                 {{"file", path_}, {"rules", current()->rules().size()}});
    }
    return fail(set.error());
  }
  const size_t rules = (*set)->rules().size();
  put_in_force(*std::move(set));
  log::info("ACL file read again", {{"file", path_}, {"rules", rules}});
  return true;
}

void Rules::put_in_force(std::shared_ptr<const RuleSet> set) {
  const std::lock_guard lock(mutex_);
  current_.swap(set);
  generation_.store(current_->generation(), std::memory_order_release);
}

std::shared_ptr<const RuleSet> Rules::current() const {
  const std::lock_guard lock(mutex_);
  return current_;
}

}  // namespace courier::auth::acl
