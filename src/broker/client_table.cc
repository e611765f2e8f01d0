#include "broker/client_table.h"

#include <functional>

namespace courier::broker {

void FilterHashes::insert(uint64_t hash) {
  if (!many_ && (one_ == 0 || one_ == hash) && hash != 0) {
    one_ = hash;
    return;
  }
  std::vector<uint64_t>& many = many_.make();
  if (one_ != 0) many.push_back(std::exchange(one_, 0));
  const auto at = std::lower_bound(many.begin(), many.end(), hash);
  if (at == many.end() || *at != hash) many.insert(at, hash);
}

void FilterHashes::erase(uint64_t hash) {
  if (one_ == hash) one_ = 0;
  if (!many_) return;
  std::erase(many_.make(), hash);
  if (many_->empty()) many_.drop();
}

bool FilterHashes::contains(uint64_t hash) const {
  return (one_ != 0 && one_ == hash) || std::binary_search(many_->begin(), many_->end(), hash);
}

void FilterHashes::assign(std::vector<uint64_t> hashes) {
  one_ = 0;
  many_.drop();
  if (hashes.size() <= 1) {
    for (const uint64_t hash : hashes) insert(hash);
    return;
  }
  std::sort(hashes.begin(), hashes.end());
  many_.make() = std::move(hashes);
}

void Client::trim() {
  session.trim();
  // The end of a will outlives what else is under way: it counts until the next ATTACH.
  if (work && work->leaving == 0 && work->acked.empty() && work->completed.empty() &&
      (!work->will_settled || work->will_settled != session.attach)) {
    work.drop();
  }
}

size_t ClientTable::Hash::operator()(const Name& name) const {
  const std::hash<std::string_view> hash;
  return hash(name.mountpoint) * 0x9E3779B97F4A7C15ull ^ hash(name.client_id);
}

ClientTable::Name ClientTable::Equal::name_of(const Named& named) {
  return {named.client->session.mountpoint, named.client->session.client_id};
}

Client& ClientTable::add(session::Session session) {
  auto owned = std::make_unique<Client>();
  owned->session = std::move(session);
  Client& client = *owned;
  client.place = static_cast<uint32_t>(all_.size());
  all_.push_back(std::move(owned));
  by_id_.insert_or_assign(client.session.id, &client);
  const Named named{Hash()(Name{client.session.mountpoint, client.session.client_id}), &client};
  if (const auto [at, added] = by_name_.insert(named); !added) {
    by_name_.erase(at);
    by_name_.insert(named);
  }
  return client;
}

void ClientTable::erase(Client& client) {
  const auto name = by_name_.find(Name{client.session.mountpoint, client.session.client_id});
  if (name != by_name_.end() && name->client == &client) by_name_.erase(name);
  by_id_.erase(client.session.id);
  const uint32_t place = client.place;
  std::swap(all_[place], all_.back());
  all_[place]->place = place;
  all_.pop_back();
}

Client* ClientTable::find(SessionId id) const {
  const auto it = by_id_.find(id);
  return it == by_id_.end() ? nullptr : it->second;
}

Client* ClientTable::find(std::string_view mountpoint, std::string_view client_id) const {
  const auto it = by_name_.find(Name{mountpoint, client_id});
  return it == by_name_.end() ? nullptr : it->client;
}

}  // namespace courier::broker
