#include "broker/client_table.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "broker/sleeper.h"

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
  // The end of a will outlives what else is under way: it counts while the will is here.
  if (work && work->leaving == 0 && work->acked.empty() && work->completed.empty() &&
      (!session.will || work->will_settled != session.attach)) {
    work.drop();
  }
}

ClientTable::~ClientTable() {
  by_id_.for_each([](Place place) {
    if (!place.marked()) delete awake(place);
  });
}

uint64_t ClientTable::name_hash(std::string_view mountpoint, std::string_view client_id) const {
  const uint64_t key = mountpoint.empty() ? hash_key_ : routing::keyed_hash(hash_key_, mountpoint);
  return routing::keyed_hash(key, client_id);
}

uint64_t ClientTable::name_hash(const Client& client) const {
  return name_hash(client.session.mountpoint, client.session.client_id);
}

uint64_t ClientTable::name_hash(const std::byte* block) const {
  const Sleeper sleeper = Sleeper::read_name(block);
  return name_hash(mountpoints_[sleeper.mountpoint], sleeper.client_id);
}

SessionId ClientTable::id_of(Place place) {
  return place.marked() ? Sleeper::id_of(asleep(place)) : awake(place)->session.id;
}

ClientTable::Place ClientTable::find_place(SessionId id) const {
  return by_id_.find(id_hash(id), [id](Place place) { return id_of(place) == id; });
}

ClientTable::Place ClientTable::find_place(std::string_view mountpoint, std::string_view client_id) const {
  return by_name_.find(name_hash(mountpoint, client_id), [&](Place place) {
    if (!place.marked()) {
      const session::Session& session = awake(place)->session;
      return session.client_id == client_id && session.mountpoint == mountpoint;
    }
    const Sleeper sleeper = Sleeper::read_name(asleep(place));
    return sleeper.client_id == client_id && mountpoints_[sleeper.mountpoint] == mountpoint;
  });
}

uint32_t ClientTable::number_of(const Name& mountpoint) {
  if (mountpoint.empty()) return 0;
  const auto [at, added] =
      mountpoint_numbers_.try_emplace(mountpoint.str(), static_cast<uint32_t>(mountpoints_.size()));
  if (added) mountpoints_.push_back(mountpoint);
  return at->second;
}

void ClientTable::insert(Place place, uint64_t id_hash, uint64_t name_hash) {
  by_id_.insert(id_hash, place);
  by_name_.insert(name_hash, place);
  ++size_;
}

Client& ClientTable::add(session::Session session) {
  auto* client = new Client();
  client->session = std::move(session);
  const session::Session& now = client->session;
  const uint64_t named = name_hash(*client);
  if (const Place before = find_place(now.mountpoint, now.client_id)) by_name_.erase(named, before);
  insert(Place(client, false), id_hash(now.id), named);
  return *client;
}

void ClientTable::restore(Client client) {
  const session::Session& session = client.session;
  const uint64_t named = name_hash(client);
  if (const Place before = find_place(session.mountpoint, session.client_id)) by_name_.erase(named, before);
  const std::byte* block = put_to_bed(client);
  const Place place = block ? Place(block, true) : Place(new Client(std::move(client)), false);
  insert(place, id_hash(id_of(place)), named);
}

void ClientTable::restore(SessionId id, std::span<const uint64_t> filter_hashes) {
  const Place place = find_place(id);
  if (!place) return;
  if (place.marked() && filter_hashes.size() == 1 && filter_hashes.front() != 0) {
    Sleeper::set_filter(asleep(place), filter_hashes.front());
    return;
  }
  Client& client = place.marked() ? wake(asleep(place)) : *awake(place);
  client.session.subscription_count = static_cast<uint32_t>(filter_hashes.size());
  client.filters.assign({filter_hashes.begin(), filter_hashes.end()});
  fall_asleep(client);
}

void ClientTable::erase(Client& client) {
  const Place place(&client, false);
  const uint64_t named = name_hash(client);
  const Place of_name = by_name_.find(named, [place](Place found) { return found == place; });
  if (of_name) by_name_.erase(named, place);
  by_id_.erase(id_hash(client.session.id), place);
  --size_;
  delete &client;
}

