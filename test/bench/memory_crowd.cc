// A shared object for LD_PRELOAD that puts a crowd of clients in front of courierd without any socket: a
// process may hold so many descriptors, and a million connections are more than that. tools/bench runs it.
//
// courierd knows nothing of it. It stands in for the calls that a connection makes (accept4, recv, send,
// sendmsg, epoll_ctl, epoll_pwait2, close and a few that have nothing to do here); descriptors from kFirst on
// are clients of the crowd, every other goes to the kernel as ever. What a client says is made at recv() and
// what it hears is answered at send(), on courierd's own threads, so that nothing is copied and no other
// thread wakes. All that a client needs here is 24 bytes, which are there before courierd begins.
//
//   accept4 -> CONNECT, CONNACK -> SUBSCRIBE d/<its number>, SUBACK -> ready;   then all at rest, or a
//   publisher's window: 16 PUBLISH to 16 others -> they came (and were acknowledged, both ways) -> the next
//   16
//
// COURIER_CROWD_SESSIONS is their number; COURIER_CROWD_STORED=1 makes them outlive their connections,
// COURIER_CROWD_QOS and COURIER_CROWD_PUBLISHERS (0: nobody) say what is published, for
// COURIER_CROWD_SECONDS. The figures go as JSON to the file COURIER_CROWD_RESULT; then courierd gets a
// SIGTERM. CPU is that of the process: the crowd's own part, some 0.1 µs a message, is in it.
#include <dlfcn.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "wire.h"

namespace {

using courier::bench::Frame;
using courier::bench::Packet;

constexpr int kFirst = 1 << 24;
constexpr unsigned kWindow = 16;
constexpr size_t kLoopsMax = 64;
constexpr uint32_t kConnecting = 256;  // at once
constexpr uint32_t kBefore = 500;      // memory is counted from this many sessions on
constexpr unsigned kAcksMax = 3;

[[noreturn]] void give_up(const char* why) {
  std::fprintf(stderr, "memory_crowd: %s\n", why);
  std::abort();
}

template <typename Function>
Function* next(const char* name) {
  void* found = dlsym(RTLD_NEXT, name);
  if (found == nullptr) give_up(name);
  return reinterpret_cast<Function*>(found);
}

enum class Stage : uint8_t { absent, connect, connecting, subscribe, subscribing, ready, gone };

// Belongs to the thread whose loop has it, but for `outstanding`.
struct Client {
  void* handler = nullptr;               // what epoll reports it by
  std::atomic<uint16_t> outstanding{0};  // of a publisher's window: deliveries and acknowledgements
  std::array<uint16_t, kAcksMax> acks{};
  uint8_t ack_count = 0;
  Stage stage = Stage::absent;
  uint8_t loop = 0;
  bool readable = false;  // epoll is asked for it
  bool queued = false;
};
static_assert(sizeof(Client) == 24);

struct Loop {
  int epoll = -1, wakes = -1;
  void* acceptor = nullptr;
  int listener = -1;
  bool accepting = false;
  std::vector<uint32_t> ready;
  unsigned turns = 0;
  std::atomic<uint64_t> delivered{0};
  std::mutex mutex;
  std::vector<uint32_t> from_others;
};

struct Crowd {
  uint32_t sessions = 0, publishers = 0, qos = 0;
  bool stored = false;
  double seconds = 2;
  const char* result = nullptr;
  Client* clients = nullptr;  // the publishers come last

  std::atomic<uint32_t> accepted{0}, wanted{0}, ready{0};
  std::atomic<bool> publishing{false};
  std::array<Loop, kLoopsMax> loops;
  std::atomic<uint32_t> loop_count{0};
  std::mutex mutex;  // of making a loop
  std::vector<int> listeners;

