#include "mesh/hub.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/check.h"
#include "base/log.h"
#include "mesh/errc.h"
#include "net/errc.h"

namespace courier::mesh {

namespace {

MonoNs mono_ns() {
  return system_clock().mono_ns();
}

uint64_t random_number() {
  std::random_device device;
  return uint64_t{device()} << 32 | device();
}

}  // namespace

Hub::Hub(Setup setup, MonoNs now)
    : options_(setup.options),
      limits_(options_.limits),
      registry_(setup.registry),
      core_(std::move(setup.core)),
      loop_(*core_->loop),
      tls_server_(std::move(setup.tls_server)),
      tls_client_(std::move(setup.tls_client)),
      self_(setup.self),
      handler_(setup.handler),
      counters_(registry_),
      random_(random_number()),
      instance_(random_()),
      timers_(now),
      read_room_(kReadBytes, '\0'),
      shared_{loop_, timers_, counters_, read_room_, plain_},
      listener_(std::move(setup.listener)) {
  door_opens_.fire = [this] { loop_.modify(listener_.fd(), door_, net::kReadable); };
}

Hub::~Hub() {
  CHECK(connections_.empty() && members_.empty());
}

void Hub::run() {
  if (auto added = loop_.add(listener_.fd(), door_, net::kReadable); !added) {
    log::error("the mesh does not listen", {{"error", added.error().message}});
  }
  while (!quits_) turn();
  // What was asked until now is answered; who asks from now on is told at once.
  core_->tasks.close();
  core_->tasks.drain(tasks_);
  for (Tasks::Task& task : tasks_) task(*this);
  tasks_.clear();
  end();
}

void Hub::turn() {
  const auto due = timers_.next_due();
  loop_.run_once(due ? std::max<MonoNs>(*due - mono_ns(), 0) : net::EventLoop::kForever);
  core_->tasks.drain(tasks_);
  for (Tasks::Task& task : tasks_) task(*this);
  // What they captured goes now, not when the next ones come.
  tasks_.clear();
  send_messages();
  timers_.advance(mono_ns(), [](Timer& timer) {
    const std::function<void()> fire = timer.fire;  // the timer may end with what it fires
    fire();
  });
  // Each that has nothing to say looks at three empty queues: there are no more of them than nodes.
  for (auto& [serial, connection] : connections_) connection.link->write_queued();
  for (const uint64_t serial : removed_) connections_.erase(serial);
  removed_.clear();
}

void Hub::end() {
  core_->peers.set({});
  for (auto& [epoch, entry] : members_) {
    timers_.cancel(entry->redial);
    set_down(*entry);
  }
  const Error stopped(make_error_code(errc::stopped), "this node stops");
  for (auto& [serial, connection] : connections_) {
    if (connection.calls) connection.calls->fail_all(stopped);
    connection.link->close();
  }
  connections_.clear();
  removed_.clear();
  members_.clear();
  pending_.clear();
  timers_.cancel(door_opens_);
  count_links();
}

Hub::Connection* Hub::find(uint64_t serial) {
  const auto found = connections_.find(serial);
  return found == connections_.end() ? nullptr : &found->second;
}

// --- Tasks and messages ---

void Hub::send_messages() {
  if (!core_->outgoing.drain(outgoing_)) return;
  for (Outgoing& one : outgoing_) {
    const auto found = members_.find(one.peer->epoch);
    if (found != members_.end() && found->second->peer == one.peer && is_up(*found->second)) {
      found->second->link->messages(std::move(one));
      continue;
    }
    one.peer->queued.fetch_sub(one.bytes.size(), std::memory_order_relaxed);
    counters_.drops.link_lost.add(one.messages);
  }
  outgoing_.clear();
}

void Hub::set_members(std::vector<Member> members) {
  std::erase_if(members, [this](const Member& member) { return member.epoch == self_; });
  // Who has left.
  std::erase_if(members_, [&](auto& at) {
    Entry& entry = *at.second;
    const bool stays = std::ranges::any_of(
        members, [&](const Member& member) { return member.epoch == entry.member.epoch; });
    if (stays) return false;
    timers_.cancel(entry.redial);
    if (Link* const link = entry.link) {
      log::info("a member has left: its link is closed",
                {{"peer", entry.member.id}, {"epoch", entry.member.epoch.value}});
      link->close();
      remove(*link);
    }
    return true;
  });
  // Who has come.
  Peers::List peers;
  std::vector<Entry*> to_dial;
  for (Member& member : members) {
    std::unique_ptr<Entry>& entry = members_[member.epoch];
    if (entry) {
      entry->member.address = std::move(member.address);
      continue;
    }
    entry = std::make_unique<Entry>();
    entry->peer = std::make_shared<Peer>(member.id, member.epoch);
    Gauge*& gauge = up_gauges_[member.id];
    if (gauge == nullptr) gauge = &Counters::link_up(registry_, member.id);
    entry->redial.fire = [this, at = entry.get()] { dial(*at); };
    newest_ = std::max(newest_, member.epoch);
    if (member.epoch < self_) to_dial.push_back(entry.get());
    entry->member = std::move(member);
  }
  for (const auto& [epoch, entry] : members_) peers.push_back(entry->peer);
  core_->peers.set(std::move(peers));
  for (Entry* const entry : to_dial) dial(*entry);
  // Who was quicker than this news.
  for (const uint64_t serial : std::vector(pending_)) {
    Connection* const connection = find(serial);
    if (connection == nullptr || !connection->held) continue;
    connection->held = false;
    admit(*connection->link);
  }
  count_links();
}

void Hub::request(NodeEpoch to, uint16_t kind, std::string_view body, MonoNs timeout, OnAnswer on_answer) {
  const auto found = members_.find(to);
  const auto fails = [&](errc code, std::string why) {
    on_answer({.kind = Answer::Kind::failed, .error = Error(make_error_code(code), std::move(why))});
  };
  if (body.size() > kRequestBytesMax) return fails(errc::too_large, "the request is too large");
  if (found == members_.end() || !is_up(*found->second)) {
    return fails(errc::no_link, fmt::format("there is no link to the node of epoch {}", to.value));
  }
  connection_of(*found->second->link).calls->ask(kind, body, timeout, std::move(on_answer));
}

void Hub::reply_piece(uint64_t link, uint64_t id, std::string_view piece) {
  if (Connection* const at = find(link); at && at->calls) at->calls->send_piece(id, piece);
}

void Hub::reply_over(uint64_t link, uint64_t id, bool failed, std::string_view why) {
  if (Connection* const at = find(link); at && at->calls) at->calls->send_over(id, failed, why);
}

void Hub::worked_off(uint64_t link, uint64_t id, size_t bytes) {
  if (Connection* const at = find(link); at && at->calls) at->calls->worked_off(id, bytes);
}

// --- Up ---

void Hub::set_up(Link& link, Entry& entry) {
  Connection& connection = connection_of(link);
  std::erase(pending_, link.serial);
  connection.entry = &entry;
  connection.calls = std::make_unique<Calls>(link, timers_, core_);
  entry.link = &link;
  entry.up_since = link.heard_at = mono_ns();
  entry.told.clear();
  link.set_up();
  link.timer.fire = [this, &link] { ping(link); };
  timers_.arm(link.timer, mono_ns() + limits_.ping_ns);
  entry.peer->up.store(true, std::memory_order_release);
  count_links();
  log::info("a link to another node is up", {{"peer", entry.member.id},
                                             {"epoch", entry.member.epoch.value},
                                             {"address", link.address().to_string()},
                                             {"dialled", link.dialled}});
  handler_.on_link(entry.member.epoch, true);
}

void Hub::set_down(Entry& entry) {
  entry.peer->up.store(false, std::memory_order_release);
}

void Hub::ping(Link& link) {
  const MonoNs now = mono_ns();
  if (now - link.heard_at >= limits_.silent_ns) {
    link.close();
    on_lost(link, Error(make_error_code(errc::link_lost), "nothing was heard of it for too long"));
    return;
  }
  link.urgent(encode_number(FrameType::ping, static_cast<uint64_t>(now)));
  timers_.arm(link.timer, now + limits_.ping_ns);
}

Result<void> Hub::on_frame(Link& link, FrameType type, std::string_view body) {
  if (link.state() != Link::State::up) {
    if (type == FrameType::hello && !link.introduced) return on_hello(link, body);
    if (type == FrameType::refuse && link.dialled) return on_refuse(link, body);
    return fail(errc::bad_frame, "something else than a hello");
  }
  Calls& calls = *connection_of(link).calls;
  switch (type) {
    case FrameType::hello:
    case FrameType::refuse:
      return fail(errc::bad_frame, "a second hello");
    case FrameType::deliver:
      return on_deliver(link, body);
    case FrameType::request:
      return on_request(link, body);
    case FrameType::ping:
    case FrameType::pong:
    case FrameType::ended:
    case FrameType::cancel: {
      const auto number = decode_number(body);
      if (!number) return fail(number.error());
      if (type == FrameType::ping) {
        link.urgent(encode_number(FrameType::pong, *number));
      } else if (type == FrameType::pong) {
        const MonoNs lag = link.heard_at - static_cast<MonoNs>(*number);
        if (lag >= 0) counters_.lag.observe(static_cast<double>(lag) / static_cast<double>(kNsPerSecond));
      } else if (type == FrameType::cancel) {
        calls.on_cancel(*number);
      } else {
        return calls.on_over(*number, false, {});
      }
      return {};
    }
    case FrameType::piece:
    case FrameType::failed: {
      const auto text = decode_text(body);
      if (!text) return fail(text.error());
      return type == FrameType::piece ? calls.on_piece(*text) : calls.on_over(text->id, true, text->text);
    }
    case FrameType::credit: {
      const auto credit = decode_numbers(body);
      if (!credit) return fail(credit.error());
      return calls.on_credit(*credit);
    }
  }
  return fail(errc::bad_frame, fmt::format("a frame of type {}, which nobody knows", static_cast<int>(type)));
}

Result<void> Hub::on_deliver(Link& link, std::string_view body) {
  while (!body.empty()) {
    delivers_.clear();
    if (auto taken = decode_delivers(body, link.hello.epoch, kDeliversAtOnce, delivers_); !taken) {
      return taken;
    }
    counters_.messages_in.add(delivers_.size());
    handler_.on_deliver(link.hello.epoch, delivers_);
  }
  delivers_.clear();
  return {};
}

Result<void> Hub::on_request(Link& link, std::string_view body) {
  const auto request = decode_request(body);
  if (!request) return fail(request.error());
  auto state = connection_of(link).calls->on_request(request->id);
  if (!state) return fail(state.error());
  if (*state) handler_.on_request(link.hello.epoch, request->kind, request->body, Reply(*std::move(state)));
  return {};
}

void Hub::on_lost(Link& link, const Error& why) {
  Connection& connection = connection_of(link);
  Entry* const entry = connection.entry;
  const bool was_up = connection.calls != nullptr;
  if (entry == nullptr) {
    // An accepted connection that never was a link.
    static log::Limit limit{{.per_second = 1, .burst = 5}};
    count_refused(why.code.message());
    log::warn(limit, "a connection to the mesh came to nothing",
              {{"address", link.address().to_string()}, {"why", why.message}});
  } else if (was_up) {
    log::warn("a link to another node is lost",
              {{"peer", entry->member.id}, {"epoch", entry->member.epoch.value}, {"why", why.message}});
  } else {
    cannot_reach(*entry, why.message);
  }
  // One that does not last does not make it worth hurrying.
  if (was_up && mono_ns() - entry->up_since >= limits_.silent_ns) entry->attempts = 0;
  remove(link);
  if (entry != nullptr && link.dialled) dial_later(*entry);
}

// It is closed already. Takes it out of everything, and destroys it at the end of the turn.
void Hub::remove(Link& link) {
  Connection& connection = connection_of(link);
  std::erase(pending_, link.serial);
  if (Entry* const entry = std::exchange(connection.entry, nullptr); entry && entry->link == &link) {
    entry->link = nullptr;
    if (connection.calls) {
      set_down(*entry);
      count_links();
      connection.calls->fail_all(Error(make_error_code(errc::link_lost), "the link to that node is lost"));
      handler_.on_link(entry->member.epoch, false);
    }
  }
  removed_.push_back(link.serial);
}

void Hub::count_refused(std::string_view reason) {
  auto found = refused_.find(reason);
  if (found == refused_.end()) {
    found = refused_.emplace(reason, &Counters::refused(registry_, reason)).first;
  }
  found->second->add();
}

void Hub::count_links() {
  const auto up = std::ranges::count_if(members_, [this](const auto& at) { return is_up(*at.second); });
  counters_.links_up.set(up);
  counters_.links_down.set(static_cast<int64_t>(members_.size()) - up);
  // A node may be there twice: the run that has ended, until its lease has, and the next.
  for (const auto& [id, gauge] : up_gauges_) {
    gauge->set(std::ranges::any_of(
        members_, [&, &id = id](const auto& at) { return at.second->member.id == id && is_up(*at.second); }));
  }
}

}  // namespace courier::mesh
