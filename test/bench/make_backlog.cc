// make_backlog DATA_DIR [--sessions=N] [--messages=N] [--payload=BYTES] [--filter=EVERYBODYS] [--log=ID
// --cursor=REVISION]
// Makes a data directory of sleeping sessions and waiting messages; see backlog.h.
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "backlog.h"
#include "base/clock.h"

int main(int argc, char** argv) {
  courier::bench::Backlog backlog;
  std::string data_dir;
  for (int i = 1; i < argc; ++i) {
    const std::string_view arg = argv[i];
    if (arg.starts_with("--sessions=")) {
      backlog.sessions = std::strtoull(argv[i] + 11, nullptr, 10);
    } else if (arg.starts_with("--messages=")) {
      backlog.messages = std::strtoull(argv[i] + 11, nullptr, 10);
    } else if (arg.starts_with("--payload=")) {
      backlog.payload_bytes = std::strtoull(argv[i] + 10, nullptr, 10);
    } else if (arg.starts_with("--filter=")) {
      backlog.filter = arg.substr(9);
    } else if (arg.starts_with("--log=")) {
      backlog.log_id = arg.substr(6);
    } else if (arg.starts_with("--cursor=")) {
      backlog.cursor = std::strtoull(argv[i] + 9, nullptr, 10);
    } else if (!arg.starts_with("-") && data_dir.empty()) {
      data_dir = arg;
    } else {
      data_dir.clear();
      break;
    }
  }
  if (data_dir.empty() || backlog.sessions == 0) {
    std::fputs(
        "usage: make_backlog DATA_DIR [--sessions=N] [--messages=N] [--payload=BYTES] [--filter=F]\n"
        "       [--log=ID --cursor=REVISION]\n",
        stderr);
    return 2;
  }
  const courier::MonoNs began = courier::system_clock().mono_ns();
  const auto seconds = [&] { return static_cast<double>(courier::system_clock().mono_ns() - began) / 1e9; };
  uint64_t said = 0;
  const auto made = backlog.make(data_dir, [&](uint64_t sessions) {
    if (sessions - said < 100'000 && sessions != backlog.sessions) return;
    said = sessions;
    std::printf("%llu sessions after %.1f s\n", static_cast<unsigned long long>(sessions), seconds());
    std::fflush(stdout);
  });
  if (!made) {
    std::fprintf(stderr, "%s\n", made.error().message.c_str());
    return 1;
  }
  std::printf("%llu sessions with %llu messages each in %.1f s\n",
              static_cast<unsigned long long>(backlog.sessions),
              static_cast<unsigned long long>(backlog.messages_of_each()), seconds());
}
