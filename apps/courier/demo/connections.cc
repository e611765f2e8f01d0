#include "courier/demo/connections.h"

#include <algorithm>
#include <utility>

namespace courier::cli::demo {

Connections::Connections(size_t nodes, size_t phones)
    : nodes_(nodes), numbers_(phones), made_(phones), places_(phones), awaited_(phones) {}

void Connections::connected(size_t phone, size_t node, MonoNs now) {
  end(phone);
  numbers_[phone] = ++made_[phone];
  places_[phone] = node;
  ++count_;
  if (!awaited_[phone]) return;
  awaited_[phone] = false;
  --awaited_count_;
  nodes_[node].came_back.push_back(now - killed_at_);
}

void Connections::dropped(size_t phone) {
  if (numbers_[phone] == 0) return;
  ++nodes_[places_[phone]].dropped;
  end(phone);
}

void Connections::killed(size_t node, MonoNs now) {
  killed_at_ = now;
  for (size_t phone = 0; phone < numbers_.size(); ++phone) {
    if (numbers_[phone] == 0) continue;
    ++nodes_[places_[phone]].at_kill;
    if (places_[phone] != node) continue;
    end(phone);
    awaited_[phone] = true;
    ++awaited_count_;
  }
}

MonoNs Connections::last_came_back() const {
  MonoNs last = 0;
  for (const AtNode& node : nodes_) {
    for (const MonoNs after : node.came_back) last = std::max(last, after);
  }
  return last;
}

void Connections::end(size_t phone) {
  if (std::exchange(numbers_[phone], 0) != 0) --count_;
}

}  // namespace courier::cli::demo
