#include "admission/ban_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <set>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "admission/errc.h"
#include "admission/limits.h"
#include "base/file.h"
#include "net/errc.h"
#include "net/fd.h"

namespace courier::admission {

namespace {

using Json = nlohmann::ordered_json;
constexpr int kVersion = 1;

std::string line_of(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::optional<Ban> ban_of(const Json& json) {
  Ban ban;
  const auto text = [&](const char* key, std::string& into) {
    const auto at = json.find(key);
    if (at == json.end() || !at->is_string()) return false;
    into = at->get<std::string>();
    return true;
  };
  const auto number = [&](const char* key, auto& into) {
    const auto at = json.find(key);
    if (at == json.end() || !at->is_number_integer()) return false;
    into = at->get<std::remove_reference_t<decltype(into)>>();
    return true;
  };
  bool named = false;
  for (const auto kind : {BanTarget::Kind::address, BanTarget::Kind::username, BanTarget::Kind::client_id}) {
    if (!text(std::string(name(kind)).c_str(), ban.target.value)) continue;
    if (std::exchange(named, true)) return std::nullopt;
    ban.target.kind = kind;
  }
  if (std::string mountpoint; text("mountpoint", mountpoint)) ban.target.mountpoint = std::move(mountpoint);
  const bool whole = named && number("id", ban.id) && text("reason", ban.reason) &&
                     text("made_by", ban.made_by) && number("made_at", ban.made_at) &&
                     number("until", ban.until);
  if (!whole || ban.id == 0) return std::nullopt;
  auto target = checked(std::move(ban.target));
  if (!target) return std::nullopt;
  ban.target = *std::move(target);
  return ban;
}

Failure io_failure(const std::string& what, const std::string& path) {
  return fail(errc::io, fmt::format("cannot {} {}: {}", what, path, net::system_words(errno)));
}

}  // namespace

std::string encode(const BanFile& file) {
  std::string text = line_of({{"courier_bans", kVersion}, {"next_id", file.next_id}});
  for (const Ban& ban : file.bans) {
    Json json = {{"id", ban.id}, {std::string(name(ban.target.kind)), ban.target.value}};
    if (ban.target.mountpoint) json["mountpoint"] = *ban.target.mountpoint;
    json["reason"] = ban.reason;
    json["made_by"] = ban.made_by;
    json["made_at"] = ban.made_at;
    json["until"] = ban.until;
    text += line_of(json);
  }
  return text;
}

Result<BanFile> decode(std::string_view text) {
  BanFile file;
  std::set<BanId> ids;
  for (size_t number = 1; !text.empty(); ++number) {
    const size_t end = std::min(text.find('\n'), text.size());
    const Json json = Json::parse(text.substr(0, end), nullptr, false);
    text.remove_prefix(std::min(end + 1, text.size()));
    const auto bad = [&](std::string_view why) {
      return fail(errc::bad_file, fmt::format("line {}: {}", number, why));
    };
    if (!json.is_object()) return bad("it is not a JSON object");
    if (number == 1) {
      if (json.value("courier_bans", 0) != kVersion) return bad("it does not say \"courier_bans\":1");
      file.next_id = json.value("next_id", BanId{1});
      continue;
    }
    auto ban = ban_of(json);
    if (!ban) return bad("it is not a ban");
    if (!ids.insert(ban->id).second) return bad("its id was there before");
    if (file.bans.size() == kBansMax) return bad(fmt::format("there are more than {} bans", kBansMax));
    file.next_id = std::max(file.next_id, ban->id + 1);
    file.bans.push_back(*std::move(ban));
  }
  return file;
}

Result<BanFile> read_ban_file(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::exists(path, error) && !error) return BanFile();
  const auto text = read_file(path, kBanFileBytesMax);
  if (!text) return fail(errc::io, text.error().message);
  auto file = decode(*text);
  if (file) return file;
  return fail(errc::bad_file,
              fmt::format("{}: {}. Mend that line, or move the file away to start without bans", path,
                          file.error().message));
}

Result<void> write_ban_file(const std::string& path, const BanFile& file) {
  const std::string text = encode(file), fresh = path + ".new";
  const std::string folder = std::filesystem::path(path).parent_path().string();
  net::Fd fd(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640));
  if (!fd) return io_failure("write", fresh);
  for (std::string_view rest = text; !rest.empty();) {
    const ssize_t written = ::write(fd.get(), rest.data(), rest.size());
    if (written < 0 && errno != EINTR) return io_failure("write", fresh);
    if (written > 0) rest.remove_prefix(static_cast<size_t>(written));
  }
  if (::fsync(fd.get()) != 0) return io_failure("sync", fresh);
  if (::rename(fresh.c_str(), path.c_str()) != 0) return io_failure("replace", path);
  // The name is safe only once its folder is.
  const net::Fd parent(::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!parent || ::fsync(parent.get()) != 0) return io_failure("sync", folder);
  return {};
}

}  // namespace courier::admission
