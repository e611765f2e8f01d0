#include "routing/subscription_index.h"

#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/check.h"
#include "base/striped_lock.h"
#include "mqtt/topic.h"
#include "routing/block_arena.h"
#include "routing/filter_trie.h"
#include "routing/handle_table.h"
#include "routing/indexed_groups.h"
#include "routing/keyed_hash.h"
#include "routing/subscriber_set.h"

namespace courier::routing {
namespace {

struct Mountpoint {
  uint32_t number;
  BlockArena::Handle root;
  size_t subscriptions = 0;
};

struct NameHash {
  using is_transparent = void;
  uint64_t key;
  size_t operator()(std::string_view name) const { return keyed_hash(key, name); }
};

// A filter without wildcard: an arena block with the text behind it.
struct ExactFilter {
  SubscriberSet subscribers;
  uint32_t mountpoint;
  uint16_t text_size;

  static constexpr size_t kTextOffset = sizeof(SubscriberSet) + 4 + 2;
  std::string_view text() const { return {reinterpret_cast<const char*>(this) + kTextOffset, text_size}; }
};

}  // namespace

struct SubscriptionIndex::State {
  using Handle = BlockArena::Handle;

  explicit State(uint64_t hash_key)
      : hash_key(hash_key), trie(arena, hash_key), mountpoints(0, NameHash{hash_key}) {}

  ExactFilter& exact(Handle handle) const { return *reinterpret_cast<ExactFilter*>(arena.at(handle)); }
  uint64_t exact_hash(const Mountpoint& mountpoint, std::string_view filter) const {
    return keyed_hash(hash_key + mountpoint.number, filter);
  }
  Handle find_exact(const Mountpoint& mountpoint, std::string_view filter) const {
    return exacts.find(exact_hash(mountpoint, filter), [&](Handle handle) {
      const ExactFilter& found = exact(handle);
      return found.mountpoint == mountpoint.number && found.text() == filter;
    });
  }

  Mountpoint& mountpoint(std::string_view name);
  SubscriberSet* find_set(const Mountpoint& mountpoint, std::string_view filter) const;
  SubscriberSet& make_set(const Mountpoint& mountpoint, std::string_view filter);
  void drop_set(const Mountpoint& mountpoint, std::string_view filter);
  void erase_member(Mountpoint& mountpoint, std::string_view filter, SubscriberSet& set,
                    PackedSubscriber member, SpareTable& spare);
  bool add_shared(std::string_view name, std::string_view filter, const Subscriber& subscriber,
                  const SharedMember& shared);
  bool remove_shared(std::string_view name, std::string_view filter, SessionId session);
  void count_one_more(Mountpoint& mountpoint);
  void count_one_less(std::string_view name);

