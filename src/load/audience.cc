#include "load/audience.h"

#include <algorithm>
#include <charconv>

#include "mqtt/topic.h"

namespace courier::load {

namespace {

std::string_view level_of(std::string_view topic, size_t level) {
  for (; level > 0; --level) {
    const size_t slash = topic.find('/');
    if (slash == std::string_view::npos) return {};
    topic.remove_prefix(slash + 1);
  }
  return topic.substr(0, topic.find('/'));
}

}  // namespace

Audience::Audience(const Scenario& scenario) : scenario_(scenario) {
  ClientNumber next = 0;
  for (size_t g = 0; g < scenario.groups.size(); ++g) {
    const Group& group = scenario.groups[g];
    first_.push_back(next);
    next += static_cast<ClientNumber>(group.count);
    for (size_t s = 0; s < group.subscribe.size(); ++s) {
      Entry entry{g, s, group.subscribe[s].filter, group.subscribe[s].qos};
      if (const auto shared = mqtt::parse_shared(entry.filter.text())) {
        const std::string& name = group.subscribe[s].filter.text();
        const auto known = std::find(share_names_.begin(), share_names_.end(), name);
        entry.share = static_cast<uint32_t>(known - share_names_.begin());
        if (known == share_names_.end()) share_names_.push_back(name);
        if (auto filter = TextTemplate::parse(shared->filter)) entry.filter = std::move(*filter);
      }
      if (!entry.filter.pieces().empty()) {
        entry.numbered = true;
        const std::string& before = entry.filter.pieces().front().before;
        entry.level = static_cast<size_t>(std::count(before.begin(), before.end(), '/'));
        entry.before = before.substr(before.rfind('/') + 1);
      }
      entries_.push_back(std::move(entry));
    }
  }
  first_.push_back(next);
}

void Audience::of(std::string_view topic, std::vector<Receivers>& out, std::string& scratch) const {
  for (const Entry& entry : entries_) {
    const uint64_t count = scenario_.groups[entry.group].count;
    uint64_t number = 0;
    if (entry.numbered) {
      std::string_view level = level_of(topic, entry.level);
      if (!level.starts_with(entry.before)) continue;
      level.remove_prefix(entry.before.size());
      const auto [end, bad] = std::from_chars(level.data(), level.data() + level.size(), number);
      if (bad != std::errc() || end == level.data() || number >= count) continue;
    }
    scratch.clear();
    entry.filter.append_to(scratch, {.number = number});
    if (!mqtt::matches(scratch, topic)) continue;
    if (entry.share != Receivers::kNoShare) {
      const auto known = std::find_if(out.begin(), out.end(),
                                      [&](const Receivers& each) { return each.share == entry.share; });
      if (known == out.end()) {
        out.push_back({0, 0, entry.qos, entry.share});
      } else {
        known->qos = mqtt::lower(known->qos, entry.qos);  // whichever member gets it
      }
    } else if (entry.numbered) {
      cover(out, {first_[entry.group] + static_cast<ClientNumber>(number), 1, entry.qos});
    } else {
      cover(out, {first_[entry.group], static_cast<uint32_t>(count), entry.qos});
    }
  }
}

// Adds a row of clients. Where it overlaps with another there is one row for both, with the higher QoS.
void Audience::cover(std::vector<Receivers>& out, Receivers added) {
  for (size_t i = 0; i < out.size(); ++i) {
    const Receivers known = out[i];
    const ClientNumber from = std::max(known.first, added.first);
    const ClientNumber to = std::min(known.first + known.count, added.first + added.count);
    if (known.share != Receivers::kNoShare || from >= to) continue;
    out[i] = {from, to - from, std::max(known.qos, added.qos), known.share, known.matching + 1};
    for (const Receivers& whole : {known, added}) {
      Receivers rest = whole;
      rest.count = from - rest.first;
      if (rest.count > 0) cover(out, rest);
      rest.first = to;
      rest.count = whole.first + whole.count - to;
      if (rest.count > 0) cover(out, rest);
    }
    return;
  }
  out.push_back(added);
}

uint32_t Audience::share_of(size_t group, size_t subscription) const {
  for (const Entry& entry : entries_) {
    if (entry.group == group && entry.subscription == subscription) return entry.share;
  }
  return Receivers::kNoShare;
}

Audience::Member Audience::member(ClientNumber client) const {
  const auto after = std::upper_bound(first_.begin(), first_.end(), client);
  const auto group = static_cast<size_t>(after - first_.begin() - 1);
  return {group, client - first_[group]};
}

}  // namespace courier::load
