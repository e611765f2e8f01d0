// The least that a load generator can do: the same sends and receives as `courier load quick p2p`, and
// nothing else. No books, no histograms, no reconnects, no errors. What courier load costs is measured
// against it: tools/bench-load.
//
//   bare_load PORT RECEIVERS SENDERS RATE SECONDS SIZE
//
// QoS 1 both ways, MQTT 3.1.1. Prints what was sent and received, and its CPU time for that part.
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

namespace {

struct Peer {
  int fd = -1;
  std::string in;
  uint16_t next_id = 0;
};

double seconds(clockid_t clock) {
  timespec now{};
  ::clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

[[noreturn]] void give_up(const char* what) {
  std::perror(what);
  std::exit(1);
}

void write_all(int fd, const std::string& bytes) {
  for (size_t sent = 0; sent < bytes.size();) {
    const ssize_t n = ::send(fd, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (n < 0) give_up("send");
    sent += static_cast<size_t>(n);
  }
}

std::string field(const std::string& text) {
  return std::string{static_cast<char>(text.size() >> 8), static_cast<char>(text.size())} + text;
}

std::string packet(char type, const std::string& body) {
  std::string out(1, type);
  size_t left = body.size();
  do {
    out += static_cast<char>((left & 0x7F) | (left > 0x7F ? 0x80 : 0));
    left >>= 7;
  } while (left > 0);
  return out + body;
}

Peer connect_to(uint16_t port, const std::string& id, const std::string& filter) {
  Peer peer;
  peer.fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(peer.fd, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) give_up("connect");
  const int on = 1;
  ::setsockopt(peer.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  char answer[64];
  write_all(peer.fd, packet('\x10', field("MQTT") + std::string("\x04\x02\x00\x00", 4) + field(id)));
  if (::recv(peer.fd, answer, 4, MSG_WAITALL) != 4) give_up("CONNACK");
  if (filter.empty()) return peer;
  write_all(peer.fd, packet('\x82', std::string("\x00\x01", 2) + field(filter) + "\x01"));
  if (::recv(peer.fd, answer, 5, MSG_WAITALL) != 5) give_up("SUBACK");
  return peer;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 7) {
    std::fprintf(stderr, "bare_load PORT RECEIVERS SENDERS RATE SECONDS SIZE\n");
    return 2;
  }
  const auto port = static_cast<uint16_t>(std::atoi(argv[1]));
  const int receivers = std::atoi(argv[2]), senders = std::atoi(argv[3]);
  const double rate = std::atof(argv[4]), lasts = std::atof(argv[5]);
  const std::string payload(static_cast<size_t>(std::atoi(argv[6])), 'x');
  std::vector<Peer> peers;
  for (int i = 0; i < receivers; ++i) {
    peers.push_back(connect_to(port, "bare-r" + std::to_string(i), "bare/" + std::to_string(i)));
  }
  for (int i = 0; i < senders; ++i) peers.push_back(connect_to(port, "bare-s" + std::to_string(i), ""));
  const int epoll = ::epoll_create1(0);
  for (size_t i = 0; i < peers.size(); ++i) {
    epoll_event event{.events = EPOLLIN, .data = {.u64 = i}};
    ::epoll_ctl(epoll, EPOLL_CTL_ADD, peers[i].fd, &event);
  }

  const double cpu_before = seconds(CLOCK_PROCESS_CPUTIME_ID), began = seconds(CLOCK_MONOTONIC);
  const auto all = static_cast<long>(rate * lasts);
  long sent = 0, acked = 0, received = 0;
  std::vector<char> room(65'536);
  std::vector<epoll_event> events(512);
  while (received < all || acked < all) {
    const double now = seconds(CLOCK_MONOTONIC) - began;
    if (now > lasts + 20) break;
    for (; sent < all && static_cast<double>(sent + 1) / rate <= now; ++sent) {
      Peer& sender = peers[static_cast<size_t>(receivers) + static_cast<size_t>(sent % senders)];
      if (++sender.next_id == 0) ++sender.next_id;
      write_all(sender.fd, packet('\x32', field("bare/" + std::to_string(sent % receivers)) +
                                              std::string{static_cast<char>(sender.next_id >> 8),
                                                          static_cast<char>(sender.next_id)} +
                                              payload));
    }
    const int ready = ::epoll_wait(epoll, events.data(), static_cast<int>(events.size()), 1);
    for (int e = 0; e < ready; ++e) {
      Peer& peer = peers[events[static_cast<size_t>(e)].data.u64];
      const ssize_t n = ::recv(peer.fd, room.data(), room.size(), 0);
      if (n <= 0) give_up("recv");
      peer.in.append(room.data(), static_cast<size_t>(n));
      std::string acks;
      size_t at = 0;
      while (peer.in.size() - at >= 2) {
        size_t length = 0, head = 1;
        bool whole = false;
        for (int shift = 0; at + head < peer.in.size() && head <= 4; shift += 7) {
          const auto byte = static_cast<unsigned char>(peer.in[at + head++]);
          length |= static_cast<size_t>(byte & 0x7F) << shift;
          if (byte < 0x80) {
            whole = true;
            break;
          }
        }
        if (!whole || peer.in.size() - at < head + length) break;
        const char type = static_cast<char>(peer.in[at] & 0xF0);
        if (type == '\x40') {
          ++acked;
        } else if (type == '\x30') {
          ++received;
          const size_t topic = static_cast<size_t>(static_cast<unsigned char>(peer.in[at + head])) << 8 |
                               static_cast<unsigned char>(peer.in[at + head + 1]);
          acks += std::string("\x40\x02", 2) + peer.in.substr(at + head + 2 + topic, 2);
        }
        at += head + length;
      }
      peer.in.erase(0, at);
      if (!acks.empty()) write_all(peer.fd, acks);
    }
  }
  const double cpu = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu_before;
  std::printf("{\"sent\":%ld,\"acked\":%ld,\"received\":%ld,\"cpu_us_per_message\":%.2f}\n", sent, acked,
              received, cpu * 1e6 / static_cast<double>(all));
  return received == all && acked == all ? 0 : 1;
}
