// The file of bans, as text: a line of JSON for each, and a first line that says what it is.
//
//   {"courier_bans":1,"next_id":18}
//   {"id":17,"address":"192.0.2.0/24","reason":"scans","made_by":"mo","made_at":1732350000000,"until":0}
//   {"id":16,"client_id":"phone-7","mountpoint":"","reason":"flapping","made_by":"flapping",...}
//
// It is written whole, beside the old one, synced, and put into its place: there is always one that is whole.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "admission/ban.h"
#include "base/result.h"

namespace courier::admission {

struct BanFile {
  BanId next_id = 1;
  std::vector<Ban> bans;  // by id
};

std::string encode(const BanFile& file);
// errc::bad_file with the line: someone's hand was in it, or a newer version wrote it.
Result<BanFile> decode(std::string_view text);

// Nothing there is an empty one. errc::bad_file, errc::io.
Result<BanFile> read_ban_file(const std::string& path);
// errc::io; the old one stays then. Waits for the disk.
Result<void> write_ban_file(const std::string& path, const BanFile& file);

}  // namespace courier::admission
