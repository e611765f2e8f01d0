// courier passwd: edits the password file that courierd reads (auth.password_file).
#include <termios.h>
#include <unistd.h>

#include <cstdio>
#include <iostream>
#include <memory>
#include <optional>

#include "auth/file/password_file.h"
#include "courier/command.h"

namespace courier::cli {
namespace {

struct PasswdFlags {
  std::string file, user;
  std::optional<std::string> password;
  bool remove = false, from_stdin = false, list = false, scram = false;
};

// Echo is off while this lives.
class Unseen {
 public:
  Unseen() {
    if (::tcgetattr(STDIN_FILENO, &before_) != 0) return;
    termios silent = before_;
    silent.c_lflag &= static_cast<tcflag_t>(~ECHO);
    changed_ = ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent) == 0;
  }
  ~Unseen() {
    if (changed_) ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &before_);
  }

 private:
  termios before_{};
  bool changed_ = false;
};

std::optional<std::string> ask(const char* question) {
  std::fputs(question, stderr);
  std::string answer;
  {
    const Unseen unseen;
    if (!std::getline(std::cin, answer)) return std::nullopt;
  }
  std::fputs("\n", stderr);
  return answer;
}

// The exit code, when there is no password.
tl::expected<std::string, int> password_of(const PasswdFlags& flags) {
  if (flags.password) return *flags.password;
  if (flags.from_stdin) {
    std::string line;
    if (std::getline(std::cin, line)) return line;
    note("passwd", "--stdin: no line there");
    return tl::unexpected<int>(kFailure);
  }
  if (::isatty(STDIN_FILENO) == 0) {
    note("passwd", "there is no terminal to ask at; give the password with --stdin (a line) or -b PASSWORD");
    return tl::unexpected<int>(kUsage);
  }
  const auto first = ask("Password: ");
  const auto second = first ? ask("The same again: ") : std::nullopt;
  if (!second) return tl::unexpected<int>(kFailure);
  if (first == second) return *first;
  note("passwd", "the two differ; nothing was changed");
  return tl::unexpected<int>(kFailure);
}

int passwd(const PasswdFlags& flags) {
  if (flags.list) {
    const auto users = auth::file::list_users(flags.file);
    if (!users) return failure("passwd", users.error());
    for (const std::string& user : *users) fmt::print("{}\n", user);
    return kOk;
  }
  if (flags.user.empty()) {
    note("passwd", "say which USER; --list shows those of the file");
    return kUsage;
  }
  if (flags.remove) {
    const auto removed = auth::file::delete_user(flags.file, flags.user);
    if (!removed) return failure("passwd", removed.error());
    if (*removed) return kOk;
    note("passwd", fmt::format("{} has no user \"{}\"", flags.file, flags.user));
    return kFailure;
  }
  const auto password = password_of(flags);
  if (!password) return password.error();
  const auto done = flags.scram ? auth::file::set_scram_password(flags.file, flags.user, *password)
                                : auth::file::set_password(flags.file, flags.user, *password);
  return done ? static_cast<int>(kOk) : failure("passwd", done.error());
}

}  // namespace

Run set_up_passwd(CLI::App& app) {
  auto flags = std::make_shared<PasswdFlags>();
  app.set_help_flag("--help,-h", "Show this help and exit");
  app.add_option("FILE", flags->file, "The password file; made when it is not there")->required();
  app.add_option("USER", flags->user, "The user");
  CLI::Option* given =
      app.add_option("-b,--password", flags->password, "The password; others can see it while this runs")
          ->type_name("PASSWORD");
  app.add_flag("--stdin", flags->from_stdin, "The password is the first line of stdin")->excludes(given);
  CLI::Option* scram =
      app.add_flag("--scram", flags->scram,
                   "Keys of SCRAM-SHA-256 instead of a hash: the client proves the password (5.0) "
                   "or sends it");
  CLI::Option* remove =
      app.add_flag("-D,--delete", flags->remove, "Remove the user")->excludes(given)->excludes(scram);
  app.add_flag("--list", flags->list, "Print the users of the file")->excludes(given)->excludes(remove);
  app.footer(
      "Without -b or --stdin it asks at the terminal. The file holds argon2id hashes, one USER:HASH a line, "
      "or\n"
      "with --scram what SCRAM needs; argon2id makes a stolen file worth less.\n"
      "courierd reads it as auth.password_file.\n\n"
      "Examples:\n"
      "  courier passwd /etc/courier/passwd alice\n"
      "  pwgen 20 1 | tee secret | courier passwd /etc/courier/passwd backend --stdin\n"
      "  courier passwd /etc/courier/passwd alice -D");
  return [flags] { return passwd(*flags); };
}

}  // namespace courier::cli
