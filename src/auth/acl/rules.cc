#include "auth/acl/rules.h"

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
  std::unique_ptr<Rules> rules(new Rules);
  if (path.empty()) {
    rules->put_in_force(RuleSet::open(rules->labels_));
    return rules;
  }
  rules->file_.emplace(std::move(path), 0);
  auto set = RuleSet::read(rules->file_->path(), rules->labels_);
  if (!set) return fail(set.error());
  rules->put_in_force(*std::move(set));
  return rules;
}

bool Rules::refresh(MonoNs now) {
  const std::lock_guard lock(looking_);
  if (!file_) return false;
  if (!file_->changed(now) && !unread_) return false;
  const auto changed = look(Report::log);
  return changed && *changed;
}

Result<bool> Rules::reload() {
  const std::lock_guard lock(looking_);
  if (!file_) return false;
  if (!file_->changed() && !unread_) return false;
  return look(Report::caller);
}

// Under looking_.
Result<bool> Rules::look(Report report) {
  auto set = RuleSet::read(file_->path(), labels_);
  // Half of a file that is being written may be good rules, without those that deny.
  unread_ = file_->changed();
  if (unread_) return false;
  if (!set) {
    if (report == Report::log) {
      log_each_line(set.error().message);
      log::error("the ACL file changed but is no good; the rules from before stay in force",
                 {{"file", file_->path()}, {"rules", current()->rules().size()}});
    }
    return fail(set.error());
  }
  const size_t rules = (*set)->rules().size();
  put_in_force(*std::move(set));
  log::info("ACL file read again", {{"file", file_->path()}, {"rules", rules}});
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
