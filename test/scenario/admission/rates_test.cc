// More come than are let in: those who are let in get through at the full rate, the others cost little, and
// who is here already notices nothing.
#include <gtest/gtest.h>
#include <sys/epoll.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <iostream>
#include <thread>
#include <unordered_map>
#include <vector>

#include "admission/doors.h"
#include "admission/raw_socket.h"
#include "harness/client.h"

namespace courier::scenario {
namespace {

using std::chrono::milliseconds;
using Steady = std::chrono::steady_clock;

// Comes at a fixed rate whatever becomes of it, as a storm of phones does: each connects, says CONNECT as
// soon as it may, and goes away once it has its CONNACK.
class Storm {
 public:
  struct Result {
    double offered = 0, seconds = 0;
    uint64_t admitted = 0, in_time = 0, told = 0, closed = 0;  // in_time: of the admitted, while others came
  };

  explicit Storm(Doors& doors) : doors_(doors), epoll_(::epoll_create1(EPOLL_CLOEXEC)) {}
  ~Storm() { ::close(epoll_); }

  Result run(double per_second, std::chrono::seconds length) {
    const auto began = Steady::now();
    end_ = began + length;
    uint64_t come = 0;
    // Afterwards those who still wait for their turn get it.
    while (Steady::now() - began < length + milliseconds(3000)) {
      const std::chrono::duration<double> age = Steady::now() - began;
      const auto due = static_cast<uint64_t>(
          std::min<double>(age.count(), static_cast<double>(length.count())) * per_second);
      // Who is late comes all at once, like a storm; but never more than a few hundred between two looks.
      for (uint64_t i = 0; come < due && i < 300; ++i) begin(come++);
      look();
      if (age > length && phones_.empty()) break;
    }
    result_.offered = static_cast<double>(come);
    result_.seconds = static_cast<double>(length.count());
    phones_.clear();
    return result_;
  }

 private:
  struct Phone {
    RawSocket socket;
    std::unique_ptr<net::Transport> transport;
    std::string name, plain;
    bool connected = false, asked = false;
  };

  void begin(uint64_t number) {
    auto phone = std::make_unique<Phone>(Phone{RawSocket(doors_.port(), RawSocket::Mode::at_once),
                                               {},
                                               "storm-" + std::to_string(number),
                                               {},
                                               false,
                                               false});
    const int fd = phone->socket.fd();
    epoll_event event{EPOLLOUT | EPOLLIN, {.fd = fd}};
    ::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
    phones_[fd] = std::move(phone);
  }

  void look() {
    epoll_event events[256];
    const int count = ::epoll_wait(epoll_, events, 256, 1);
    for (int i = 0; i < count; ++i) {
      const auto at = phones_.find(events[i].data.fd);
      if (at != phones_.end() && !go_on(*at->second, events[i].events)) phones_.erase(at);
    }
  }

  // False: it is over.
  bool go_on(Phone& phone, uint32_t ready) {
    if (!phone.connected && (ready & EPOLLOUT)) {
      phone.connected = true;
      epoll_event event{EPOLLIN, {.fd = phone.socket.fd()}};
      ::epoll_ctl(epoll_, EPOLL_CTL_MOD, phone.socket.fd(), &event);
      phone.transport = doors_.transport();
      if (phone.transport) {
        std::string hello;
        phone.transport->start(hello);
        phone.socket.send(hello);
      } else {
        ask(phone);
      }
    }
    if (!(ready & (EPOLLIN | EPOLLHUP | EPOLLERR))) return true;
    bool ended = false;
    const std::string wire = phone.socket.receive(milliseconds(0), ended);
    if (ended) {
      ++result_.closed;
      return false;
    }
    if (!phone.transport) {
      phone.plain += wire;
    } else {
      std::string out;
      const auto state = phone.transport->receive(wire, phone.plain, out);
      if (!state) {
        ++result_.closed;
        return false;
      }
      phone.socket.send(out);
      if (*state == net::TransportState::open && !phone.asked) ask(phone);
    }
    if (phone.plain.size() < 4) return true;
    ++(phone.plain[3] == 0 ? result_.admitted : result_.told);
    if (phone.plain[3] == 0 && Steady::now() < end_) ++result_.in_time;
    return false;
  }

  void ask(Phone& phone) {
    phone.asked = true;
    std::string wire;
    const std::string packet = connect_packet({.version = v5, .client_id = phone.name});
    if (phone.transport) {
      static_cast<void>(phone.transport->send(packet, wire));
    } else {
      wire = packet;
    }
    phone.socket.send(wire);
  }

