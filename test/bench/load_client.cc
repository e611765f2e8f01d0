#include "load_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <fstream>

namespace courier::bench {
namespace {

constexpr size_t kReadBytes = 256 * 1024;
constexpr int kEventsMax = 512;
constexpr size_t kArriveTogether = 64;
constexpr uint64_t kArriveNsMax = 20'000'000'000;
constexpr uint16_t kKeepAliveS = 60;
constexpr uint32_t kPortsOfAnAddress = 8000;

uint64_t nanoseconds(const timespec& time) {
  return static_cast<uint64_t>(time.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(time.tv_nsec);
}

}  // namespace

void fail(const std::string& what) {
  std::printf("{\"valid\": false, \"why\": \"%s\"}\n", what.c_str());
  std::exit(1);
}

uint64_t now_ns() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return nanoseconds(time);
}

BrokerUse broker_use(int pid) {
  BrokerUse use;
  if (pid == 0) return use;
  clockid_t clock{};
  timespec time{};
  if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &time) != 0) fail("the broker is gone");
  use.cpu_us = static_cast<double>(nanoseconds(time)) / 1000;
  std::ifstream statm("/proc/" + std::to_string(pid) + "/statm");
  double pages = 0;
  statm >> pages >> pages;
  use.rss_bytes = pages * static_cast<double>(sysconf(_SC_PAGESIZE));
  return use;
}

Load::Load(const LoadOptions& options)
    : options_(options), now_(now_ns()), epoll_(epoll_create1(0)), read_buffer_(kReadBytes) {}

void Load::on_closed(Peer& peer) {
  fail(std::string("the broker closed ") + (peer.subscriber ? "subscriber " : "publisher ") +
       std::to_string(peer.index));
}

void Load::open(Peer& peer) {
  peer.fd = socket(AF_INET, SOCK_STREAM, 0);
  if (peer.fd < 0) fail(std::string("socket: ") + std::strerror(errno));
  const int on = 1;
  setsockopt(peer.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  setsockopt(peer.fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
  // A closed one leaves no port waiting behind: a storm would use them up.
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  setsockopt(peer.fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  sockaddr_in address{.sin_family = AF_INET};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK + opened_++ / kPortsOfAnAddress % 200);
  if (bind(peer.fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    fail(std::string("bind: ") + std::strerror(errno));
  }
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(options_.port);
  if (connect(peer.fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    fail(std::string("connect: ") + std::strerror(errno));
  }
  epoll_event event{.events = EPOLLIN, .data = {.ptr = &peer}};
  epoll_ctl(epoll_, EPOLL_CTL_ADD, peer.fd, &event);
}

void Load::close_peer(Peer& peer) {
  close(peer.fd);
  peer.fd = -1;
  peer.partial.release();
  peer.out.release();
  peer.blocked = false;
}

void Load::will_write(Peer& peer) {
  if (peer.dirty || peer.blocked) return;
  peer.dirty = true;
  dirty_.push_back(&peer);
}

void Load::write(Peer& peer, std::string_view bytes) {
  peer.out.append(bytes);
  will_write(peer);
}

void Load::flush(Peer& peer) {
  peer.dirty = false;
  if (peer.fd < 0 || peer.out.empty()) return;
  const ssize_t sent = send(peer.fd, peer.out.begin(), peer.out.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent > 0) peer.out.consume(static_cast<size_t>(sent));
  const bool blocked = !peer.out.empty();
  if (blocked == peer.blocked) return;
  peer.blocked = blocked;
  epoll_event event{.events = EPOLLIN | (blocked ? EPOLLOUT : 0u), .data = {.ptr = &peer}};
  epoll_ctl(epoll_, EPOLL_CTL_MOD, peer.fd, &event);
}

void Load::read(Peer& peer) {
  const ssize_t got = recv(peer.fd, read_buffer_.data(), read_buffer_.size(), MSG_DONTWAIT);
  if (got < 0 && errno == EAGAIN) return;
  if (got <= 0) return on_closed(peer);
  const uint8_t* at = read_buffer_.data();
  const uint8_t* end = at + got;
  if (!peer.partial.empty()) {
    peer.partial.append(at, static_cast<size_t>(got));
    at = peer.partial.begin();
    end = peer.partial.end();
  }
  const uint8_t* const began = at;
  Frame frame;
  while (at < end && next_frame(at, end, frame)) {
    at = frame.end;
    if (frame.packet() == Packet::connack || frame.packet() == Packet::suback) {
      const uint8_t code = frame.body[frame.packet() == Packet::connack ? 1 : 2];
      if (code > 2) fail("the broker refused a connect or a subscription");
      if (answers_missing_ > 0) {
        --answers_missing_;
        continue;
      }
    }
    on_frame(peer, frame);
    if (peer.fd < 0) return;
  }
  if (!peer.partial.empty()) {
    peer.partial.consume(static_cast<size_t>(at - began));
  } else if (at < end) {
    peer.partial.append(at, static_cast<size_t>(end - at));
  }
}

void Load::turn(uint64_t timeout_ns) {
  for (Peer* peer : dirty_) flush(*peer);
  dirty_.clear();
  std::array<epoll_event, kEventsMax> events;
  const timespec timeout{.tv_sec = static_cast<time_t>(timeout_ns / 1'000'000'000),
                         .tv_nsec = static_cast<long>(timeout_ns % 1'000'000'000)};
  const int ready = epoll_pwait2(epoll_, events.data(), kEventsMax, &timeout, nullptr);
  now_ = now_ns();
  for (int i = 0; i < ready; ++i) {
    auto& peer = *static_cast<Peer*>(events[static_cast<size_t>(i)].data.ptr);
    if (peer.fd < 0) continue;
    if ((events[static_cast<size_t>(i)].events & EPOLLOUT) != 0) flush(peer);
    if ((events[static_cast<size_t>(i)].events & ~EPOLLOUT) != 0) read(peer);
  }
  for (Peer* peer : dirty_) flush(*peer);
  dirty_.clear();
}

void Load::turns_for(double seconds) {
  const uint64_t until = now_ns() + static_cast<uint64_t>(seconds * 1e9);
  while (now_ < until) turn(until - now_);
}

void Load::arrive(const std::vector<Arrival>& arrivals, bool clean, unsigned qos) {
  for (size_t begin = 0; begin < arrivals.size(); begin += kArriveTogether) {
    const size_t end = std::min(begin + kArriveTogether, arrivals.size());
    const uint64_t until = now_ns() + kArriveNsMax;
    for (size_t i = begin; i < end; ++i) {
      open(*arrivals[i].peer);
      write(*arrivals[i].peer, connect_packet(arrivals[i].client_id, clean, kKeepAliveS));
      ++answers_missing_;
    }
    while (answers_missing_ > 0 && now_ < until) turn(100 * kMillisecond);
    for (size_t i = begin; i < end; ++i) {
      if (arrivals[i].filter.empty()) continue;
      write(*arrivals[i].peer, subscribe_packet(arrivals[i].filter, qos));
      ++answers_missing_;
    }
    while (answers_missing_ > 0 && now_ < until) turn(100 * kMillisecond);
    if (answers_missing_ > 0) fail("CONNECT or SUBSCRIBE was not answered");
  }
}

}  // namespace courier::bench
