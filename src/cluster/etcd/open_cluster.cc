#include "cluster/etcd/open_cluster.h"

#include <charconv>
#include <utility>

namespace courier::cluster::etcd {
namespace {

constexpr int kMajorMin = 3, kMinorMin = 4;

bool new_enough(std::string_view version) {
  int major = 0, minor = 0;
  const char* const end = version.data() + version.size();
  const auto [dot, bad_major] = std::from_chars(version.data(), end, major);
  if (bad_major != std::errc() || dot == end || *dot != '.') return false;
  if (std::from_chars(dot + 1, end, minor).ec != std::errc()) return false;
  return major > kMajorMin || (major == kMajorMin && minor >= kMinorMin);
}

// What a server that is no gRPC server makes of our calls is told in many ways; none of them gets better.
Error plainer(const Error& error, const Client& client) {
  if (error.code != make_error_code(errc::unavailable)) return error;
  // gRPC's words for a peer that closes the connection or talks HTTP/1 at it.
  for (const std::string_view sign : {"Trying to connect an http1.x server", "http2 frame", "HTTP/1"}) {
    if (error.message.find(sign) == std::string::npos) continue;
    return {make_error_code(errc::unsupported),
            "what answers at " + client.endpoints_text() +
                " does not speak etcd's v3 API over gRPC (is it another service, an etcd that only offers "
                "the v2 API, or is TLS on at one end only?): " +
                error.message};
  }
  return {make_error_code(errc::unavailable),
          "no etcd with a quorum answers at " + client.endpoints_text() + ": " + error.message};
}

Error unusable(const Error& error, const Keys& keys) {
  return error.within("the cluster \"" + keys.cluster() + "\" cannot be joined");
}

}  // namespace

Result<EngineReport> check_engine(Client& client, int64_t patience_ms) {
  const auto status =
      client.insist<api::StatusResponse>(patience_ms, [&](auto then) { client.status(std::move(then)); });
  if (!status) return fail(plainer(status.error(), client));
  EngineReport report{status->version(), status->header().cluster_id(), 0};
  if (!new_enough(report.version)) {
    return fail(errc::unsupported, "etcd at " + client.endpoints_text() + " has version \"" + report.version +
                                       "\"; Courier needs 3.4 or newer");
  }
  const auto members = client.insist<api::MemberListResponse>(
      patience_ms, [&](auto then) { client.members(std::move(then)); });
  if (!members) return fail(plainer(members.error(), client));
  report.members = static_cast<size_t>(members->members_size());
  // A read that needs a quorum and the right to read our keys. (Any key of ours does: it need not be there.)
  api::RangeRequest request;
  request.set_key("/courier/");
  const auto read = client.insist<api::RangeResponse>(
      patience_ms, [&](auto then) { client.range(request, std::move(then)); });
  // Rights may cover one cluster's keys only; that they do not cover this one says nothing.
  if (!read && read.error().message.find("permission denied") == std::string::npos) {
    return fail(plainer(read.error(), client));
  }
  for (const auto& other : client.statuses()) {
    if (other.second.header().cluster_id() == report.cluster_id) continue;
    return fail(errc::other_cluster, "the endpoints " + client.endpoints_text() +
                                         " are not of one etcd cluster: " + other.first +
                                         " belongs to another one");
  }
  return report;
}

Result<FoundCluster> find_cluster(Client& client, const Keys& keys, int64_t patience_ms) {
  api::TxnRequest request;
  api::Compare& absent = *request.add_compare();
  absent.set_key(keys.meta());
  absent.set_target(api::Compare::CREATE);
  absent.set_create_revision(0);
  api::RangeRequest& any = *request.add_success()->mutable_request_range();
  any.set_key(keys.prefix());
  any.set_range_end(end_of(keys.prefix()));
  any.set_limit(1);
  any.set_keys_only(true);
  request.add_failure()->mutable_request_range()->set_key(keys.meta());

  const auto answer =
      client.insist<api::TxnResponse>(patience_ms, [&](auto then) { client.txn(request, std::move(then)); });
  if (!answer) return fail(plainer(answer.error(), client));
  if (answer->responses_size() != 1 ||
      (!answer->succeeded() && answer->responses(0).response_range().kvs_size() != 1)) {
    return fail(errc::protocol,
                "etcd at " + client.endpoints_text() + " does not show the key " + keys.meta());
  }
  const api::RangeResponse& range = answer->responses(0).response_range();
  FoundCluster found{{}, false, static_cast<uint64_t>(answer->header().revision())};
  if (answer->succeeded()) {
    found.left_over = range.kvs_size() > 0;
    return found;
  }
  Result<Meta> meta = decode_meta(range.kvs(0).value());
  if (!meta) return fail(unusable(meta.error(), keys));
  found.meta = *std::move(meta);
  return found;
}

std::string left_over_keys(const Keys& keys) {
  return "etcd has no cluster \"" + keys.cluster() + "\", but keys that begin with " + keys.prefix() +
         ", of one that is gone. Delete them (etcdctl del --prefix " + keys.prefix() +
         ") or take another name";
}

Result<void> begin_with_state(Client& client, const Keys& keys, const Meta& meta, uint64_t revision,
                              int64_t patience_ms) {
  api::TxnRequest request;
  api::Compare& absent = *request.add_compare();
  absent.set_key(keys.prefix());
  absent.set_range_end(end_of(keys.prefix()));
  absent.set_target(api::Compare::CREATE);
  absent.set_create_revision(0);
  const auto put = [&](const std::string& key, std::string value) {
    api::PutRequest& put = *request.add_success()->mutable_request_put();
    put.set_key(key);
    put.set_value(std::move(value));
  };
  put(keys.meta(), encode(meta));
  put(keys.trimmed(), encode_revision(revision));
  request.add_failure()->mutable_request_range()->set_key(keys.meta());

  const auto answer =
      client.insist<api::TxnResponse>(patience_ms, [&](auto then) { client.txn(request, std::move(then)); });
  if (!answer) return fail(plainer(answer.error(), client));
  if (answer->succeeded()) return {};
  const bool any = answer->responses_size() == 1 && answer->responses(0).response_range().kvs_size() == 1;
  // An answer that got lost, and the next attempt finds what the first one has done.
  if (any) {
    const Result<Meta> found = decode_meta(answer->responses(0).response_range().kvs(0).value());
    if (found && found->id == meta.id) return {};
  }
  return fail(errc::other_cluster,
              any ? "there is a cluster \"" + keys.cluster() + "\" in etcd by now: somebody else began it"
                  : left_over_keys(keys));
}

Result<Meta> open_cluster(Client& client, const Keys& keys, const Meta& wanted, int64_t patience_ms) {
  api::TxnRequest request;
  api::Compare& absent = *request.add_compare();
  absent.set_key(keys.meta());
  absent.set_target(api::Compare::CREATE);
  absent.set_create_revision(0);
  api::PutRequest& put = *request.add_success()->mutable_request_put();
  put.set_key(keys.meta());
  put.set_value(encode(wanted));
  request.add_failure()->mutable_request_range()->set_key(keys.meta());

  const auto answer =
      client.insist<api::TxnResponse>(patience_ms, [&](auto then) { client.txn(request, std::move(then)); });
  if (!answer) return fail(plainer(answer.error(), client));
  if (answer->succeeded()) return wanted;
  if (answer->responses_size() != 1 || answer->responses(0).response_range().kvs_size() != 1) {
    return fail(errc::protocol,
                "etcd at " + client.endpoints_text() + " does not show the key " + keys.meta());
  }
  Result<Meta> found = decode_meta(answer->responses(0).response_range().kvs(0).value());
  if (!found) return fail(unusable(found.error(), keys));
  if (found->partitions != wanted.partitions) {
    return fail(errc::other_cluster,
                "the cluster \"" + keys.cluster() + "\" was created with " +
                    std::to_string(found->partitions) + " partitions, and this node is configured for " +
                    std::to_string(wanted.partitions) +
                    "; that number cannot be changed: set it to what the cluster has, or give the new "
                    "cluster another name");
  }
  return found;
}

}  // namespace courier::cluster::etcd