  Doors& doors_;
  const int epoll_;
  Steady::time_point end_;
  std::unordered_map<int, std::unique_ptr<Phone>> phones_;
  Result result_;
};

// Pings every 10 ms, and keeps how long each took.
class Neighbour {
 public:
  explicit Neighbour(uint16_t port)
      : client_({.client_id = "neighbour"}, port), thread_([this](const std::stop_token& stop) {
          while (!stop.stop_requested()) {
            const auto began = Steady::now();
            client_.ping();
            took_.push_back(std::chrono::duration<double, std::milli>(Steady::now() - began).count());
            std::this_thread::sleep_until(began + milliseconds(10));
          }
        }) {}
  double p99_ms() {
    thread_.request_stop();
    thread_.join();
    std::sort(took_.begin(), took_.end());
    return took_.empty() ? 0 : took_[took_.size() * 99 / 100];
  }

 private:
  Client client_;
  std::vector<double> took_;
  std::jthread thread_;
};

void storm(const std::string& protocol, int rate, int seconds) {
  // A burst of one: what is counted is the rate.
  Doors doors(protocol, "[admission]\nconnects_per_second = " + std::to_string(rate) +
                            "\nconnects_burst = 1\n[log]\nlevel = \"error\"\n");
  Neighbour before(doors.broker->proxy_optional_port());
  std::this_thread::sleep_for(milliseconds(500));
  const double quiet = before.p99_ms();
  Neighbour neighbour(doors.broker->proxy_optional_port());
  const Storm::Result result = Storm(doors).run(10.0 * rate, std::chrono::seconds(seconds));
  const double busy = neighbour.p99_ms();
  const double accepted =
      doors.broker->metric("courier_connects_total{reason=\"success\",result=\"accepted\"}");
  std::cout << "[ measured ] " << protocol << ": offered " << result.offered / result.seconds
            << "/s, admitted " << static_cast<double>(result.in_time) / result.seconds << "/s of " << rate
            << "/s, told " << result.told << ", closed " << result.closed
            << ", a connected client's PINGRESP p99 " << busy << " ms (before: " << quiet << " ms)\n";
  EXPECT_GE(static_cast<double>(result.in_time), 0.9 * rate * seconds);
  // No more than the rate: over the time, what waited at its end, the neighbours, the harness's probe.
  EXPECT_LE(static_cast<double>(result.admitted), 1.1 * rate * (seconds + 2) + 10);
  // Whoever was let in got its CONNACK: nobody else came but the neighbours and the harness's probe.
  EXPECT_LE(accepted - static_cast<double>(result.admitted), 3 + 0.01 * accepted);
  EXPECT_GT(result.closed, result.admitted);
}

}  // namespace

TEST(Rates, TenfoldLoadIsLetInAtTheFullRate) {
  COURIER_ONLY();
  storm("mqtt", 150, 5);
}

TEST(Rates, TenfoldLoadOverTlsIsLetInAtTheFullRate) {
  COURIER_ONLY();
  storm("mqtts", 40, 5);
}

// One loud source, and another behind the same balancer.
TEST(Rates, OneSourceDoesNotShutOutAnother) {
  COURIER_ONLY();
  Doors doors("mqtt",
              "[admission]\nsource_connects_per_second = 1\nsource_connects_burst = 3\ndelay_max = \"0s\"\n");
  const auto come = [&](const std::string& from) {
    Client client = Client::open(doors.broker->proxy_optional_port());
    client.send("PROXY TCP4 " + from + " 192.0.2.1 40000 1883\r\n");
    return client.handshake({.version = v5, .client_id = unique("phone")}).reason;
  };
  int let_in = 0, refused = 0;
  for (int i = 0; i < 20; ++i) ++(come("198.51.100.7") == 0 ? let_in : refused);
  EXPECT_GE(let_in, 3);
  EXPECT_GE(refused, 10);
  EXPECT_EQ(come("198.51.100.8"), 0);
  doors.broker->expect_in_log("reason=source_rate");
  doors.broker->expect_in_log("see=admission.source_connects_per_second");
}

// 3.1.1 hears return code 3, 5.0 hears 0x9F with a sentence.
TEST(Rates, AFewAreToldWhy) {
  COURIER_ONLY();
  Doors doors("mqtt",
              "[admission]\nsource_connects_per_second = 1\nsource_connects_burst = 1\ndelay_max = \"0s\"\n");
  std::optional<uint8_t> five, four;
  for (int i = 0; i < 10 && !(five && four); ++i) {
    Client a = Client::open(doors.port()), b = Client::open(doors.port());
    const Packet ours = a.handshake({.version = v5, .client_id = unique("a")});
    if (ours.reason != 0) {
      five = ours.reason;
      EXPECT_TRUE(ours.properties.has(kReasonString));
    }
    const uint8_t theirs = b.handshake({.version = v3_1_1, .client_id = unique("b")}).reason;
    if (theirs != 0) four = theirs;
  }
  EXPECT_EQ(five, 0x9F);
  EXPECT_EQ(four, 3);
}

}  // namespace courier::scenario
