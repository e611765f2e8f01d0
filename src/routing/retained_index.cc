#include "routing/retained_index.h"

#include <algorithm>
#include <utility>

#include "mqtt/topic.h"
#include "routing/keyed_hash.h"

namespace courier::routing {

struct RetainedIndex::Mountpoint {
  std::string_view name;
  uint64_t number = 0;  // never given twice
  Topics topics;
  std::vector<std::string> dirty;  // a topic that was removed and set again may stand here twice
};

// Stands among its mountpoint's topics in order of `topic`, which is its message's own and costs no second
// copy. Replacing the message changes where that text lies, not what it says: so all of it may change in its
// place.
struct RetainedTopic {
  mutable std::string_view topic;
  mutable Retained retained;
  uint64_t mountpoint;
  mutable bool dirty = false;  // its name is on the list
};

namespace {

// Where a walk over topics in byte order goes from a topic: on to the next one, to the first that is not
// below some string, or nowhere.
struct Step {
  enum class Kind : uint8_t { match, next, seek, end } kind;
  std::string seek;
};

// The end of the level that begins at `from`.
size_t level_end(std::string_view text, size_t from) {
  const size_t slash = text.find('/', from);
  return slash == std::string_view::npos ? text.size() : slash;
}

// Past everything below the level that ends at `end`: '0' follows '/'.
Step past(std::string_view topic, size_t end) {
  return {Step::Kind::seek, std::string(topic.substr(0, end)) + '0'};
}

// Compares level by level. What is skipped cannot match: between two strings that share a prefix lie only
// strings that share it too, so the levels compared so far, and what they matched, stay the same.
Step compare(std::string_view filter, std::string_view topic) {
  if (topic.starts_with('$') && (filter.starts_with('+') || filter.starts_with('#'))) {
    return {Step::Kind::seek, "%"};  // [MQTT-4.7.2-1]; '%' follows '$'
  }
  size_t plus_end = std::string_view::npos;  // in the topic, of the last level that a `+` matched
  const auto elsewhere = [&] {
    return plus_end == std::string_view::npos ? Step{Step::Kind::end, {}} : past(topic, plus_end);
  };
  size_t f = 0;
  size_t t = 0;
  while (true) {
    const std::string_view wanted = filter.substr(f, level_end(filter, f) - f);
    if (wanted == "#") return {Step::Kind::match, {}};
    const size_t end = level_end(topic, t);
    if (wanted == "+") {
      plus_end = end;
    } else if (topic.substr(t, end - t) != wanted) {
      std::string target = std::string(topic.substr(0, t)).append(wanted);
      if (target > topic) return {Step::Kind::seek, std::move(target)};
      target += '/';  // "a/b-c" lies between "a/b" and "a/b/d"
      if (target > topic) return {Step::Kind::seek, std::move(target)};
      return elsewhere();
    }
    f += wanted.size() + 1;
    t = end + 1;
    const bool filter_ends = f > filter.size();
    const bool topic_ends = t > topic.size();
    if (filter_ends && topic_ends) return {Step::Kind::match, {}};
    if (filter_ends) return elsewhere();
    if (topic_ends) return {filter.substr(f) == "#" ? Step::Kind::match : Step::Kind::next, {}};
  }
}

}  // namespace

RetainedIndex::RetainedIndex(uint64_t hash_seed) : hash_seed_(hash_seed) {}
RetainedIndex::~RetainedIndex() = default;

bool RetainedIndex::ByTopic::operator()(const RetainedTopic& a, const RetainedTopic& b) const {
  return a.topic < b.topic;
}
bool RetainedIndex::ByTopic::operator()(const RetainedTopic& a, std::string_view b) const {
  return a.topic < b;
}
bool RetainedIndex::ByTopic::operator()(std::string_view a, const RetainedTopic& b) const {
  return a < b.topic;
}

RetainedIndex::Mountpoint& RetainedIndex::mountpoint(std::string_view name) {
  const auto known = mountpoints_.find(name);
  if (known != mountpoints_.end()) return known->second;
  const auto made = mountpoints_.try_emplace(std::string(name)).first;
  made->second.name = made->first;
  made->second.number = ++mountpoints_made_;
  return made->second;
}

uint64_t RetainedIndex::hash(const Mountpoint& mountpoint, std::string_view topic) const {
  return keyed_hash(hash_seed_ + mountpoint.number, topic);
}

const RetainedTopic* RetainedIndex::find(const Mountpoint& mountpoint, std::string_view topic) const {
  return by_name_.find(hash(mountpoint, topic), [&](const RetainedTopic* candidate) {
    return candidate->mountpoint == mountpoint.number && candidate->topic == topic;
  });
}

void RetainedIndex::set(std::string_view name, mqtt::MessagePtr message, Position position) {
  if (message->payload.empty()) {
    remove(name, message->topic);
    return;
  }
  Mountpoint& at = mountpoint(name);
  const RetainedTopic& topic = put(at, std::move(message), position);
  if (!std::exchange(topic.dirty, true)) at.dirty.emplace_back(topic.topic);
}

void RetainedIndex::restore(std::string_view name, mqtt::MessagePtr message, Position position) {
  put(mountpoint(name), std::move(message), position);
}

const RetainedTopic& RetainedIndex::put(Mountpoint& mountpoint, mqtt::MessagePtr message, Position position) {
  if (const RetainedTopic* known = find(mountpoint, message->topic)) {
    leave(mountpoint, *known->retained.message);
    known->topic = message->topic;
    known->retained = {std::move(message), position};
    enter(mountpoint, *known->retained.message);
    return *known;
  }
  const std::string_view topic = message->topic;
  const RetainedTopic& made =
      *mountpoint.topics.insert({topic, {std::move(message), position}, mountpoint.number}).first;
  by_name_.insert(hash(mountpoint, topic), &made);
  ++count_;
  enter(mountpoint, *made.retained.message);
  return made;
}

bool RetainedIndex::remove(std::string_view name, std::string_view topic) {
  const auto at = mountpoints_.find(name);
  if (at == mountpoints_.end()) return false;
  Mountpoint& mountpoint = at->second;
  const auto found = mountpoint.topics.find(topic);
  if (found == mountpoint.topics.end()) return false;
  if (!found->dirty) mountpoint.dirty.emplace_back(topic);
  by_name_.erase(hash(mountpoint, topic), &*found);
  leave(mountpoint, *found->retained.message);
  mountpoint.topics.erase(found);
  --count_;
  return true;
}

void RetainedIndex::enter(const Mountpoint& mountpoint, const mqtt::Message& message) {
  message_bytes_ += message.cost();
  if (message.expires_at != 0) due_.insert({message.expires_at, mountpoint.name, message.topic});
}

void RetainedIndex::leave(const Mountpoint& mountpoint, const mqtt::Message& message) {
  message_bytes_ -= message.cost();
  if (message.expires_at != 0) due_.erase({message.expires_at, mountpoint.name, message.topic});
}

const Retained* RetainedIndex::find(std::string_view name, std::string_view topic) const {
  const auto at = mountpoints_.find(name);
  if (at == mountpoints_.end()) return nullptr;
  const RetainedTopic* found = find(at->second, topic);
  return found ? &found->retained : nullptr;
}

std::optional<std::string> RetainedIndex::match(std::string_view mountpoint, std::string_view filter,
                                                const Visit& visit, std::string_view after) const {
  size_t steps = SIZE_MAX;
  return match(mountpoint, filter, visit, after, steps);
}

std::optional<std::string> RetainedIndex::match(std::string_view mountpoint, std::string_view filter,
                                                const Visit& visit, std::string_view after,
                                                size_t& steps) const {
  const auto at = mountpoints_.find(mountpoint);
  if (at == mountpoints_.end()) return std::nullopt;
  const Topics& topics = at->second.topics;
  if (steps == 0) return std::string(after);
  if (!mqtt::has_wildcard(filter)) {
    --steps;
    const RetainedTopic* found = find(at->second, filter);
    if (!found || filter <= after) return std::nullopt;
    return visit(found->retained) ? std::nullopt : std::optional(std::string(filter));
  }
  // No topic is empty, so "" stands before all of them.
  std::string_view last = after;
  for (auto topic = topics.upper_bound(after); topic != topics.end();) {
    if (steps == 0) return std::string(last);
    --steps;
    last = topic->topic;
    const Step step = compare(filter, topic->topic);
    switch (step.kind) {
      case Step::Kind::match:
        if (!visit(topic->retained)) return std::string(topic->topic);
        ++topic;
        break;
      case Step::Kind::next:
        ++topic;
        break;
      case Step::Kind::seek:
        topic = topics.lower_bound(step.seek);
        break;
      case Step::Kind::end:
        return std::nullopt;
    }
  }
  return std::nullopt;
}

std::vector<RetainedIndex::Topic> RetainedIndex::expired(WallMs now, size_t limit) const {
  std::vector<Topic> topics;
  for (const Due& due : due_) {
    if (due.at > now || topics.size() == limit) break;
    topics.push_back(
        {std::string(due.mountpoint), std::string(due.topic), find(due.mountpoint, due.topic)->position});
  }
  return topics;
}

std::optional<WallMs> RetainedIndex::next_expiry() const {
  if (due_.empty()) return std::nullopt;
  return due_.begin()->at;
}

size_t RetainedIndex::bytes() const {
  constexpr size_t kNodeHeader = 4 * sizeof(void*) + 2 * sizeof(void*);  // of a red-black tree, and of malloc
  return message_bytes_ + count_ * (sizeof(RetainedTopic) + kNodeHeader) + by_name_.bytes() +
         due_.size() * (sizeof(Due) + kNodeHeader);
}

void RetainedIndex::for_each(const std::function<void(std::string_view, const Retained&)>& visit) const {
  for (const auto& [name, mountpoint] : mountpoints_) {
    for (const RetainedTopic& topic : mountpoint.topics) visit(name, topic.retained);
  }
}

std::vector<RetainedIndex::Dirty> RetainedIndex::take_dirty() {
  std::vector<Dirty> all;
  for (auto at = mountpoints_.begin(); at != mountpoints_.end();) {
    std::vector<std::string> dirty = std::exchange(at->second.dirty, {});
    std::ranges::sort(dirty);
    dirty.erase(std::unique(dirty.begin(), dirty.end()), dirty.end());
    for (std::string& topic : dirty) {
      if (const RetainedTopic* known = find(at->second, topic)) known->dirty = false;
      all.push_back({at->first, std::move(topic)});
    }
    at = at->second.topics.empty() ? mountpoints_.erase(at) : std::next(at);
  }
  return all;
}

}  // namespace courier::routing
