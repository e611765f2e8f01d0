// Tokens that were looked at before, by their SHA-256; the tokens themselves are not kept.
//
// Bounded: the one that nobody asked for longest makes room. What was judged with keys that are no longer in
// force does not count. Thread-safe: one mutex, held for a lookup and one entry's coming and going.
#pragma once

#include <cstdint>
#include <cstring>
#include <list>
#include <memory>
#include <mutex>
#include <random>
#include <unordered_map>
#include <utility>

#include "base/clock.h"
#include "jose/digest.h"

namespace courier::auth::jwt {

template <typename Value>
class TokenCache {
 public:
  explicit TokenCache(size_t entries_max) : entries_max_(entries_max), by_token_(0, Hash{seed()}) {}

  // Null: not there, of other keys, or too old.
  std::shared_ptr<const Value> find(const jose::Digest& token, uint64_t keys, MonoNs now) {
    const std::lock_guard lock(mutex_);
    const auto found = by_token_.find(token);
    if (found == by_token_.end()) return nullptr;
    const auto entry = found->second;
    if (entry->keys != keys || now >= entry->until) {
      by_token_.erase(found);
      entries_.erase(entry);
      return nullptr;
    }
    entries_.splice(entries_.begin(), entries_, entry);
    return entry->value;
  }

  // `keys`: the generation of the keys that it was judged with. `until`: when it no longer counts.
  void put(const jose::Digest& token, uint64_t keys, MonoNs until, std::shared_ptr<const Value> value) {
    if (entries_max_ == 0) return;
    const std::lock_guard lock(mutex_);
    const auto [place, added] = by_token_.try_emplace(token);
    if (!added) entries_.erase(place->second);
    entries_.push_front({token, keys, until, std::move(value)});
    place->second = entries_.begin();
    if (entries_.size() <= entries_max_) return;
    by_token_.erase(entries_.back().token);
    entries_.pop_back();
  }

  size_t size() const {
    const std::lock_guard lock(mutex_);
    return entries_.size();
  }

 private:
  struct Entry {
    jose::Digest token;
    uint64_t keys = 0;
    MonoNs until = 0;
    std::shared_ptr<const Value> value;  // shared: who answers from it holds no lock
  };
  using Entries = std::list<Entry>;
  // Of a digest any eight bytes would do; the seed keeps those who choose their tokens from filling one
  // bucket.
  struct Hash {
    uint64_t seed;
    size_t operator()(const jose::Digest& digest) const {
      uint64_t word;
      std::memcpy(&word, digest.data(), sizeof(word));
      return (word ^ seed) * 0x9E3779B97F4A7C15ull;
    }
  };

  static uint64_t seed() {
    std::random_device device;
    return uint64_t{device()} << 32 | device();
  }

  const size_t entries_max_;
  mutable std::mutex mutex_;
  Entries entries_;  // guarded by mutex_; the one asked for last is in front
  std::unordered_map<jose::Digest, typename Entries::iterator, Hash> by_token_;  // guarded by mutex_
};

}  // namespace courier::auth::jwt