  uint32_t all() const { return sessions + publishers; }
};
Crowd crowd;
thread_local Loop* mine = nullptr;

bool is_ours(int fd) {
  return fd >= kFirst;
}
Client& client_of(int fd) {
  return crowd.clients[fd - kFirst];
}
uint32_t index_of(const Client& client) {
  return static_cast<uint32_t>(&client - crowd.clients);
}

Loop& loop_of(int epoll) {
  const uint32_t known = crowd.loop_count.load(std::memory_order_acquire);
  for (uint32_t i = 0; i < known; ++i) {
    if (crowd.loops[i].epoll == epoll) return crowd.loops[i];
  }
  const std::lock_guard lock(crowd.mutex);
  const uint32_t count = crowd.loop_count.load();
  for (uint32_t i = known; i < count; ++i) {
    if (crowd.loops[i].epoll == epoll) return crowd.loops[i];
  }
  if (count == kLoopsMax) give_up("too many event loops");
  Loop& loop = crowd.loops[count];
  loop.epoll = epoll;
  loop.wakes = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  epoll_event event{};
  event.events = EPOLLIN | EPOLLET;
  event.data.ptr = &crowd;
  static const auto real = next<decltype(epoll_ctl)>("epoll_ctl");
  if (loop.wakes < 0 || real(epoll, EPOLL_CTL_ADD, loop.wakes, &event) != 0) give_up("no eventfd");
  crowd.loop_count.store(count + 1, std::memory_order_release);
  return loop;
}

void wake(Loop& loop) {
  const uint64_t one = 1;
  if (write(loop.wakes, &one, sizeof one) < 0) give_up("cannot wake a thread");
}

void say(Client& client) {
  Loop& loop = crowd.loops[client.loop];
  if (&loop == mine) {
    if (client.queued) return;
    client.queued = true;
    loop.ready.push_back(index_of(client));
    return;
  }
  {
    const std::lock_guard lock(loop.mutex);
    loop.from_others.push_back(index_of(client));
  }
  wake(loop);
}

std::string client_id(uint32_t index) {
  char text[32];
  std::snprintf(text, sizeof text, "%s-%07u", index < crowd.sessions ? "phone" : "backend", index);
  return text;
}

// The next window of a publisher: its messages go to every publishers-th session, one after another.
size_t window_of(Client& client, char* out) {
  static thread_local std::vector<uint32_t> rounds;
  static const std::string packet = courier::bench::publish_packet(0, crowd.qos, 64);
  static const size_t id_at = crowd.qos > 0 ? courier::bench::publish_id_at(packet) : 0;
  static const size_t digits_at = packet.find("d/") + 2;
  rounds.resize(crowd.publishers);
  const uint32_t publisher = index_of(client) - crowd.sessions;
  const uint32_t each = crowd.sessions / crowd.publishers;
  client.outstanding.store(static_cast<uint16_t>(crowd.qos > 0 ? 2 * kWindow : kWindow));
  for (unsigned i = 0; i < kWindow; ++i) {
    uint32_t destination = publisher + crowd.publishers * (rounds[publisher]++ % each);
    std::memcpy(out, packet.data(), packet.size());
    for (size_t digit = courier::bench::kDigits; digit-- > 0; destination /= 10) {
      out[digits_at + digit] = static_cast<char>('0' + destination % 10);
    }
    if (crowd.qos > 0) {
      out[id_at] = 0;
      out[id_at + 1] = static_cast<char>(i + 1);
    }
    out += packet.size();
  }
  return kWindow * packet.size();
}

// What the client has to say now.
size_t speak(Client& client, char* out, size_t room) {
  if (room < 4096) give_up("courierd reads in small pieces");
  std::string packet;
  const uint32_t index = index_of(client);
  if (client.stage == Stage::connect) {
    packet = courier::bench::connect_packet(client_id(index), !crowd.stored || index >= crowd.sessions, 0);
    client.stage = Stage::connecting;
  } else if (client.stage == Stage::subscribe) {
    packet = courier::bench::subscribe_packet(courier::bench::topic_of(index), crowd.qos);
    client.stage = Stage::subscribing;
  } else if (client.ack_count > 0) {
    for (unsigned i = 0; i < client.ack_count; ++i) {
      packet.append({0x40, 2, static_cast<char>(client.acks[i] >> 8), static_cast<char>(client.acks[i])});
    }
    client.ack_count = 0;
  } else if (client.stage == Stage::ready && index >= crowd.sessions && client.outstanding.load() == 0 &&
             crowd.publishing.load(std::memory_order_relaxed)) {
    return window_of(client, out);
  }
  std::memcpy(out, packet.data(), packet.size());
  return packet.size();
}

void done(Client& publisher) {
  if (publisher.outstanding.fetch_sub(1) == 1) say(publisher);
}

void becomes_ready(Client& client) {
  client.stage = Stage::ready;
  crowd.ready.fetch_add(1);
}

void hear(Client& client, const uint8_t* begin, const uint8_t* end) {
  Frame frame;
  for (; begin != end; begin = frame.end) {
    if (!courier::bench::next_frame(begin, end, frame)) give_up("half a packet came");
    switch (frame.packet()) {
      case Packet::connack:
        if (frame.body[1] != 0) give_up("a connection was refused");
        if (index_of(client) >= crowd.sessions) {
          becomes_ready(client);
        } else {
          client.stage = Stage::subscribe;
          say(client);
        }
        break;
      case Packet::suback:
        becomes_ready(client);
        break;
      case Packet::publish: {
        const uint32_t destination = courier::bench::number_of(frame.body + 4);
        if (destination != index_of(client)) give_up("a message came to somebody else");
        if (frame.qos() > 0) {
          if (client.ack_count == kAcksMax)
            give_up("more messages than expected are on their way to a client");
          client.acks[client.ack_count++] = frame.u16(2 + courier::bench::kTopicBytes);
          say(client);
        }
        mine->delivered.fetch_add(1, std::memory_order_relaxed);
        done(crowd.clients[crowd.sessions + destination % crowd.publishers]);
        break;
      }
      case Packet::puback:
        done(client);
        break;
      default:
        give_up("an unexpected packet came");
    }
  }
}

// --- what is measured ---

double process_cpu_us() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_nsec) / 1e3;
}

