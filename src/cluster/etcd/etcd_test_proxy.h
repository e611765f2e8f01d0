// For tests: stands between a client and one server, and loses what it is told to.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "net/test_ports.h"

namespace courier::cluster::etcd {

class TestProxy {
 public:
  explicit TestProxy(uint16_t to) : to_(to), port_(net::test_port()) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;
    ::setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    const sockaddr_in address = loopback(port_);
    if (::bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
        ::listen(listener_, 64) != 0) {
      std::abort();
    }
    thread_ = std::thread([this] { run(); });
  }
  ~TestProxy() {
    stopping_ = true;
    thread_.join();
    ::close(listener_);
  }
  TestProxy(const TestProxy&) = delete;
  TestProxy& operator=(const TestProxy&) = delete;

  uint16_t port() const { return port_; }
  std::string endpoint() const { return "127.0.0.1:" + std::to_string(port_); }
  // What the server says reaches nobody.
  void lose_answers(bool lose) { losing_ = lose; }
  // Nothing passes, either way; connections stay.
  void hold(bool hold) { holding_ = hold; }
  // Ends all connections there are.
  void cut() {
    cutting_ = true;
    while (cutting_) std::this_thread::yield();
  }

 private:
  struct Pair {
    int client, server;
  };
  static sockaddr_in loopback(uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
  }
  static bool pass(int from, int to, bool lose) {
    char bytes[16384];
    const ssize_t count = ::recv(from, bytes, sizeof bytes, 0);
    if (count <= 0) return false;
    for (ssize_t at = 0; !lose && at < count;) {
      const ssize_t sent = ::send(to, bytes + at, static_cast<size_t>(count - at), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      at += sent;
    }
    return true;
  }
  void run() {
    std::vector<Pair> pairs;
    const auto end = [&](size_t i) {
      ::close(pairs[i].client);
      ::close(pairs[i].server);
      pairs.erase(pairs.begin() + static_cast<ptrdiff_t>(i));
    };
    while (!stopping_) {
      if (cutting_) {
        while (!pairs.empty()) end(0);
        cutting_ = false;
      }
      std::vector<pollfd> ready{{listener_, POLLIN, 0}};
      for (const Pair& pair : pairs) {
        const short events = holding_ ? short{0} : short{POLLIN};
        ready.push_back({pair.client, events, 0});
        ready.push_back({pair.server, events, 0});
      }
      if (::poll(ready.data(), ready.size(), 5) <= 0) continue;
      for (size_t i = pairs.size(); i-- > 0;) {
        bool alive = true;
        if (!holding_ && (ready[1 + 2 * i].revents != 0))
          alive = pass(pairs[i].client, pairs[i].server, false);
        if (!holding_ && alive && (ready[2 + 2 * i].revents != 0)) {
          alive = pass(pairs[i].server, pairs[i].client, losing_);
        }
        if (!alive) end(i);
      }
      if (ready[0].revents == 0) continue;
      const int client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      const int server = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
      const sockaddr_in address = loopback(to_);
      if (client >= 0 &&
          ::connect(server, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
        pairs.push_back({client, server});
      } else {
        if (client >= 0) ::close(client);
        ::close(server);
      }
    }
    while (!pairs.empty()) end(0);
  }

  const uint16_t to_, port_;
  int listener_ = -1;
  std::atomic<bool> losing_{false}, holding_{false}, cutting_{false}, stopping_{false};
  std::thread thread_;
};

}  // namespace courier::cluster::etcd
