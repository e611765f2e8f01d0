// How a connection becomes a link: dialling, the door, and who may come in. Part of Hub.
#include <algorithm>
#include <cctype>
#include <utility>

#include <fmt/format.h>

#include "base/log.h"
#include "mesh/errc.h"
#include "mesh/hub.h"
#include "net/errc.h"
#include "net/socket.h"

namespace courier::mesh {

namespace {

// Connections taken in one turn: others want theirs, too.
constexpr int kAcceptsPerTurn = 16;

std::string_view sentence(Refusal why) {
  switch (why) {
    case Refusal::version:
      return "this node is too old to understand that version of the mesh";
    case Refusal::cluster:
      return "this node belongs to another cluster";
    case Refusal::log:
      return "this node's cluster has the same name and another log";
    case Refusal::wrong_node:
      return "this is not the node, or not the run of it, that was looked for";
    case Refusal::old_epoch:
      return "that epoch is over";
    case Refusal::not_a_member:
      return "no such node is a member of this cluster";
    case Refusal::other_run:
      return "another process has a link with that epoch";
    case Refusal::certificate:
      return "the certificate is not for that node";
    case Refusal::busy:
      return "too many connections did not introduce themselves";
  }
  return "for a reason that only a later version knows";
}

bool same_name(std::string_view a, std::string_view b) {
  return std::ranges::equal(
      a, b, [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

Error timed_out(std::string_view what) {
  return {make_error_code(errc::timed_out), std::string(what)};
}

}  // namespace

// --- Dialling ---

Link& Hub::add(bool dialled, net::Fd fd, const net::SocketAddress& address,
               std::unique_ptr<net::Transport> transport) {
  const uint64_t serial = ++last_serial_;
  Connection& connection = connections_[serial];
  connection.link =
      std::make_unique<Link>(serial, dialled, std::move(fd), address, std::move(transport), shared_, *this);
  Link& link = *connection.link;
  link.timer.fire = [this, &link] { greeting_over(link); };
  timers_.arm(link.timer, system_clock().mono_ns() + limits_.greeting_ns);
  return link;
}

void Hub::dial(Entry& entry) {
  auto fd = net::connect_start(entry.member.address);
  if (!fd) {
    cannot_reach(entry, fd.error().message);
    dial_later(entry);
    return;
  }
  std::unique_ptr<net::Transport> transport;
  if (tls_client_) {
    const std::string& name = options_.tls->name;
    transport = tls_client_->connect(name.empty() ? entry.member.id : name);
  }
  Link& link = add(true, *std::move(fd), entry.member.address, std::move(transport));
  connection_of(link).entry = &entry;
  entry.link = &link;
  if (auto begun = link.begin(); !begun) {
    link.close();
    on_lost(link, begun.error());
  }
}

void Hub::dial_later(Entry& entry) {
  const MonoNs grown = limits_.redial_first_ns << std::min(entry.attempts++, 16u);
  const MonoNs most = std::min(limits_.redial_max_ns, grown);
  // Half of it is chance, so that many who lost one node do not come back at one moment.
  const MonoNs delay = std::uniform_int_distribution<MonoNs>(most / 2, most)(random_);
  timers_.arm(entry.redial, system_clock().mono_ns() + delay);
}

void Hub::cannot_reach(Entry& entry, std::string_view why) {
  // Once for each reason: it is tried again and again.
  if (std::exchange(entry.told, std::string(why)) == why) return;
  log::warn("a member of the cluster cannot be reached over the mesh",
            {{"peer", entry.member.id},
             {"epoch", entry.member.epoch.value},
             {"address", entry.member.address.to_string()},
             {"why", why}});
}

// --- The door ---

void Hub::accept() {
  for (int i = 0; i < kAcceptsPerTurn; ++i) {
    net::Accepted accepted = listener_.accept();
    switch (accepted.outcome) {
      case net::AcceptOutcome::none:
        return;
      case net::AcceptOutcome::refused:
        count_refused("out_of_descriptors");
        continue;
      case net::AcceptOutcome::stalled:
        loop_.modify(listener_.fd(), door_, 0);
        timers_.arm(door_opens_, system_clock().mono_ns() + net::Listener::kStallPauseMs * kNsPerMs);
        return;
      case net::AcceptOutcome::accepted:
        break;
    }
    make_room_for_one_more();
    std::unique_ptr<net::Transport> transport;
    if (tls_server_) transport = tls_server_->accept(system_clock().wall_ms());
    Link& link = add(false, std::move(accepted.fd), accepted.peer, std::move(transport));
    pending_.push_back(link.serial);
    if (auto begun = link.begin(); !begun) {
      link.close();
      on_lost(link, begun.error());
    }
  }
}

// The one that has waited longest goes: who belongs here needs a few milliseconds, so it is hardly ever one
// of those.
void Hub::make_room_for_one_more() {
  if (pending_.size() < limits_.pending_max) return;
  refuse(*connections_.at(pending_.front()).link, Refusal::busy);
}

// --- Greeting ---

Hello Hub::own_hello(NodeEpoch to) const {
  return {.cluster = options_.cluster,
          .log_id = options_.log_id,
          .node_id = options_.node_id,
          .epoch = self_,
          .instance = instance_,
          .to = to};
}

void Hub::on_open(Link& link) {
  if (link.dialled) link.urgent(encode_hello(own_hello(connection_of(link).entry->member.epoch)));
}

Result<void> Hub::on_hello(Link& link, std::string_view body) {
  auto hello = decode_hello(body);
  if (!hello) return fail(hello.error());
  link.hello = *std::move(hello);
  link.introduced = true;
  if (const std::optional<Refusal> why = judge(link)) {
    if (link.dialled) {
      return fail(errc::bad_frame, fmt::format("who answers is not whom we look for: {}", name(*why)));
    }
    refuse(link, *why);
    return {};
  }
  if (link.dialled) {
    set_up(link, *connection_of(link).entry);
  } else {
    admit(link);
  }
  return {};
}

std::optional<Refusal> Hub::judge(const Link& link) const {
  const Hello& hello = link.hello;
  if (hello.oldest > kVersion) return Refusal::version;
  if (hello.cluster != options_.cluster) return Refusal::cluster;
  if (hello.log_id != options_.log_id) return Refusal::log;
  if (hello.to != self_) return Refusal::wrong_node;
  if (link.dialled) {
    const Member& member = connections_.at(link.serial).entry->member;
    if (hello.epoch != member.epoch || hello.node_id != member.id) return Refusal::wrong_node;
    return std::nullopt;  // that its certificate is good for its name is settled
  }
  // Only the younger dials. That an old run still thinks otherwise is one more reason.
  if (hello.epoch <= self_) return Refusal::old_epoch;
  if (const auto found = members_.find(hello.epoch); found != members_.end()) {
    if (found->second->member.id != hello.node_id) return Refusal::not_a_member;
  } else if (hello.epoch < newest_) {
    return Refusal::old_epoch;
  }
  if (!certificate_fits(link)) return Refusal::certificate;
  return std::nullopt;
}

bool Hub::certificate_fits(const Link& link) const {
  if (link.transport() == nullptr) return true;
  const auto tls = link.transport()->tls();
  if (!tls || !tls->certificate) return false;
  const std::string& wanted = options_.tls->name.empty() ? link.hello.node_id : options_.tls->name;
  const net::PeerCertificate& shown = *tls->certificate;
  if (shown.dns.empty()) return same_name(shown.common_name, wanted);
  return std::ranges::any_of(shown.dns, [&](const std::string& dns) { return same_name(dns, wanted); });
}

void Hub::admit(Link& link) {
  // The members' list may have changed while it was held.
  if (const std::optional<Refusal> why = judge(link)) return refuse(link, *why);
  const auto found = members_.find(link.hello.epoch);
  if (found == members_.end()) {
    connection_of(link).held = true;
    return;
  }
  Entry& entry = *found->second;
  if (Link* const before = entry.link) {
    if (before->hello.instance != link.hello.instance) return refuse(link, Refusal::other_run);
    // It has noticed before us that the old one is broken.
    before->close();
    remove(*before);
  }
  link.urgent(encode_hello(own_hello(link.hello.epoch)));
  set_up(link, entry);
}

void Hub::refuse(Link& link, Refusal why) {
  static log::Limit limit{{.per_second = 1, .burst = 5}};
  count_refused(name(why));
  log::warn(limit, "a connection to the mesh is refused",
            {{"address", link.address().to_string()},
             {"why", sentence(why)},
             {"node", link.hello.node_id},
             {"cluster", link.hello.cluster},
             {"epoch", link.hello.epoch.value},
             {"version", link.hello.version}});
  link.close(encode_refuse(why, sentence(why)));
  remove(link);
}

Result<void> Hub::on_refuse(Link&, std::string_view body) {
  const auto refused = decode_refuse(body);
  if (!refused) return fail(refused.error());
  return fail(errc::link_lost, fmt::format("it refuses us ({}): {}", name(static_cast<Refusal>(refused->why)),
                                           refused->sentence));
}

void Hub::greeting_over(Link& link) {
  if (connection_of(link).held) return refuse(link, Refusal::not_a_member);
  link.close();
  on_lost(link, timed_out("it did not introduce itself in time"));
}

}  // namespace courier::mesh