double resident_bytes() {
  long total = 0, resident = 0;
  std::FILE* file = std::fopen("/proc/self/statm", "r");
  if (file == nullptr || std::fscanf(file, "%ld %ld", &total, &resident) != 2) give_up("/proc/self/statm");
  std::fclose(file);
  return static_cast<double>(resident) * static_cast<double>(sysconf(_SC_PAGESIZE));
}

void pause_for(double seconds) {
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
}

void let_in(uint32_t clients) {
  crowd.wanted.store(clients);
  const uint32_t loops = crowd.loop_count.load(std::memory_order_acquire);
  for (uint32_t i = 0; i < loops; ++i) wake(crowd.loops[i]);
  while (crowd.ready.load() < clients) pause_for(0.001);
}

uint64_t delivered() {
  uint64_t sum = 0;
  for (const Loop& loop : crowd.loops) sum += loop.delivered.load(std::memory_order_relaxed);
  return sum;
}

// When it has given back what only a busy moment needed, or will not.
double resident_at_rest() {
  double least = resident_bytes();
  for (int quiet = 0; quiet < 30; ++quiet) {
    pause_for(0.1);
    if (const double now = resident_bytes(); now < least) {
      least = now;
      quiet = 0;
    }
  }
  return least;
}

void measure() {
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, nullptr);  // they are courierd's
  while (true) {
    pause_for(0.01);
    const std::lock_guard lock(crowd.mutex);
    bool accepting = false;
    for (const Loop& loop : crowd.loops) accepting = accepting || loop.acceptor != nullptr;
    if (accepting) break;
  }
  std::FILE* file = std::fopen(crowd.result, "w");
  if (file == nullptr) give_up("COURIER_CROWD_RESULT cannot be written");
  let_in(std::min(kBefore, crowd.sessions));
  const double before = resident_at_rest(), cpu_before = process_cpu_us();
  let_in(crowd.sessions);
  const double cpu_connected = process_cpu_us();
  const double after = resident_at_rest();
  const uint32_t more = std::max(1u, crowd.sessions - std::min(kBefore, crowd.sessions));
  std::fprintf(file, "{\"sessions\": %u, \"bytes_each\": %.1f, \"connect_cpu_us\": %.2f", crowd.sessions,
               (after - before) / more, (cpu_connected - cpu_before) / more);
  if (crowd.publishers > 0) {
    let_in(crowd.all());
    crowd.publishing = true;
    for (uint32_t i = crowd.sessions; i < crowd.all(); ++i) say(crowd.clients[i]);
    pause_for(1);
    const double cpu = process_cpu_us();
    const uint64_t count = delivered();
    pause_for(crowd.seconds);
    const uint64_t came = delivered() - count;
    std::fprintf(file, ", \"messages\": %llu, \"cpu_us\": %.4f, \"per_second\": %.0f",
                 static_cast<unsigned long long>(came),
                 (process_cpu_us() - cpu) / static_cast<double>(std::max<uint64_t>(came, 1)),
                 static_cast<double>(came) / crowd.seconds);
    crowd.publishing = false;
  }
  std::fprintf(file, "}\n");
  std::fclose(file);
  kill(getpid(), SIGTERM);
}

