#include "courier/demo/ledger.h"

#include <algorithm>
#include <cmath>

namespace courier::cli::demo {

Ledger::Ledger(const Orders& orders, size_t phones) : orders_(orders) {
  const size_t merchants = orders.merchants.size();
  phones_of_.resize(merchants);
  merchants_of_.resize(phones);
  for (size_t i = 0; i < std::max(merchants, phones); ++i) {
    phones_of_[i % merchants].push_back(static_cast<uint32_t>(i % phones));
    merchants_of_[i % phones].push_back(static_cast<uint32_t>(i % merchants));
  }
  fates_.resize(orders.orders.size());
  size_t entries = 0;
  for (size_t i = 0; i < orders.orders.size(); ++i) {
    fates_[i].entries = entries;
    entries += phones_of_[orders.orders[i].merchant].size();
    by_id_.emplace(orders.orders[i].id, i);
  }
  entries_.resize(entries);
}

void Ledger::published(size_t order, MonoNs scheduled, const std::vector<uint32_t>& connections) {
  Fate& fate = fates_[order];
  fate.published = true;
  fate.scheduled = scheduled;
  ++counts_.published;
  const auto& phones = phones_of_[orders_.orders[order].merchant];
  for (size_t i = 0; i < phones.size(); ++i) entries_[fate.entries + i].connection = connections[phones[i]];
}

void Ledger::sent(size_t order) {
  Fate& fate = fates_[order];
  if (fate.sent) return;
  fate.sent = true;
  ++counts_.sent;
  const size_t phones = phones_of_[orders_.orders[order].merchant].size();
  counts_.expected += phones;
  // An answer may overtake the PUBACK.
  for (size_t i = 0; i < phones; ++i) acked_of_sent_ += entries_[fate.entries + i].acked;
}

void Ledger::refused(size_t) {
  ++counts_.refused;
}

Ledger::Entry* Ledger::find(size_t phone, const std::string& id, size_t& order) {
  const auto found = by_id_.find(id);
  if (found == by_id_.end() || !fates_[found->second].published) return nullptr;
  order = found->second;
  const auto& phones = phones_of_[orders_.orders[order].merchant];
  const auto place = std::find(phones.begin(), phones.end(), phone);
  if (place == phones.end()) return nullptr;
  return &entries_[fates_[order].entries + static_cast<size_t>(place - phones.begin())];
}

bool Ledger::shown(size_t phone, const std::string& id, MonoNs now, uint32_t connection) {
  size_t order = 0;
  Entry* entry = find(phone, id, order);
  if (entry == nullptr) {
    ++counts_.strays;
    return false;
  }
  if (entry->shown) {
    ++counts_.shown_again;
    return true;
  }
  entry->shown = true;
  ++counts_.delivered;
  const MonoNs latency = now - fates_[order].scheduled;
  Latencies& latencies = crashed_ ? after_crash_ : before_crash_;
  latencies.all.push_back(latency);
  if (entry->connection == connection && connection != 0) latencies.connected.push_back(latency);
  return true;
}

bool Ledger::acked(size_t phone, const std::string& id) {
  size_t order = 0;
  Entry* entry = find(phone, id, order);
  if (entry == nullptr) {
    ++counts_.strays;
    return false;
  }
  if (entry->acked) {
    ++counts_.acked_again;
    return true;
  }
  entry->acked = true;
  ++counts_.acked;
  acked_of_sent_ += fates_[order].sent;
  return true;
}

bool Ledger::complete() const {
  return counts_.sent + counts_.refused == orders_.orders.size() && promised() == 0;
}

uint64_t Ledger::lost() const {
  uint64_t lost = 0;
  for (size_t i = 0; i < fates_.size(); ++i) {
    if (!fates_[i].sent) continue;
    const size_t phones = phones_of_[orders_.orders[i].merchant].size();
    for (size_t k = 0; k < phones; ++k) {
      const Entry& entry = entries_[fates_[i].entries + k];
      lost += !entry.shown || !entry.acked;
    }
  }
  return lost;
}

std::vector<std::string> Ledger::lost_ids(size_t most) const {
  std::vector<std::string> ids;
  for (size_t i = 0; i < fates_.size() && ids.size() < most; ++i) {
    if (!fates_[i].sent) continue;
    const auto& phones = phones_of_[orders_.orders[i].merchant];
    for (size_t k = 0; k < phones.size() && ids.size() < most; ++k) {
      const Entry& entry = entries_[fates_[i].entries + k];
      if (entry.shown && entry.acked) continue;
      ids.push_back(orders_.orders[i].id + (entry.shown ? " (shown, its answer lost)" : " (never shown)"));
    }
  }
  return ids;
}

MonoNs percentile(std::vector<MonoNs> values, double share) {
  if (values.empty()) return 0;
  const auto rank = static_cast<size_t>(std::ceil(share * static_cast<double>(values.size())));
  const auto place = values.begin() + static_cast<ptrdiff_t>(std::max<size_t>(rank, 1) - 1);
  std::nth_element(values.begin(), place, values.end());
  return *place;
}

}  // namespace courier::cli::demo
