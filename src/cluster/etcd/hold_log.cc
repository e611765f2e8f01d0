#include "cluster/etcd/hold_log.h"

#include <utility>

#include "cluster/etcd/log_reading.h"

namespace courier::cluster::etcd {

Result<void> hold_log(Client& client, const Keys& keys, const Membership& membership, uint64_t cursor,
                      int64_t patience_ms) {
  const std::string& id = membership.self().id;
  api::TxnRequest request;
  api::Compare& mine = *request.add_compare();
  mine.set_key(keys.node(id));
  mine.set_target(api::Compare::CREATE);
  mine.set_create_revision(static_cast<int64_t>(membership.epoch().value));
  api::PutRequest& put = *request.add_success()->mutable_request_put();
  put.set_key(keys.done(id));
  put.set_value(encode_revision(cursor));
  const auto answer =
      client.insist<api::TxnResponse>(patience_ms, [&](auto then) { client.txn(request, std::move(then)); });
  if (!answer) return fail(answer.error());
  if (!answer->succeeded()) return fail(errc::fenced, "this node is no member of the cluster any more");
  while (true) {
    const Result<Listing> listing = list_log(client, keys, patience_ms);
    if (!listing && listing.error().code == make_error_code(errc::compacted)) continue;
    if (!listing) return fail(listing.error());
    return check_gap(*listing, cursor, keys);
  }
}

}  // namespace courier::cluster::etcd
