// Reads what `courier doctor` wants to know of a machine from /proc, /sys and the systemd unit.
//
// Reads only, on the caller's thread. Everything is below `root`, so that a test can give it a tree of its
// own. Whatever is missing, forbidden or not as expected becomes an unknown fact with the reason; nothing
// fails.
#pragma once

#include <string>
#include <string_view>

#include "courier/doctor/facts.h"

namespace courier::cli::doctor {

// `root` without a slash at its end: "" is this machine.
MachineFacts read_machine(const std::string& root);

// What the kernel says of this machine's clock; there is no file for it.
Fact<bool> read_clock();

// The mount that `path`, absolute and without links, is on, from the text of /proc/self/mountinfo.
Fact<Mount> mount_of(std::string_view mountinfo, std::string_view path);

inline constexpr size_t kFactFileBytesMax = 4 * 1024 * 1024;
// At most this much of one file below `root`; never waits on a pipe or a device.
Fact<std::string> read_fact_file(const std::string& path);

}  // namespace courier::cli::doctor
