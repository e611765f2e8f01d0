// The rules that came with the clients, compiled once for all that came with the same: a token's rules are
// mostly written with variables, and then the same for every phone.
//
// Thread-safe. What nobody holds any more is forgotten.
#pragma once

#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <unordered_map>

#include "auth/acl/rule_set.h"
#include "auth/grant.h"
#include "base/result.h"

namespace courier::auth::acl {

class Grants {
 public:
  // `labels` must outlive it and all that it compiled.
  explicit Grants(Labels& labels) : labels_(labels) {}

  // Null for no grants at all. The connection keeps it and names it in its Subject. Errors: bad_grant; the
  // client is then to be refused.
  Result<std::shared_ptr<const RuleSet>> compile(std::span<const Grant> grants);
  // How many different ones there are, dead ones that were not noticed yet among them.
  size_t size() const;

 private:
  Labels& labels_;
  mutable std::mutex mutex_;
  std::unordered_map<std::string, std::weak_ptr<const RuleSet>> known_;  // guarded by mutex_
  size_t sweep_at_ = 64;                                                 // guarded by mutex_
};

}  // namespace courier::auth::acl
