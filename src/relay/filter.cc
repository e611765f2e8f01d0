#include "relay/filter.h"

#include <algorithm>

#include "mqtt/topic.h"

namespace courier::relay {
namespace {

bool has(const std::vector<std::string>& list, std::string_view text) {
  return list.empty() || std::ranges::find(list, text) != list.end();
}

}  // namespace

bool Filter::passes(const Event& event) const {
  using events::Field;
  if (!has(settings_.events, event.text(Field::kind)) || !has(settings_.labels, event.text(Field::label)))
    return false;
  if (!event.text(Field::client_id).starts_with(settings_.client_id_prefix)) return false;
  const std::string_view topic = event.text(Field::topic);
  return settings_.topics.empty() ||
         (!topic.empty() && std::ranges::any_of(settings_.topics, [&](const std::string& each) {
           return mqtt::matches(each, topic);
         }));
}

}  // namespace courier::relay
