#include "auth/acl/rules.h"

#include <utility>

#include "base/errc.h"
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
  return look();
}

Result<std::function<void()>> Rules::prepare_reload(const std::string& path) {
  const std::lock_guard lock(looking_);
  const bool same = file_ ? file_->path() == path : path.empty();
  if (path.empty()) {
    return [this, same] {
      if (same) return;
      const std::lock_guard looking(looking_);
      file_.reset();
      unread_ = false;
      put_in_force(RuleSet::open(labels_));
    };
  }
  WatchedFile file = same ? *file_ : WatchedFile(path, 0);
  const bool changed = file.changed() || !same || unread_;
  auto set = RuleSet::read(path, labels_);
  if (!set) return fail(std::move(set).error());
  if (file.changed()) {
    return fail(BaseErrc::unreadable, path + ": it changed while it was read; try again when it is written");
  }
  return [this, changed, file = std::move(file), set = *std::move(set)] {
    if (!changed) return;  // or all clients' subscriptions would be looked at for nothing
    const std::lock_guard looking(looking_);
    file_ = file;
    unread_ = false;
    put_in_force(set);
    log::info("ACL file read again", {{"file", file.path()}, {"rules", set->rules().size()}});
  };
}

// Under looking_.
bool Rules::look() {
  auto set = RuleSet::read(file_->path(), labels_);
  // Half of a file that is being written may be good rules, without those that deny.
  unread_ = file_->changed();
  if (unread_) return false;
  if (!set) {
    log_each_line(set.error().message);
    log::error("the ACL file changed but is no good; the rules from before stay in force",
               {{"file", file_->path()}, {"rules", current()->rules().size()}});
    return false;
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
