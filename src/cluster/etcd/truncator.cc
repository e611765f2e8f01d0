#include "cluster/etcd/truncator.h"

#include <algorithm>
#include <utility>

#include "base/log.h"

namespace courier::cluster::etcd {
namespace {

constexpr size_t kEndedPerTransaction = 100;  // etcd allows 128 operations

api::RangeRequest& add_range(api::TxnRequest& request, const std::string& key) {
  api::RangeRequest& range = *request.add_success()->mutable_request_range();
  range.set_key(key);
  return range;
}

void complain(const std::string& what, const Error& error) {
  static log::Limit limit{{.per_second = 1}};
  log::warn(limit, what, {{"error", error.message}});
}

}  // namespace

template <typename Response>
Client::Then<Response> Truncator::while_alive(std::function<void(Result<Response>)> then) {
  return [alive = std::weak_ptr<void>(alive_), then = std::move(then)](Result<Response> response) {
    if (!alive.expired()) then(std::move(response));
  };
}

void Truncator::start() {
  alive_ = std::make_shared<int>();
  look_timer_ = around_.client.engine().after(options_.every_ms, [this] { look(); });
}

void Truncator::stop() {
  alive_.reset();
  around_.client.engine().cancel(std::exchange(look_timer_, 0));
  around_.client.engine().cancel(std::exchange(publish_timer_, 0));
}

// --- What this node has done ---

void Truncator::done(uint64_t revision) {
  done_ = revision;
  if (publish_timer_ != 0 || !alive_ || published_ == done_) return;
  const int64_t since_ms = (boot_ns() - published_at_ns_) / kNsPerMs;
  publish_timer_ =
      around_.client.engine().after(std::max<int64_t>(0, kDoneMs - since_ms), [this] { publish(); });
}

void Truncator::publish() {
  published_at_ns_ = boot_ns();
  api::TxnRequest request;
  api::Compare& mine = *request.add_compare();  // an older run says nothing for this one
  mine.set_key(around_.keys.node(around_.node_id));
  mine.set_target(api::Compare::CREATE);
  mine.set_create_revision(static_cast<int64_t>(around_.epoch.value));
  api::PutRequest& put = *request.add_success()->mutable_request_put();
  put.set_key(around_.keys.done(around_.node_id));
  put.set_value(encode_revision(*done_));
  const uint64_t revision = *done_;
  around_.client.txn(
      std::move(request), while_alive<api::TxnResponse>([this, revision](Result<api::TxnResponse> answer) {
        publish_timer_ = 0;
        if (answer) {
          published_ = revision;
        } else {
          complain("what this node has stored could not be told to the others", answer.error());
        }
        if (published_ != done_) done(*done_);
      }));
}

// --- What may go ---

void Truncator::look() {
  look_timer_ = around_.client.engine().after(options_.every_ms, [this] { look(); });
  if (busy_) return;
  api::TxnRequest request;
  add_range(request, around_.keys.nodes()).set_range_end(end_of(around_.keys.nodes()));
  add_range(request, around_.keys.all_done()).set_range_end(end_of(around_.keys.all_done()));
  add_range(request, around_.keys.trimmed());
  busy_ = true;
  around_.client.txn(std::move(request),
                     while_alive<api::TxnResponse>([this](Result<api::TxnResponse> answer) {
                       busy_ = false;
                       if (answer) return plan(*answer);
                       complain("the log could not be looked at for truncation", answer.error());
                     }));
}

std::optional<Truncator::View> Truncator::view_of(const api::TxnResponse& response) const {
  if (response.responses_size() != 3) return std::nullopt;
  View view;
  for (const api::KeyValue& kv : response.responses(0).response_range().kvs()) {
    if (const auto id = around_.keys.node_of(kv.key())) {
      view.nodes[*id] = NodeEpoch(static_cast<uint64_t>(kv.create_revision()));
    }
  }
  for (const api::KeyValue& kv : response.responses(1).response_range().kvs()) {
    const auto id = around_.keys.done_of(kv.key());
    const Result<uint64_t> revision = decode_revision(kv.value());
    // What cannot be read holds everything back: rather too long a log than a gap.
    if (id) view.done[*id] = {revision ? *revision : 0, kv.mod_revision()};
  }
  for (const api::KeyValue& kv : response.responses(2).response_range().kvs()) {
    const Result<uint64_t> revision = decode_revision(kv.value());
    if (!revision) return std::nullopt;
    view.trimmed = *revision;
    view.trimmed_mod = kv.mod_revision();
  }
  return view;
}

// The least of what is done, over those that count.
uint64_t Truncator::needed_from(const View& view) {
  uint64_t sure = UINT64_MAX;    // living nodes
  uint64_t polite = UINT64_MAX;  // and those that are away, or have just come and not said anything
  std::map<std::string, MonoNs> absent;
  const MonoNs now = boot_ns();
  const auto wait_for = [&](const std::string& id, uint64_t revision) {
    const auto known = absent_since_.find(id);
    absent[id] = known == absent_since_.end() ? now : known->second;
    if (now - absent[id] < options_.absent_ms * kNsPerMs) polite = std::min(polite, revision);
  };
  for (const auto& [id, epoch] : view.nodes) {
    const auto done = view.done.find(id);
    if (done == view.done.end()) {
      wait_for(id, 0);
    } else {
      sure = std::min(sure, done->second.first);
    }
  }
  for (const auto& [id, done] : view.done) {
    if (!view.nodes.contains(id)) wait_for(id, done.first);
  }
  absent_since_ = std::move(absent);
  if (sure == UINT64_MAX) return 0;  // nobody lives, or nobody says
  if (polite < sure && around_.tail.bytes_after(polite) <= options_.bytes && !around_.space_is_short()) {
    return polite;
  }
  return sure;
}

void Truncator::plan(const api::TxnResponse& response) {
  const std::optional<View> view = view_of(response);
  if (!view) return;
  truncatable_ = std::max(truncatable_, needed_from(*view));
  around_.tail.drop(truncatable_);
  if (view->nodes.empty() || view->nodes.begin()->first != around_.node_id) return;  // not elected
  forget_long_gone(*view);
  if (truncatable_ <= truncated_) return;
  busy_ = true;
  list(std::make_shared<View>(*view), std::make_shared<Listing>(), around_.keys.log());
}

// A node that has been away for so long does not count any more, and is not listed for ever.
void Truncator::forget_long_gone(const View& view) {
  for (const auto& [id, since] : absent_since_) {
    const auto done = view.done.find(id);
    if (done == view.done.end() || view.nodes.contains(id)) continue;
    if (boot_ns() - since < options_.absent_ms * kNsPerMs) continue;
    api::TxnRequest request;
    api::Compare& absent = *request.add_compare();
    absent.set_key(around_.keys.node(id));
    absent.set_target(api::Compare::CREATE);
    absent.set_create_revision(0);
    api::Compare& same = *request.add_compare();
    same.set_key(around_.keys.done(id));
    same.set_target(api::Compare::MOD);
    same.set_mod_revision(done->second.second);
    request.add_success()->mutable_request_delete_range()->set_key(around_.keys.done(id));
    around_.client.txn(std::move(request), [](Result<api::TxnResponse>) {});
    log::warn("a node has been away for too long: the log does not wait for it any more", {{"node", id}});
  }
}

void Truncator::list(std::shared_ptr<View> view, std::shared_ptr<Listing> listing, std::string from) {
  api::RangeRequest request;
  request.set_key(from);
  request.set_range_end(end_of(around_.keys.log()));
  request.set_keys_only(true);
  request.set_limit(kListPage);
  request.set_revision(static_cast<int64_t>(listing->revision));
  around_.client.range(
      std::move(request),
      while_alive<api::RangeResponse>([this, view, listing](Result<api::RangeResponse> page) {
        if (!page) {
          busy_ = false;
          return complain("the log could not be listed for truncation", page.error());
        }
        listing->revision = static_cast<uint64_t>(page->header().revision());
        for (const api::KeyValue& kv : page->kvs()) {
          const auto key = around_.keys.log_of(kv.key());
          if (key)
            listing->epochs[key->epoch].push_back({key->seq, static_cast<uint64_t>(kv.mod_revision())});
        }
        if (page->more() && page->kvs_size() > 0) {
          return list(view, listing, page->kvs(page->kvs_size() - 1).key() + '\0');
        }
        truncate(*view, *listing);
      }),
      kListMs);
}

void Truncator::truncate(const View& view, const Listing& listing) {
  std::set<NodeEpoch> living;
  for (const auto& [id, epoch] : view.nodes) living.insert(epoch);
  std::vector<LogKey> ended;
  for (const auto& [epoch, places] : listing.epochs) {
    const auto end = std::find_if(places.begin(), places.end(),
                                  [&](const Listing::Place& place) { return place.revision > truncatable_; });
    if (end == places.begin()) continue;
    const Listing::Place& spared = *(end - 1);
    if (end - 1 != places.begin()) {
      api::DeleteRangeRequest request;
      request.set_key(around_.keys.log({epoch, places.front().seq}));
      request.set_range_end(around_.keys.log({epoch, spared.seq}));
      deletions_.push_back(std::move(request));
    }
    if (end == places.end() && !living.contains(epoch)) ended.push_back({epoch, spared.seq});
  }
  delete_ended(view, std::move(ended));
}

// First the mark, and what it stands for, then the rest.
void Truncator::delete_ended(const View& view, std::vector<LogKey> ended) {
  if (ended.empty()) return next_deletion();
  api::TxnRequest request;
  api::Compare& same = *request.add_compare();
  same.set_key(around_.keys.trimmed());
  same.set_target(api::Compare::MOD);
  same.set_mod_revision(view.trimmed_mod);
  for (size_t i = 0; i < std::min(ended.size(), kEndedPerTransaction); ++i) {
    request.add_success()->mutable_request_delete_range()->set_key(around_.keys.log(ended[i]));
    // It may have been listed before its epoch was seen to be over; nothing was put in it since.
    api::Compare& last = *request.add_compare();
    last.set_key(around_.keys.log({ended[i].epoch, ended[i].seq + 1}));
    last.set_target(api::Compare::CREATE);
    last.set_create_revision(0);
  }
  api::PutRequest& mark = *request.add_success()->mutable_request_put();
  mark.set_key(around_.keys.trimmed());
  mark.set_value(encode_revision(std::max(view.trimmed, truncatable_)));
  around_.client.txn(std::move(request),
                     while_alive<api::TxnResponse>([this](Result<api::TxnResponse> answer) {
                       // Without space that must wait; the rest must not.
                       if (!answer) complain("the last pieces of runs that are over stay", answer.error());
                       next_deletion();
                     }));
}

void Truncator::next_deletion() {
  if (deletions_.empty()) return compact();
  api::DeleteRangeRequest request = std::move(deletions_.front());
  deletions_.pop_front();
  around_.client.delete_range(
      std::move(request),
      while_alive<api::DeleteRangeResponse>([this](Result<api::DeleteRangeResponse> answer) {
        if (answer) return next_deletion();
        complain("the log could not be truncated; it is tried again", answer.error());
        deletions_.clear();
        busy_ = false;
      }),
      kListMs);
}

void Truncator::compact() {
  const uint64_t revision = truncatable_;
  around_.client.compact(
      static_cast<int64_t>(revision),
      while_alive<api::CompactionResponse>([this, revision](Result<api::CompactionResponse> answer) {
        busy_ = false;
        // Somebody else may have compacted further: an operator, or another node.
        if (!answer && answer.error().code != make_error_code(errc::compacted)) {
          return complain("etcd could not be told to compact; it is tried again", answer.error());
        }
        truncated_ = revision;
      }),
      kListMs);
}

}  // namespace courier::cluster::etcd