  mutable StripedLock lock;  // guards all below; the writer reads without it
  const uint64_t hash_key;
  BlockArena arena;
  HandleTable<Handle> exacts;
  FilterTrie trie;
  IndexedGroups groups;
  std::unordered_map<std::string, Mountpoint, NameHash, std::equal_to<>> mountpoints;
  std::vector<uint32_t> mountpoint_numbers_free;
  std::vector<std::string_view> mountpoint_names;  // by number; views of the map's keys
  size_t subscriptions = 0;
  size_t table_bytes = 0;  // of subscriber sets
};

SubscriptionIndex::SubscriptionIndex(uint64_t hash_seed) : state_(std::make_unique<State>(hash_seed)) {}

SubscriptionIndex::~SubscriptionIndex() {
  const State& state = *state_;
  const auto destroy = [](uint32_t, const std::string&, SubscriberSet& set) { set.destroy(); };
  state.exacts.for_each([&](BlockArena::Handle handle) { state.exact(handle).subscribers.destroy(); });
  for (const auto& [name, mountpoint] : state.mountpoints) state.trie.for_each_from(mountpoint.root, destroy);
  state.trie.for_each_from_literals(destroy);
}

Mountpoint& SubscriptionIndex::State::mountpoint(std::string_view name) {
  const auto found = mountpoints.find(name);
  if (found != mountpoints.end()) return found->second;
  if (mountpoint_numbers_free.empty()) {
    mountpoint_numbers_free.push_back(static_cast<uint32_t>(mountpoints.size()));
  }
  const uint32_t number = mountpoint_numbers_free.back();
  mountpoint_numbers_free.pop_back();
  const auto made = mountpoints.emplace(name, Mountpoint{number, trie.make_root(number)}).first;
  if (mountpoint_names.size() <= number) mountpoint_names.resize(number + 1);
  mountpoint_names[number] = made->first;
  return made->second;
}

SubscriberSet* SubscriptionIndex::State::find_set(const Mountpoint& mountpoint,
                                                  std::string_view filter) const {
  if (mqtt::has_wildcard(filter)) return trie.find(mountpoint.root, filter);
  const Handle handle = find_exact(mountpoint, filter);
  return handle != 0 ? &exact(handle).subscribers : nullptr;
}

SubscriberSet& SubscriptionIndex::State::make_set(const Mountpoint& mountpoint, std::string_view filter) {
  if (mqtt::has_wildcard(filter)) return trie.make(mountpoint.root, filter);
  if (const Handle handle = find_exact(mountpoint, filter)) return exact(handle).subscribers;
  const Handle handle = arena.allocate(ExactFilter::kTextOffset + filter.size());
  ExactFilter& made = exact(handle);
  made.mountpoint = mountpoint.number;
  made.text_size = static_cast<uint16_t>(filter.size());
  filter.copy(reinterpret_cast<char*>(&made) + ExactFilter::kTextOffset, filter.size());
  exacts.insert(exact_hash(mountpoint, filter), handle);
  return made.subscribers;
}

void SubscriptionIndex::State::drop_set(const Mountpoint& mountpoint, std::string_view filter) {
  if (mqtt::has_wildcard(filter)) {
    trie.prune(mountpoint.root, filter);
    return;
  }
  const Handle handle = find_exact(mountpoint, filter);
  exacts.erase(exact_hash(mountpoint, filter), handle);
  arena.release(handle, ExactFilter::kTextOffset + filter.size());
}

void SubscriptionIndex::State::count_one_more(Mountpoint& mountpoint) {
  ++mountpoint.subscriptions;
  ++subscriptions;
}

void SubscriptionIndex::State::count_one_less(std::string_view name) {
  const auto found = mountpoints.find(name);
  --subscriptions;
  if (--found->second.subscriptions > 0) return;
  trie.drop_root(found->second.root);
  mountpoint_numbers_free.push_back(found->second.number);
  mountpoints.erase(found);
}

void SubscriptionIndex::State::erase_member(Mountpoint& mountpoint, std::string_view filter,
                                            SubscriberSet& set, PackedSubscriber member, SpareTable& spare) {
  table_bytes -= set.table_bytes();
  CHECK(set.remove(member, spare));
  table_bytes += set.table_bytes();
  if (set.empty()) drop_set(mountpoint, filter);
}

bool SubscriptionIndex::add(std::string_view mountpoint, std::string_view filter,
                            const Subscriber& subscriber, SharedMember shared) {
  CHECK(subscriber.session && filter.size() <= UINT16_MAX);
  State& state = *state_;
  if (mqtt::is_shared(filter)) return state.add_shared(mountpoint, filter, subscriber, shared);
  SpareTable spare;  // dies after the lock
  const auto known = state.mountpoints.find(mountpoint);
  if (known != state.mountpoints.end()) {
    if (const SubscriberSet* set = state.find_set(known->second, filter)) set->prepare_add(spare);
  }
  const StripedLock::Writing writing(state.lock);
  Mountpoint& at = state.mountpoint(mountpoint);
  SubscriberSet& set = state.make_set(at, filter);
  state.table_bytes -= set.table_bytes();
  const bool is_new = set.add(PackedSubscriber::of(subscriber), spare);
  state.table_bytes += set.table_bytes();
  if (is_new) state.count_one_more(at);
  return is_new;
}

bool SubscriptionIndex::State::add_shared(std::string_view name, std::string_view filter,
                                          const Subscriber& subscriber, const SharedMember& shared) {
  const auto parts = mqtt::parse_shared(filter);
  CHECK(parts.has_value());
  SpareTable spare;
  const auto known = mountpoints.find(name);
  if (known != mountpoints.end()) {
    if (const SubscriberSet* set = find_set(known->second, parts->filter)) set->prepare_add(spare);
  }
  const StripedLock::Writing writing(lock);
  Mountpoint& at = mountpoint(name);
  auto slot = groups.find(name, filter);
  if (!slot) {
    CHECK(shared.group);
    slot = groups.make(name, filter, shared.group);
    SubscriberSet& set = make_set(at, parts->filter);
    table_bytes -= set.table_bytes();
    CHECK(set.add(PackedSubscriber::of_group(*slot), spare));
    table_bytes += set.table_bytes();
  }
  const bool is_new = groups.add(*slot, subscriber, shared.connected);
  if (is_new) count_one_more(at);
  return is_new;
}

bool SubscriptionIndex::remove(std::string_view mountpoint, std::string_view filter, SessionId session) {
  CHECK(session);
  State& state = *state_;
  if (mqtt::is_shared(filter)) return state.remove_shared(mountpoint, filter, session);
  const auto known = state.mountpoints.find(mountpoint);
  if (known == state.mountpoints.end()) return false;
  SubscriberSet* set = state.find_set(known->second, filter);
  if (!set) return false;
  const PackedSubscriber member = PackedSubscriber::of({session, {}, 0});
  if (!set->contains(member)) return false;
  SpareTable spare;
  set->prepare_remove(spare);
  const StripedLock::Writing writing(state.lock);
  state.erase_member(known->second, filter, *set, member, spare);
  state.count_one_less(mountpoint);
  return true;
}

bool SubscriptionIndex::State::remove_shared(std::string_view name, std::string_view filter,
                                             SessionId session) {
  const auto slot = groups.find(name, filter);
  if (!slot) return false;
  const auto parts = mqtt::parse_shared(filter);
  Mountpoint& at = mountpoints.find(name)->second;
  SubscriberSet* set = find_set(at, parts->filter);
  SpareTable spare;
  set->prepare_remove(spare);
  const StripedLock::Writing writing(lock);
  if (!groups.remove(*slot, session)) return false;
  if (groups.deserted(*slot)) {
    groups.drop(*slot);
    erase_member(at, parts->filter, *set, PackedSubscriber::of_group(*slot), spare);
  }
  count_one_less(name);
  return true;
}

void SubscriptionIndex::set_connected(SessionId session, bool connected) {
  if (!state_->groups.knows(session)) return;
  const StripedLock::Writing writing(state_->lock);
  state_->groups.set_connected(session, connected);
}

void SubscriptionIndex::match(std::string_view mountpoint, std::string_view topic, SessionId publisher,
                              Shared shared, MatchResult& out) const {
  out.clear();
  out.publisher_ = publisher;
  const State& state = *state_;
  const StripedLock::Reading reading(state.lock, out.stripe_);
  const auto at = state.mountpoints.find(mountpoint);
  if (at == state.mountpoints.end()) return;
  state.exacts.prefetch(state.exact_hash(at->second, topic));
  state.trie.match(at->second.root, topic, out);
  if (const BlockArena::Handle handle = state.find_exact(at->second, topic)) {
    out.sets_.push_back(&state.exact(handle).subscribers);
  }
  out.collapse(state.groups, shared);
}

FilterRef SubscriptionIndex::exact_filter(std::string_view mountpoint, std::string_view filter) const {
  if (mqtt::has_wildcard(filter) || mqtt::is_shared(filter)) return 0;
  const auto at = state_->mountpoints.find(mountpoint);
  return at == state_->mountpoints.end() ? 0 : state_->find_exact(at->second, filter);
}

bool SubscriptionIndex::has_subscriber(FilterRef filter, SessionId session) const {
  return state_->exact(filter).subscribers.contains(PackedSubscriber::of({session, {}, 0}));
}

SubscriptionIndex::Subscription SubscriptionIndex::subscription(FilterRef filter, SessionId session) const {
  const ExactFilter& found = state_->exact(filter);
  const auto subscriber = found.subscribers.find(PackedSubscriber::of({session, {}, 0}));
  CHECK(subscriber.present());
  return {state_->mountpoint_names[found.mountpoint], found.text(), subscriber.subscriber()};
}

size_t SubscriptionIndex::count() const {
  return state_->subscriptions;
}

size_t SubscriptionIndex::bytes() const {
  const State& state = *state_;
  return sizeof(State) + state.arena.bytes() + state.exacts.bytes() + state.trie.bytes() +
         state.groups.bytes() + state.table_bytes;
}

void SubscriptionIndex::for_each(
    const std::function<void(std::string_view, std::string_view, const Subscriber&)>& visit) const {
  const State& state = *state_;
  std::unordered_map<uint32_t, std::string_view> names;
  for (const auto& [name, mountpoint] : state.mountpoints) names[mountpoint.number] = name;
  const auto visit_set = [&](uint32_t mountpoint, std::string_view filter, const SubscriberSet& set) {
    set.for_each([&](const PackedSubscriber& member) {
      if (!member.is_group()) visit(names[mountpoint], filter, member.subscriber());
    });
  };
  state.exacts.for_each([&](BlockArena::Handle handle) {
    const ExactFilter& filter = state.exact(handle);
    visit_set(filter.mountpoint, filter.text(), filter.subscribers);
  });
  for (const auto& [name, mountpoint] : state.mountpoints)
    state.trie.for_each_from(mountpoint.root, visit_set);
  state.trie.for_each_from_literals(visit_set);
  state.groups.for_each(visit);
}

}  // namespace courier::routing
