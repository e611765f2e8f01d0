// [auth]: who may come in.
#include "config/check_text.h"
#include "config/sections.h"

namespace courier::config {

Section auth_section() {
  return {
      "auth",
      "Who may connect. Nobody may, until one of these says so.",
      false,
      {
          {.name = "allow_anonymous",
           .kind = Kind::boolean,
           .member = member<&Settings::auth, &Auth::allow_anonymous>(),
           .help =
               "Serve clients that send no user name. If no password file is set, a user name that is sent "
               "is not looked at."},
          {.name = "password_file",
           .kind = Kind::text,
           .member = member<&Settings::auth, &Auth::password_file>(),
           .help =
               "User names and argon2id hashes, one to a line; edit it with `courier passwd`. A change is "
               "noticed within a second.",
           .check = check_path,
           .example = "/etc/courier/passwd"},
          {.name = "password_workers",
           .kind = Kind::count,
           .member = member<&Settings::auth, &Auth::password_workers>(),
           .help = "Threads that check passwords. Each needs the memory that the hashes ask for (19 MB as "
                   "`courier passwd` writes them) while it does.",
           .min = 1,
           .max = 64},
          {.name = "password_queue_max",
           .kind = Kind::count,
           .member = member<&Settings::auth, &Auth::password_queue_max>(),
           .help = "Passwords that may wait for a thread; one more is answered \"server busy\".",
           .min = 1,
           .max = 1'000'000},
          {.name = "acl_file",
           .kind = Kind::text,
           .member = member<&Settings::auth, &Auth::acl_file>(),
           .help = "Who may publish and subscribe where; see acl.md, and try it with `courier acl check`. A "
                   "change is noticed within a second and holds for connected clients, too. Empty: everybody "
                   "may do everything.",
           .check = check_path,
           .example = "/etc/courier/acl"},
          {.name = "session_owner",
           .kind = Kind::choice,
           .member = member<&Settings::auth, &Auth::session_owner>(),
           .help = "Whose a session is. username: only a client of the same user name takes it over, or goes "
                   "on with it; others with its client id are refused. anybody: whoever has its client id.",
           .choices = {"username", "anybody"}},
      }};
}

}  // namespace courier::config
