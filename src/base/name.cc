#include "base/name.h"

#include <memory>
#include <mutex>
#include <unordered_map>

namespace courier {

// Never destroyed: names may outlive every static.
struct Name::Table {
  std::mutex mutex;
  std::unordered_map<std::string_view, std::unique_ptr<Entry>> entries;  // the keys are their texts
};

const std::string Name::kEmpty;

Name::Table& Name::table() {
  static Table* const table = new Table;
  return *table;
}

Name::Name(std::string_view text) {
  if (text.empty()) return;
  Table& names = table();
  const std::lock_guard lock(names.mutex);
  if (const auto found = names.entries.find(text); found != names.entries.end()) {
    entry_ = found->second.get();
    entry_->references.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  auto made = std::make_unique<Entry>(text);
  entry_ = made.get();
  names.entries.emplace(entry_->text, std::move(made));
}

// The last reference is dropped under the lock only, so whoever finds an entry there may take another.
void Name::release() noexcept {
  uint64_t references = entry_->references.load(std::memory_order_relaxed);
  while (references > 1) {
    if (entry_->references.compare_exchange_weak(references, references - 1, std::memory_order_acq_rel))
      return;
  }
  Table& names = table();
  const std::lock_guard lock(names.mutex);
  if (entry_->references.fetch_sub(1, std::memory_order_acq_rel) == 1)
    names.entries.erase(names.entries.find(entry_->text));
}

size_t Name::count() {
  Table& names = table();
  const std::lock_guard lock(names.mutex);
  return names.entries.size();
}

}  // namespace courier
