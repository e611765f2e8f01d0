// Ports for the servers that tests start: no two tests that run at the same time get the same one, and no
// client's end ever stands on one. To bind port 0, close it and use its number does not give that: the kernel
// hands the number out again, to another test or to somebody's outgoing connection.
//
// Each process owns a block of ports below the range that the kernel gives to clients (ip_local_port_range,
// 32,768 and up) for as long as it runs: a lock on a file that test/ports.py takes in the same way. For tests
// only. Thread-safe.
#pragma once

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <string>

#include "base/check.h"

namespace courier::net {

constexpr int kTestPortsFirst = 12'000, kTestPortsBlock = 50, kTestPortsBlocks = 400;

// The first port of this process's block.
inline int test_port_block() {
  constexpr char kLocks[] = "/tmp/courier_test_ports";
  if (::mkdir(kLocks, 0777) == 0) ::chmod(kLocks, 0777);  // other users run tests, too
  for (int i = 0; i < kTestPortsBlocks; ++i) {
    const int block = (::getpid() + i) % kTestPortsBlocks;
    // Open until the process ends.
    const int fd = ::open((std::string(kLocks) + '/' + std::to_string(block)).c_str(),
                          O_CREAT | O_RDWR | O_CLOEXEC, 0666);
    if (fd < 0) continue;
    if (::flock(fd, LOCK_EX | LOCK_NB) == 0) return kTestPortsFirst + block * kTestPortsBlock;
    ::close(fd);
  }
  CHECK(false && "every block of test ports is taken: see /tmp/courier_test_ports");
  return 0;
}

// One that nobody listens on, on the loopback address. The same one comes again after 50 others.
inline uint16_t test_port() {
  static const int block = test_port_block();
  static std::atomic<unsigned> next{0};
  for (int i = 0; i < kTestPortsBlock; ++i) {
    const auto port = static_cast<uint16_t>(block + next++ % kTestPortsBlock);
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const bool free = ::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    ::close(fd);
    if (free) return port;
  }
  CHECK(false && "this test listens on all its ports");
  return 0;
}

}  // namespace courier::net
