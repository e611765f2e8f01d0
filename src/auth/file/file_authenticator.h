// Checks user name and password against a password file, on workers.
//
// A check takes some 40 ms and the hash's memory (19 MB by default), so at most `workers` run at once:
// together they hold workers × memory_kib_max(). Those that come meanwhile wait, at most queue_max of them;
// one more is denied with server_busy. Decisions:
//
//   no user name                   next
//   a name that is not in the file next, after the work that a known name costs: time does not tell them
//   apart wrong or missing password      deny, bad_user_name_or_password (3.x: return code 4) right password
//   allow
//
// The file is looked at before a check, at most once a second, and read again when it changed. A file that is
// gone or bad leaves the old users in force and is logged once.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "auth/authenticator.h"
#include "auth/file/password_file.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/metrics.h"
#include "base/result.h"
#include "base/worker_pool.h"

namespace courier::auth::file {

// Any thread may authenticate. Destruction waits for running checks and drops those that wait, unanswered.
class FileAuthenticator final : public Authenticator {
 public:
  struct Options {
    std::string path;
    uint32_t workers = 2;
    uint32_t queue_max = 1000;
  };

  // Clock and registry must outlive it. Errors: unreadable, invalid.
  static Result<std::unique_ptr<FileAuthenticator>> open(Options options, Registry& registry,
                                                         const Clock& clock = system_clock());

  void authenticate(Credentials credentials, std::function<void(Decision)> done) override;
  // Method "SCRAM-SHA-256", for users whose line has its keys.
  std::shared_ptr<Exchange> begin(std::string_view method, const Credentials& credentials) override;
  void stop() override { pool_.stop(); }

  // Reads the file again now; what it holds counts once the commit that comes back is called, from the same
  // thread. Errors: unreadable, invalid.
  Result<std::function<void()>> prepare_reload();

  // The most that checks running at once may take, by the file as it is now.
  uint64_t memory_bytes_max();

 private:
  struct Request;
  class ScramExchange;

  FileAuthenticator(const Options& options, Registry& registry, const Clock& clock, Users users,
                    WatchedFile file);

  std::shared_ptr<const Users> users_now();
  Decision check(Credentials& credentials);

  const Clock& clock_;
  Counter& right_;
  Counter& wrong_;
  Counter& unknown_;
  Counter& busy_;
  Counter& failed_;

  std::mutex mutex_;
  std::shared_ptr<const Users> users_;  // guarded by mutex_; shared: a check outlives a reload
  WatchedFile file_;                    // guarded by mutex_

  WorkerPool pool_;  // last: its threads use all of the above
};

}  // namespace courier::auth::file
