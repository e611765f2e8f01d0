// crash --rounds=N [--power-cut | --disk-full] [--seed=S] [--courierd=PATH] [--expect-fault]
// Exit code 0: no fault. With --expect-fault (sabotage builds): 0 only if a fault was found.
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <string_view>

#include <fmt/format.h>

#include "crash_rounds.h"
#include "net/test_ports.h"

namespace {

using courier::fault::CrashRounds;
using courier::fault::Disk;

int usage() {
  std::fputs(
      "usage: crash [--rounds=N] [--power-cut | --disk-full] [--seed=S] [--courierd=PATH] [--expect-fault]\n"
      "--power-cut    what was not synced is lost with the process\n"
      "--disk-full    the disk fills up, and has room again\n"
      "--courierd     default: the one beside this program, with the faulty disk if it is wanted\n",
      stderr);
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  CrashRounds::Options options;
  int rounds = 50;
  bool expect_fault = false;
  options.seed = std::random_device{}() % 1'000'000;
  for (int i = 1; i < argc; ++i) {
    const std::string_view arg = argv[i];
    if (arg.starts_with("--rounds=")) {
      rounds = std::atoi(argv[i] + 9);
    } else if (arg.starts_with("--seed=")) {
      options.seed = std::strtoull(argv[i] + 7, nullptr, 10);
    } else if (arg.starts_with("--courierd=")) {
      options.program = argv[i] + 11;
    } else if (arg == "--power-cut") {
      options.disk = Disk::forgets_unsynced;
    } else if (arg == "--disk-full") {
      options.disk = Disk::fills_up;
    } else if (arg == "--expect-fault") {
      expect_fault = true;
    } else {
      return usage();
    }
  }
  const std::filesystem::path here = std::filesystem::read_symlink("/proc/self/exe").parent_path();
  if (options.program.empty())
    options.program = here / (options.disk == Disk::kept ? "courierd" : "fault_courierd");
  options.port = courier::net::test_port();
  options.folder = std::filesystem::temp_directory_path() / fmt::format("courier-crash-{}", ::getpid());
  std::filesystem::remove_all(options.folder);
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  fmt::print("seed {}\n", options.seed);

  const auto began = std::chrono::steady_clock::now();
  bool failed = false;
  {
    CrashRounds crash(options);
    crash.begin();
    for (int i = 1; i <= rounds && !crash.failed(); ++i) {
      crash.round(i);
      if (i % 50 == 0) fmt::print("{}\n", crash.summary());
    }
    failed = crash.failed();
    fmt::print("{}\n", crash.summary());
    if (failed) fmt::print("{}", crash.report());
  }
  fmt::print(
      "{} s\n",
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - began).count());
  if (failed && !expect_fault) {
    fmt::print("kept: {}\n", options.folder);
  } else {
    std::filesystem::remove_all(options.folder);
  }
  if (!expect_fault) return failed ? 1 : 0;
  if (!failed) fmt::print("a fault was built in on purpose and not found\n");
  return failed ? 0 : 1;
}
