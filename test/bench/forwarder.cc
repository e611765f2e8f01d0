// forwarder --port=N [--threads=1|2]
//
// What a broker's sockets cost and nothing else: the yardstick of tools/bench. It reads and writes as a
// perfect broker would (one read per readable socket, one write per destination and turn, no epoll_ctl unless
// a socket is full), exchanges the acknowledgements of QoS 1 and 2, and copies a PUBLISH to whoever
// subscribed to the number in its topic. It keeps no promise: no sessions, no stored messages, no limits, no
// checks.
//
// Each thread has its share of the connections, by order of arrival. With two of them a connection's output
// is written by the thread that has something for it, under that connection's mutex; with one nothing is
// locked.
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
#include <cstdlib>
#include <mutex>
#include <string_view>
#include <thread>
#include <vector>

#include "wire.h"

namespace courier::bench {
namespace {

constexpr size_t kReadBytes = 64 * 1024;
constexpr size_t kDestinations = 65536;
constexpr int kEventsMax = 512;

struct Thread;

struct Connection {
  int fd = -1;
  Thread* home = nullptr;
  Buffer partial;  // a packet that is not whole yet; its thread's own
  std::vector<uint32_t> destinations;

  std::mutex mutex;  // guards what follows, if there are two threads
  Buffer out;
  uint16_t packet_id = 0;
  bool dirty = false;    // listed by a thread that will write
  bool blocked = false;  // EPOLLOUT is asked for
  bool closed = false;
};

struct Destination {
  std::mutex mutex;
  std::vector<Connection*> receivers;
  size_t turn = 0;
  bool shared = false;
};

// Locks only if there is somebody to lock out.
class MaybeLock {
 public:
  explicit MaybeLock(std::mutex& mutex) : mutex_(threaded ? &mutex : nullptr) {
    if (mutex_ != nullptr) mutex_->lock();
  }
  ~MaybeLock() {
    if (mutex_ != nullptr) mutex_->unlock();
  }
  MaybeLock(const MaybeLock&) = delete;
  MaybeLock& operator=(const MaybeLock&) = delete;

  static inline bool threaded = false;

