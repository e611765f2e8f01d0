#include "auth/acl/labels.h"

#include <algorithm>

namespace courier::auth::acl {

Labels::Labels() {
  names_[kOtherLabel] = "other";
  size_.store(kOtherLabel + 1, std::memory_order_release);
}

LabelId Labels::id(std::string_view name) {
  const std::lock_guard lock(mutex_);
  const size_t size = size_.load(std::memory_order_relaxed);
  for (size_t i = 0; i < size; ++i) {
    if (names_[i] == name) return static_cast<LabelId>(i);
  }
  if (size == kLabelsMax) return kOtherLabel;
  names_[size] = name;
  size_.store(size + 1, std::memory_order_release);
  return static_cast<LabelId>(size);
}

std::string_view Labels::name(LabelId id) const {
  return id < size() ? std::string_view(names_[id]) : std::string_view();
}

bool is_label(std::string_view name) {
  return !name.empty() && name.size() <= kLabelBytesMax && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.' || c == '-';
  });
}

}  // namespace courier::auth::acl