uint32_t number(const char* name, uint32_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : static_cast<uint32_t>(std::strtoul(text, nullptr, 10));
}

__attribute__((constructor)) void begin() {
  crowd.sessions = number("COURIER_CROWD_SESSIONS", 0);
  crowd.publishers = number("COURIER_CROWD_PUBLISHERS", 0);
  crowd.qos = number("COURIER_CROWD_QOS", 0);
  crowd.stored = number("COURIER_CROWD_STORED", 0) != 0;
  crowd.seconds = number("COURIER_CROWD_SECONDS", 2);
  crowd.result = std::getenv("COURIER_CROWD_RESULT");
  if (crowd.sessions == 0 || crowd.sessions > 9'000'000 || crowd.qos > 1 || crowd.result == nullptr ||
      (crowd.publishers > 0 && crowd.sessions / crowd.publishers < kWindow)) {
    give_up(
        "COURIER_CROWD_SESSIONS and COURIER_CROWD_RESULT are needed; a publisher has at least 16 sessions");
  }
  void* room = mmap(nullptr, crowd.all() * sizeof(Client), PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  if (room == MAP_FAILED) give_up("no memory for the crowd");
  crowd.clients = static_cast<Client*>(room);
  for (uint32_t i = 0; i < crowd.all(); ++i) new (&crowd.clients[i]) Client;
  std::thread(measure).detach();
}

// Whether somebody waits at a listener.
bool may_accept() {
  return crowd.accepted.load() < std::min(crowd.wanted.load(), crowd.ready.load() + kConnecting);
}

int report(Loop& loop, epoll_event* events, int room) {
  {
    const std::lock_guard lock(loop.mutex);
    for (const uint32_t index : loop.from_others) {
      Client& client = crowd.clients[index];
      if (!client.queued) {
        client.queued = true;
        loop.ready.push_back(index);
      }
    }
    loop.from_others.clear();
  }
  int count = 0;
  if (loop.accepting && may_accept()) {
    events[count].events = EPOLLIN;
    events[count++].data.ptr = loop.acceptor;
  }
  size_t taken = 0;
  for (; taken < loop.ready.size() && count < room; ++taken) {
    Client& client = crowd.clients[loop.ready[taken]];
    client.queued = false;
    if (!client.readable || client.handler == nullptr) continue;  // EPOLL_CTL_MOD will ask for it
    events[count].events = EPOLLIN;
    events[count++].data.ptr = client.handler;
  }
  loop.ready.erase(loop.ready.begin(), loop.ready.begin() + static_cast<ptrdiff_t>(taken));
  return count;
}

}  // namespace

// --- in place of the kernel's ---