 private:
  std::mutex* mutex_;
};

std::array<Destination, kDestinations> destinations;

struct Thread {
  int epoll = epoll_create1(0);
  std::vector<Connection*> dirty;
  std::vector<Connection*> ended;  // freed at the end of the turn, if nobody else can hold them
  std::array<uint8_t, kReadBytes> read_buffer;
};

[[noreturn]] void die(const char* what) {
  std::perror(what);
  std::exit(1);
}

// The caller holds the connection's lock.
void will_write(Thread& thread, Connection& connection) {
  if (connection.dirty || connection.blocked) return;
  connection.dirty = true;
  thread.dirty.push_back(&connection);
}

void copy_to(Thread& thread, Connection& receiver, const Frame& frame) {
  const MaybeLock lock(receiver.mutex);
  if (receiver.closed) return;
  uint8_t* copy = receiver.out.grow(frame.bytes());
  std::memcpy(copy, frame.begin, frame.bytes());
  if (frame.qos() > 0) {
    if (++receiver.packet_id == 0) receiver.packet_id = 1;
    uint8_t* id = copy + (frame.body - frame.begin) + 2 + kTopicBytes;
    id[0] = static_cast<uint8_t>(receiver.packet_id >> 8);
    id[1] = static_cast<uint8_t>(receiver.packet_id);
  }
  will_write(thread, receiver);
}

void answer(Thread& thread, Connection& connection, std::string_view bytes) {
  const MaybeLock lock(connection.mutex);
  connection.out.append(bytes);
  will_write(thread, connection);
}

void acknowledge(Thread& thread, Connection& connection, Packet packet, const uint8_t* packet_id) {
  const MaybeLock lock(connection.mutex);
  append_ack(connection.out, packet, packet_id);
  will_write(thread, connection);
}

void on_publish(Thread& thread, Connection& from, const Frame& frame) {
  Destination& to = destinations[number_of(frame.body + 4) % kDestinations];
  {
    const MaybeLock lock(to.mutex);
    if (to.shared && !to.receivers.empty()) {
      copy_to(thread, *to.receivers[to.turn++ % to.receivers.size()], frame);
    } else {
      for (Connection* receiver : to.receivers) copy_to(thread, *receiver, frame);
    }
  }
  if (frame.qos() == 0) return;
  acknowledge(thread, from, frame.qos() == 1 ? Packet::puback : Packet::pubrec, frame.body + 2 + kTopicBytes);
}

void on_subscribe(Thread& thread, Connection& connection, const Frame& frame) {
  const size_t length = frame.u16(2);
  const std::string_view filter(reinterpret_cast<const char*>(frame.body) + 4, length);
  const uint32_t number = number_of(frame.body + 4 + length - kDigits) % kDestinations;
  {
    const MaybeLock lock(destinations[number].mutex);
    destinations[number].receivers.push_back(&connection);
    destinations[number].shared = filter.starts_with("$share/");
  }
  connection.destinations.push_back(number);
  const char suback[] = {'\x90', 3, static_cast<char>(frame.body[0]), static_cast<char>(frame.body[1]),
                         static_cast<char>(frame.body[4 + length])};
  answer(thread, connection, {suback, sizeof suback});
}

void close_connection(Thread& thread, Connection& connection) {
  for (const uint32_t number : connection.destinations) {
    const MaybeLock lock(destinations[number].mutex);
    std::erase(destinations[number].receivers, &connection);
  }
  const MaybeLock lock(connection.mutex);
  if (connection.closed) return;
  connection.closed = true;
  connection.out.release();
  connection.partial.release();
  close(connection.fd);
  thread.ended.push_back(&connection);
}

// False once the client has taken its leave.
bool on_frame(Thread& thread, Connection& connection, const Frame& frame) {
  switch (frame.packet()) {
    case Packet::connect:
      answer(thread, connection, {"\x20\2\0\0", 4});
      return true;
    case Packet::publish:
      on_publish(thread, connection, frame);
      return true;
    case Packet::pubrec:
      acknowledge(thread, connection, Packet::pubrel, frame.body);
      return true;
    case Packet::pubrel:
      acknowledge(thread, connection, Packet::pubcomp, frame.body);
      return true;
    case Packet::puback:
    case Packet::pubcomp:
      return true;
    case Packet::subscribe:
      on_subscribe(thread, connection, frame);
      return true;
    case Packet::pingreq:
      answer(thread, connection, {"\xd0\0", 2});
      return true;
    case Packet::disconnect:
      return false;
    case Packet::connack:
    case Packet::suback:
    case Packet::unsubscribe:
    case Packet::unsuback:
    case Packet::pingresp:
      break;
  }
  std::fprintf(stderr, "a client sent packet type %d\n", *frame.begin >> 4);
  std::exit(1);
}

void on_readable(Thread& thread, Connection& connection) {
  const ssize_t got = recv(connection.fd, thread.read_buffer.data(), kReadBytes, 0);
  if (got < 0 && errno == EAGAIN) return;
  if (got <= 0) return close_connection(thread, connection);
  const uint8_t* at = thread.read_buffer.data();
  const uint8_t* end = at + got;
  if (!connection.partial.empty()) {
    connection.partial.append(at, static_cast<size_t>(got));
    at = connection.partial.begin();
    end = connection.partial.end();
  }
  Frame frame;
  const uint8_t* const began = at;
  while (at < end && next_frame(at, end, frame)) {
    if (!on_frame(thread, connection, frame)) return close_connection(thread, connection);
    at = frame.end;
  }
  if (!connection.partial.empty()) {
    connection.partial.consume(static_cast<size_t>(at - began));
  } else if (at < end) {
    connection.partial.append(at, static_cast<size_t>(end - at));
  }
}

void ask_for_room(Connection& connection, bool wanted) {
  if (connection.blocked == wanted) return;
  connection.blocked = wanted;
  epoll_event event{.events = EPOLLIN | (wanted ? EPOLLOUT : 0u), .data = {.ptr = &connection}};
  if (epoll_ctl(connection.home->epoll, EPOLL_CTL_MOD, connection.fd, &event) != 0) die("epoll_ctl");
}

void write_out(Connection& connection) {
  const MaybeLock lock(connection.mutex);
  connection.dirty = false;
  if (connection.closed || connection.out.empty()) return;
  const ssize_t sent = send(connection.fd, connection.out.begin(), connection.out.size(), MSG_NOSIGNAL);
  // A peer that is gone shows at the next read.
  if (sent > 0) connection.out.consume(static_cast<size_t>(sent));
  ask_for_room(connection, !connection.out.empty());
}

void accept_all(int listener, std::vector<Thread>& threads) {
  static size_t arrived = 0;
  while (true) {
    const int fd = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK);
    if (fd < 0) return;
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    auto* connection = new Connection;
    connection->fd = fd;
    connection->home = &threads[arrived++ % threads.size()];
    epoll_event event{.events = EPOLLIN, .data = {.ptr = connection}};
    if (epoll_ctl(connection->home->epoll, EPOLL_CTL_ADD, fd, &event) != 0) die("epoll_ctl");
  }
}

void run(Thread& thread, int listener, std::vector<Thread>& threads) {
  std::array<epoll_event, kEventsMax> events;
  while (true) {
    const int ready = epoll_wait(thread.epoll, events.data(), kEventsMax, -1);
    for (int i = 0; i < ready; ++i) {
      auto* connection = static_cast<Connection*>(events[static_cast<size_t>(i)].data.ptr);
      if (connection == nullptr) {
        accept_all(listener, threads);
        continue;
      }
      const uint32_t what = events[static_cast<size_t>(i)].events;
      if ((what & EPOLLOUT) != 0) write_out(*connection);
      if ((what & ~EPOLLOUT) != 0) on_readable(thread, *connection);
    }
    for (Connection* connection : thread.dirty) write_out(*connection);
    thread.dirty.clear();
    if (!MaybeLock::threaded) {
      for (Connection* connection : thread.ended) delete connection;
    }
    thread.ended.clear();
  }
}

int open_listener(uint16_t port) {
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  const int on = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{.sin_family = AF_INET, .sin_port = htons(port)};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) die("bind");
  if (listen(listener, 4096) != 0) die("listen");
  return listener;
}

}  // namespace
}  // namespace courier::bench

int main(int argc, char** argv) {
  using namespace courier::bench;
  uint16_t port = 0;
  size_t thread_count = 1;
  for (int i = 1; i < argc; ++i) {
    const std::string_view arg = argv[i];
    if (arg.starts_with("--port=")) port = static_cast<uint16_t>(std::atoi(argv[i] + 7));
    if (arg.starts_with("--threads=")) thread_count = static_cast<size_t>(std::atoi(argv[i] + 10));
  }
  if (port == 0 || thread_count < 1 || thread_count > 2) {
    std::fputs("usage: forwarder --port=N [--threads=1|2]\n", stderr);
    return 2;
  }
  MaybeLock::threaded = thread_count > 1;
  const int listener = open_listener(port);
  std::vector<Thread> threads(thread_count);
  epoll_event event{.events = EPOLLIN, .data = {.ptr = nullptr}};
  if (epoll_ctl(threads[0].epoll, EPOLL_CTL_ADD, listener, &event) != 0) die("epoll_ctl");
  std::vector<std::jthread> running;
  for (size_t i = 1; i < thread_count; ++i) {
    running.emplace_back([&, i] { run(threads[i], listener, threads); });
  }
  run(threads[0], listener, threads);
}
