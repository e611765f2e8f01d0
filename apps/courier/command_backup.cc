// courier backup and courier restore: a consistent copy of a running node's data, and back.
#include <cstdio>
#include <filesystem>
#include <memory>

#include "courier/admin_client.h"
#include "courier/text_table.h"
#include "store/errc.h"
#include "store/rocksdb/backup.h"

namespace courier::cli {
namespace {

struct BackupFlags {
  AdminFlags admin;
  std::string path;
};

int backup(const BackupFlags& flags) {
  auto admin = AdminClient::open(flags.admin, "backup");
  if (!admin) return admin.error();
  std::error_code error;
  const std::filesystem::path path = std::filesystem::absolute(flags.path, error).lexically_normal();
  const std::string body =
      nlohmann::json{{"path", path.string()}}.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  const auto done = admin->ask_json("POST", "/v1/backup", body, std::chrono::seconds(0));
  if (!done) return done.error();
  fmt::print("{}: {}, everything up to position {}\n", done->value("path", path.string()),
             byte_count(done->value("bytes", uint64_t{0})), done->value("position", uint64_t{0}));
  return kOk;
}

struct RestoreFlags {
  std::string backup, data_dir;
  bool check = false;
};

int restore(const RestoreFlags& flags) {
  if (!flags.check && flags.data_dir.empty()) {
    note("restore", "say into which DATA_DIR; --check only looks at the backup");
    return kUsage;
  }
  const auto done =
      flags.check ? store::verify_backup(flags.backup) : store::restore_backup(flags.backup, flags.data_dir);
  if (!done) {
    note("restore", done.error().message);
    return kFailure;
  }
  fmt::print("{}: {}, state as of position {}, log up to {}\n", flags.check ? flags.backup : flags.data_dir,
             byte_count(done->bytes), done->position.value, done->log_end.value);
  return kOk;
}

}  // namespace

Run set_up_backup(CLI::App& app) {
  auto flags = std::make_shared<BackupFlags>();
  app.add_option("PATH", flags->path,
                 "A new folder on the machine where courierd runs; its user must be able to make it")
      ->required();
  flags->admin.add_to(app);
  app.footer(
      fmt::format("Clients are served meanwhile. The folder appears complete or not at all.\n\n{}\n\n"
                  "Examples:\n"
                  "  courier backup /var/backups/courier-$(date +%F)\n"
                  "  courier restore --check /var/backups/courier-2024-05-01",
                  kAdminHelp));
  return [flags] { return backup(*flags); };
}

Run set_up_restore(CLI::App& app) {
  auto flags = std::make_shared<RestoreFlags>();
  app.add_option("BACKUP", flags->backup, "The folder that `courier backup` made")->required();
  app.add_option("DATA_DIR", flags->data_dir, "Where courierd is to find it; must be absent or empty");
  app.add_flag("--check", flags->check, "Only read the backup to its end and say whether it is sound");
  app.footer(
      "Every block and every record is read before and after copying. Until all is done courierd refuses to "
      "start\n"
      "on the folder. Give the files to courierd's user afterwards.\n\n"
      "Examples:\n"
      "  courier restore --check /var/backups/courier-2024-05-01\n"
      "  courier restore /var/backups/courier-2024-05-01 /var/lib/courier && chown -R courier: "
      "/var/lib/courier");
  return [flags] { return restore(*flags); };
}

}  // namespace courier::cli
