// The labels of access rules: small names that go on metrics, events and limits.
//
// A name keeps its id as long as the process lives, so that counters survive a reload, and there are at most
// kLabelsMax of them: whoever comes later is `other`. Thread-safe; name() takes no lock.
#pragma once

#include <array>
#include <atomic>
#include <mutex>
#include <string>
#include <string_view>

#include "auth/acl/limits.h"
#include "auth/acl/question.h"

namespace courier::auth::acl {

inline constexpr LabelId kOtherLabel = 1;

class Labels {
 public:
  Labels();

  LabelId id(std::string_view name);
  // Valid as long as this lives. "" for kNoLabel.
  std::string_view name(LabelId id) const;
  // Ids are below this.
  size_t size() const { return size_.load(std::memory_order_acquire); }

 private:
  std::mutex mutex_;
  std::array<std::string, kLabelsMax> names_;  // written once each, under mutex_, before size_ says so
  std::atomic<size_t> size_;
};

// 1 to 64 letters, digits, '_', '.' and '-'.
bool is_label(std::string_view name);

}  // namespace courier::auth::acl
