#include "routing/retained_index.h"

#include <utility>

#include "base/check.h"
#include "mqtt/topic.h"

namespace courier::routing {
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

void RetainedIndex::set(std::string_view mountpoint, mqtt::MessagePtr message, Position position) {
  if (message->payload.empty()) {
    remove(mountpoint, message->topic);
    return;
  }
  auto at = mountpoints_.find(mountpoint);
  if (at == mountpoints_.end()) at = mountpoints_.emplace(mountpoint, Mountpoint{}).first;
  at->second.dirty.insert(message->topic);
  put(at, std::move(message), position);
}

void RetainedIndex::restore(std::string_view mountpoint, mqtt::MessagePtr message, Position position) {
  auto at = mountpoints_.find(mountpoint);
  if (at == mountpoints_.end()) at = mountpoints_.emplace(mountpoint, Mountpoint{}).first;
  put(at, std::move(message), position);
}

void RetainedIndex::put(Mountpoints::iterator mountpoint, mqtt::MessagePtr message, Position position) {
  Topics& topics = mountpoint->second.topics;
  message_bytes_ += message->cost();
  if (message->expires_at != 0) due_.insert({message->expires_at, mountpoint->first, message->topic});
  const auto at = topics.lower_bound(message->topic);
  if (at == topics.end() || at->first != message->topic) {
    const std::string_view topic = message->topic;
    topics.emplace_hint(at, topic, Retained{std::move(message), position});
    ++count_;
    return;
  }
  // The key is a part of the old message, so the node gets another one before that goes.
  const auto hint = std::next(at);
  auto node = topics.extract(at);
  forget(mountpoint->first, *node.mapped().message, message.get());
  node.key() = message->topic;
  node.mapped() = {std::move(message), position};
  topics.insert(hint, std::move(node));
}

// Takes a message out of the sums and, unless its successor has the same due time, out of the due times.
void RetainedIndex::forget(std::string_view mountpoint, const mqtt::Message& message,
                           const mqtt::Message* successor) {
  message_bytes_ -= message.cost();
  if (message.expires_at == 0) return;
  due_.erase({message.expires_at, mountpoint, message.topic});
  if (successor && successor->expires_at == message.expires_at) {
    due_.insert({successor->expires_at, mountpoint, successor->topic});
  }
}

bool RetainedIndex::remove(std::string_view mountpoint, std::string_view topic) {
  const auto at = mountpoints_.find(mountpoint);
  if (at == mountpoints_.end()) return false;
  const auto found = at->second.topics.find(topic);
  if (found == at->second.topics.end()) return false;
  at->second.dirty.emplace(topic);
  forget(at->first, *found->second.message, nullptr);
  at->second.topics.erase(found);
  --count_;
  return true;
}

const Retained* RetainedIndex::find(std::string_view mountpoint, std::string_view topic) const {
  const auto at = mountpoints_.find(mountpoint);
  if (at == mountpoints_.end()) return nullptr;
  const auto found = at->second.topics.find(topic);
  return found == at->second.topics.end() ? nullptr : &found->second;
}

std::optional<std::string> RetainedIndex::match(std::string_view mountpoint, std::string_view filter,
                                                const Visit& visit, std::string_view after) const {
  const auto at = mountpoints_.find(mountpoint);
  if (at == mountpoints_.end()) return std::nullopt;
  const Topics& topics = at->second.topics;
  if (!mqtt::has_wildcard(filter)) {
    const auto found = topics.find(filter);
    if (found == topics.end() || filter <= after) return std::nullopt;
    return visit(found->second) ? std::nullopt : std::optional(std::string(filter));
  }
  // No topic is empty, so "" stands before all of them.
  for (auto topic = topics.upper_bound(after); topic != topics.end();) {
    const Step step = compare(filter, topic->first);
    switch (step.kind) {
      case Step::Kind::match:
        if (!visit(topic->second)) return std::string(topic->first);
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
  return message_bytes_ + count_ * (sizeof(Topics::value_type) + kNodeHeader) +
         due_.size() * (sizeof(Due) + kNodeHeader);
}

void RetainedIndex::for_each(const std::function<void(std::string_view, const Retained&)>& visit) const {
  for (const auto& [name, mountpoint] : mountpoints_) {
    for (const auto& [topic, retained] : mountpoint.topics) visit(name, retained);
  }
}

std::vector<RetainedIndex::Dirty> RetainedIndex::take_dirty() {
  std::vector<Dirty> all;
  for (auto at = mountpoints_.begin(); at != mountpoints_.end();) {
    for (const std::string& topic : at->second.dirty) all.push_back({at->first, topic});
    at->second.dirty.clear();
    at = at->second.topics.empty() ? mountpoints_.erase(at) : std::next(at);
  }
  return all;
}

}  // namespace courier::routing
