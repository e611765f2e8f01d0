// For tests: a backend that answers as the test says, on connections that stay open, and events as courierd
// writes them.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/check.h"
#include "events/catalogue/fields.h"

namespace courier::relay::test {

struct Asked {
  std::string method, path, head, body;
  nlohmann::json json() const { return nlohmann::json::parse(body); }
  // The texts of that key in the array that the body is.
  std::vector<std::string> list(const char* key) const {
    std::vector<std::string> all;
    for (const auto& each : json()) all.push_back(each.value(key, ""));
    return all;
  }
};

inline std::string answer(int status, std::string_view headers = "") {
  return fmt::format("HTTP/1.1 {} X\r\nContent-Length: 0\r\n{}\r\n", status, headers);
}

// One thread a connection.
class Backend {
 public:
  // On a connection's thread; what it returns is sent as it is, and after "" or "Connection: close" the
  // connection ends.
  using Handler = std::function<std::string(const Asked&)>;

  explicit Backend(Handler handler) : handler_(std::move(handler)) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = ::htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    CHECK(::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) == 0);
    CHECK(::listen(listener_, 64) == 0);
    CHECK(::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) == 0);
    port_ = ::ntohs(address.sin_port);
    acceptor_ = std::thread([this] { accept(); });
  }
  // The handler has to come back by itself.
  ~Backend() {
    ::shutdown(listener_, SHUT_RDWR);
    acceptor_.join();
    {
      const std::lock_guard lock(mutex_);
      for (const int each : open_) ::shutdown(each, SHUT_RDWR);
    }
    for (std::thread& each : connections_) each.join();
    ::close(listener_);
  }
  Backend(const Backend&) = delete;
  Backend& operator=(const Backend&) = delete;

  std::string url(std::string_view path = "/") const {
    return fmt::format("http://127.0.0.1:{}{}", port_, path);
  }

 private:
  void accept() {
    for (;;) {
      const int socket = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (socket < 0) return;
      const std::lock_guard lock(mutex_);
      open_.insert(socket);
      connections_.emplace_back([this, socket] {
        serve(socket);
        const std::lock_guard closing(mutex_);
        open_.erase(socket);
        ::close(socket);
      });
    }
  }

  void serve(int socket) {
    std::string in;
    std::vector<char> buffer(64 * 1024);
    for (;;) {
      size_t head = 0, whole = 0;
      while ((head = in.find("\r\n\r\n")) == std::string::npos || in.size() < (whole = size_of(in, head))) {
        const ssize_t n = ::recv(socket, buffer.data(), buffer.size(), 0);
        if (n <= 0) return;
        in.append(buffer.data(), static_cast<size_t>(n));
      }
      Asked asked{.head = in.substr(0, head), .body = in.substr(head + 4, whole - head - 4)};
      asked.method = asked.head.substr(0, asked.head.find(' '));
      asked.path = asked.head.substr(asked.method.size() + 1);
      asked.path.resize(asked.path.find(' '));
      in.erase(0, whole);
      const std::string out = handler_(asked);
      for (size_t at = 0; at < out.size();) {
        const ssize_t n = ::send(socket, out.data() + at, out.size() - at, MSG_NOSIGNAL);
        if (n <= 0) return;
        at += static_cast<size_t>(n);
      }
      if (out.empty() || out.find("Connection: close") != std::string::npos) return;
    }
  }
  static size_t size_of(const std::string& in, size_t head) {
    const size_t length = in.find("Content-Length: ");
    return head + 4 + (length < head ? std::stoul(in.substr(length + 16)) : 0);
  }

  const Handler handler_;
  int listener_ = -1;
  uint16_t port_ = 0;
  std::mutex mutex_;
  std::set<int> open_;                    // guarded by mutex_
  std::vector<std::thread> connections_;  // of the acceptor
  std::thread acceptor_;
};

inline std::string event(uint64_t number, std::string_view client, std::string_view topic = "orders/1",
                         std::string_view kind = "publish") {
  using events::Field;
  std::string bytes;
  events::FieldWriter out(bytes);
  out.text(Field::id, std::to_string(number)).text(Field::kind, kind).text(Field::client_id, client);
  out.text(Field::topic, topic).number(Field::time_ns, 1'700'000'000'000'000'000 + number);
  out.number(Field::qos, 1).flag(Field::retain, false).number(Field::message_id, number);
  return bytes;
}

}  // namespace courier::relay::test
