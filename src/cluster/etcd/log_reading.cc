#include "cluster/etcd/log_reading.h"

#include <algorithm>
#include <utility>

namespace courier::cluster::etcd {
namespace {

struct Where {
  LogKey key;
  uint64_t revision = 0;
};

// These pieces as of `revision`, in the order asked for.
Result<std::vector<Arrival>> fetch(Client& client, const Keys& keys, const std::vector<Where>& places,
                                   uint64_t revision, int64_t patience_ms) {
  api::TxnRequest request;
  for (const Where& place : places) {
    api::RangeRequest& range = *request.add_success()->mutable_request_range();
    range.set_key(keys.log(place.key));
    range.set_revision(static_cast<int64_t>(revision));
  }
  auto answer = client.insist<api::TxnResponse>(
      patience_ms, [&](auto then) { client.txn(request, std::move(then), kListMs); });
  if (!answer) return fail(answer.error());
  std::vector<Arrival> arrivals;
  for (size_t i = 0; i < places.size(); ++i) {
    api::ResponseOp* response = static_cast<int>(i) < answer->responses_size()
                                    ? answer->mutable_responses(static_cast<int>(i))
                                    : nullptr;
    if (response == nullptr || response->response_range().kvs_size() != 1) {
      return fail(errc::protocol, "etcd does not show the key " + keys.log(places[i].key) +
                                      ", which it had as of revision " + std::to_string(revision));
    }
    api::KeyValue& kv = *response->mutable_response_range()->mutable_kvs(0);
    arrivals.push_back(
        {static_cast<uint64_t>(kv.mod_revision()), places[i].key, std::move(*kv.mutable_value())});
  }
  return arrivals;
}

// What this reader has seen of batches whose last piece is still to come.
Result<void> read_open_pieces(Client& client, const Keys& keys, const Listing& listing, uint64_t cursor,
                              Assembly& assembly, int64_t patience_ms) {
  for (const auto& [epoch, places] : listing.epochs) {
    const auto end = std::find_if(places.begin(), places.end(),
                                  [&](const Listing::Place& place) { return place.revision > cursor; });
    if (end == places.begin()) continue;
    const auto newest = end - 1;
    const auto found =
        fetch(client, keys, {{{epoch, newest->seq}, newest->revision}}, listing.revision, patience_ms);
    if (!found) return fail(found.error());
    const Result<Piece> piece = decode_piece(found->front().value);
    if (!piece) return fail(piece.error().within("the log's piece " + keys.log({epoch, newest->seq})));
    if (piece->last) continue;
    if (static_cast<ptrdiff_t>(piece->index) > newest - places.begin()) {
      return fail(errc::snapshot_needed, "the beginning of a batch that ends after revision " +
                                             std::to_string(cursor) + " was truncated");
    }
    for (auto at = newest - piece->index; at != end; ++at) {
      auto one = fetch(client, keys, {{{epoch, at->seq}, at->revision}}, listing.revision, patience_ms);
      if (!one) return fail(one.error());
      if (const auto added = assembly.add(one->front()); !added) return fail(added.error());
    }
  }
  return {};
}

}  // namespace

Result<Listing> list_log(Client& client, const Keys& keys, int64_t patience_ms) {
  Listing listing;
  api::RangeRequest request;
  request.set_key(keys.trimmed());
  const auto trimmed = client.insist<api::RangeResponse>(
      patience_ms, [&](auto then) { client.range(request, std::move(then), kListMs); });
  if (!trimmed) return fail(trimmed.error());
  listing.revision = static_cast<uint64_t>(trimmed->header().revision());
  if (trimmed->kvs_size() == 1) {
    const Result<uint64_t> revision = decode_revision(trimmed->kvs(0).value());
    if (!revision) return fail(revision.error().within(keys.trimmed()));
    listing.trimmed = *revision;
  }
  request.set_key(keys.log());
  request.set_range_end(end_of(keys.log()));
  request.set_keys_only(true);
  request.set_limit(kListPage);
  request.set_revision(trimmed->header().revision());
  while (true) {
    const auto page = client.insist<api::RangeResponse>(
        patience_ms, [&](auto then) { client.range(request, std::move(then), kListMs); });
    if (!page) return fail(page.error());
    for (const api::KeyValue& kv : page->kvs()) {
      const auto key = keys.log_of(kv.key());
      if (!key) return fail(errc::damaged, "etcd has a key that is no part of a log: " + kv.key());
      listing.epochs[key->epoch].push_back({key->seq, static_cast<uint64_t>(kv.mod_revision())});
    }
    if (!page->more() || page->kvs_size() == 0) return listing;
    request.set_key(page->kvs(page->kvs_size() - 1).key() + '\0');
  }
}

Result<void> check_gap(const Listing& listing, uint64_t cursor, const Keys& keys) {
  if (listing.revision < cursor) {
    return fail(errc::behind, "etcd stands at revision " + std::to_string(listing.revision) +
                                  ", and this node has seen revision " + std::to_string(cursor) +
                                  " of the cluster \"" + keys.cluster() +
                                  "\": etcd was restored from an older copy, or this node's data directory "
                                  "belongs to another etcd");
  }
  const auto gap = [&](uint64_t from) {
    const std::string has = cursor == 0
                                ? "this node has nothing yet: it needs another node's copy"
                                : "this node has everything up to revision " + std::to_string(cursor) +
                                      " only: it was away for too long, and needs another node's copy";
    return fail(errc::snapshot_needed, "the log of the cluster \"" + keys.cluster() +
                                           "\" begins at revision " + std::to_string(from) + ", and " + has);
  };
  if (listing.trimmed > cursor) return gap(listing.trimmed);
  for (const auto& [epoch, places] : listing.epochs) {
    if (places.front().seq > 0 && places.front().revision > cursor) return gap(places.front().revision);
  }
  return {};
}

Result<uint64_t> read_log(Client& client, const Keys& keys, uint64_t cursor, bool fresh, Assembly& assembly,
                          int64_t patience_ms, const std::function<Result<void>(Arrival&&)>& fold) {
  const auto compacted = [](const Error& error) { return error.code == make_error_code(errc::compacted); };
  while (true) {
    const Result<Listing> listing = list_log(client, keys, patience_ms);
    if (!listing && compacted(listing.error())) continue;
    if (!listing) return fail(listing.error());
    if (Result<void> whole = check_gap(*listing, cursor, keys); !whole) return fail(whole.error());
    if (fresh) {
      Assembly open;
      const Result<void> read = read_open_pieces(client, keys, *listing, cursor, open, patience_ms);
      if (!read && compacted(read.error())) continue;
      if (!read) return fail(read.error());
      assembly = std::move(open);
      fresh = false;
    }
    std::vector<Where> wanted;
    for (const auto& [epoch, places] : listing->epochs) {
      for (const Listing::Place& place : places) {
        if (place.revision > cursor) wanted.push_back({{epoch, place.seq}, place.revision});
      }
    }
    std::sort(wanted.begin(), wanted.end(), [](const Where& a, const Where& b) {
      return std::tie(a.revision, a.key.epoch, a.key.seq) < std::tie(b.revision, b.key.epoch, b.key.seq);
    });
    bool again = false;
    for (size_t at = 0; at < wanted.size() && !again;) {
      // A revision is not divided: what has been folded then ends with one.
      size_t end = std::min(at + kFetchPage, wanted.size());
      while (end < wanted.size() && wanted[end].revision == wanted[end - 1].revision) ++end;
      auto arrivals =
          fetch(client, keys,
                {wanted.begin() + static_cast<ptrdiff_t>(at), wanted.begin() + static_cast<ptrdiff_t>(end)},
                listing->revision, patience_ms);
      if (!arrivals && compacted(arrivals.error())) {
        again = true;
        break;
      }
      if (!arrivals) return fail(arrivals.error());
      for (Arrival& arrival : *arrivals) {
        const uint64_t revision = arrival.revision;
        if (Result<void> folded = fold(std::move(arrival)); !folded) return fail(folded.error());
        cursor = std::max(cursor, revision);
      }
      at = end;
    }
    if (!again) return listing->revision;
  }
}

}  // namespace courier::cluster::etcd