extern "C" {

int listen(int fd, int backlog) {
  static const auto real = next<decltype(listen)>("listen");
  const std::lock_guard lock(crowd.mutex);
  crowd.listeners.push_back(fd);
  return real(fd, backlog);
}

int accept4(int fd, sockaddr* address, socklen_t* size, int flags) {
  static const auto real = next<decltype(accept4)>("accept4");
  if (mine == nullptr || fd != mine->listener) return real(fd, address, size, flags);
  uint32_t index = crowd.accepted.load();
  do {
    if (index >= std::min(crowd.wanted.load(), crowd.ready.load() + kConnecting)) {
      errno = EAGAIN;
      return -1;
    }
  } while (!crowd.accepted.compare_exchange_weak(index, index + 1));
  sockaddr_in peer{};
  peer.sin_family = AF_INET;
  peer.sin_port = htons(static_cast<uint16_t>(1024 + index % 60'000));
  peer.sin_addr.s_addr = htonl(0x0A000000u + index);
  std::memcpy(address, &peer, sizeof peer);
  *size = sizeof peer;
  crowd.clients[index].stage = Stage::connect;
  return kFirst + static_cast<int>(index);
}

int epoll_ctl(int epoll, int operation, int fd, epoll_event* event) {
  static const auto real = next<decltype(epoll_ctl)>("epoll_ctl");
  if (!is_ours(fd)) {
    const int result = real(epoll, operation, fd, event);
    const std::unique_lock lock(crowd.mutex);
    if (std::find(crowd.listeners.begin(), crowd.listeners.end(), fd) == crowd.listeners.end()) return result;
    for (Loop& loop : crowd.loops) {
      if (loop.epoll != epoll || event == nullptr) continue;
      loop.listener = fd;
      loop.acceptor = event->data.ptr;
      loop.accepting = (event->events & EPOLLIN) != 0;
    }
    return result;
  }
  Client& client = client_of(fd);
  if (operation == EPOLL_CTL_DEL) {
    client.readable = false;
    client.handler = nullptr;
    return 0;
  }
  Loop& loop = loop_of(epoll);
  client.loop = static_cast<uint8_t>(&loop - crowd.loops.data());
  client.handler = event->data.ptr;
  client.readable = (event->events & EPOLLIN) != 0;
  client.queued = client.queued && operation == EPOLL_CTL_MOD;
  if (client.readable) say(client);
  return 0;
}

int epoll_pwait2(int epoll, epoll_event* events, int room, const timespec* timeout, const sigset_t* mask) {
  static const auto real = next<decltype(epoll_pwait2)>("epoll_pwait2");
  Loop& loop = loop_of(epoll);
  mine = &loop;
  int count = report(loop, events, room);
  if (count > 0 && ++loop.turns % 16 != 0) return count;
  const timespec at_once{};
  if (count == room) return count;
  const int came = real(epoll, events + count, room - count, count > 0 ? &at_once : timeout, mask);
  if (came < 0) return count > 0 ? count : came;
  for (int i = count; i < count + came; ++i) {
    if (events[i].data.ptr == &crowd)
      events[i].data.ptr = nullptr;  // ours; nullptr is what courierd passes over
  }
  return count + came;
}

ssize_t recv(int fd, void* room, size_t size, int flags) {
  static const auto real = next<decltype(recv)>("recv");
  if (!is_ours(fd)) return real(fd, room, size, flags);
  const size_t said = speak(client_of(fd), static_cast<char*>(room), size);
  if (said > 0) return static_cast<ssize_t>(said);
  errno = EAGAIN;
  return -1;
}

ssize_t send(int fd, const void* bytes, size_t size, int flags) {
  static const auto real = next<decltype(send)>("send");
  if (!is_ours(fd)) return real(fd, bytes, size, flags);
  const auto* begin = static_cast<const uint8_t*>(bytes);
  hear(client_of(fd), begin, begin + size);
  return static_cast<ssize_t>(size);
}

ssize_t sendmsg(int fd, const msghdr* message, int flags) {
  static const auto real = next<decltype(sendmsg)>("sendmsg");
  if (!is_ours(fd)) return real(fd, message, flags);
  std::string all;
  for (size_t i = 0; i < message->msg_iovlen; ++i) {
    all.append(static_cast<const char*>(message->msg_iov[i].iov_base), message->msg_iov[i].iov_len);
  }
  return send(fd, all.data(), all.size(), flags);
}

int setsockopt(int fd, int level, int name, const void* value, socklen_t size) noexcept {
  static const auto real = next<decltype(setsockopt)>("setsockopt");
  return is_ours(fd) ? 0 : real(fd, level, name, value, size);
}

int shutdown(int fd, int how) noexcept {
  static const auto real = next<decltype(shutdown)>("shutdown");
  return is_ours(fd) ? 0 : real(fd, how);
}

int close(int fd) {
  static const auto real = next<decltype(close)>("close");
  if (!is_ours(fd)) return real(fd);
  Client& client = client_of(fd);
  client.stage = Stage::gone;
  client.handler = nullptr;  // as the kernel's epoll forgets what is closed
  return 0;
}

}  // extern "C"
