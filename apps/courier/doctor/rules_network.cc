// TCP and the firewall: queues of connections that come, ports, the table of tracked connections, memory.
#include <algorithm>
#include <set>

#include "courier/doctor/rules.h"
#include "net/listener.h"
#include "net/socket_address.h"

namespace courier::cli::doctor {
namespace {

constexpr uint64_t kBacklog = net::ListenOptions{}.backlog;
// Larger defaults than this are somebody's, not the kernel's.
constexpr uint64_t kBufferDefaultMax = 256 * 1024;
constexpr PortRange kAllPorts{1'024, 65'535};

void check_accept_queue(Case& on) {
  const auto& most = on.seen.machine.somaxconn;
  if (!most) {
    on.unknown(Topic::network, "accept_queue", "net.core.somaxconn", most.error());
  } else if (*most < kBacklog) {
    on.advise(
        Topic::network, "accept_queue",
        fmt::format("net.core.somaxconn is {}; each thread's queue of new connections wants {}", many(*most),
                    many(kBacklog)),
        "In a storm of reconnects those that find the queue full try again a second or more later. Counts "
        "from courierd's next start.",
        {on.sysctl("net.core.somaxconn", kBacklog)});
  } else {
    on.ok(Topic::network, "accept_queue",
          fmt::format("net.core.somaxconn is {}; each thread queues {} new connections", many(*most),
                      many(kBacklog)));
  }
  const auto& counters = on.seen.machine.tcp_counters;
  if (counters && counters->accept_queue_full > 0) {
    on.advise(Topic::network, "overflows",
              fmt::format("{} new connections found a queue full since the boot",
                          many(counters->accept_queue_full)),
              "A program here did not take its connections quickly enough. If it was courierd, look at "
              "courier_loop_lag_seconds; more cores and `threads` help.");
  }
}

void check_syn(Case& on) {
  const auto& cookies = on.seen.machine.syn_cookies;
  const auto& backlog = on.seen.machine.syn_backlog;
  if (!cookies) return on.unknown(Topic::network, "syn", "net.ipv4.tcp_syncookies", cookies.error());
  if (*cookies == 0) {
    on.advise(Topic::network, "syn",
              fmt::format("net.ipv4.tcp_syncookies is off, tcp_max_syn_backlog is {}",
                          backlog ? many(*backlog) : std::string("unknown")),
              "In a storm or an attack SYNs that find the queue full are dropped.",
              {on.sysctl("net.ipv4.tcp_syncookies", 1)});
  } else if (*cookies == 2) {
    on.advise(Topic::network, "syn", "net.ipv4.tcp_syncookies is 2: cookies always",
              "Meant for tests: without TCP timestamps such connections have small windows and no SACK.",
              {on.sysctl("net.ipv4.tcp_syncookies", 1)});
  } else {
    on.ok(Topic::network, "syn",
          "SYN cookies are on when a queue is full (so tcp_max_syn_backlog is not used)");
  }
}

void check_conntrack(Case& on) {
  const auto& conntrack = on.seen.machine.conntrack;
  if (!conntrack) return on.ok(Topic::network, "conntrack", "the firewall tracks no connections");
  if (!*conntrack) return on.unknown(Topic::network, "conntrack", "nf_conntrack", conntrack->error());
  const Conntrack& table = **conntrack;
  if (table.entries == 0) {
    return on.ok(Topic::network, "conntrack", "nf_conntrack is loaded, but tracks nothing here");
  }
  // Those that the running node has already are among the entries.
  const uint64_t others = on.node() == nullptr ? table.entries : 0;
  const uint64_t needed = on.size.connections + on.size.connections / 4 + others;
  const std::string found = fmt::format("the firewall tracks {} connections, {} at most", many(table.entries),
                                        many(table.entries_max));
  const uint64_t wanted = rounded_limit(needed);
  if (table.entries_max < on.size.connections + others) {
    on.fall_short(Topic::network, "conntrack", found,
                  "When its table is full new connections are dropped without a word.",
                  {on.sysctl("net.netfilter.nf_conntrack_max", wanted),
                   on.sysctl("net.netfilter.nf_conntrack_buckets", wanted / 4),
                   {"or track no MQTT", "docs/operations/tuning.md says how"}});
  } else {
    on.ok(Topic::network, "conntrack", found);
  }
  on.carries(table.entries_max - std::min(table.entries_max, others));
}

// Listeners behind a balancer, and ports that an outgoing connection could take before us.
void check_ports(Case& on) {
  std::set<uint32_t> ours;
  uint64_t behind_balancer = 0;
  const auto take_port = [&](const std::string& bind) {
    const auto address = net::SocketAddress::parse(bind);
    if (address && address->is_ip() && address->port() != 0) ours.insert(address->port());
  };
  for (const config::Listener& listener : on.seen.settings.listeners) {
    take_port(listener.bind);
    if (listener.proxy_protocol != config::ProxyProtocol::off && !listener.bind.starts_with("unix:")) {
      ++behind_balancer;
    }
  }
  take_port(on.seen.settings.admin.bind);

  const auto& range = on.seen.machine.local_ports;
  const auto& reserved = on.seen.machine.reserved_ports;
  if (!range || !reserved) {
    on.unknown(Topic::network, "ports", "local ports", !range ? range.error() : reserved.error());
  } else {
    std::string taken;
    for (const uint32_t port : ours) {
      const bool kept = std::any_of(reserved->begin(), reserved->end(),
                                    [&](const PortRange& one) { return one.contains(port); });
      if (range->contains(port) && !kept) taken += fmt::format("{}{}", taken.empty() ? "" : ",", port);
    }
    const std::string found =
        fmt::format("outgoing connections take ports {} to {}", range->first, range->last);
    if (taken.empty()) {
      on.ok(Topic::network, "ports", found + ", none of ours");
    } else {
      on.advise(Topic::network, "ports", fmt::format("{}, and so may take {}", found, taken),
                "courierd cannot start while another program's connection has its port.",
                {on.sysctl("net.ipv4.ip_local_reserved_ports", taken)});
    }
  }

  if (behind_balancer == 0) return;
  const uint64_t pairs = (on.size.connections + kAllPorts.size() - 1) / kAllPorts.size();
  const uint64_t addresses = (pairs + behind_balancer - 1) / behind_balancer;
  if (on.size.connections <= 28'000) {
    on.ok(Topic::network, "balancer", "one address of a balancer has ports enough");
  } else {
    on.advise(Topic::network, "balancer",
              fmt::format("{} connections through a balancer need {} source addresses there",
                          many(on.size.connections), addresses),
              fmt::format("One of them reaches one listener here ({} of yours) 28,232 times by default, {} "
                          "times with all ports.",
                          behind_balancer, many(kAllPorts.size())),
              {{"on the balancer", "net.ipv4.ip_local_port_range = 1024 65535"},
               {"on the balancer", "several `source` addresses, or more listeners here"}});
  }
}

void check_tcp_memory(Case& on) {
  const auto& limits = on.seen.machine.tcp_memory;
  if (!limits) return on.unknown(Topic::network, "tcp_mem", "net.ipv4.tcp_mem", limits.error());
  const uint64_t page = on.seen.machine.page_bytes;
  // A connection with anything at all on its way counts as a page at least.
  const uint64_t needed = on.size.connections;
  const std::string found =
      fmt::format("net.ipv4.tcp_mem lets all sockets together hold {}", bytes_text(limits->high * page));
  if (limits->high < needed) {
    on.advise(
        Topic::network, "tcp_mem",
        fmt::format("{}; one message to all may take {}", found, bytes_text(needed * page)),
        "Past it TCP shrinks windows and grants a connection little more than 4 KB: small messages still go, "
        "large ones wait in courierd's memory.",
        {on.sysctl("net.ipv4.tcp_mem", fmt::format("{} {} {}", needed / 4 * 3, needed, needed / 2 * 3))});
  } else {
    on.ok(Topic::network, "tcp_mem", found);
  }
  const auto& counters = on.seen.machine.tcp_counters;
  if (counters && counters->memory_pressures > 0) {
    on.advise(
        Topic::network, "tcp_pressure",
        fmt::format("TCP ran short of memory {} times since the boot", many(counters->memory_pressures)),
        "Windows shrink then, and large messages wait: raise net.ipv4.tcp_mem, or see who reads too slowly.");
  }
}

void check_buffers(Case& on) {
  const auto& receive = on.seen.machine.receive_buffer;
  const auto& send = on.seen.machine.send_buffer;
  if (!receive || !send) {
    return on.unknown(Topic::network, "buffers", "socket buffers", !receive ? receive.error() : send.error());
  }
  std::vector<Remedy> mend;
  if (receive->middle > kBufferDefaultMax || receive->low > 4096) {
    mend.push_back(on.sysctl("net.ipv4.tcp_rmem", "4096 131072 6291456"));
  }
  if (send->middle > kBufferDefaultMax || send->low > 4096) {
    mend.push_back(on.sysctl("net.ipv4.tcp_wmem", "4096 16384 4194304"));
  }
  const std::string found = fmt::format("a socket's buffers begin at {} and {}", bytes_text(receive->middle),
                                        bytes_text(send->middle));
  if (mend.empty()) return on.ok(Topic::network, "buffers", found + " at most; an idle one holds nothing");
  on.advise(Topic::network, "buffers",
            fmt::format("{} (at least {} and {})", found, bytes_text(receive->low), bytes_text(send->low)),
            "More than the kernel's defaults: a client that stops reading holds as much, times its number.",
            std::move(mend));
}

}  // namespace

void check_network(Case& on) {
  check_accept_queue(on);
  check_syn(on);
  check_conntrack(on);
  check_ports(on);
  check_tcp_memory(on);
  check_buffers(on);
}

}  // namespace courier::cli::doctor