Client* ClientTable::find(SessionId id) {
  const Place place = find_place(id);
  if (!place.marked()) return awake(place);
  woken_.push_back(id);
  return &wake(asleep(place));
}

Client* ClientTable::find_to_change(SessionId id) {
  const Place place = find_place(id);
  return place.marked() ? &wake(asleep(place)) : awake(place);
}

Client* ClientTable::find(std::string_view mountpoint, std::string_view client_id) {
  const Place place = find_place(mountpoint, client_id);
  if (!place.marked()) return awake(place);
  woken_.push_back(id_of(place));
  return &wake(asleep(place));
}

Client* ClientTable::find_awake(SessionId id) const {
  const Place place = find_place(id);
  return place.marked() ? nullptr : awake(place);
}

Client* ClientTable::find_awake(std::string_view mountpoint, std::string_view client_id) const {
  const Place place = find_place(mountpoint, client_id);
  return place.marked() ? nullptr : awake(place);
}

bool ClientTable::sleeps(SessionId id) const {
  return find_place(id).marked();
}

NodeEpoch ClientTable::node_of(SessionId id) const {
  const Place place = find_place(id);
  if (!place) return {};
  return place.marked() ? Sleeper::read(asleep(place)).node : awake(place)->session.node;
}

WallMs ClientTable::deadline(SessionId id) const {
  const Place place = find_place(id);
  if (!place) return session::Session::kNever;
  return place.marked() ? Sleeper::read(asleep(place)).deadline : awake(place)->deadline;
}

void ClientTable::fetch_session(SessionId id) const {
  const Place place = by_id_.guess(id_hash(id));
  const char* begin = static_cast<const char*>(place.get());
  if (!begin) return;
  for (size_t line = 0; line < (place.marked() ? 2 : sizeof(Client) / 64 + 1); ++line) {
    __builtin_prefetch(begin + line * 64);
  }
}

void ClientTable::fetch_name(SessionId id) const {
  const Place place = by_id_.guess(id_hash(id));
  if (!place) return;
  by_name_.prefetch(place.marked() ? name_hash(asleep(place)) : name_hash(*awake(place)));
}

void ClientTable::show(const std::byte* block, Client& into) const {
  const Sleeper sleeper = Sleeper::read(block);
  unpack(sleeper, into);
  into.session.mountpoint = mountpoints_[sleeper.mountpoint];
}

Client& ClientTable::wake(std::byte* block) {
  const uint64_t named = name_hash(block);
  by_name_.prefetch(named);
  auto* client = new Client();
  show(block, *client);
  const Place before(block, true), now(client, false);
  CHECK(by_id_.replace(id_hash(client->session.id), before, now));
  by_name_.replace(named, before, now);
  if (std::byte* moved_from = sleepers_.remove(block)) {
    const Place moved(moved_from, true);
    CHECK(by_id_.replace(id_hash(Sleeper::id_of(block)), moved, before));
    by_name_.replace(name_hash(block), moved, before);
    // The next that wakes is likely of this size: what moves then is already known.
    if (const std::byte* next = sleepers_.last_of(block)) {
      by_id_.prefetch(id_hash(Sleeper::id_of(next)));
      by_name_.prefetch(name_hash(next));
    }
  }
  --asleep_;
  return *client;
}

std::byte* ClientTable::put_to_bed(const Client& client) {
  if (!may_sleep(client)) return nullptr;
  pack(client, number_of(client.session.mountpoint), packed_);
  if (packed_.size() > DenseBlocks::kBytesMax) return nullptr;
  std::byte* block = sleepers_.add(packed_.size());
  std::memcpy(block + 1, packed_.data() + 1, packed_.size() - 1);
  ++asleep_;
  return block;
}

bool ClientTable::fall_asleep(Client& client) {
  const uint64_t named = name_hash(client);
  by_name_.prefetch(named);
  const std::byte* block = put_to_bed(client);
  if (!block) return false;
  const Place before(&client, false), now(block, true);
  CHECK(by_id_.replace(id_hash(client.session.id), before, now));
  by_name_.replace(named, before, now);
  delete &client;
  return true;
}

}  // namespace courier::broker
