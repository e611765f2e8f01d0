// The access rules in force: those of a file that is read again when it changes.
//
// A new file that is bad, or gone, leaves the old rules in force and is logged once, with all its problems.
// The file may be replaced by a rename or written in place; what changes while it is read is read again.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "auth/acl/decision_cache.h"
#include "auth/acl/explanation.h"
#include "auth/acl/grants.h"
#include "auth/acl/labels.h"
#include "auth/acl/question.h"
#include "auth/acl/rule_set.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/result.h"

namespace courier::auth::acl {

// Thread-safe.
class Rules {
 public:
  // Without a path everything is allowed to whoever brings no rules. Errors: BaseErrc::unreadable, invalid.
  static Result<std::unique_ptr<Rules>> open(std::string path);

  // Reads the file again if it changed, at most once a second. Reads a file: not for shard threads, except
  // those of tests. Returns whether other rules are in force now.
  bool refresh(MonoNs now);
  // Reads `path` now (empty: no rules are configured any more), whether or not it is the file of before; what
  // it holds counts once the commit that comes back is called. One caller at a time, and none of refresh()
  // between the two. Errors: BaseErrc::unreadable, invalid.
  Result<std::function<void()>> prepare_reload(const std::string& path);

  std::shared_ptr<const RuleSet> current() const;
  // Of current(); one load.
  uint32_t generation() const { return generation_.load(std::memory_order_acquire); }
  Labels& labels() { return labels_; }
  Grants& grants() { return grants_; }

 private:
  Rules() : grants_(labels_) {}

  bool look();
  void put_in_force(std::shared_ptr<const RuleSet> set);

  Labels labels_;
  Grants grants_;
  std::mutex looking_;               // one reads at a time; taken before mutex_
  std::optional<WatchedFile> file_;  // guarded by looking_; none: no rules are configured
  bool unread_ = false;              // guarded by looking_; it changed while it was read
  mutable std::mutex mutex_;
  std::shared_ptr<const RuleSet> current_;  // guarded by mutex_
  std::atomic<uint32_t> generation_{0};
};

// A shard's way to the rules: no lock and no counter that threads share, while they stay the same. Owned by
// its shard; `rules` must outlive it.
class Gate {
 public:
  explicit Gate(const Rules& rules) : rules_(rules) { look(); }

  // Of an open gate and a client without grants nothing need be asked, nor remembered.
  Answer check(const Subject& subject, Action action, std::string_view topic, DecisionCache& cache) {
    return cache.check(current(), subject, action, topic);
  }
  // No rules are configured; what a client brings may still count.
  bool open() {
    if (generation_ != rules_.generation()) look();
    return open_;
  }
  Explanation explain(const Subject& subject, Action action, std::string_view topic) {
    return acl::explain(current(), subject, action, topic);
  }
  // Another number: other rules are in force, and what was allowed must be asked again.
  uint32_t generation() { return current().generation(); }

 private:
  const RuleSet& current() {
    if (generation_ != rules_.generation()) look();
    return *current_;
  }
  void look() {
    current_ = rules_.current();
    generation_ = current_->generation();
    open_ = current_->is_open();
  }

  const Rules& rules_;
  std::shared_ptr<const RuleSet> current_;
  uint32_t generation_ = 0;  // of it
  bool open_ = false;
};

}  // namespace courier::auth::acl
